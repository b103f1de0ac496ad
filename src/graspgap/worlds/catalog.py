"""Worlds by name, from settings that are cheap to send to worker processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from graspgap.errors import choose
from graspgap.objects import make_object_set
from graspgap.objects.model import Split
from graspgap.worlds.protocol import World


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
    """Randomization preset of a simulated world: `none`, `appearance`, `dynamics`, `both`."""
    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    full_bin: bool = False
    """The stand-in's bin as it is filled for collection: more objects than for evaluation."""


def _sim(choice: WorldChoice) -> World:
    from graspgap.worlds.sim import SimConfig, make_sim

    config = SimConfig(image_size=choice.image_size, randomization=choice.randomize)
    return make_sim(config, make_object_set(choice.objects or "prisms"), choice.split)


def _bullet(choice: WorldChoice) -> World:
    from graspgap.worlds.bullet import BulletWorldConfig, make_bullet

    config = BulletWorldConfig(image_size=choice.image_size, randomization=choice.randomize)
    return make_bullet(config, make_object_set(choice.objects or "prisms"), choice.split)


def _standin(choice: WorldChoice) -> World:
    from graspgap.worlds.standin import StandinConfig, make_standin

    choose("--randomize in the stand-in, which is as it is,", choice.randomize, ["none"])
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
