"""Collision parts placed and measured: rods, bounds, centre of mass. Lengths in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from graspgap.objects.model import Part, part_volume

Vector = Sequence[float] | Float[np.ndarray, "3"]


def wxyz(turn: Rotation) -> tuple[float, float, float, float]:
    """The rotation as a quaternion (w, x, y, z)."""
    x, y, z, w = turn.as_quat()
    return float(w), float(x), float(y), float(z)


def turn_of(part: Part) -> Rotation:
    """The part's rotation."""
    return Rotation.from_quat(part.quaternion, scalar_first=True)


def facing(direction: Vector) -> Rotation:
    """A rotation that brings z to `direction`."""
    z = np.asarray(direction, dtype=np.float64)
    z = z / np.linalg.norm(z)
    x = np.cross((0.0, 1.0, 0.0) if abs(z[1]) < 0.9 else (1.0, 0.0, 0.0), z)
    x = x / np.linalg.norm(x)
    return Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=1))


def rod(start: Vector, end: Vector, radius: float, kind: Literal["capsule", "cylinder"] = "capsule") -> Part:
    """A capsule (centres of its caps) or cylinder (centres of its ends) from `start` to `end`."""
    axis = np.subtract(end, start).astype(np.float64)
    middle = np.add(start, end) / 2
    return Part(kind, (float(radius), float(np.linalg.norm(axis) / 2)), triple(middle), wxyz(facing(axis)))


def triple(values: Vector) -> tuple[float, float, float]:
    """Three numbers as a tuple of floats."""
    x, y, z = values
    return float(x), float(y), float(z)


def shifted(part: Part, by: Vector) -> Part:
    """The part moved by `by`."""
    return replace(part, position=triple(np.add(part.position, by)))


def scaled(part: Part, by: float) -> Part:
    """The part grown about the object's origin."""
    vertices = None if part.vertices is None else by * part.vertices
    size = tuple(by * length for length in part.size)
    return replace(part, size=size, position=triple(by * np.array(part.position)), vertices=vertices)


def part_centre(part: Part) -> Float[np.ndarray, "3"]:
    """Centroid in the object's frame."""
    if part.kind != "mesh":
        return np.array(part.position, dtype=np.float64)
    assert part.vertices is not None
    hull = ConvexHull(part.vertices)
    inside = part.vertices.mean(axis=0)
    corners = part.vertices[hull.simplices] - inside  # a tetrahedron from `inside` to each triangle
    volumes = np.abs(np.linalg.det(corners))
    return turn_of(part).apply(inside + volumes @ corners.sum(axis=1) / 4 / volumes.sum()) + part.position


def centre_of_mass(parts: Sequence[Part]) -> Float[np.ndarray, "3"]:
    """Volume-weighted centre of the parts, which may overlap: each counts in full, as in the physics."""
    volumes = np.array([part_volume(part) for part in parts])
    return volumes @ np.array([part_centre(part) for part in parts]) / volumes.sum()


def part_bounds(part: Part) -> Float[np.ndarray, "2 3"]:
    """Least and greatest x, y, z of a part in the object's frame."""
    matrix, size = turn_of(part).as_matrix(), np.array(part.size)
    if part.kind == "mesh":
        assert part.vertices is not None
        points = part.vertices @ matrix.T + part.position
        return np.stack([points.min(axis=0), points.max(axis=0)])
    axis = np.abs(matrix[:, 2])
    if part.kind == "box":
        reach = np.abs(matrix) @ size
    elif part.kind == "cylinder":
        reach = axis * size[1] + size[0] * np.sqrt(np.maximum(1 - axis**2, 0))
    elif part.kind == "capsule":
        reach = axis * size[1] + size[0]
    else:
        reach = np.linalg.norm(matrix * size, axis=1)
    return np.stack([part.position - reach, part.position + reach])


def bounds(parts: Sequence[Part]) -> Float[np.ndarray, "2 3"]:
    """Least and greatest x, y, z of all parts in the object's frame."""
    each = np.array([part_bounds(part) for part in parts])
    return np.stack([each[:, 0].min(axis=0), each[:, 1].max(axis=0)])


def outline(part: Part) -> Float[np.ndarray, "n 3"]:
    """Points in the object's frame whose convex hull is the part, its round surfaces by facets of about 20 degrees."""
    size = np.array(part.size)
    angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    up = np.array([0.0, 0.0, 1.0])
    ball = np.concatenate([ring * np.cos(t) + up * np.sin(t) for t in np.linspace(-np.pi / 2, np.pi / 2, 10)])
    if part.kind == "mesh":
        assert part.vertices is not None
        points = part.vertices
    elif part.kind == "box":
        points = size * np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    elif part.kind in ("capsule", "cylinder"):
        cap = size[0] * (ball if part.kind == "capsule" else ring)
        points = np.concatenate([cap - size[1] * up, cap + size[1] * up])
    else:
        points = ball * size
    return turn_of(part).apply(points) + part.position
