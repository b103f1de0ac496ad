"""Worlds by name, from settings that are cheap to send to worker processes."""

from __future__ import annotations

import atexit
import json
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graspgap.config import LATER
from graspgap.contract import Camera
from graspgap.errors import UserError, choose
from graspgap.objects import make_object_set
from graspgap.objects.model import Split
from graspgap.worlds import installed
from graspgap.worlds.camera_file import require_sight
from graspgap.worlds.limits import read_safety
from graspgap.worlds.lock import drive
from graspgap.worlds.protocol import World
from graspgap.worlds.randomization import PRESETS, RandomizationConfig, preset
from graspgap.worlds.safety import SafeWorld
from graspgap.worlds.standin_names import STANDIN, STANDINS, ordered, standin_name


@dataclass(frozen=True)
class WorldChoice:
    """A world and its settings."""

    name: str = "sim"
    """`sim`, `bullet` (PyBullet, extra `bullet`), `standin` (the stand-in reality), `standin2` (the second one, extra
    `bullet`), or an installed world."""
    objects: str = ""
    """Object set (`prisms`, `published`, `everyday`, `workshop`, `shapenet:FOLDER`, with options as
    `prisms:parts=2-6`) or a folder of meshes; empty: the world's own."""
    split: Split = "train"
    """`test` objects are for `evaluate` alone."""
    randomize: str = "none"
    """Randomization preset of a simulated world (`randomization.PRESETS`), or the file that `ranges` are from."""
    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    full_bin: bool = False
    """A stand-in's bin as it is filled for collection: more objects than for evaluation."""
    layers: bool = False
    """Instance ids and depth of simulated pictures, besides semantic masks."""
    ranges: RandomizationConfig | None = None
    """Ranges of the randomization; None: those of the preset `randomize`."""
    camera: Camera | None = None
    """Nominal camera: where a simulated world's camera is, and where the operator of another believes it to be; None:
    the world's own."""
    settings: str | None = None
    """Of an installed world: the values of `--world-config` as JSON."""
    canonical: bool = field(default=False, metadata=LATER)
    """Layers, and canonical pictures of a simulated world beside the randomized ones."""
    same: tuple[str, ...] = field(default=(), metadata=LATER)
    """What of the stand-in is simulation's (`standin_names.FACTORS`)."""

    @property
    def place(self) -> str:
        """The world's name, as results carry it: with other factors the stand-in is another world."""
        return standin_name(self.same) if self.same else self.name

    @property
    def randomization(self) -> RandomizationConfig:
        """The ranges in use.

        Raises:
            UserError: if the preset is unknown.
        """
        return self.ranges or preset(self.randomize)

    def require_looks(self) -> None:
        """Refuse canonical pictures of a world that looks canonical already.

        Raises:
            UserError: if no looks are drawn.
        """
        if self.canonical and not self.randomization.appearance.enabled:
            raise UserError(
                f"--canonical keeps plain pictures beside randomized ones, and --randomize {self.randomize} draws no "
                "looks: add --randomize both, or another that does"
            )


def _sim(choice: WorldChoice) -> World:
    from graspgap.worlds.sim import SimConfig, make_sim

    choice.require_looks()
    camera = choice.camera or Camera()
    config = SimConfig(
        image_size=choice.image_size,
        layers=choice.layers,
        canonical=choice.canonical,
        randomization=choice.randomization,
        camera=camera,
    )
    require_sight(camera, config.workspace, "--camera")
    return make_sim(config, make_object_set(choice.objects or "prisms"), choice.split)


def _bullet(choice: WorldChoice) -> World:
    from graspgap.worlds.bullet import CAMERA, BulletWorldConfig, make_bullet

    choice.require_looks()
    camera = choice.camera or CAMERA
    config = BulletWorldConfig(
        image_size=choice.image_size,
        layers=choice.layers,
        canonical=choice.canonical,
        randomization=choice.randomization,
        camera=camera,
    )
    require_sight(camera, config.workspace, "--camera")
    return make_bullet(config, make_object_set(choice.objects or "prisms"), choice.split)


def _standin(choice: WorldChoice) -> World:
    from graspgap.worlds.standin import NOMINAL_CAMERA, StandinConfig, make_standin

    _require_no_knobs(choice)
    own = "prisms" if "objects" in ordered(choice.same) else "everyday"
    if choice.objects and own == "prisms":
        raise UserError(f"--same objects takes simulation's, and --objects {choice.objects} others: leave one out")
    purpose = "collection" if choice.full_bin else "evaluation"
    nominal = choice.camera or NOMINAL_CAMERA
    config = StandinConfig(image_size=choice.image_size, purpose=purpose, same=choice.same, nominal=nominal)
    require_sight(nominal, config.workspace, "--camera")
    return make_standin(config, make_object_set(choice.objects or own), choice.split)


