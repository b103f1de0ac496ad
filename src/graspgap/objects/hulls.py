"""Convex collision parts from points: hulls, fewer hulls, and boxes where a hull is nearly one. Lengths in metres."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.transform import Rotation

from graspgap.objects.model import Part
from graspgap.objects.parts import triple, wxyz

LEAST_VOLUME = 1e-10
"""Of a part [m^3]: physics fails below."""
APART = 0.002
"""Hulls whose bounds are farther apart than this are not joined [m]."""

MOST_CORNERS = 500
"""Of a hull: physics slows down with them. What is rounder keeps its farthest points in as many directions."""
MANY_POINTS = 50_000
"""From so many points on, the farthest in 1,000 directions stand for all: the hull of a million takes 10 s."""

Points = Float[np.ndarray, "_ 3"]


def hull(points: Points) -> Points | None:
    """The corners of the points' convex hull, not too many; None if it has no volume, or a point is not finite."""
    if not np.isfinite(points).all():
        return None
    if len(points) > MANY_POINTS:
        points = _farthest(points, 2 * MOST_CORNERS)
    try:
        solid = ConvexHull(points)
        if len(solid.vertices) > MOST_CORNERS:
            points = _farthest(points, MOST_CORNERS)
            solid = ConvexHull(points)
    except (QhullError, ValueError):
        return None
    return None if solid.volume < LEAST_VOLUME else np.array(points[solid.vertices], dtype=np.float64)


def _farthest(points: Points, directions: int) -> Points:
    """The points that lie farthest out in directions spread evenly over the sphere."""
    z = np.linspace(-1, 1, directions)
    angle = np.arange(directions) * np.pi * (3 - np.sqrt(5))
    around = np.sqrt(1 - z**2)
    ways = np.stack([around * np.cos(angle), around * np.sin(angle), z], axis=1)
    best = [(ways[start : start + 50] @ points.T).argmax(axis=1) for start in range(0, directions, 50)]
    return points[np.unique(np.concatenate(best))]


def joined(hulls: list[Points], share: float) -> list[Points]:
    """Fewer hulls: the two neighbours whose common hull adds least volume are joined, again and again, as long as all
    that was added stays within `share` of the hulls' volumes."""
    points = dict(enumerate(hulls))
    volume = {index: float(ConvexHull(corners).volume) for index, corners in points.items()}
    left = share * sum(volume.values())
    cost: dict[tuple[int, int], tuple[float, ConvexHull]] = {}

    def weigh(one: int, other: int) -> None:
        a, b = points[one], points[other]
        if (a.min(0) <= b.max(0) + APART).all() and (b.min(0) <= a.max(0) + APART).all():
            both = ConvexHull(np.concatenate([a, b]))
            cost[one, other] = max(both.volume - volume[one] - volume[other], 0.0), both

    for one in points:
        for other in range(one):
            weigh(one, other)
    while cost:
        pair = min(cost, key=lambda key: cost[key][0])
        added, both = cost[pair]
        if added > left:
            break
        left -= added
        for index in pair:
            del points[index], volume[index]
        cost = {key: value for key, value in cost.items() if not set(key) & set(pair)}
        new = max(points, default=0) + len(hulls)
        points[new], volume[new] = np.array(both.points[both.vertices], dtype=np.float64), float(both.volume)
        for other in list(points)[:-1]:
            weigh(new, other)
    return list(points.values())


def solid_part(corners: Points, boxiness: float = np.inf) -> Part:
    """A convex part; as a box of the same volume if its hull fills more than `boxiness` of the box around it: physics
    and ray casting are several times as fast with boxes."""
    box, filled = box_around(corners)
    if filled <= boxiness:
        return Part("mesh", vertices=corners)
    shrink = filled ** (1 / 3)
    return Part("box", triple(shrink * np.array(box.size)), box.position, box.quaternion)


def box_around(corners: Points) -> tuple[Part, float]:
    """The smallest box around a convex body with a face on its largest face, and the share of it that is filled.

    For a body that is nearly a box that is nearly its smallest box."""
    solid = ConvexHull(corners)
    normals = solid.equations[:, :3]
    tips = solid.points[solid.simplices]
    area = np.linalg.norm(np.cross(tips[:, 1] - tips[:, 0], tips[:, 2] - tips[:, 0]), axis=1)
    flat = (np.abs(normals @ normals.T) > 0.98) @ area
    z = normals[flat.argmax()]
    turn = Rotation.align_vectors([z], [(0.0, 0.0, 1.0)])[0]
    local = turn.inv().apply(corners)
    _, _, angle = cv2.minAreaRect(local[:, :2].astype(np.float32) * 1e3)
    turn = turn * Rotation.from_euler("z", angle, degrees=True)
    local = turn.inv().apply(corners)
    low, high = local.min(axis=0), local.max(axis=0)
    half = (high - low) / 2
    return Part("box", triple(half), triple(turn.apply((low + high) / 2)), wxyz(turn)), float(
        solid.volume / (8 * half.prod())
    )
