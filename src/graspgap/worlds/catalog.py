"""Worlds by name, from settings that are cheap to send to worker processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from graspgap.config import LATER
from graspgap.contract import Camera
from graspgap.errors import UserError, choose
from graspgap.objects import make_object_set
from graspgap.objects.model import Split
from graspgap.worlds.camera_file import require_sight
from graspgap.worlds.protocol import World
from graspgap.worlds.randomization import RandomizationConfig, preset


@dataclass(frozen=True)
class WorldChoice:
    """A world and its settings."""

    name: str = "sim"
    """`sim`, `bullet` (PyBullet, extra `bullet`), or `standin` (the stand-in reality)."""
    objects: str = ""
    """Object set (`prisms`, `published`, `everyday`, `shapenet:FOLDER`, with options as `prisms:parts=2-6`) or a
    folder of meshes; empty: the world's own."""
    split: Split = "train"
    """`test` objects are for `evaluate` alone."""
    randomize: str = "none"
    """Randomization preset of a simulated world (`randomization.PRESETS`), or the file that `ranges` are from."""
    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    full_bin: bool = False
    """The stand-in's bin as it is filled for collection: more objects than for evaluation."""
    layers: bool = False
    """Instance ids and depth of simulated pictures, besides semantic masks."""
    ranges: RandomizationConfig | None = None
    """Ranges of the randomization; None: those of the preset `randomize`."""
    camera: Camera | None = None
    """Nominal camera of a simulated world; None: the world's own."""
    canonical: bool = field(default=False, metadata=LATER)
    """Layers, and canonical pictures of a simulated world beside the randomized ones."""

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
    from graspgap.worlds.standin import StandinConfig, make_standin

    choose("--randomize in the stand-in, which is as it is,", choice.randomize, ["none"])
    if choice.layers or choice.canonical:
        option = "--canonical" if choice.canonical else "--layers"
        raise UserError(f"{option} asks the stand-in for what no real cell tells: use it with a simulated world")
    if choice.camera is not None:
        raise UserError(
            "--camera can't move the stand-in's camera, which is where it is: use it with a simulated world"
        )
    config = StandinConfig(image_size=choice.image_size, purpose="collection" if choice.full_bin else "evaluation")
    return make_standin(config, make_object_set(choice.objects or "everyday"), choice.split)


WORLDS: dict[str, Callable[[WorldChoice], World]] = {"sim": _sim, "bullet": _bullet, "standin": _standin}
"""Worlds by name."""


@lru_cache(maxsize=2)
def cached_world(choice: WorldChoice) -> World:
    """The world of these settings, made once per process.

    Raises:
        UserError: if a name is unknown, or a setting is refused.
    """
    return WORLDS[choose("--world", choice.name, WORLDS)](choice)
