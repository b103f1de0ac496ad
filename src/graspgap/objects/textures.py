"""Procedural pictures for surfaces: labels, printed faces, fruit skins, wood; uint8 RGB (sRGB), made by a generator.

Their top is v = 1. On a lathe u runs around the object and v up its profile.
"""

from __future__ import annotations

import colorsys
import string

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from graspgap.seeding import generator

Color = tuple[float, float, float]
"""sRGB in [0, 1], as a screen shows it."""
Texture = UInt8[np.ndarray, "h w 3"]

WIDTH, HEIGHT = 128, 96
CELL = (42, 64)
"""Width and height of a face in the picture of a box."""
INK = (0.06, 0.06, 0.08)
PAPER = (0.96, 0.95, 0.92)


def vivid(rng: np.random.Generator) -> Color:
    """A saturated colour, as packaging has."""
    return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.6, 0.95), rng.uniform(0.45, 0.95))


def pale(rng: np.random.Generator) -> Color:
    """A light, quiet colour, as ceramics and soap have."""
    return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.02, 0.3), rng.uniform(0.8, 0.97))


def either(rng: np.random.Generator) -> Color:
    """A vivid, pale or dark colour."""
    pick = rng.uniform()
    dark = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0, 0.6), rng.uniform(0.08, 0.25))
    return vivid(rng) if pick < 0.6 else pale(rng) if pick < 0.85 else dark


