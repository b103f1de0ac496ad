"""Meshes of the stand-in's furniture and arm. Each function returns one `Surface`; `material` are its other fields
(color, texture, roughness, metallic). Lengths in metres; few triangles, because a picture's cost grows with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float

from graspgap.objects.model import Part, Surface
from graspgap.objects.parts import Vector, facing, turn_of
from graspgap.objects.shapes import Shape, arc, cylinder, lathe, sheet


def moved(surface: Surface, matrix: Float[np.ndarray, "3 3"], position: Vector) -> Surface:
    """The surface rotated by `matrix`, then shifted by `position`."""
    return replace(surface, vertices=surface.vertices @ matrix.T + np.asarray(position, dtype=np.float64))


def _surface(shape: Shape, **material: Any) -> Surface:
    vertices, faces, uv = shape
    return Surface(vertices, faces, uv, **material)


def barrel(start: Vector, end: Vector, radius: float, **material: Any) -> Surface:
    """A closed cylinder from `start` to `end` with rounded edges."""
    axis = np.subtract(end, start).astype(np.float64)
    length = float(np.linalg.norm(axis))
    shape = cylinder(radius, 0, length, sides=12, bevel=0.35 * min(radius, length / 2))
    return moved(_surface(shape, **material), facing(axis).as_matrix(), start)


def ball(centre: Vector, radius: float, **material: Any) -> Surface:
    """A sphere."""
    return moved(_surface(lathe(arc(radius, radius, points=7), sides=10), **material), np.eye(3), centre)


def box(centre: Vector, half: Vector, **material: Any) -> Surface:
    """A box with sharp edges; every face shows the whole texture."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)
    faces: list[np.ndarray] = []
    points: list[np.ndarray] = []
    for axis in range(3):
        for sign in (-1, 1):
            face = np.full((4, 3), float(sign))
            face[:, [(axis + 1) % 3, (axis + 2) % 3]] = corners if sign > 0 else corners[:, ::-1]
            faces += [np.array([0, 1, 2]) + 4 * len(points), np.array([0, 2, 3]) + 4 * len(points)]
            points.append(face)
    vertices = np.concatenate(points) * np.asarray(half, dtype=np.float64) + np.asarray(centre, dtype=np.float64)
    uv = np.tile((corners + 1) / 2, (6, 1))
    return Surface(vertices, np.array(faces), uv, smooth=False, **material)


def soft_box(centre: Vector, half: Vector, radius: float, **material: Any) -> Surface:
    """A box with rounded edges of `radius`, without texture coordinates."""
    ball_points = trimesh.creation.icosphere(subdivisions=1, radius=radius).vertices
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    inner = corners * (np.asarray(half, dtype=np.float64) - radius)
    # Of each corner's ball only the octant that points outwards: few points, few triangles.
    points = [c + ball_points[(ball_points * s >= -1e-9).all(axis=1)] for c, s in zip(inner, corners, strict=True)]
    hull = trimesh.convex.convex_hull(np.concatenate(points))
    vertices = np.asarray(hull.vertices, dtype=np.float64) + np.asarray(centre, dtype=np.float64)
    return Surface(vertices, np.asarray(hull.faces, dtype=np.int64), **material)


def rim(
    centre: Vector,
    inner: tuple[float, float],
    wall: float,
    height: float,
    corner: float,
    **material: Any,
) -> Surface:
    """The walls of a bin: from the inner half sizes (x, y) outwards by `wall`, `height` high, with a rounded top and
    corners; `corner` is the radius of the inner ones. `centre` lies on the floor. The texture runs along the walls."""
    bend = wall * 0.4
    profile = [  # from the outer foot over the top to the inner foot, so that normals point out of the wall
        (wall, 0.0),
        (wall, height - bend),
        (wall - bend * 0.3, height - bend * 0.3),
        (wall - bend, height),
        (bend, height),
        (bend * 0.3, height - bend * 0.3),
        (0.0, height - bend),
        (0.0, 0.0),
    ]
    angle = np.concatenate([np.linspace(0, np.pi / 2, 5) + quarter * np.pi / 2 for quarter in range(4)])
    sign = np.repeat([(1, 1), (-1, 1), (-1, -1), (1, -1)], 5, axis=0)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    pivots = sign * (np.array(inner) - corner)
    loops = []
    for out, z in profile:
        loop = pivots + around * (corner + out)
        loops.append(np.column_stack([np.vstack([loop, loop[:1]]), np.full(len(loop) + 1, z)]))
    grid = np.stack(loops)
    return moved(_surface(sheet(grid, np.linspace(0, 1, grid.shape[1])), **material), np.eye(3), centre)


def part_surface(part: Part, color: tuple[float, float, float]) -> Surface:
    """A collision part as a plain surface, for objects that come without pictures."""
    creation = trimesh.creation
    if part.kind == "box":
        mesh = creation.box(extents=2 * np.array(part.size))
    elif part.kind == "cylinder":
        mesh = creation.cylinder(part.size[0], height=2 * part.size[1], sections=20)
    elif part.kind == "capsule":
        mesh = creation.capsule(height=2 * part.size[1], radius=part.size[0], count=[10, 10])
        mesh.apply_translation([0, 0, -mesh.bounds.mean(axis=0)[2]])
    elif part.kind == "mesh":
        assert part.vertices is not None
        mesh = trimesh.convex.convex_hull(part.vertices)
    else:
        mesh = creation.icosphere(subdivisions=2)
        mesh.apply_scale(part.size if part.kind == "ellipsoid" else part.size[0])
    flat = part.kind in ("box", "mesh", "cylinder")
    surface = Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces), color=color, smooth=not flat)
    return moved(surface, turn_of(part).as_matrix(), part.position)
