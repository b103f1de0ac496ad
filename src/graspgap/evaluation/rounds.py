"""On-policy rounds: collect, train, collect again with the better policy plus noise (Bousmalis et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from graspgap.collection.policies import UNTRAINED
from graspgap.config import LATER
from graspgap.evaluation.ingredients import SIMULATION, feature_ingredients
from graspgap.evaluation.stages import Stage
from graspgap.training.adapt import adapter_choice
from graspgap.worlds.standin_names import SIMULATORS
from graspgap.zoo import resolved

SEED_STEP = 100
"""Between the seeds of the rounds' datasets: attempts of different rounds share no scene."""
TRIAL_SEED = 7000
"""Evaluation seed of seed 0."""


@dataclass(frozen=True)
class RoundsConfig:
    """What the rounds are made of."""

    rounds: int = 3
    """Rounds of collection, each followed by training on the attempts of all rounds so far, and on `sim` if given."""
    attempts: int = 2000
    """Attempts in each round."""
    noise: float = 0.02
    """Exploration noise of trained policies: standard deviation of the target's position [m]."""
    steps: int = 800
    """Training steps in each round."""
    trials: int = 200
    """Attempts with test objects and without noise that measure each round's policy; 0: none."""
    world: str = "sim"
    """Where to act, as for `collect`; an installed world counts as real."""
    objects: str = ""
    """Object set or folder of meshes. Default: the world's own."""
    randomize: str = "none"
    """Randomization of a simulated world, as for `collect`."""
    image_size: int = 64
    """Pixels of a side of the pictures."""
    seed: int = 0
    """Seed of all data, training and trials."""
    policy: str = field(default="", metadata=LATER)
    """Who acts in the first round, as for `collect`: the folder of a trained policy, for example. Default: scripted
    where the world tells where its objects are, random elsewhere."""
    camera: str = field(default="", metadata=LATER)
    """File with the camera, as for `collect`."""
    world_config: str = field(default="", metadata=LATER)
    """TOML file with the settings of an installed world, and its limits in `[safety]`."""
    sim: str = field(default="", metadata=LATER)
    """Simulated dataset that each round's policy learns from too, where the world is a real one."""
    adapter: str = field(default="", metadata=LATER)
    """Adapter run, or `zoo:NAME`, that makes the pictures of `sim` look real, as for `train`."""
    features: str = field(default="", metadata=LATER)
    """Feature-level methods, joined by commas, as for `train`: real attempts of all rounds are what they read."""

    @property
    def simulated(self) -> bool:
        """Whether the world is a simulator, whose attempts are no real ones."""
        return self.world in SIMULATORS

    def learning(self) -> list[str]:
        """Words of `train` that say what each round learns from, but for the folder of its own attempts, which ends
        them."""
        if self.simulated:
            return ["--sim"]
        given = {"--sim": self.sim, "--adapter": self.adapter, "--features": self.features}
        return [word for pair in given.items() if pair[1] for word in pair] + ["--real-labels", "1", "--real"]

    def ingredients(self) -> list[str]:
        """What its policies are made of besides real labels.

        Raises:
            UserError: if `adapter` is no adapter run.
        """
        found = [SIMULATION] if self.simulated or self.sim else []
        found += feature_ingredients(self.features)
        return found + ([adapter_choice(resolved(Path(self.adapter)))["method"]] if self.adapter else [])


def plan_rounds(config: RoundsConfig, out: Path) -> list[Stage]:
    """The stages in the order in which they should start."""
    world = ["--world", config.world, "--objects", config.objects, "--randomize", config.randomize]
    world += ["--image-size", str(config.image_size)]
    world += ["--camera", config.camera] if config.camera else []
    world += ["--world-config", config.world_config] if config.world_config else []
    made_of = config.ingredients()
    stages: list[Stage] = []
    data: list[str] = []
    for number in range(config.rounds):
        name, seed = f"data/round{number}", config.seed + SEED_STEP * (number + 1)
        words = ["collect", str(out / name), *world, "--attempts", str(config.attempts), "--seed", str(seed)]
        before = (f"policies/round{number - 1}",) if number else ()
        acting = str(out / before[0]) if before else config.policy
        if acting:
            words += ["--policy", acting]
            words += ["--noise", f"{config.noise:g}"] if acting not in UNTRAINED else []
        stages.append(Stage(name, tuple(words), before, (f"collect {config.world}", config.attempts)))
        data.append(name)
        known = name
        if number:
            known = f"data/rounds0-{number}"
            folders = [str(out / each) for each in data]
            merge = ("dataset", "merge", str(out / known), *folders)
            stages.append(Stage(known, merge, (name,), ("draw", config.attempts * (number + 1)), workers=False))
        policy = f"policies/round{number}"
        words = ["train", str(out / policy), *config.learning(), str(out / known), "--steps", str(config.steps)]
        words += ["--image-size", str(config.image_size), "--seed", str(config.seed)]
        stages.append(Stage(policy, tuple(words), (known,), ("train", config.steps)))
        if config.trials:
            words = ["evaluate", str(out / f"trials/round{number}"), "--policy", str(out / policy), *world]
            words += ["--attempts", str(config.trials), "--seed", str(TRIAL_SEED + config.seed)]
            words += ["--arm.name", f"round {number}", "--arm.seed", str(config.seed)]
            if not config.simulated:
                words += ["--arm.real-labels", "1", "--arm.real-label-count", str(config.attempts * (number + 1))]
            words += ["--arm.ingredients", *made_of] if made_of else []
            stages.append(
                Stage(f"trials/round{number}", tuple(words), (policy,), (f"evaluate {config.world}", config.trials))
            )
    return stages
