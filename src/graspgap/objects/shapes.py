"""Small meshes with texture coordinates: lathe, rounded box, swept tube, plate. Lengths in metres.

Edges sharper than `CREASE` get vertices of their own on either side, so that they stay sharp when normals are
interpolated. All triangles are counter-clockwise seen from outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

Shape = tuple[Float[np.ndarray, "_ 3"], Int[np.ndarray, "_ 3"], Float[np.ndarray, "_ 2"]]
"""Vertices (n, 3), triangles (m, 3), and texture coordinates (n, 2) in [0, 1]."""
Profile = Sequence[tuple[float, float]]
"""Points (radius, z) of a lathe: up the outside, over a rim and down the inside where there is one."""

CREASE = np.radians(38)
ATLAS = (3, 2)
"""Columns (axes x, y, z) and rows (up the picture: the face on the low side, the high side) of a box's six faces."""


def lathe(profile: Profile, sides: int = 16) -> Shape:
    """The surface of revolution of `profile` about z: u runs around, v along the profile, by its length."""
    points = _creased(np.array(profile, dtype=np.float64))
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    grid = points[:, 0, None, None] * ring + points[:, 1, None, None] * np.array([0.0, 0.0, 1.0])
    return sheet(grid, angle / (2 * np.pi), length / length[-1])


def share(profile: Profile, index: int) -> float:
    """The v of a profile's point on the lathe, in [0, 1]."""
    steps = np.linalg.norm(np.diff(np.array(profile, dtype=np.float64), axis=0), axis=1)
    return float(steps[:index].sum() / steps.sum())


def arc(radius: float, half: float, start: float = -90, end: float = 90, points: int = 9) -> list[tuple[float, float]]:
    """Points (radius, z) of an ellipse about the origin between two latitudes [degrees]."""
    angle = np.radians(np.linspace(start, end, points))
    return [(float(max(radius * np.cos(a), 0)), float(half * np.sin(a))) for a in angle]


def cylinder(radius: float, low: float, high: float, sides: int = 16, bevel: float = 0.0015) -> Shape:
    """A closed cylinder about z with bevelled edges."""
    soft = min(bevel, radius / 2, (high - low) / 3)
    side = [(0.0, low), (radius - soft, low), (radius, low + soft)]
    return lathe([*side, (radius, high - soft), (radius - soft, high), (0.0, high)], sides)


def cog(radii: Sequence[float], half: float, hole: float = 0.0) -> Shape:
    """A disc about z, `half` thick to either side, whose outline has these radii at equal angles, around a hole."""
    outline = np.array([*radii, radii[0]], dtype=np.float64)
    angle = np.linspace(0, 2 * np.pi, len(outline))
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    inner, outer = hole * ring, outline[:, None] * ring
    rows = [(inner, -half), (outer, -half), (outer, half), (inner, half), *([(inner, -half)] if hole else [])]
    grid = np.stack([np.column_stack([line, np.full(len(line), z)]) for line, z in rows])
    return sheet(grid, angle / (2 * np.pi))


def tube(
    path: Float[np.ndarray, "k 3"],
    radii: Float[np.ndarray, "k 2"],
    sides: int = 10,
    cup: Float[np.ndarray, " k"] | None = None,
) -> Shape:
    """A closed tube along a path in the xz plane. `radii` are its half widths along y and across; `cup` lifts its
    edges above its middle, as a spoon's. u runs around, v along the path."""
    radii = np.asarray(radii, dtype=np.float64)
    direction = np.gradient(path, axis=0)
    direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    across = np.array([0.0, 1.0, 0.0])
    up = np.cross(direction, across)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    lift = np.zeros(len(path)) if cup is None else cup
    height = radii[:, 1:] * np.sin(angle) + lift[:, None] * np.cos(angle) ** 2
    grid = path[:, None] + radii[:, 0, None, None] * np.cos(angle)[:, None] * across + height[..., None] * up[:, None]
    caps = [np.tile(ring.mean(axis=0), (sides + 1, 1)) for ring in (grid[0], grid[-1])]
    grid = np.stack([caps[0], grid[0], *grid, grid[-1], caps[1]])
    along = np.linspace(0, 1, len(path))
    return sheet(grid, angle / (2 * np.pi), np.concatenate([[0, 0], along, [1, 1]]))


