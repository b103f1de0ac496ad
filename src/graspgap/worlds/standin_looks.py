"""What the stand-in's camera sees besides the objects: a white arm with a black gripper, a wooden table, a green bin
lined with felt, a corner of a room. Nothing of it looks like the simulation, on purpose."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float, Float32

from graspgap.objects.model import Part, Surface
from graspgap.seeding import generator
from graspgap.worlds.mitsuba_renderer import Scenery
from graspgap.worlds.standin_shapes import ball, barrel, box, moved, part_surface, rim, rotation, soft_box
from graspgap.worlds.standin_textures import felt, scuffed, tiles, wood

SEED = 7301
"""Of the textures: the furniture is the same in every attempt, as a real cell's is."""
WHITE = {"color": (0.72, 0.73, 0.74), "roughness": 0.35}
DARK = {"color": (0.06, 0.065, 0.07), "roughness": 0.5}
BLACK_METAL = {"color": (0.035, 0.036, 0.04), "roughness": 0.3}
RUBBER = {"color": (0.09, 0.085, 0.08), "roughness": 0.9}
STEEL = {"color": (0.62, 0.61, 0.58), "roughness": 0.25, "metallic": 1.0}
LINK_RADII = (0.075, 0.07, 0.066, 0.062, 0.06, 0.055, 0.05)
"""Radius of the link that ends at joint 1, 2, ... [m]."""


def furnish(cell: Any) -> Scenery:
    """The scenery of a `Cell`, fitted to its bin, its arm's joints and its gripper's shape."""
    return Scenery(
        still=(*furniture(), *bin_surfaces(cell.config)),
        bodies={**arm(cell.body_poses()), **gripper(cell)},
        surroundings=room(),
    )


def furniture() -> tuple[Surface, ...]:
    """The table, and what of the room comes into view beyond its edge."""
    rng = generator(SEED, "furniture")
    return (
        box((0.42, 0.05, -0.02), (0.46, 0.48, 0.02), texture=wood(rng), roughness=0.75),
        box((0.8, 0.0, -0.76), (2.5, 2.5, 0.01), texture=tiles(rng, (0.50, 0.52, 0.53), 14, 384), roughness=0.9),
        box((1.12, -0.62, -0.42), (0.16, 0.22, 0.34), texture=scuffed(rng, (0.60, 0.46, 0.30)), roughness=0.9),
        box((1.35, 0.05, -0.35), (0.2, 0.3, 0.4), color=(0.16, 0.2, 0.27), roughness=0.8),
    )


def bin_surfaces(config: Any) -> tuple[Surface, ...]:
    """A green plastic bin with thick rounded walls, lined with grey felt."""
    rng = generator(SEED, "bin")
    centre, half = config.bin_centre, config.bin_half
    walls = rim(
        (*centre, 0.0),
        half,
        config.wall_thickness,
        config.wall_height,
        corner=0.012,
        texture=scuffed(rng, (0.22, 0.42, 0.33)),
        roughness=0.75,
    )
    lining = box(
        (*centre, config.floor_height - 0.004),
        (half[0] + 0.002, half[1] + 0.002, 0.004),
        texture=felt(rng, (0.60, 0.59, 0.57)),
        roughness=1.0,
    )
    return walls, lining


def room() -> Float32[np.ndarray, "h w 3"]:
    """Radiance of the room: a bright ceiling, walls that darken downwards, a window, a dark door."""
    height, width = 32, 64
    down = np.linspace(0, 1, height)[:, None, None]
    wall = np.array([0.40, 0.38, 0.35]) * (1.1 - 0.75 * down)
    picture = np.broadcast_to(wall, (height, width, 3)).copy()
    picture[:6] = (0.62, 0.62, 0.6)
    picture[9:16, 8:17] = (1.9, 2.1, 2.4)
    picture[12:, 40:46] = (0.1, 0.07, 0.05)
    return picture.astype(np.float32)


def arm(poses: dict[str, tuple[Float[np.ndarray, "3"], Float[np.ndarray, "4"]]]) -> dict[str, tuple[Surface, ...]]:
    """White rounded links with dark rings at the joints. A link reaches from its own frame to the next one's, wherever
    those are; each joint turns about the z axis of the frame that it moves."""
    drawn: dict[str, tuple[Surface, ...]] = {}
    for index, radius in enumerate(LINK_RADII):
        frame = rotation(poses[f"link_{index}"][1])
        child = rotation(poses[f"link_{index + 1}"][1])
        end = frame.T @ (poses[f"link_{index + 1}"][0] - poses[f"link_{index}"][0])
        axis = frame.T @ child[:, 2]
        ring = 0.35 * radius
        drawn[f"link_{index}"] = (
            barrel((0, 0, 0), end, radius, **WHITE),
            ball(end, radius * 1.04, **WHITE),
            barrel(end - ring * axis, end + ring * axis, radius * 1.08, **DARK),
        )
    drawn["link_7"] = (barrel((0, 0, -0.02), (0, 0, 0.05), 0.045, **WHITE),)
    return drawn


def gripper(cell: Any) -> dict[str, tuple[Surface, ...]]:
    """Black metal over the collision shapes of hand and fingers, rubber on the fingers' lower inner faces."""
    return {
        "hand": clad(cell.model, "hand", BLACK_METAL),
        "finger_left": clad(cell.model, "finger_left", RUBBER),
        "finger_right": clad(cell.model, "finger_right", RUBBER),
    }


def clad(model: mujoco.MjModel, body: str, look: dict[str, Any]) -> tuple[Surface, ...]:
    """The body's collision geoms as surfaces: boxes with rounded edges, all else as it is."""
    kinds = {2: "sphere", 3: "capsule", 4: "ellipsoid", 5: "cylinder", 6: "box"}
    surfaces = []
    for geom in np.flatnonzero(model.geom_bodyid == model.body(body).id):
        kind, size = kinds[int(model.geom_type[geom])], model.geom_size[geom]
        if kind == "box":
            surface = soft_box((0, 0, 0), size, min(size) * 0.35, **look)
            surface = moved(surface, rotation(model.geom_quat[geom]), model.geom_pos[geom])
        else:
            part = Part(kind, tuple(size), tuple(model.geom_pos[geom]), tuple(model.geom_quat[geom]))
            surface = part_surface(part, look["color"])
        surfaces.append(surface)
    return tuple(surfaces)