def _standin2(choice: WorldChoice) -> World:
    from graspgap.worlds.standin2 import NOMINAL_CAMERA, SecondConfig, make_standin2

    _require_no_knobs(choice)
    nominal = choice.camera or NOMINAL_CAMERA
    config = SecondConfig(image_size=choice.image_size, full_bin=choice.full_bin, nominal=nominal)
    require_sight(nominal, config.workspace, "--camera")
    return make_standin2(config, make_object_set(choice.objects or "workshop"), choice.split)


def _require_no_knobs(choice: WorldChoice) -> None:
    """Refuse what no stand-in does, as no real cell does it."""
    choose(f"--randomize in '{choice.name}', which is as it is,", choice.randomize, ["none"])
    if choice.layers or choice.canonical:
        option = "--canonical" if choice.canonical else "--layers"
        raise UserError(f"{option} asks a stand-in for what no real cell tells: use it with a simulated world")


WORLDS: dict[str, Callable[[WorldChoice], World]] = {
    "sim": _sim,
    "bullet": _bullet,
    "standin": _standin,
    "standin2": _standin2,
}
"""Our worlds by name; `installed.installed_worlds` are the others."""


def require_names(choice: WorldChoice) -> None:
    """Refuse a world, an object set or a randomization that there isn't, and what no stand-in does.

    Raises:
        UserError: names what is unknown, and the nearest.
    """
    choose("--world", choice.name, [*WORLDS, *installed.installed_worlds()])
    if choice.objects:
        make_object_set(choice.objects)
    if choice.name in STANDINS:
        _require_no_knobs(choice)
    if not choice.ranges:
        choose("--randomize", choice.randomize, PRESETS)


def make_world(choice: WorldChoice) -> World:
    """The world of these settings, made anew. An installed world is wrapped in `SafeWorld`.

    Raises:
        UserError: if a name is unknown, or a setting is refused.
    """
    if choice.same and choice.name != STANDIN:
        raise UserError(
            f"--same {','.join(choice.same)} makes the world '{STANDIN}' more like simulation, and '{choice.name}' is "
            "another one: leave it out"
        )
    if choice.name not in WORLDS:
        return _installed(choice)
    if choice.settings is not None:
        raise UserError(f"--world-config is for installed worlds, and '{choice.name}' is none: leave it out")
    return WORLDS[choice.name](choice)


def _installed(choice: WorldChoice) -> World:
    name = choice.name
    factory = installed.load_factory(name, list(WORLDS))
    tables = _tables(choice)
    safety = read_safety(tables.pop("safety", {}))
    made = installed.build(name, factory, choice, tables)
    spec = made.spec
    if spec.is_reality:
        given = {"--objects": choice.objects, "--randomize": choice.randomize != "none", "--layers": choice.layers}
        given["--canonical"] = choice.canonical
        for option, value in given.items():
            if value:
                raise UserError(f"{option} can't change world '{name}', which is real: leave it out")
    if spec.image_size != choice.image_size:
        raise UserError(
            f"world '{name}' gives pictures of {spec.image_size} pixels, and {choice.image_size} were asked for: use "
            f"--image-size {spec.image_size}"
        )
    if choice.camera not in (None, spec.camera):
        raise UserError(f"world '{name}' doesn't take --camera up: its factory should put choice.camera into its spec")
    if not spec.is_reality:
        return SafeWorld(made, safety)
    lock = drive(name, tables)  # a dry run's too, which connects to it
    world = SafeWorld(made, safety, closed=lock.release)
    atexit.register(_let_go, world)
    return world


def _let_go(robot: World) -> None:
    """Release a robot when the process ends, whatever ended it but SIGKILL. A second Ctrl-C or `kill` doesn't cut that
    short."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with suppress(ValueError, AttributeError):  # not the main thread; a system without it
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(Exception):
        robot.close()


def _tables(choice: WorldChoice) -> dict[str, Any]:
    """The values of `--world-config`.

    Raises:
        UserError: if `settings`, which may be from a record, holds something else.
    """
    try:
        found = json.loads(choice.settings or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"the settings of world '{choice.name}' are no table of JSON: make what holds them again")
    return found


def require_repeatable(choice: WorldChoice, fix: str) -> None:
    """Refuse to make attempts again that were a robot's, before it moves.

    Raises:
        UserError: if the world is one of a kind; `fix` says what to do instead.
    """
    if is_robot(choice):
        raise UserError(f"attempts of world '{choice.name}' can't be made again, as no real ones can: {fix}")


def is_robot(choice: WorldChoice) -> bool:
    """Whether the world is one of a kind: an installed real one, which one process drives."""
    return choice.name not in WORLDS and cached_world(choice).spec.is_reality


def processes(choice: WorldChoice, workers: int) -> int:
    """Worker processes for a world: `workers`, but one for a robot, whatever is asked for."""
    return 1 if is_robot(choice) else workers


@lru_cache(maxsize=2)
def cached_world(choice: WorldChoice) -> World:
    """The world of these settings, made once per process.

    Raises:
        UserError: if a name is unknown, or a setting is refused.
    """
    return make_world(choice)
