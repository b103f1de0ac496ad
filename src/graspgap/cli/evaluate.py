"""`graspgap evaluate OUT --policy RUN`"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from tyro.conf import Positional

from graspgap.cli.checks import at_least
from graspgap.collection.policies import PolicyChoice
from graspgap.evaluation.filming import film_evaluation
from graspgap.evaluation.trials import Arm, TrialSettings, evaluate
from graspgap.objects.model import Split
from graspgap.seeding import SEEDS
from graspgap.settings import Bounds, in_range
from graspgap.worlds.camera_file import read_camera
from graspgap.worlds.catalog import WorldChoice, is_robot, require_names
from graspgap.worlds.installed import named
from graspgap.worlds.randomization import ranges_of
from graspgap.worlds.standin_names import read_factors


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Folder to write `results.json` to; a command that was stopped resumes."""
    policy: str
    """Folder of a policy run, `zoo:NAME`, `random`, or `scripted` (simulation only)."""
    world: str = "standin"
    """`standin` (the stand-in reality), `standin2` (the second one, extra `bullet`), `sim`, `bullet` (PyBullet, extra
    `bullet`), or an installed world, as for `collect`."""
    world_config: Path | None = None
    """TOML file with the settings of an installed world, and its limits in `[safety]`."""
    attempts: int = 300
    """Attempts, three for each scene."""
    objects: str = ""
    """Object set or a folder of meshes. Default: the world's own; its test objects are used."""
    randomize: str = "none"
    """Randomization of a simulated world, as for `collect`."""
    camera: Path | None = None
    """File with the camera, as for `collect`."""
    same: str = ""
    """What of the stand-in is simulation's instead, joined by commas: `look`, `camera`, `objects`, `physics`. It tells
    what the gap is made of; the result's world is named after it, and no table mixes it with the stand-in's."""
    split: Split = "test"
    """`train`: with objects that training saw, to choose settings by; the result's world says so, and no table mixes
    it with the others."""
    seed: int = 1000
    """Evaluation seed: equal seeds give all policies the same scenes."""
    workers: int = 0
    """Processes; 0: one per core."""
    image_size: int = 64
    """Pixels of a side of the pictures; a policy needs what it was trained with."""
    steps_per_attempt: int = 4
    """Servo steps, 2 to 10."""
    films: int = 0
    """Films to make of the first so many successes, and failures: for the report, and in `OUT/films`. `graspgap film`
    makes them afterwards, too, but of a robot's attempts."""
    arm: Arm = field(default_factory=Arm)
    """Kept with the result; a study sets them."""


def check(config: Config) -> None:
    """Refuse what can be refused before the world is made."""
    require_names(_world(config))


def _world(config: Config) -> WorldChoice:
    """What is asked for, but for the camera."""
    in_range("--seed", config.seed, Bounds(0, SEEDS, below=True))
    at_least("--films", config.films, 0)
    name, tables = named(config.world, config.world_config)
    return WorldChoice(
        name=name,
        objects=config.objects,
        split=config.split,
        randomize=config.randomize,
        image_size=config.image_size,
        ranges=ranges_of(config.randomize),
        settings=tables,
        same=read_factors(config.same),
    )


def run(config: Config) -> None:
    """Evaluate, and print the rate with its interval."""
    world = _world(config)
    if config.camera:
        world = replace(world, camera=read_camera(config.camera).camera)
    settings = TrialSettings(world, PolicyChoice(config.policy), config.seed, config.steps_per_attempt)
    result = evaluate(config.out, settings, config.attempts, config.arm, config.workers, films=config.films)
    if config.films and not is_robot(world):
        film_evaluation(config.out, each=config.films, policy=config.policy)
    interval = result.interval
    print(
        f"{config.out}: {result.successes} of {result.attempts} succeeded: {interval.value:.1%} "
        f"(95% interval {interval.low:.1%} to {interval.high:.1%})"
    )
