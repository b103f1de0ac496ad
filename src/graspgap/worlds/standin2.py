"""The second stand-in reality: another simulator, robot, camera, room and other objects than everywhere else.

What was found in the first stand-in, which methods were developed in, can be checked here. Nothing was tuned on how
trained policies fare in it. It hands out what a real cell would: pictures, reported poses, outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graspgap.contract import Camera, Workspace
from graspgap.objects.model import ObjectSet, Split
from graspgap.worlds import arm
from graspgap.worlds.bullet import require_pybullet
from graspgap.worlds.bullet_config import BulletConfig
from graspgap.worlds.bullet_tray import BoxTray
from graspgap.worlds.sensor import SensorConfig
from graspgap.worlds.standin import NOMINAL_CAMERA, draw_day, reality_spec, shifted
from graspgap.worlds.standin_names import SECOND
from graspgap.worlds.tabletop import Draws, TabletopWorld

TRUE_CAMERA = Camera(
    position=shifted(NOMINAL_CAMERA.position, (-0.026, 0.012, -0.022)),
    target=shifted(NOMINAL_CAMERA.target, (-0.010, 0.006, 0.0)),
    fov=0.97 * NOMINAL_CAMERA.fov,
    roll=-2.0,
)
"""Where the camera is: 4 cm and about 2 degrees off where the operator believes it, to the other side than in the first
stand-in; its view is 3% narrower."""

SENSOR = SensorConfig(
    barrel=-0.012,
    vignette=0.15,
    defocus=0.65,
    exposure=1.2,
    balance=(0.94, 1.0, 1.08),
    electrons=1800.0,
    read_noise=0.008,
    jpeg_quality=70,
)
"""A small noisy sensor, set to a bluish white."""

TRUE_CELL = BulletConfig(
    tray=BoxTray(size=(0.34, 0.33), wall_height=0.05, wall_thickness=0.012, lean=18.0),
    home=tuple(arm.HOME.tolist()),
    drop_margin=0.085,
    opening_angle=0.28,
    finger_torque=2.2,
    finger_speed=1.1,
    finger_friction=0.8,
    bin_friction=0.6,
    speed=0.38,
    press_limit=70.0,
    latency=0.04,
    calibration=(-0.0025, 0.003, -0.002, -0.03),
    move_noise=0.002,
)
"""The published arm and gripper over a tray of its own, with 4 mm and 2 degrees of calibration error."""


@dataclass(frozen=True)
class SecondConfig:
    """Settings of the second stand-in."""

    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    full_bin: bool = False
    """Whether the tray is filled as for collection by random commands, which seldom succeed."""
    collection_objects: tuple[int, int] = (8, 10)
    """Fewest and most objects in the tray while collecting."""
    evaluation_objects: tuple[int, int] = (6, 8)
    """Fewest and most objects in the tray while evaluating."""
    cell: BulletConfig = TRUE_CELL
    """The true geometry and physics."""
    camera: Camera = TRUE_CAMERA
    """The true camera."""
    nominal: Camera = NOMINAL_CAMERA
    """Where the operator believes the camera to be, which is all that the world's `spec` tells."""
    workspace: Workspace = field(default_factory=Workspace)
    """Limits of the gripper pose: simulation's."""
    samples: int = 2
    """Light paths per pixel."""


def make_standin2(config: SecondConfig, object_set: ObjectSet, split: Split) -> TabletopWorld[Any]:
    """The world `standin2`.

    Raises:
        UserError: if pybullet isn't installed or the pictures are too small.
    """
    require_pybullet(SECOND)
    from graspgap.worlds.bullet_cell import BulletCell
    from graspgap.worlds.mitsuba_renderer import MitsubaRenderer, RenderConfig
    from graspgap.worlds.standin2_looks import furnish

    spec = reality_spec(SECOND, config.image_size, config.workspace, config.nominal)
    renderer = MitsubaRenderer(
        RenderConfig(image_size=config.image_size, samples=config.samples, camera=config.camera, sensor=SENSOR), furnish
    )
    count = config.collection_objects if config.full_bin else config.evaluation_objects
    day = partial(draw_day, lamp=0.15, surroundings=0.2, warmth=0.02)
    draws = Draws(looks=day, dynamics=lambda rng, objects: {})
    return TabletopWorld(spec, BulletCell(config.cell, config.workspace), renderer, object_set, split, count, draws)
