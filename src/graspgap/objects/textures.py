"""Procedural pictures for surfaces: labels, printed faces, fruit skins, wood; uint8 RGB, made by a generator."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Color = tuple[float, float, float]
"""RGB in [0, 1]."""
Texture = UInt8[np.ndarray, "h w 3"]

SIZE = 64
"""Pixels of a side."""


def vivid(rng: np.random.Generator) -> Color:
    """A saturated colour, as packaging has."""
    return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.55, 1.0), rng.uniform(0.45, 1.0))


def pale(rng: np.random.Generator) -> Color:
    """A light, quiet colour, as ceramics and soap have."""
    return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.02, 0.3), rng.uniform(0.75, 1.0))


def noise(rng: np.random.Generator, cells: int) -> Float[np.ndarray, "h w"]:
    """Smooth noise in [-1, 1] with about `cells` bumps along each side."""
    coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).astype(float)


def _finish(picture: Float[np.ndarray, "h w 3"]) -> Texture:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def plain(color: Color) -> Float[np.ndarray, "h w 3"]:
    """One colour all over."""
    return np.tile(np.array(color, dtype=float), (SIZE, SIZE, 1))


def _letters(picture: Float[np.ndarray, "h w 3"], rng: np.random.Generator, top: int, left: int, width: int) -> None:
    """A line of letter-like blocks."""
    color = (0.05, 0.05, 0.05) if rng.uniform() < 0.5 else (0.98, 0.98, 0.95)
    height = int(rng.integers(4, 9))
    column = left
    while column < left + width - 3:
        wide = int(rng.integers(2, 6))
        picture[top : top + height, column : column + wide] = color
        picture[top + height // 3 : top + height // 2, column + 1 : column + wide - 1] = picture[top - 1, column]
        column += wide + 2


def printed(rng: np.random.Generator) -> Texture:
    """A printed box face: a frame, a picture, lines of letters."""
    picture = plain(vivid(rng))
    picture[4:-4, 4:-4] = vivid(rng) if rng.uniform() < 0.6 else pale(rng)
    centre = tuple(int(value) for value in rng.integers(20, 44, 2))
    cv2.circle(picture, centre, int(rng.integers(7, 15)), vivid(rng), -1)
    if rng.uniform() < 0.5:
        cv2.rectangle(picture, (8, 40), (int(rng.integers(24, 54)), 52), vivid(rng), -1)
    _letters(picture, rng, 8, 8, 46)
    _letters(picture, rng, 50, 10, int(rng.integers(20, 40)))
    return _finish(picture)


def label(rng: np.random.Generator, ground: Color) -> Texture:
    """A band with letters and a barcode around a body of colour `ground`."""
    picture = plain(ground)
    top, bottom = sorted(int(value) for value in rng.choice(np.arange(10, 56, 6), 2, replace=False))
    picture[top : bottom + 8] = pale(rng) if rng.uniform() < 0.5 else vivid(rng)
    picture[top : top + 2] = vivid(rng)
    _letters(picture, rng, min(top + 3, 52), int(rng.integers(2, 30)), 30)
    bars = rng.integers(0, 2, 10).repeat(1)
    picture[top + 2 : bottom + 6, 48:58] = bars[None, :, None]
    return _finish(picture)


def skin(rng: np.random.Generator, color: Color, other: Color) -> Texture:
    """A fruit's skin: two colours that run into each other, and dots."""
    share = (0.5 + 0.5 * noise(rng, 4))[..., None]
    picture = (1 - share) * np.array(color) + share * np.array(other)
    picture[rng.uniform(size=(SIZE, SIZE)) < 0.03] *= 0.7
    return _finish(picture)


def wood(rng: np.random.Generator) -> Texture:
    """Grain along the surface's v axis."""
    rows = np.linspace(0, rng.uniform(4, 9), SIZE)[None, :]
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * (rows + 0.4 * noise(rng, 3)))
    dark, light = np.array([0.42, 0.25, 0.12]), np.array([0.76, 0.55, 0.32])
    return _finish(dark + grain[..., None] * (light - dark))


def stripes(rng: np.random.Generator) -> Texture:
    """Rings of two or three colours."""
    colors = np.array([vivid(rng), pale(rng), vivid(rng)])
    bands = np.sort(rng.integers(0, SIZE, int(rng.integers(2, 6))))
    index = np.searchsorted(bands, np.arange(SIZE)) % len(colors)
    return _finish(np.repeat(colors[index][:, None], SIZE, axis=1))
