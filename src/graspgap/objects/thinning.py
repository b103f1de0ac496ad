"""Fewer triangles of what is drawn: a path-traced picture's cost grows with them."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int


def thinned(
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "m 3"],
    uv: Float[np.ndarray, "n 2"] | None,
    most: int,
) -> tuple[Float[np.ndarray, "i 3"], Int[np.ndarray, "j 3"], Float[np.ndarray, "i 2"] | None]:
    """About `most` triangles: vertices that share a cube of a grid are drawn together (Rossignac and Borrel 1993).

    Vertices of one cube that face the same way share their mean position, so the surface stays closed and thin walls
    keep both sides; those far apart in the texture stay apart there, so its seams do not smear.
    """
    if len(faces) <= most:
        return vertices, faces, uv
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1).sum() / 2
    low = vertices.min(axis=0)
    point = _labels(np.round((vertices - low) * 1e7).astype(np.int64))  # the same on both sides of a texture's seam
    total = np.stack([np.bincount(point[faces].ravel(), np.repeat(axis, 3)) for axis in normals.T], axis=1)
    axis = np.abs(total).argmax(axis=1)
    facing = (2 * axis + (np.take_along_axis(total, axis[:, None], 1)[:, 0] > 0))[point]
    for attempt in range(12):
        step = np.sqrt(2 * area / most) * 1.15**attempt
        cube = _labels(np.column_stack([np.floor((vertices - low) / step).astype(np.int64), facing]))
        spot = cube[:, None] if uv is None else np.column_stack([cube, np.floor(uv * 8).astype(np.int64)])
        group = _labels(spot)
        kept = group[faces]
        apart = cube[faces]
        solid = (apart[:, 0] != apart[:, 1]) & (apart[:, 1] != apart[:, 2]) & (apart[:, 2] != apart[:, 0])
        kept = kept[solid]
        if len(kept) <= most:
            break
    places = _means(vertices, cube)[cube[np.unique(group, return_index=True)[1]]]
    return places, kept, None if uv is None else _means(uv, group)


def _labels(rows: Int[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """A number for each different row, in the rows' order."""
    low = rows.min(axis=0)
    spans = [int(span) for span in rows.max(axis=0) - low + 1]
    if math.prod(spans) >= 2**63:
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    key = np.zeros(len(rows), dtype=np.int64)  # one number for a row: many times as fast
    for column, least, span in zip(rows.T, low, spans, strict=True):
        key = key * span + (column - least)
    return np.unique(key, return_inverse=True)[1].reshape(-1)


def _means(values: Float[np.ndarray, "n k"], group: Int[np.ndarray, " n"]) -> Float[np.ndarray, "g k"]:
    """Mean of the values of each group."""
    count = np.bincount(group)
    return np.stack([np.bincount(group, weights=column) / count for column in values.T], axis=1)
