"""The world `bullet`: the original cell of the GraspGAN paper, in PyBullet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from graspgap.contract import Camera, Workspace, WorldSpec
from graspgap.errors import UserError
from graspgap.objects.model import ObjectModel, ObjectSet, Split
from graspgap.worlds.bullet_config import BulletConfig
from graspgap.worlds.looks import PLAIN, draw_looks, plain_looks
from graspgap.worlds.randomization import OFF, AppearanceConfig, RandomizationConfig, draw_dynamics
from graspgap.worlds.tabletop import Canonical, Draws, TabletopWorld

CAMERA = Camera(position=(-0.2768, 0.43633, 1.54404), target=(0.66696, -0.00377, 0.0), fov=20.0)
"""The original's: it looks at (0.23, 0.2, 0.54) from 1 m, yaw 245, pitch -56 degrees, in the original's frame. Here the
target is where that line meets the tray's floor."""
WORKSPACE = Workspace(low=(0.505, -0.04, 0.012), high=(0.725, 0.18, 0.24))
"""The part of the tray's floor that the open gripper reaches without touching the walls. The original clamped x to
[0.50, 0.65] while objects lay in [0.4, 0.7]; here objects are dropped inside the workspace."""
CHANNELS = 0.95
"""Ambient and diffuse light together: PyBullet's own defaults are 0.6 and 0.35."""


@dataclass(frozen=True)
class BulletWorldConfig:
    """Settings of the PyBullet world."""

    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    objects: tuple[int, int] = (5, 10)
    """Fewest and most objects in the tray. The original had 5."""
    randomization: RandomizationConfig = field(default_factory=RandomizationConfig)
    """Of the appearance, what TinyRenderer can draw: camera, one light, colours and the sensor, but no patterns,
    tiles, gloss, shadows or lens distortion."""
    layers: bool = False
    """Whether to give instance ids and depth too."""
    canonical: bool = False
    """Whether to give layers, with canonical pictures among them."""
    camera: Camera = CAMERA
    """Where the pictures are taken from, in our base frame."""
    workspace: Workspace = WORKSPACE
    """Limits of the gripper pose; objects are dropped inside them."""
    cell: BulletConfig = field(default_factory=BulletConfig)
    """Physics and imperfections."""


def require_pybullet(world: str) -> None:
    """Refuse a world whose physics can't be simulated here.

    Raises:
        UserError: if pybullet isn't installed.
    """
    try:
        import pybullet  # noqa: F401
    except ImportError as error:
        hint = "pip install 'graspgap[bullet]', on Python 3.11"
        raise UserError(f"world '{world}' needs the extra `bullet`: {hint} ({error})") from None


def make_bullet(config: BulletWorldConfig, object_set: ObjectSet, split: Split) -> TabletopWorld[Any]:
    """The world `bullet`.

    Raises:
        UserError: if pybullet isn't installed or the pictures are too small.
    """
    require_pybullet("bullet")
    from graspgap.worlds.bullet_cell import BulletCell
    from graspgap.worlds.bullet_renderer import BulletRenderer

    ranges = config.randomization
    undrawable: dict[str, Any] = {"textured": 0.0, "tiled": 0.0, "background": 0.0, "light_count": (1, 1)}
    undrawable |= dict.fromkeys(("gloss", "shadow", "camera_barrel"), OFF)
    appearance = replace(ranges.appearance, **undrawable)
    spec = WorldSpec(
        "bullet", config.image_size, config.workspace, config.camera, has_masks=True, has_state=True, is_reality=False
    )
    draws = Draws(
        looks=lambda rng, objects: draw_bullet_looks(rng, appearance, config.camera, objects),
        dynamics=lambda rng, objects: draw_dynamics(rng, ranges.dynamics, len(objects)),
    )
    cell = BulletCell(config.cell, config.workspace)
    renderer = BulletRenderer(config.image_size)
    layers = renderer.layers if config.layers or config.canonical else None
    canonical = None
    if config.canonical:
        canonical = Canonical(BulletRenderer(config.image_size), partial(plain_bullet_looks, config.camera))
    return TabletopWorld(spec, cell, renderer, object_set, split, config.objects, draws, layers, canonical)


def plain_bullet_looks(camera: Camera, objects: list[ObjectModel]) -> dict[str, Any]:
    """As `looks.plain_looks`, but all that is no object keeps the colours of its files."""
    looks = plain_looks(camera, objects) | {"light_color": [1.0, 1.0, 1.0], "ambient": 0.6}
    looks["materials"] = {name: value for name, value in looks["materials"].items() if name not in PLAIN}
    return looks | _reflection(looks)


def draw_bullet_looks(
    rng: np.random.Generator, appearance: AppearanceConfig, camera: Camera, objects: list[ObjectModel]
) -> dict[str, Any]:
    """As `looks.draw_looks`, of what TinyRenderer can draw."""
    if not appearance.enabled:
        return plain_bullet_looks(camera, objects)
    looks = draw_looks(rng, appearance, camera, objects)
    return looks | _reflection(looks)


def _reflection(looks: dict[str, Any]) -> dict[str, float]:
    """How surfaces reflect the light."""
    return {"diffuse": round(CHANNELS - looks["ambient"], 4), "specular": 0.05}
