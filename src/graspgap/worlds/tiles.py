"""Procedural textures: 1,152 kinds of pattern as small square pictures, which a renderer lays over a surface.

A kind is a base, an edge, a warp and an overlay; a seed decides its counts, angles and places. Coordinates u, v run
over [0, 1) of a tile, and every pattern repeats there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
from jaxtyping import Float32

from graspgap.seeding import generator

SIZE = 64
"""Pixels of a side of a tile."""
Map = Float32[np.ndarray, "size size"]
_ROWS = (np.arange(SIZE, dtype=np.float32) + np.float32(0.5)) / np.float32(SIZE)
_V, _U = np.meshgrid(_ROWS, _ROWS, indexing="ij")
_TURN = np.float32(2 * np.pi)


def noise(rng: np.random.Generator, cells: int) -> Map:
    """Smooth periodic noise in about [-1, 1] with `cells` bumps along each side."""
    coarse = np.pad(rng.uniform(-1, 1, (cells, cells)).astype(np.float32), 2, mode="wrap")
    step = SIZE // cells
    fine = cv2.resize(coarse, (step * (cells + 4),) * 2, interpolation=cv2.INTER_CUBIC)
    return cv2.resize(fine[2 * step : -2 * step, 2 * step : -2 * step], (SIZE, SIZE))


def _fold(values: Map) -> Map:
    """Distance from the nearest whole number, scaled to [0, 1]."""
    return np.abs(values - np.round(values)) * 2


def _count(rng: np.random.Generator, least: int = 1, most: int = 6) -> int:
    return int(rng.integers(least, most + 1))


def _stripes(rng: np.random.Generator, u: Map, v: Map) -> Map:
    return u * _count(rng) + v * int(rng.integers(-4, 5))


def _checks(rng: np.random.Generator, u: Map, v: Map) -> Map:
    count = _count(rng)
    return np.float32(0.5) + np.float32(0.49) * np.sin(_TURN * count * u) * np.sin(_TURN * count * v)


def _dots(rng: np.random.Generator, u: Map, v: Map) -> Map:
    count = _count(rng, 2)
    return np.hypot(_fold(u * count), _fold(v * count)) * np.float32(0.7)


def _rings(rng: np.random.Generator, u: Map, v: Map) -> Map:
    return np.hypot(_fold(u), _fold(v)) * _count(rng, 2)


def _waves(rng: np.random.Generator, u: Map, v: Map) -> Map:
    return v * _count(rng, 2) + np.float32(0.5) * np.sin(_TURN * _count(rng, 1, 4) * u)


def _zigzag(rng: np.random.Generator, u: Map, v: Map) -> Map:
    return v * _count(rng, 2) + _fold(u * _count(rng, 1, 5))


def _bricks(rng: np.random.Generator, u: Map, v: Map) -> Map:
    rows, columns = 2 * _count(rng, 1, 4), _count(rng, 1, 4)
    shift = np.floor(v * rows) % 2 / 2
    return np.minimum(1 - _fold(v * rows), 1 - _fold(u * columns + shift)) * 2


def _clouds(rng: np.random.Generator, u: Map, v: Map) -> Map:
    return _at(noise(rng, 4) + noise(rng, 8) / 2 + noise(rng, 16) / 4, u, v) * _count(rng, 1, 2)


def _marble(rng: np.random.Generator, u: Map, v: Map) -> Map:
    return u * _count(rng, 1, 4) + v * int(rng.integers(-2, 3)) + _at(noise(rng, 4) + noise(rng, 8) / 2, u, v)


def _wood(rng: np.random.Generator, u: Map, v: Map) -> Map:
    return np.hypot(_fold(u) * 3, _fold(v) / 3) * _count(rng, 2, 4) + _at(noise(rng, 4), u, v) / 2


def _cells(rng: np.random.Generator, u: Map, v: Map) -> Map:
    """Distance to the nearest of some points (Worley 1996)."""
    points = rng.uniform(0, 1, (_count(rng, 6, 14), 2)).astype(np.float32)
    away = [np.hypot(_fold(u - x) / 2, _fold(v - y) / 2) for x, y in points]
    return np.min(away, axis=0) * np.sqrt(np.float32(len(points))) * _count(rng, 1, 2)


def _blots(rng: np.random.Generator, u: Map, v: Map) -> Map:
    """Spots of several sizes."""
    spots = rng.uniform((0, 0, 0.04), (1, 1, 0.2), (_count(rng, 5, 12), 3)).astype(np.float32)
    depth = [1 - np.hypot(_fold(u - x) / 2, _fold(v - y) / 2) / radius for x, y, radius in spots]
    return np.clip(np.max(depth, axis=0), 0, 1) * np.float32(0.999)


def _hard(share: Map) -> Map:
    return (share % 1 > np.float32(0.5)).astype(np.float32)


def _soft(share: Map) -> Map:
    return (np.float32(0.5) - np.cos(_TURN * share) / 2).astype(np.float32)


def _ramp(share: Map) -> Map:
    return (share % 1).astype(np.float32)


def _steps(share: Map) -> Map:
    return (np.floor(share % 1 * 4) / 3).astype(np.float32)


def _straight(rng: np.random.Generator) -> tuple[Map, Map]:
    return _U, _V


def _bent(rng: np.random.Generator) -> tuple[Map, Map]:
    reach, count = np.float32(rng.uniform(0.03, 0.1)), _count(rng, 1, 3)
    return _U + reach * np.sin(_TURN * count * _V), _V + reach * np.sin(_TURN * count * _U)


def _rippled(rng: np.random.Generator) -> tuple[Map, Map]:
    reach = np.float32(rng.uniform(0.03, 0.12))
    return _U + reach * noise(rng, 4), _V + reach * noise(rng, 4)


def _turned(rng: np.random.Generator) -> tuple[Map, Map]:
    """By 45 degrees, and back to whole tiles."""
    return _U + _V, _V - _U


def _nothing(rng: np.random.Generator) -> Map:
    return np.zeros((SIZE, SIZE), np.float32)


def _grain(rng: np.random.Generator) -> Map:
    return rng.uniform(0, 0.6, (SIZE, SIZE)).astype(np.float32)


def _scratches(rng: np.random.Generator) -> Map:
    picture = np.zeros((SIZE, SIZE), np.float32)
    for x1, y1, x2, y2 in rng.integers(0, SIZE, (_count(rng, 5, 20), 4)).tolist():
        cv2.line(picture, (x1, y1), (x2, y2), 0.8, 1)
    return picture


def _patches(rng: np.random.Generator) -> Map:
    return (noise(rng, 4) > np.float32(rng.uniform(0.1, 0.5))).astype(np.float32)


def _grid(rng: np.random.Generator) -> Map:
    count = _count(rng, 2, 6)
    return (np.maximum(_fold(_U * count + 0.5), _fold(_V * count + 0.5)) > np.float32(0.85)).astype(np.float32)


def _shade(rng: np.random.Generator) -> Map:
    return np.clip(np.abs(noise(rng, 4)), 0, 1).astype(np.float32)


Base = Callable[[np.random.Generator, Map, Map], Map]
BASES: dict[str, Base] = {
    "stripes": _stripes, "checks": _checks, "dots": _dots, "rings": _rings, "waves": _waves, "zigzag": _zigzag,
    "bricks": _bricks, "clouds": _clouds, "marble": _marble, "wood": _wood, "cells": _cells, "blots": _blots,
}  # fmt: skip
"""Phase at (u, v), of which the edge makes a share of the second colour."""
EDGES: dict[str, Callable[[Map], Map]] = {"hard": _hard, "soft": _soft, "ramp": _ramp, "steps": _steps}
WARPS: dict[str, Callable[[np.random.Generator], tuple[Map, Map]]] = {
    "straight": _straight, "bent": _bent, "rippled": _rippled, "turned": _turned,
}  # fmt: skip
OVERLAYS: dict[str, Callable[[np.random.Generator], Map]] = {
    "nothing": _nothing, "grain": _grain, "scratches": _scratches, "patches": _patches, "grid": _grid, "shade": _shade,
}  # fmt: skip
"""Share of a third colour."""
KINDS = tuple(product(BASES, EDGES, WARPS, OVERLAYS))
"""Base, edge, warp and overlay of each kind."""


def tile(kind: int, seed: int) -> tuple[Map, Map]:
    """Shares of the second and of the third colour, in [0, 1]; equal numbers give equal tiles."""
    base, edge, warp, overlay = KINDS[kind]
    rng = generator(seed, "tile")
    u, v = WARPS[warp](rng)
    share = EDGES[edge](BASES[base](rng, u, v).astype(np.float32))
    return share, OVERLAYS[overlay](rng)


def _at(picture: Map, u: Map, v: Map) -> Map:
    """The picture's values at coordinates, which wrap."""
    return picture[np.floor(v * SIZE).astype(np.int64) % SIZE, np.floor(u * SIZE).astype(np.int64) % SIZE]
