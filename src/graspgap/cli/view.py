"""`graspgap view`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from graspgap.cli.checks import at_least
from graspgap.cli.place import Place
from graspgap.errors import UserError, choose
from graspgap.objects.model import Split
from graspgap.worlds.standin_names import SIMULATORS

COLUMNS = 8
"""Pictures in a row."""
OVER = 0.06
"""Height of the gripper over the middle of the workspace, in pictures of worlds [m]."""
FEW = 5
"""Attempts of each world that an adapter is shown with, where no dataset is given."""
PER_SCENE = 4
"""Attempts shown of each scene, which differ in their randomization alone."""


@dataclass(frozen=True)
class Config:
    objects: str = ""
    """Object set to show, as `collect --objects` takes it: `prisms`, `published`, a folder of meshes, ..."""
    randomize: str = ""
    """Randomization to show, as `collect --randomize` takes it: `mild`, `medium`, `heavy`, a TOML file, ..."""
    worlds: str = ""
    """Worlds to show, joined by commas, as `sim,standin,standin2`: a row of pictures of each, by turns before an
    attempt and with the arm in view."""
    adapter: Path | None = None
    """Adapter run, or `zoo:NAME`, to show at work: rows of simulated pictures, what it makes of them, and real ones."""
    policy: Path | None = None
    """Policy run, or `zoo:NAME`, whose predicted masks to draw beside what `--adapter` makes."""
    sim: Place | None = None
    """Simulated dataset to show `--adapter` with. Default: a few attempts, made in `--world` with `--randomize`."""
    real: Place | None = None
    """Real dataset to show `--adapter` with. Default: a few attempts, made in the stand-in."""
    world: str = "sim"
    """Simulated world to show randomization, or `--adapter`, in: `sim` or `bullet`."""
    out: Path = Path("view.png")
    """PNG file to write."""
    split: Split = "train"
    """Objects of which split."""
    count: int = 40
    """How many objects or pictures at most; of `--worlds` in a row."""
    seed: int = 0
    """Draws the objects, or the attempts."""
    image_size: int = 128
    """Pixels of a side of pictures that `--randomize` and `--worlds` show."""


def run(config: Config) -> None:
    """Draw what is asked for, and say where it lies.

    Raises:
        UserError: if nothing to view is named.
    """
    at_least("--count", config.count, 1)
    at_least("--seed", config.seed, 0)
    if config.adapter:
        _view_adapter(config, config.adapter)
    elif config.randomize:
        _view_randomization(config)
    elif config.worlds:
        _view_worlds(config)
    elif config.objects:
        _view_objects(config)
    else:
        raise UserError(
            "nothing to view is named: give --objects SET, --randomize PRESET, --worlds NAMES or --adapter RUN"
        )


def _view_adapter(config: Config, run: Path) -> None:
    from graspgap.collection.collect import CollectSettings, collect
    from graspgap.collection.policies import PolicyChoice
    from graspgap.datasets import open_dataset
    from graspgap.evaluation.pictures import drawing_policy, save_adaptation_grid
    from graspgap.tensors import choose_device
    from graspgap.training.adapt import adapter_image_size, load_adapter
    from graspgap.worlds.catalog import WorldChoice
    from graspgap.worlds.randomization import ranges_of
    from graspgap.zoo import resolved

    adapter, device = resolved(run), choose_device("cpu")
    method = load_adapter(adapter, device, size := adapter_image_size(adapter))
    policy = None
    if config.policy and not (policy := drawing_policy(resolved(config.policy))):
        raise UserError(
            f"--policy {config.policy} draws no masks: give one that was trained with --training.masks above 0"
        )
    randomize = config.randomize or "none"
    name, ranges = choose("--world", config.world, SIMULATORS), ranges_of(randomize)
    simulated = WorldChoice(name, config.objects, config.split, randomize, size, ranges=ranges)
    stand_in = WorldChoice("standin", split=config.split, image_size=size, full_bin=True)
    with TemporaryDirectory() as folder:

        def few(world: WorldChoice, acting: str) -> Path:
            settings = CollectSettings(world, PolicyChoice(acting), config.seed, attempts_per_scene=1)
            collect(Path(folder) / world.name, settings, FEW, workers=1)
            return Path(folder) / world.name

        sim = open_dataset(config.sim or few(simulated, "scripted"))
        real = open_dataset(config.real or few(stand_in, "random"))
        for data in (sim, real):
            data.require_image_size(size)
        sim.require_simulated()
        save_adaptation_grid(config.out, method, sim.simulated(extras=False), real.unlabelled(), device, policy)
    print(f"{config.out}: what {run} makes of pictures of {sim.world}, beside {real.world}")


def _view_randomization(config: Config) -> None:
    from graspgap.datasets.view import image_grid, save_png
    from graspgap.worlds.catalog import WORLDS, WorldChoice
    from graspgap.worlds.randomization import ranges_of

    name = choose("--world", config.world, SIMULATORS)
    ranges = ranges_of(config.randomize)
    choice = WorldChoice(name, config.objects, config.split, config.randomize, config.image_size, ranges=ranges)
    world = WORLDS[name](choice)
    pictures, masks = [], []
    for number in range(config.count):
        seen = world.reset(config.seed + number, number // PER_SCENE)
        assert seen.mask_now is not None
        pictures.append(seen.image_now)
        masks.append(seen.mask_now)
    rows: list[list[np.ndarray]] = []
    for start in range(0, config.count, COLUMNS):
        rows += [pictures[start : start + COLUMNS], masks[start : start + COLUMNS]]
    save_png(image_grid(rows, scale=1), config.out)
    print(f"{config.out}: {config.count} attempts of {name} with --randomize {config.randomize}, and their masks")


def _view_worlds(config: Config) -> None:
    from graspgap.contract import command_between
    from graspgap.datasets.view import image_grid, save_png
    from graspgap.worlds.catalog import WORLDS, WorldChoice, make_world

    rows: dict[str, list[np.ndarray]] = {}
    for name in config.worlds.split(","):
        choice = WorldChoice(
            choose("--worlds", name, WORLDS), config.objects, config.split, image_size=config.image_size
        )
        world = make_world(choice)
        over = np.array([*np.add(world.spec.workspace.low, world.spec.workspace.high)[:2] / 2, OVER, 0.0], np.float32)
        row = rows[name] = []
        while len(row) < config.count:
            seen = world.reset(config.seed + len(row) // 2, len(row) // 2)
            world.move(command_between(seen.pose, over))
            row += [seen.image_before, world.observe().image_now]
        del row[config.count :]
        world.close()
    save_png(image_grid(list(rows.values()), list(rows), max(1, 128 // config.image_size)), config.out)
    print(f"{config.out}: attempts in {', '.join(rows)}")


def _view_objects(config: Config) -> None:
    from graspgap.datasets.view import save_png
    from graspgap.objects import make_object_set
    from graspgap.objects.named import NamedObjects
    from graspgap.seeding import generator
    from graspgap.worlds.object_sheet import object_sheet

    chosen, rng = make_object_set(config.objects), generator(config.seed, "view")
    refused: dict[str, str] = {}
    if isinstance(chosen, NamedObjects):
        things, refused = chosen.usable(rng, config.count, config.split), chosen.refused
    else:
        things = chosen.sample(rng, config.count, config.split)
    if not things:
        raise UserError(
            f"no object of {config.objects} can be used: {next(iter(refused.values()), 'the split is empty')}"
        )
    save_png(object_sheet(things), config.out)
    parts = sum(len(thing.parts) for thing in things)
    print(f"{config.out}: {len(things)} objects of {chosen.name} ({config.split}), {parts} parts")
    for reason in refused.values():
        print(f"refused: {reason}")