def linear(color: Color) -> Color:
    """An sRGB colour as linear RGB."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)
    return r, g, b


def against(color: Color) -> Color:
    """Ink that is readable on `color`."""
    return INK if 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2] > 0.45 else PAPER


def plain(color: Color, width: int = WIDTH, height: int = HEIGHT) -> Texture:
    """One colour all over."""
    return np.tile(_bytes(np.array(color)), (height, width, 1))


def label(rng: np.random.Generator, ground: Color, low: float, high: float, floor: Color | None = None) -> Texture:
    """A label around a body of colour `ground`, from v = low to high: brand, logo, small print, barcode. Below
    v = low - 0.02 the body may have another colour, `floor`."""
    picture = plain(ground)
    top, bottom = round((1 - high) * HEIGHT), round((1 - low) * HEIGHT)
    if floor is not None:
        picture[bottom + 2 :] = _bytes(np.array(floor))
    if rng.uniform() < 0.85:
        print_on(rng, picture[top:bottom], either(rng), repeats=2)
    else:
        picture[top:bottom] = stripes(rng, bottom - top)
    return picture


def box_faces(rng: np.random.Generator) -> Texture:
    """The six faces of a packet, in the cells of a box's atlas: large faces in full print, narrow ones plainer."""
    ground = either(rng)
    width, height = CELL
    picture = plain(ground, 3 * width, 2 * height)
    style = int(rng.integers(2**31))
    for axis in range(3):
        for row in range(2):
            face = picture[row * height : (row + 1) * height, axis * width : (axis + 1) * width]
            if axis == 2 or (axis == 1 and row):
                print_on(generator(style, "face"), face, ground)
            elif axis == 1:
                _small_print(rng, face, 4, width - 4, 8, height - 26, against(ground))
                _barcode(rng, face, 8, height - 22, width - 16, 16)
            else:
                words(rng, face, 3, height // 3, width - 6, height // 3, against(ground))
    return picture


def print_on(rng: np.random.Generator, face: Texture, ground: Color, repeats: int = 1) -> None:
    """Print brand, logo, small print and a barcode on part of a picture, in place, `repeats` times side by side."""
    height, width = face.shape[:2]
    face[:] = _bytes(np.array(ground))
    second, third = vivid(rng), vivid(rng)
    edge = max(1, height // 16)
    kind = rng.integers(4)
    if kind == 0:
        face[:edge], face[-edge:] = _bytes(np.array(second)), _bytes(np.array(second))
    elif kind == 1:
        face[height // 2 :] = _bytes(np.array(second))
    elif kind == 2:
        points = np.array([[0, height], [width, height], [width, int(height * rng.uniform(0.3, 0.9))]])
        cv2.fillPoly(face, [points.astype(np.int32)], _ints(second))
    seed, span = int(rng.integers(2**31)), width // repeats
    for repeat in range(repeats):
        same, left = generator(seed, "print"), repeat * span
        centre = (left + int(span * same.uniform(0.2, 0.4)), int(height * same.uniform(0.5, 0.75)))
        _logo(same, face, centre, int(min(height * 0.28, span * 0.22)), third)
        words(same, face, left + 2, height // 12, int(span * 0.8), int(height * 0.32), against(ground))
        _small_print(
            same,
            face,
            left + int(span * 0.55),
            left + int(span * 0.9),
            int(height * 0.5),
            int(height * 0.9),
            against(ground),
        )
    if repeats > 1:
        _barcode(rng, face, width - span // 4, height // 4, span // 5, height // 2)


def stripes(rng: np.random.Generator, height: int = HEIGHT) -> Texture:
    """Rings of two or three colours."""
    colors = np.array([either(rng), pale(rng), vivid(rng)])
    bands = np.sort(rng.integers(0, height, int(rng.integers(2, 8))))
    index = np.searchsorted(bands, np.arange(height)) % len(colors)
    return _bytes(np.repeat(colors[index][:, None], WIDTH, axis=1))


def flutes(first: Color, second: Color, count: int) -> Texture:
    """Stripes along the body."""
    picture = plain(first)
    picture[:, (np.arange(WIDTH) * count * 2 // WIDTH) % 2 == 1] = _bytes(np.array(second))
    return picture


def dots(rng: np.random.Generator, ground: Color, color: Color) -> Texture:
    """Rows of dots, or squares, around a body."""
    picture = plain(ground)
    step = int(rng.integers(12, 22))
    radius = int(rng.integers(2, step // 2 - 1))
    for row, y in enumerate(range(0, HEIGHT, step)):
        for x in range((row % 2) * step // 2, WIDTH, step):
            cv2.circle(picture, (x, y), radius, _ints(color), -1)
    return picture


def speckles(rng: np.random.Generator, color: Color, other: Color, amount: float) -> Texture:
    """Grains of another colour: foam, stone, glazed clay."""
    picture = plain(color).astype(np.float64) / 255 * (1 + 0.06 * noise(rng, 8)[..., None])
    mask = rng.uniform(size=(HEIGHT // 2, WIDTH // 2)) < amount
    picture[np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)] = other
    return _bytes(picture)


def skin(rng: np.random.Generator, color: Color, blush: Color, tips: Color | None = None) -> Texture:
    """A fruit's skin: a blush over one side, fine dots, and other colours towards the ends (`tips`)."""
    around = 0.5 + 0.5 * np.cos(np.linspace(0, 2 * np.pi, WIDTH) + rng.uniform(0, 6))[None, :]
    amount = np.clip(around * rng.uniform(0.6, 1.2) + 0.35 * noise(rng, 5), 0, 1)[..., None]
    picture = (1 - amount) * np.array(color) + amount * np.array(blush)
    picture[rng.uniform(size=(HEIGHT, WIDTH)) < 0.02] *= 0.8
    if tips is not None:
        end = np.abs(np.linspace(-1, 1, HEIGHT)) ** 8
        picture += end[:, None, None] * (np.array(tips) - picture)
    return _bytes(picture)


def wood(rng: np.random.Generator) -> Texture:
    """Grain along v."""
    columns = np.linspace(0, rng.uniform(5, 10), WIDTH)[None, :]
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * (columns + 0.5 * noise(rng, 3)))
    tone = rng.uniform(0.75, 1.1)
    dark, light = tone * np.array([0.50, 0.31, 0.16]), tone * np.array([0.80, 0.60, 0.37])
    return _bytes(dark + grain[..., None] * (light - dark))


def buttons(rng: np.random.Generator, ground: Color) -> Texture:
    """A remote control's six faces: keys on the upper one."""
    width, height = CELL
    picture = plain(ground, 3 * width, 2 * height)
    face = picture[:height, 2 * width :]
    keys = [vivid(rng), (0.75, 0.75, 0.75), (0.75, 0.75, 0.75), (0.4, 0.4, 0.45)]
    for x in range(4, width - 4, 5):
        for y in range(8, height - 12, 16):
            face[y : y + 9, x : x + 3] = _bytes(np.array(keys[int(rng.integers(4))]))
    cv2.ellipse(face, (width - 8, height // 2), (4, 13), 0, 0, 360, (185, 185, 190), -1)
    face[4:14, 1:4] = (200, 30, 30)
    return picture


def noise(rng: np.random.Generator, cells: int) -> Float[np.ndarray, "h w"]:
    """Smooth noise in about [-1, 1] with `cells` bumps along each side, the same at both ends of u."""
    coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    ring = np.concatenate([coarse[:, -2:], coarse, coarse[:, :2]], axis=1)
    step = WIDTH // cells
    fine = cv2.resize(ring, (step * (cells + 4), HEIGHT), interpolation=cv2.INTER_CUBIC)[:, 2 * step : -2 * step]
    return cv2.resize(fine, (WIDTH, HEIGHT)).astype(np.float64)


def _bytes(picture: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _ints(color: Color) -> tuple[int, int, int]:
    r, g, b = (round(255 * c) for c in color)
    return r, g, b


def words(rng: np.random.Generator, face: Texture, x: int, y: int, width: int, height: int, color: Color) -> None:
    """A made-up brand, as large as the place allows."""
    word = "".join(rng.choice(list(string.ascii_uppercase), int(rng.integers(3, 7))))
    (wide, high), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 2)
    scale = min(width / wide, height / high)
    cv2.putText(face, word, (x, y + int(high * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale, _ints(color), 2, cv2.LINE_AA)


def _small_print(
    rng: np.random.Generator, face: Texture, left: int, right: int, top: int, bottom: int, color: Color
) -> None:
    """Lines of words too small to read."""
    for y in range(top, bottom - 1, 4):
        x = left
        while x < right - 2:
            wide = int(rng.integers(2, 8))
            face[y : y + 2, x : min(x + wide, right)] = _bytes(np.array(color))
            x += wide + 2


def _barcode(rng: np.random.Generator, face: Texture, x: int, y: int, width: int, height: int) -> None:
    """Black bars on white."""
    place = face[y : y + height, x : x + width]
    bars = 255 * np.asarray(rng.integers(0, 2, place.shape[1], dtype=np.uint8))
    bars[[0, -1]] = 255
    place[:] = bars[None, :, None]


def _logo(rng: np.random.Generator, face: Texture, centre: tuple[int, int], size: int, color: Color) -> None:
    """A disc, ring, diamond or star."""
    kind = rng.integers(4)
    if kind < 2:
        cv2.circle(face, centre, size, _ints(color), -1 if kind else max(2, size // 3))
        return
    corners = 4 if kind == 2 else 10
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    reach = size * (np.ones(corners) if kind == 2 else np.tile([1.0, 0.45], 5))
    points = np.array(centre) + reach[:, None] * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    cv2.fillPoly(face, [points.round().astype(np.int32)], _ints(color))
