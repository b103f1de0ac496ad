"""A study: which data, which arms, which seeds; as the commands that make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graspgap.evaluation.stages import Stage

STANDIN_SEED = 500
"""Added to the study's seed for attempts in the stand-in, so that no world shares a seed with another."""


@dataclass(frozen=True)
class StudyArm:
    """One recipe for a policy. All arms have the same network, steps and settings."""

    name: str
    sim: str = ""
    """Simulated data: `sim` (plain), `randomized`, or none."""
    adapter: str = ""
    """Pixel-level method between simulation and training, or none."""
    adapter_sim: str = "sim"
    """Simulated data that the adapter is trained on."""
    features: str = ""
    """Feature-level methods, joined by commas."""
    real_labels: float = 0.0
    """Fraction of the real labels."""

    @property
    def ingredients(self) -> tuple[str, ...]:
        """What the arm is made of besides real labels. `statistics`: batch statistics of reality's own pictures."""
        features = [name for name in self.features.split(",") if name]
        parts = {
            "simulation": bool(self.sim),
            "randomization": "randomized" in (self.sim, self.adapter and self.adapter_sim),
            "statistics": bool({"adabn", "dbn"} & set(features)),
        }
        methods = [*(name for name in features if name not in ("adabn", "dbn")), self.adapter]
        return (*(name for name, used in parts.items() if used), *filter(None, methods))

    @property
    def adapter_run(self) -> str:
        """Name of its adapter among those of a study; empty without one."""
        return f"{self.adapter}-{self.adapter_sim}" if self.adapter else ""

    @property
    def key(self) -> str:
        """Name for folders."""
        return f"{self.name}-{self.real_labels:g}" if self.real_labels else self.name


CONSISTENCY = "consistency,dbn"

NO_LABELS = (
    StudyArm("sim-only", sim="sim"),
    StudyArm("randomized", sim="randomized"),
    StudyArm("consistency", sim="sim", features=CONSISTENCY),
    StudyArm("graspgan", sim="sim", adapter="graspgan"),
    StudyArm("graspgan+consistency", sim="sim", adapter="graspgan", features=CONSISTENCY),
)
ALL_NO_LABELS = (
    *NO_LABELS,
    StudyArm("adabn", sim="sim", features="adabn"),
    StudyArm("randomized+consistency", sim="randomized", features=CONSISTENCY),
)
"""With the control arms that tell the ingredients apart."""

METHOD_ARMS = (
    *ALL_NO_LABELS,
    *(StudyArm(name, sim="sim", adapter=name) for name in ("histogram", "fourier", "composite")),
    *(StudyArm(name, sim="sim", adapter=name) for name in ("pixelda", "simgan", "cyclegan", "cut", "fastcut")),
    StudyArm("perceptual", sim="sim", adapter="perceptual"),
    StudyArm("consistency-alone", sim="sim", features="consistency"),
    *(StudyArm(name, sim="sim", features=name) for name in ("dbn", "dann", "dsn", "adda", "confusion", "coral", "mmd")),
    StudyArm("graspgan+dann", sim="sim", adapter="graspgan", features="dann,dbn"),
    StudyArm("graspgan+dann+consistency", sim="sim", adapter="graspgan", features=f"dann,{CONSISTENCY}"),
    StudyArm("randomized+dann", sim="randomized", features="dann,dbn"),
    StudyArm("randomized-graspgan", sim="randomized", adapter="graspgan", adapter_sim="randomized"),
    StudyArm(
        "randomized-graspgan+consistency",
        sim="randomized",
        adapter="graspgan",
        adapter_sim="randomized",
        features=CONSISTENCY,
    ),
)
"""Every method alone, control arms for every ingredient, and the main combinations; no real label."""


@dataclass(frozen=True)
class StudyPreset:
    """Sizes of a study."""

    sim_attempts: int
    """Plain simulated attempts."""
    randomized_attempts: int
    """Simulated attempts with appearance and dynamics randomized."""
    real_attempts: int
    """Attempts in the stand-in, by random commands."""
    adapter_steps: int
    train_steps: int
    trials: int
    """Closed-loop attempts per policy."""
    fractions: tuple[float, ...]
    """Label fractions of the real-only arm."""
    arms: tuple[StudyArm, ...] = NO_LABELS
    training_seeds: int = 1
    """Policies per arm."""
    scores: tuple[str, ...] | None = None
    """Options of `graspgap score` for the adapters and policies without real labels; None: they aren't scored."""
    trial_seed: int = 1000
    """Evaluation seed of study seed 0; development uses other ones."""


TINY_SCORES = ("--settings.judge-steps", "2", "--settings.classifier-steps", "2", "--settings.looks", "2")

PRESETS = {
    "tiny": StudyPreset(40, 0, 40, 3, 4, 6, (1.0,), arms=(NO_LABELS[0], NO_LABELS[-1]), scores=TINY_SCORES),
    "demo": StudyPreset(2500, 2500, 1200, 800, 800, 200, (0.1, 1.0)),
    "methods": StudyPreset(2500, 2500, 1200, 800, 800, 200, (1.0,), arms=METHOD_ARMS, scores=()),
    "demo-long": StudyPreset(16000, 8000, 5000, 4000, 2500, 300, (0.02, 0.1, 0.3, 1.0), arms=ALL_NO_LABELS),
}
"""Studies by name: `tiny` proves in minutes that every stage runs and measures nothing; `demo` takes about half an hour
on two cores, `demo-long` several times that, as does `methods`: the demo's data and steps, with every method."""


