"""The stand-in reality: another cell than the simulated one in all that a real cell could differ in.

Objects, bin, arm, materials, light, camera and physics differ from `sim`; its pictures are path-traced and pass through
a cheap camera. It hands out what a real cell would: pictures, reported poses, outcomes; no masks, no object poses.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graspgap.contract import Camera, Workspace, WorldSpec
from graspgap.errors import choose
from graspgap.objects.model import ObjectModel, ObjectSet, Split
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig
from graspgap.worlds.looks import plain_looks
from graspgap.worlds.mitsuba_renderer import MitsubaRenderer, RenderConfig
from graspgap.worlds.raycast import RaycastRenderer
from graspgap.worlds.sim import SimConfig
from graspgap.worlds.standin_looks import furnish
from graspgap.worlds.standin_names import ordered, standin_name
from graspgap.worlds.tabletop import Draws, Renderer, TabletopWorld


def shifted(point: tuple[float, float, float], by: tuple[float, float, float]) -> tuple[float, float, float]:
    """The sum of two vectors."""
    return point[0] + by[0], point[1] + by[1], point[2] + by[2]


NOMINAL_CAMERA = Camera()
"""Where the operator believes the camera to be: where simulation has it."""
TRUE_CAMERA = Camera(
    position=shifted(NOMINAL_CAMERA.position, (0.022, -0.024, 0.021)),
    target=shifted(NOMINAL_CAMERA.target, (0.008, 0.012, 0.0)),
    fov=1.06 * NOMINAL_CAMERA.fov,
    roll=1.5,
)
"""Where it is: 4 cm and about 2 degrees off, its view 6% wider."""

TRUE_CELL = CellConfig(
    bin_size=(0.336, 0.316),
    wall_height=0.065,
    wall_thickness=0.016,
    opening=0.104,
    grip_force=22.0,
    finger_friction=1.0,
    bin_friction=0.55,
    object_friction=0.9,
    rolling_friction=0.0012,
    object_damping=0.001,
    finger_damping=160.0,
    compliance=0.025,
    speed=0.42,
    press_limit=60.0,
    latency=0.06,
    calibration=(0.003, -0.0025, 0.002, 0.035),
    move_noise=0.0015,
)
"""A worn cell: another bin, a soft, weak gripper, a camera that lags, 4 mm and 2 degrees of calibration error."""


@dataclass(frozen=True)
class StandinConfig:
    """Settings of the stand-in reality."""

    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    purpose: str = "collection"
    """How full the bin is: `collection` (for random commands, which seldom succeed) or `evaluation`."""
    collection_objects: tuple[int, int] = (8, 10)
    """Fewest and most objects in the bin while collecting."""
    evaluation_objects: tuple[int, int] = (6, 8)
    """Fewest and most objects in the bin while evaluating."""
    cell: CellConfig = TRUE_CELL
    """The true geometry and physics."""
    camera: Camera = TRUE_CAMERA
    """The true camera."""
    nominal: Camera = NOMINAL_CAMERA
    """Where the operator believes the camera to be, which is all that the world's `spec` tells."""
    workspace: Workspace = field(default_factory=Workspace)
    """Limits of the gripper pose."""
    samples: int = 2
    """Light paths per pixel."""
    same: tuple[str, ...] = ()
    """What is simulation's instead (`standin_names.FACTORS`); the objects are given to `make_standin`."""


def reality_spec(name: str, image_size: int, workspace: Workspace, nominal: Camera) -> WorldSpec:
    """What a stand-in tells of itself, as a real cell would: no masks and no state."""
    return WorldSpec(name, image_size, workspace, nominal, has_masks=False, has_state=False, is_reality=True)


def draw_day(
    rng: np.random.Generator,
    objects: list[ObjectModel],
    lamp: float = 0.10,
    surroundings: float = 0.25,
    warmth: float = 0.025,
) -> dict[str, Any]:
    """How the light of one attempt differs from the usual: the day goes by, the camera's gains follow it a little.

    `lamp`, `surroundings` and `warmth` say how much, as standard deviations; the first two of the power's logarithm.
    """
    del objects  # the day does not depend on what lies in the bin
    return {
        "lamp": float(np.exp(rng.normal(0, lamp))),
        "surroundings": float(np.exp(rng.normal(0, surroundings))),
        "warmth": float(rng.normal(0, warmth)),
    }


def make_standin(config: StandinConfig, object_set: ObjectSet, split: Split) -> TabletopWorld[Cell]:
    """The world `standin`.

    Raises:
        UserError: if the purpose or a factor is unknown, or the pictures are too small.
    """
    simulation, same = SimConfig(), ordered(config.same)
    if "camera" in same:
        config = replace(config, camera=simulation.camera)
    if "physics" in same:
        config = replace(config, cell=simulation.cell)
    counts = {"collection": config.collection_objects, "evaluation": config.evaluation_objects}
    count = counts[choose("the stand-in's purpose", config.purpose, counts)]
    if "objects" in same:
        count = simulation.objects
    spec = reality_spec(standin_name(same), config.image_size, config.workspace, config.nominal)
    renderer: Renderer[Cell] = MitsubaRenderer(
        RenderConfig(image_size=config.image_size, samples=config.samples, camera=config.camera), furnish
    )
    draws = Draws(looks=draw_day, dynamics=lambda rng, objects: {})
    if "look" in same:
        renderer = RaycastRenderer(config.image_size)
        draws = replace(draws, looks=lambda rng, objects: plain_looks(config.camera, objects))
    cell = Cell(config.cell, config.workspace)
    return TabletopWorld(spec, cell, renderer, object_set, split, count, draws)
