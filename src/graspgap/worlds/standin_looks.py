"""What the stand-in's camera sees besides the objects: a white arm with a black gripper, a wooden table, a green bin
with an orange mat, a corner of a room. Nothing of it looks like the simulation, on purpose."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float32
from scipy.spatial.transform import Rotation

from graspgap.objects.model import Surface
from graspgap.seeding import generator
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import BIN_CENTRE, CellConfig
from graspgap.worlds.mitsuba_renderer import Scenery
from graspgap.worlds.standin_shapes import ball, barrel, box, moved, rim, soft_box
from graspgap.worlds.standin_textures import scuffed, tiles, wood

TABLE = -0.01
"""Height of the table top, under the bin's bottom plate [m]."""
SEED = 7301
"""Of the textures: the furniture is the same in every attempt, as a real cell's is."""
WHITE: dict[str, Any] = {"color": (0.72, 0.73, 0.74), "roughness": 0.8}
DARK: dict[str, Any] = {"color": (0.06, 0.065, 0.07), "roughness": 0.5}
BLACK_METAL: dict[str, Any] = {"color": (0.035, 0.036, 0.04), "roughness": 0.3}
RUBBER: dict[str, Any] = {"color": (0.25, 0.24, 0.23), "roughness": 0.9}
STEEL: dict[str, Any] = {"color": (0.62, 0.61, 0.58), "roughness": 0.25, "metallic": 1.0}
LINK_RADII = (0.09, 0.08, 0.07, 0.066, 0.062, 0.058, 0.055, 0.048)
"""Of links 0 to 7 [m]."""


def furnish(cell: Cell) -> Scenery:
    """The scenery of a cell, fitted to its bin, its arm's joints and its gripper's shape."""
    return Scenery(
        still=(*furniture(), *bin_surfaces(cell.config)),
        bodies={**arm(cell.model), **gripper(cell.model)},
        surroundings=room(),
    )


def furniture() -> tuple[Surface, ...]:
    """The table, and what of the room comes into view beyond its edge."""
    rng = generator(SEED, "furniture")
    return (
        box((0.42, 0.12, TABLE - 0.02), (0.46, 0.42, 0.02), texture=wood(rng), roughness=0.75),
        box((0.8, 0.0, -0.76), (2.5, 2.5, 0.01), texture=tiles(rng, (0.50, 0.52, 0.53), 14, 384), roughness=0.9),
        box((0.36, -0.58, -0.40), (0.17, 0.16, 0.34), texture=scuffed(rng, (0.60, 0.46, 0.30)), roughness=0.9),
        box((1.0, -0.75, -0.36), (0.2, 0.3, 0.4), color=(0.16, 0.2, 0.27), roughness=0.8),
    )


def bin_surfaces(config: CellConfig) -> tuple[Surface, ...]:
    """A green plastic bin with thick rounded walls, and in it a scuffed orange mat. Simulation's bin is grey: there
    alone, whatever is colourful can be grasped."""
    rng = generator(SEED, "bin")
    half = config.bin_size[0] / 2, config.bin_size[1] / 2
    walls = rim(
        (*BIN_CENTRE, TABLE),
        half,
        config.wall_thickness,
        config.wall_height - TABLE,
        corner=0.012,
        texture=scuffed(rng, (0.22, 0.42, 0.33)),
        roughness=0.75,
    )
    mat = box(
        (*BIN_CENTRE, TABLE / 2),
        (half[0] + 0.002, half[1] + 0.002, -TABLE / 2),
        texture=scuffed(rng, (0.75, 0.30, 0.12), 256),
        roughness=1.0,
    )
    return walls, mat


def room() -> Float32[np.ndarray, "h w 3"]:
    """Radiance of the room: a bright ceiling, walls that darken downwards, a window, a dark door."""
    height, width = 32, 64
    down = np.linspace(0, 1, height)[:, None, None]
    wall = np.array([0.40, 0.38, 0.35]) * (1.1 - 0.75 * down)
    picture = np.broadcast_to(wall, (height, width, 3)).copy()
    picture[:6] = (0.60, 0.60, 0.58)
    picture[9:16, 8:20] = (0.85, 0.95, 1.1)
    picture[12:, 40:46] = (0.1, 0.07, 0.05)
    return picture.astype(np.float32)


def arm(model: mujoco.MjModel) -> dict[str, tuple[Surface, ...]]:
    """White rounded links with dark rings at the joints. A link reaches from its own joint to the next one; a ring
    lies around the axis about which the next joint turns."""
    drawn: dict[str, tuple[Surface, ...]] = {}
    for index, radius in enumerate(LINK_RADII[:-1]):
        child = model.body(f"link_{index + 1}").id
        end = model.body_pos[child]
        turn = Rotation.from_quat(model.body_quat[child], scalar_first=True)
        axis = turn.apply(model.jnt_axis[model.body_jntadr[child]])
        ring = 0.3 * radius
        drawn[f"link_{index}"] = (
            barrel((0, 0, 0), end, radius, **WHITE),
            ball(end, radius * 1.03, **WHITE),
            barrel(end - ring * axis, end + ring * axis, radius * 1.07, **DARK),
        )
    flange = model.body_pos[model.body("hand").id]
    drawn["link_7"] = (
        barrel(-0.6 * flange, 0.9 * flange, LINK_RADII[-1], **WHITE),
        barrel(0.9 * flange, flange, 0.8 * LINK_RADII[-1], **STEEL),
    )
    return drawn


def gripper(model: mujoco.MjModel) -> dict[str, tuple[Surface, ...]]:
    """Black metal over the collision boxes of hand and fingers; grey rubber pads on the fingers' inner faces."""
    drawn = {name: clad(model, name) for name in ("hand", "finger_left", "finger_right")}
    for name, inwards in (("finger_left", -1), ("finger_right", 1)):
        (geom,) = collision_boxes(model, name)
        half, centre = model.geom_size[geom], model.geom_pos[geom]
        pad = box(
            np.add(centre, (inwards * half[0], 0, 0.4 * half[2])).tolist(),
            (0.001, 0.85 * half[1], 0.5 * half[2]),
            **RUBBER,
        )
        drawn[name] = (*drawn[name], pad)
    return drawn


def clad(model: mujoco.MjModel, body: str) -> tuple[Surface, ...]:
    """The body's collision boxes in black metal with rounded edges."""
    surfaces = []
    for geom in collision_boxes(model, body):
        half = model.geom_size[geom]
        soft = soft_box((0, 0, 0), half, float(half.min()) * 0.4, **BLACK_METAL)
        turn = Rotation.from_quat(model.geom_quat[geom], scalar_first=True).as_matrix()
        surfaces.append(moved(soft, turn, model.geom_pos[geom]))
    return tuple(surfaces)


def collision_boxes(model: mujoco.MjModel, body: str) -> list[int]:
    """Ids of the boxes that the body collides with."""
    of_body = (model.geom_bodyid == model.body(body).id) & (model.geom_type == mujoco.mjtGeom.mjGEOM_BOX)
    return [int(geom) for geom in np.flatnonzero(of_body)]
