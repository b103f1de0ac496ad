"""What the second stand-in's camera sees besides the objects: a blocky slate-blue arm with an aluminium gripper, a
table with holes, a plywood tray with a green cutting mat, a cool workshop. Nothing of it looks like simulation or the
first stand-in, on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float32
from scipy.spatial.transform import Rotation

from graspgap.objects.model import Surface
from graspgap.objects.parts import facing
from graspgap.seeding import generator
from graspgap.worlds.bullet_cell import BulletCell
from graspgap.worlds.bullet_model import DATA, FINGERS
from graspgap.worlds.bullet_tray import BoxTray, walls
from graspgap.worlds.mitsuba_renderer import Lamp, Scenery
from graspgap.worlds.standin_shapes import barrel, box, moved, soft_box
from graspgap.worlds.standin_textures import cutting_mat, pegs, scuffed, tiles, wood

TABLE = -0.016
"""Height of the table top, under the tray's bottom plate [m]."""
MAT = 0.003
"""Thickness of the mat [m]."""
SEED = 7302
"""Of the textures: the furniture is the same in every attempt."""
SLATE: dict[str, Any] = {"color": (0.10, 0.15, 0.23), "roughness": 0.45}
GREY: dict[str, Any] = {"color": (0.42, 0.44, 0.46), "roughness": 0.8}
BLUE: dict[str, Any] = {"color": (0.04, 0.13, 0.38), "roughness": 0.4}
ALUMINIUM: dict[str, Any] = {"color": (0.72, 0.73, 0.75), "roughness": 0.35, "metallic": 1.0}
SILICONE: dict[str, Any] = {"color": (0.50, 0.52, 0.55), "roughness": 0.9}
PLYWOOD = (0.80, 0.68, 0.50)
LINK_WIDTHS = (0.075, 0.07, 0.066, 0.06, 0.056, 0.05)
"""Half a side of links 1 to 6 [m]."""
LAMP = Lamp(position=(0.05, -0.5, 1.3), target=(0.55, 0.0, 0.0), half_size=(0.32, 0.05), radiance=(88.0, 98.0, 106.0))
"""A tube on the side away from the camera."""


def furnish(cell: BulletCell) -> Scenery:
    """The scenery of a cell, fitted to its tray and its arm's joints."""
    tray = cell.config.tray
    assert tray is not None
    return Scenery(
        still=(*furniture(), *tray_surfaces(tray)), bodies={**arm(cell), **gripper()}, surroundings=room(), lamp=LAMP
    )


def furniture() -> tuple[Surface, ...]:
    """The table, the floor, and what stands beyond the table's edge."""
    rng = generator(SEED, "furniture")
    top = pegs(rng, (0.36, 0.38, 0.41), 36, 576)
    return (
        box((0.5, 0.1, TABLE - 0.02), (0.45, 0.45, 0.02), texture=top, roughness=0.5),
        box((0.8, 0.0, -0.86), (2.5, 2.5, 0.01), texture=tiles(rng, (0.42, 0.40, 0.37), 9, 384), roughness=0.9),
        box((0.9, -0.75, -0.42), (0.25, 0.2, 0.42), texture=scuffed(rng, (0.55, 0.12, 0.10)), roughness=0.5),
        box((0.1, -0.8, -0.46), (0.3, 0.25, 0.38), color=(0.30, 0.32, 0.30), roughness=0.8),
    )


def tray_surfaces(tray: BoxTray) -> tuple[Surface, ...]:
    """Plywood boards, and a cutting mat on the floor."""
    rng = generator(SEED, "tray")
    board = wood(rng, 256, 2, PLYWOOD)
    half = tray.size[0] / 2 + tray.wall_thickness / 2, tray.size[1] / 2 + tray.wall_thickness / 2
    base = box((*tray.centre, (TABLE - MAT) / 2), (*half, (-MAT - TABLE) / 2), texture=board, roughness=0.8)
    sides = [
        moved(box((0, 0, 0), wall.half, texture=board, roughness=0.8), wall.turn, wall.centre) for wall in walls(tray)
    ]
    mat = box(
        (*tray.centre, -MAT / 2),
        (tray.size[0] / 2, tray.size[1] / 2, MAT / 2),
        texture=cutting_mat(rng, (0.10, 0.34, 0.22), 12, 384),
        roughness=0.9,
    )
    return base, *sides, mat


def room() -> Float32[np.ndarray, "h w 3"]:
    """Radiance of the room: a pale ceiling with a second tube, cool walls, shelves, a window."""
    height, width = 32, 64
    down = np.linspace(0, 1, height)[:, None, None]
    picture = np.broadcast_to(np.array([0.30, 0.34, 0.38]) * (1.1 - 0.6 * down), (height, width, 3)).copy()
    picture[:5] = (0.55, 0.58, 0.60)
    picture[2:4, 20:44] = (1.3, 1.4, 1.5)
    picture[10:18, 44:54] = (0.8, 0.95, 1.15)
    picture[14:17, 4:24] = (0.14, 0.12, 0.10)
    picture[20:22, 4:24] = (0.14, 0.12, 0.10)
    return picture.astype(np.float32)


def arm(cell: BulletCell) -> dict[str, tuple[Surface, ...]]:
    """Slate-blue beams from joint to joint, with a grey disc about the axis of the next joint."""
    poses = cell.body_poses()
    drawn: dict[str, tuple[Surface, ...]] = {}
    for number, half in enumerate(LINK_WIDTHS, start=1):
        (place, turn), (next_place, next_turn) = poses[f"link_{number}"], poses[f"link_{number + 1}"]
        back = Rotation.from_quat(turn, scalar_first=True).inv()
        end = back.apply(next_place - place)
        axis = (back * Rotation.from_quat(next_turn, scalar_first=True)).apply((0, 0, 1))
        length = float(np.linalg.norm(end))
        beam = soft_box((0, 0, length / 2), (half, half, length / 2 + 0.3 * half), 0.3 * half, **SLATE)
        disc = barrel(end - 1.08 * half * axis, end + 1.08 * half * axis, 0.8 * half, **GREY)
        drawn[f"link_{number}"] = (moved(beam, facing(end).as_matrix(), (0, 0, 0)), disc)
    drawn["link_7"] = (barrel((0, 0, -0.04), (0, 0, 0.03), 0.042, **GREY),)
    return drawn


def gripper() -> dict[str, tuple[Surface, ...]]:
    """A blue body; fingers as the published ones collide, of aluminium, their tips in grey silicone."""
    body = soft_box((0, 0, 0), (0.03, 0.03, 0.05), 0.008, **BLUE)
    yoke = soft_box((0, 0.016, 0.042), (0.05, 0.02, 0.012), 0.006, **ALUMINIUM)
    drawn: dict[str, tuple[Surface, ...]] = {"hand": (body, yoke)}
    for side in FINGERS:
        drawn[f"finger_{side}"] = (box((0, 0, 0.04), (0.006, 0.006, 0.04), **ALUMINIUM),)
        drawn[f"finger_{side}_base"] = (_published(f"finger_base_{side}", **ALUMINIUM),)
        drawn[f"finger_{side}_tip"] = (_published(f"finger_tip_{side}", **SILICONE),)
    return drawn


def _published(name: str, **material: Any) -> Surface:
    """The convex hull of a mesh of the published gripper, which is what PyBullet lets collide."""
    hull = trimesh.load_mesh(DATA / "kuka_iiwa" / "meshes" / f"{name}.stl").convex_hull
    return Surface(np.asarray(hull.vertices), np.asarray(hull.faces, dtype=np.int64), smooth=False, **material)