def rounded_box(size: Sequence[float], radius: float, steps: int = 1, atlas: bool = False) -> Shape:
    """A box about the origin with rounded edges. Every face shows the whole texture, or its cell of `ATLAS`."""
    half = np.array(size, dtype=np.float64) / 2
    radius = min(radius, float(half.min()) * 0.999)
    shapes = []
    for axis in range(3):
        for sign in (-1, 1):
            normal = np.eye(3)[axis] * sign
            right = np.eye(3)[(1, 0, 0)[axis]] * sign * (1, -1, 1)[axis]
            up = np.cross(normal, right)
            lines = [_lines(float(np.abs(side) @ half), radius, steps) for side in (right, up)]
            cube = lines[0][None, :, None] * right + lines[1][:, None, None] * up + normal * half
            inner = np.clip(cube, radius - half, half - radius)
            outward = cube - inner
            grid = inner + radius * outward / np.linalg.norm(outward, axis=-1, keepdims=True)
            u, v = (line / (2 * line[-1]) + 0.5 for line in lines)
            if atlas:
                u, v = (u + axis) / ATLAS[0], (v + (sign > 0)) / ATLAS[1]
            shapes.append(sheet(grid, u, v))
    return joined(*shapes)


def plate(outline: Sequence[tuple[float, float, float]], thickness: float) -> Shape:
    """A flat plate about z = 0 whose edges run through (x, least y, greatest y), in rising x."""
    x, low, high = np.array(outline, dtype=np.float64).T
    half = np.full_like(x, thickness / 2)
    edges = [
        np.stack(corner, axis=-1) for corner in ((x, low, -half), (x, high, -half), (x, high, half), (x, low, half))
    ]
    along = np.linspace(0, 1, len(x))
    strips = [
        sheet(np.stack([edges[i], edges[(i + 1) % 4]], axis=1), np.array([0.0, 1.0]), along) for i in (0, 1, 2, 3)
    ]
    ends = [
        sheet(np.stack([[edges[0][i], edges[1][i]], [edges[3][i], edges[2][i]]])[:: 1 if i else -1], along[[0, -1]])
        for i in (0, -1)
    ]
    return joined(*strips, *ends)


def moved(shape: Shape, by: Sequence[float]) -> Shape:
    """The shape at another place."""
    vertices, faces, uv = shape
    return vertices + np.array(by, dtype=np.float64), faces, uv


def scaled(shape: Shape, by: Sequence[float]) -> Shape:
    """The shape stretched by positive factors along x, y, z."""
    vertices, faces, uv = shape
    return vertices * np.array(by, dtype=np.float64), faces, uv


def turned(shape: Shape, axis: str, degrees: float) -> Shape:
    """The shape rotated about an axis through the origin."""
    vertices, faces, uv = shape
    return Rotation.from_euler(axis, degrees, degrees=True).apply(vertices), faces, uv


def lying(shape: Shape) -> Shape:
    """The shape with its z axis laid along x."""
    return turned(shape, "y", 90)


def joined(*shapes: Shape) -> Shape:
    """Several shapes as one, with one texture."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _, _ in shapes[:-1])])
    faces = [faces + start for (_, faces, _), start in zip(shapes, starts, strict=True)]
    return np.concatenate([s[0] for s in shapes]), np.concatenate(faces), np.concatenate([s[2] for s in shapes])


def _lines(half: float, radius: float, steps: int) -> Float[np.ndarray, " k"]:
    """Where a face of a rounded box is cut."""
    low = np.linspace(-half, radius - half, steps + 1)
    return np.unique(np.round(np.concatenate([low, -low]), 9))


def _creased(points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "j 2"]:
    """The points, with those repeated where the line turns sharply."""
    steps = np.diff(points, axis=0)
    heading = np.arctan2(steps[:, 1], steps[:, 0])
    turn = np.abs((np.diff(heading) + np.pi) % (2 * np.pi) - np.pi)
    return np.repeat(points, [1, *(1 + (turn > CREASE)), 1], axis=0)


def sheet(
    grid: Float[np.ndarray, "rows columns 3"],
    u: Float[np.ndarray, " columns"],
    v: Float[np.ndarray, " rows"] | None = None,
) -> Shape:
    """Two triangles for each cell of a grid, without those of no area."""
    rows, columns = grid.shape[:2]
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    right, above = corner + 1, corner + columns
    faces = np.concatenate([np.stack([corner, right, above + 1], 1), np.stack([corner, above + 1, above], 1)])
    vertices = grid.reshape(-1, 3)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    faces = faces[np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-11]
    across, along = np.meshgrid(u, np.linspace(0, 1, rows) if v is None else v)
    used, compact = np.unique(faces, return_inverse=True)
    uv = np.stack([across.ravel(), along.ravel()], axis=1)
    return vertices[used], compact.reshape(-1, 3), uv[used]
