"""`graspgap collect OUT`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tyro.conf import FlagCreatePairsOff, Positional

from graspgap.cli.place import Place
from graspgap.collection.collect import CollectSettings, collect
from graspgap.collection.policies import UNTRAINED, PolicyChoice
from graspgap.errors import UserError
from graspgap.runs import CONFIG
from graspgap.seeding import SEEDS
from graspgap.settings import Bounds, in_range
from graspgap.worlds.camera_file import read_camera
from graspgap.worlds.catalog import WorldChoice, cached_world, is_robot, require_names
from graspgap.worlds.installed import named
from graspgap.worlds.randomization import ranges_of
from graspgap.worlds.standin_names import STANDINS, read_factors

ROBOT_SHARD = 5
"""Attempts per shard with a robot, whose attempts are dear: a crash loses the unfinished shard."""


@dataclass(frozen=True)
class Config:
    out: Positional[Place]
    """Dataset folder to write; a command that was stopped resumes."""
    world: str = "sim"
    """`sim`, `bullet` (PyBullet, extra `bullet`), `standin` (the stand-in reality), `standin2` (the second one, extra
    `bullet`), or an installed world of yours; `NAME:FILE` is short for `--world NAME --world-config FILE`."""
    world_config: Path | None = None
    """TOML file with the settings of an installed world, and its limits in `[safety]`."""
    attempts: int = 1000
    """Attempts in the whole dataset; a larger number extends it."""
    policy: str = ""
    """`random`, `scripted` (simulation only: aims near objects), or the folder of a trained policy.
    Default: scripted where the world tells where its objects are, random elsewhere."""
    noise: float = 0.0
    """Exploration noise of a trained policy: standard deviation of the target [m]."""
    objects: str = ""
    """Object set (`prisms`, `published`, `everyday`, `workshop`, `shapenet:FOLDER`, with options as
    `prisms:parts=2-6`) or a folder of meshes. Default: the world's own."""
    randomize: str = "none"
    """Randomization of a simulated world: `none`, `mild`, `medium`, `heavy`; `appearance`, `dynamics`, `both` as in
    the demo; or a TOML file of ranges."""
    camera: Path | None = None
    """JSON or TOML file with the camera: `position`, `target`, `fov`, `roll`; or a calibration's `K`, `width`, `height`
    and `T_base_camera`, as `graspgap align` writes. It moves a simulated camera; of a real cell and of a stand-in it
    says where you believe the camera to be. Default: the world's own."""
    same: str = ""
    """What of the stand-in is simulation's instead, joined by commas: `look`, `camera`, `objects`, `physics`. The
    dataset's world is named after it, and datasets of different ones don't mix."""
    layers: bool = False
    """Keep instance ids and depth of simulated pictures too, besides semantic masks."""
    canonical: bool = False
    """Keep, besides layers, a second picture of the same instant in the canonical look: plain table, bin, arm, light
    and sensor, the same camera and objects. Needs --randomize; what `graspgap adapt --method rcan` learns from."""
    seed: int = 0
    workers: int = 0
    """Processes; 0: one per core."""
    parallel: str = "loky"
    """`loky`: processes of this machine. `ray` (extra `ray`): a Ray cluster (RAY_ADDRESS), or a local one."""
    image_size: int = 64
    """Pixels of a side of the pictures."""
    steps_per_attempt: int = 4
    """Servo steps, 2 to 10, each with a picture."""
    resume: FlagCreatePairsOff[bool] = False
    """Refuse to begin a new dataset: OUT must be there. Without this, collection resumes as well."""


def check(config: Config) -> None:
    """Refuse what can be refused before the world is made."""
    require_names(_world(config))


def _world(config: Config) -> WorldChoice:
    """What is asked for, but for the camera."""
    in_range("--seed", config.seed, Bounds(0, SEEDS, below=True))
    name, tables = named(config.world, config.world_config)
    return WorldChoice(
        name=name,
        objects=config.objects,
        split="train",
        randomize=config.randomize,
        image_size=config.image_size,
        full_bin=name in STANDINS,
        layers=config.layers,
        canonical=config.canonical,
        ranges=ranges_of(config.randomize),
        settings=tables,
        same=read_factors(config.same),
    )


def run(config: Config) -> None:
    """Collect, and say how it went."""
    world = _world(config)
    if config.resume and not (config.out / CONFIG).exists():
        raise UserError(f"{config.out} holds nothing to resume: correct the folder, or begin it without --resume")
    if config.camera:
        camera = read_camera(config.camera)
        world = replace(world, camera=camera.camera)
        if camera.crop:
            left, top, side = camera.crop
            print(
                f"{config.camera}: shows the square of {side} pixels from column {left}, row {top}: crop yours likewise"
            )
    policy = config.policy or ("scripted" if cached_world(world).spec.has_state else "random")
    if config.noise > 0 and policy in UNTRAINED:
        raise UserError(f"--noise is for trained policies, and '{policy}' is none: leave it out, or give --policy RUN")
    settings = CollectSettings(
        world=world,
        policy=PolicyChoice(policy, config.noise),
        seed=config.seed,
        steps_per_attempt=config.steps_per_attempt,
    )
    if is_robot(world):
        settings = replace(settings, attempts_per_shard=ROBOT_SHARD)
    meta = collect(config.out, settings, config.attempts, config.workers, config.parallel)
    rate = meta["successes"] / meta["attempts"]
    print(f"{config.out}: {meta['attempts']} attempts in {meta['scenes']} scenes, {rate:.1%} succeeded")
