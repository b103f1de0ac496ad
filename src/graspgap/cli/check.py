"""`graspgap check --world yours`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graspgap.cli.checks import at_least
from graspgap.worlds.camera_file import read_camera
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.check import check_world
from graspgap.worlds.installed import named
from graspgap.worlds.timed import TimedWorld


@dataclass(frozen=True)
class Config:
    """Try a world with commands that go to the limits of its workspace. With a robot, stay by the stop button."""

    world: str
    """As for `collect`."""
    world_config: Path | None = None
    """TOML file with the settings of an installed world, and its limits in `[safety]`."""
    camera: Path | None = None
    """File with its camera, as for `collect`."""
    image_size: int = 64
    """Pixels of a side of the pictures."""
    seed: int = 0


def run(config: Config) -> None:
    """One attempt, and how long each call took."""
    at_least("--seed", config.seed, 0)
    name, tables = named(config.world, config.world_config)
    camera = read_camera(config.camera).camera if config.camera else None
    world = TimedWorld(make_world(WorldChoice(name, image_size=config.image_size, camera=camera, settings=tables)))
    outcome = check_world(world, config.seed)
    for row in world.rows():
        print(f"{row['call']}: {row['times']} times, {row['ms_median']:g} ms (median)")
    print(f"{world.spec.name} keeps the promises of a World; the grasp {'succeeded' if outcome.success else 'failed'}")
