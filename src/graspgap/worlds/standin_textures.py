"""Procedural textures of the stand-ins' furniture: wood, plastic, floor tiles, a cutting mat, a table with holes.

All sRGB uint8.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Texture = UInt8[np.ndarray, "h w 3"]


def noise(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], octaves: int = 3
) -> Float[np.ndarray, "h w"]:
    """Fractal value noise in about [-1, 1]: random grids of `cells` (rows, columns), each octave twice as fine and
    half as strong, interpolated to `size` (rows, columns)."""
    height, width = size
    total = np.zeros(size)
    for octave in range(octaves):
        rows, columns = min(cells[0] << octave, height), min(cells[1] << octave, width)
        grid = rng.uniform(-1, 1, (rows, columns))
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    return total


def paint(color: tuple[float, float, float], value: Float[np.ndarray, "h w"]) -> Texture:
    """The sRGB `color` in [0, 1], brightened by `value` (0: as it is, 0.1: by a tenth)."""
    return (np.clip(np.multiply.outer(1 + value, color), 0, 1) * 255).astype(np.uint8)


def wood(
    rng: np.random.Generator, size: int = 384, planks: int = 7, color: tuple[float, float, float] = (0.64, 0.52, 0.40)
) -> Texture:
    """Planks along u, of oak or in another color.

    Yearly rings are a warped sine across the grain, pores short streaks along it.
    """
    rows = np.arange(size) * planks // size
    across = np.linspace(0, planks, size)[:, None] + 0.35 * noise(rng, (size, size), (planks, 2))
    across = across + rng.uniform(0, 5, planks)[rows][:, None]
    rings = np.sin(across * 2 * np.pi * 2.3 + 2.0 * noise(rng, (size, size), (planks * 2, 3)))
    pores = noise(rng, (size, size), (size // 2, 10), octaves=2)
    tone = rng.uniform(-0.13, 0.13, planks)[rows][:, None]
    gap = (np.arange(size) * planks % size < planks)[:, None] * -0.55
    value = 0.13 * rings + 0.16 * pores + tone + gap
    picture = paint(color, value).astype(np.float64)
    picture[..., 2] *= 1 - 0.18 * np.clip(value, -0.5, 0.5)
    return np.clip(picture, 0, 255).astype(np.uint8)


def scuffed(rng: np.random.Generator, color: tuple[float, float, float], size: int = 128) -> Texture:
    """Worn plastic: soft stains and thin light scratches."""
    scratches = np.zeros((size, size))
    for _ in range(size // 3):
        start, move = rng.uniform(0, size, 2), rng.normal(0, size / 10, 2)
        ends = [tuple(int(c) for c in point) for point in (start, start + move)]
        cv2.line(scratches, ends[0], ends[1], float(rng.uniform(0.05, 0.3)), 1)
    return paint(color, 0.12 * noise(rng, (size, size), (4, 4)) + scratches)


def tiles(rng: np.random.Generator, color: tuple[float, float, float], count: int = 6, size: int = 192) -> Texture:
    """Square floor tiles, `count` across, each of its own tone, with dark joints."""
    index = np.arange(size) * count // size
    tone = rng.uniform(-0.08, 0.08, (count, count))[np.ix_(index, index)]
    edge = np.arange(size) * count % size < 2 * count
    joint = np.where(edge[:, None] | edge[None, :], -0.4, 0.0)
    return paint(color, tone + joint + 0.06 * noise(rng, (size, size), (8, 8)))


def cutting_mat(rng: np.random.Generator, color: tuple[float, float, float], count: int, size: int) -> Texture:
    """A mat with `count` squares across, ruled in pale lines, every fourth of them stronger, and with old cuts."""
    place = np.arange(size) * count / size
    line = (place % 1 < count / size * 1.5) * np.where(place.astype(int) % 4 == 0, 1.6, 0.7)
    cuts = scuffed(rng, (0.5, 0.5, 0.5), size).astype(float).mean(axis=2) / 127.5 - 1
    return paint(color, np.maximum(line[:, None], line[None, :]) + 0.5 * cuts)


def pegs(rng: np.random.Generator, color: tuple[float, float, float], count: int, size: int) -> Texture:
    """A brushed metal plate with `count` threaded holes across."""
    place = np.arange(size) * count / size % 1 - 0.5
    hole = np.hypot(place[:, None], place[None, :]) < 0.16
    return paint(color, 0.12 * noise(rng, (size, size), (size // 2, 6), octaves=2) - 0.75 * hole)