def plan(preset: StudyPreset, out: Path, seed: int) -> list[Stage]:
    """The stages of a study in the order in which they should start."""
    stages = [
        collect_stage(out, "data/standin", "standin", preset.real_attempts, seed + STANDIN_SEED, 0.45),
        collect_stage(out, "data/sim", "sim", preset.sim_attempts, seed, 0.09),
    ]
    randomize = ("--randomize", "both")
    randomized = collect_stage(out, "data/randomized", "sim", preset.randomized_attempts, seed, 0.2, randomize)
    if any(arm.sim == "randomized" for arm in preset.arms):
        stages.append(randomized)
    real_only = tuple(StudyArm("real-only", real_labels=fraction) for fraction in preset.fractions)
    trial_seed = str(preset.trial_seed + seed)
    stages.append(_evaluate(out, preset, trial_seed, StudyArm("random"), "random", seed * 100, 0, ()))
    for number in range(preset.training_seeds):
        training_seed = seed * 100 + number
        tag = f"seed{training_seed}"
        adapters = {arm.adapter_run: arm for arm in preset.arms if arm.adapter}
        stages += [_adapt(out, preset, adapters[name], tag, training_seed) for name in sorted(adapters)]
        # Arms that wait for the adapter come last: by then it is there.
        adapting: dict[str, str] = {}
        for arm in sorted((*preset.arms, *real_only), key=lambda arm: bool(arm.adapter)):
            train = _train(out, preset, arm, tag, training_seed, adapting.get(arm.adapter_run, ""))
            if arm.adapter:  # the first arm adapts the pictures, the next ones find them
                adapting[arm.adapter_run] = train.name
            count = round(arm.real_labels * preset.real_attempts)
            run = str(out / train.name)
            stages += [train, _evaluate(out, preset, trial_seed, arm, run, training_seed, count, (train.name,))]
    if preset.scores is not None:
        stages += _score_stages(out, preset.scores, seed, stages)
    return stages


def collect_stage(
    out: Path, name: str, world: str, attempts: int, seed: int, cost: float, more: tuple[str, ...] = ()
) -> Stage:
    """Collect a dataset; `cost` of an attempt."""
    arguments = ("collect", str(out / name), "--world", world, "--attempts", str(attempts), "--seed", str(seed), *more)
    return Stage(name, arguments, cost=attempts * cost)


def _adapt(out: Path, preset: StudyPreset, arm: StudyArm, tag: str, seed: int) -> Stage:
    name, sim = f"adapters/{arm.adapter_run}-{tag}", arm.adapter_sim
    arguments = ["adapt", str(out / name), "--sim", str(out / "data" / sim), "--real", str(out / "data" / "standin")]
    arguments += ["--method", arm.adapter, "--steps", str(preset.adapter_steps), "--seed", str(seed)]
    return Stage(name, tuple(arguments), (f"data/{sim}", "data/standin"), preset.adapter_steps * 0.7)


def _train(out: Path, preset: StudyPreset, arm: StudyArm, tag: str, seed: int, follow: str) -> Stage:
    name = f"policies/{arm.key}-{tag}"
    arguments = ["train", str(out / name), "--steps", str(preset.train_steps), "--seed", str(seed)]
    after = [follow] if follow else []
    if arm.sim:
        arguments += ["--sim", str(out / "data" / arm.sim)]
        after.append(f"data/{arm.sim}")
    if arm.adapter:
        adapter = f"adapters/{arm.adapter_run}-{tag}"
        arguments += ["--adapter", str(out / adapter)]
        after.append(adapter)
    if arm.real_labels or arm.features:
        arguments += ["--real", str(out / "data" / "standin")]
        after.append("data/standin")
    if arm.real_labels:
        arguments += ["--real-labels", f"{arm.real_labels:g}"]
    if arm.features:
        arguments += ["--features", arm.features]
    return Stage(name, tuple(arguments), tuple(after), preset.train_steps * 0.13)


def _evaluate(
    out: Path, preset: StudyPreset, trial_seed: str, arm: StudyArm, policy: str, seed: int, count: int, after: tuple
) -> Stage:
    name = f"trials/{arm.key}-seed{seed}"
    arguments = [
        "evaluate",
        str(out / name),
        "--policy",
        policy,
        "--attempts",
        str(preset.trials),
        "--seed",
        trial_seed,
    ]
    arguments += ["--arm.name", arm.name, "--arm.real-labels", f"{arm.real_labels:g}"]
    arguments += ["--arm.real-label-count", str(count), "--arm.seed", str(seed)]
    if arm.ingredients:
        arguments += ["--arm.ingredients", *arm.ingredients]
    return Stage(name, tuple(arguments), after, preset.trials * 0.3)


def _score_stages(out: Path, options: tuple[str, ...], seed: int, stages: Sequence[Stage]) -> list[Stage]:
    """Score the adapters and policies among the stages that have no real label, those of each simulated dataset
    together; one judge for all adapters, of the first dataset."""
    found: list[Stage] = []
    for data in [stage.name for stage in stages if stage.arguments[0] == "collect" and "sim" in stage.arguments]:
        runs = [
            stage
            for stage in stages
            if stage.arguments[0] in ("adapt", "train")
            and data in stage.after
            and "--real-labels" not in stage.arguments
        ]
        name = f"scores/{data.removeprefix('data/')}"
        arguments = ["score", str(out / name), "--sim", str(out / data), "--real", str(out / "data" / "standin")]
        for option, command, first in (("--adapter", "adapt", ["none"]), ("--policy", "train", [])):
            arguments += [option, *first, *(str(out / run.name) for run in runs if run.arguments[0] == command)]
        arguments += ["--seed", str(seed), *options]
        if found:
            arguments += ["--judge", str(out / found[0].name)]
        after = [data, "data/standin", *(stage.name for stage in (*runs, *found))]
        found.append(Stage(name, tuple(arguments), tuple(after), 20.0 * len(runs)))
    return found
