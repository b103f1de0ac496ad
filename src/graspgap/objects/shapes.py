"""Small meshes with texture coordinates: surfaces of revolution, boxes, swept tubes. Lengths in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

Shape = tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "m 3"], Float[np.ndarray, "n 2"]]
"""Vertices, triangles (counter-clockwise seen from outside), and texture coordinates in [0, 1]."""


def _grid_faces(rows: int, columns: int) -> Int[np.ndarray, "m 3"]:
    """Two triangles for each cell of a grid of vertices, row by row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    right, above = corner + 1, corner + columns
    return np.concatenate([np.stack([corner, right, above + 1], 1), np.stack([corner, above + 1, above], 1)])


def lathe(profile: Sequence[tuple[float, float]], sides: int = 14) -> Shape:
    """Surface of revolution about z of a profile of (radius, z), given from the bottom up."""
    radius, height = np.array(profile, dtype=float).T
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    vertices = np.stack(
        [
            radius[:, None] * np.cos(angle),
            radius[:, None] * np.sin(angle),
            np.repeat(height[:, None], sides + 1, axis=1),
        ],
        axis=-1,
    )
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(radius), np.diff(height)))])
    u, v = np.meshgrid(angle / (2 * np.pi), length / length[-1])
    return vertices.reshape(-1, 3), _grid_faces(len(profile), sides + 1), np.stack([u.ravel(), v.ravel()], 1)


def box(size: tuple[float, float, float]) -> Shape:
    """A box about the origin; each face shows the whole texture."""
    vertices: list[np.ndarray] = []
    faces: list[tuple[int, int, int]] = []
    uv: list[tuple[float, float]] = []
    for axis in range(3):
        for sign in (-1, 1):
            normal = np.zeros(3)
            normal[axis] = sign
            side = np.roll(np.abs(normal), 1)
            up = np.cross(normal, side)
            corners = [normal + a * side + b * up for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            start = 4 * len(vertices)
            vertices.append(np.array(corners) * np.array(size) / 2)
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
            uv += [(0, 0), (1, 0), (1, 1), (0, 1)]
    return np.concatenate(vertices), np.array(faces), np.array(uv, dtype=float)


def tube(path: Float[np.ndarray, "k 3"], radii: Float[np.ndarray, " k"], sides: int = 10) -> Shape:
    """A tube of varying radius along a path in a plane of constant y."""
    direction = np.gradient(path, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    across = np.array([0.0, 1.0, 0.0])
    other = np.cross(direction, across)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(angle)[None, :, None] * across + np.sin(angle)[None, :, None] * other[:, None, :]
    vertices = path[:, None, :] + radii[:, None, None] * ring
    u, v = np.meshgrid(angle / (2 * np.pi), np.linspace(0, 1, len(path)))
    return vertices.reshape(-1, 3), _grid_faces(len(path), sides + 1)[:, ::-1], np.stack([u.ravel(), v.ravel()], 1)


def moved(shape: Shape, by: tuple[float, float, float]) -> Shape:
    """The shape at another place."""
    vertices, faces, uv = shape
    return vertices + np.array(by), faces, uv


def lying(shape: Shape) -> Shape:
    """The shape with its z axis laid along x."""
    vertices, faces, uv = shape
    return vertices[:, [2, 1, 0]] * (1, -1, 1), faces, uv
