"""Families of fruit, toys and packets. Long things lie along x."""

from __future__ import annotations

import numpy as np

from graspgap.objects import textures
from graspgap.objects.draft import Draft, block, painted, printed
from graspgap.objects.model import Part
from graspgap.objects.parts import rod
from graspgap.objects.shapes import Shape, arc, cylinder, joined, lathe, lying, moved, rounded_box, scaled, tube, turned

STALK = (0.32, 0.22, 0.1)


def _stalk(base: float, length: float) -> Shape:
    """A short bent stem upwards from z = base."""
    t = np.linspace(0, 1, 4)
    path = np.stack([0.25 * length * t**2, np.zeros(4), base + length * t], axis=1)
    return tube(path, np.stack([0.0013 + 0.0004 * t] * 2, axis=1), 6)


def carton(rng: np.random.Generator) -> Draft:
    """A printed packet of tea, medicine or sweets."""
    size = (rng.uniform(0.06, 0.13), rng.uniform(0.035, 0.06), rng.uniform(0.018, 0.045))
    picture = textures.box_faces(rng)
    color = tuple(float(c) / 255 for c in picture[2, 2])
    surface = printed(rounded_box(size, 0.0015, atlas=True), picture, rng.uniform(0.3, 0.7))
    return Draft((block(size),), (surface,), rng.uniform(150, 500), (color[0], color[1], color[2]))


def soap(rng: np.random.Generator) -> Draft:
    """A smooth bar with a word pressed into it."""
    size = (rng.uniform(0.06, 0.085), rng.uniform(0.04, 0.055), rng.uniform(0.02, 0.03))
    color = textures.pale(rng)
    picture = textures.plain(color)
    shade = (color[0] * 0.78, color[1] * 0.78, color[2] * 0.78)
    textures.words(rng, picture, 26, 34, 76, 26, shade)
    surface = printed(rounded_box(size, size[2] * 0.42, 3), picture, 0.3)
    return Draft((block(size),), (surface,), rng.uniform(900, 1100), color, 0.7)


def sponge(rng: np.random.Generator) -> Draft:
    """Foam with a scouring pad under it."""
    x, y, z, pad = rng.uniform(0.07, 0.1), rng.uniform(0.045, 0.062), rng.uniform(0.02, 0.03), 0.008
    foam = textures.vivid(rng)
    dark = (foam[0] * 0.7, foam[1] * 0.7, foam[2] * 0.7)
    surfaces = (
        printed(rounded_box((x, y, z), 0.004), textures.speckles(rng, foam, dark, 0.12), 0.9),
        painted(moved(rounded_box((x, y, pad), 0.001), (0, 0, -(z + pad) / 2)), (0.1, 0.35, 0.18), 0.95),
    )
    part = block((x, y, z + pad), (0.0, 0.0, -pad / 2))
    return Draft((part,), surfaces, rng.uniform(120, 250), foam, 1.1)


def ball(rng: np.random.Generator) -> Draft:
    """A toy ball: panels, rings or dots."""
    r = rng.uniform(0.0205, 0.032)
    first, second = textures.vivid(rng), textures.either(rng)
    pictures = (
        lambda: textures.flutes(first, second, int(rng.integers(3, 6))),
        lambda: textures.stripes(rng),
        lambda: textures.dots(rng, first, second),
        lambda: textures.speckles(rng, first, second, 0.15),
    )
    surface = printed(lathe(arc(r, r, points=11)), pictures[int(rng.integers(4))](), rng.uniform(0.15, 0.7))
    return Draft((Part("sphere", (float(r),)),), (surface,), rng.uniform(150, 700), first, 1.1)


def brick(rng: np.random.Generator) -> Draft:
    """A large toy brick, studs on top."""
    count = int(rng.integers(2, 5))
    pitch = rng.uniform(0.0205, 0.024) if count == 2 else rng.uniform(0.016, 0.02)
    x, y, z, stud = pitch * count, 2 * pitch, pitch * rng.uniform(0.9, 1.3), 0.0045
    color = textures.vivid(rng)
    studs = [
        moved(
            cylinder(pitch * 0.31, z / 2 - 0.001, z / 2 + stud, 10, 0.0007), ((i - (count - 1) / 2) * pitch, j * y, 0)
        )
        for i in range(count)
        for j in (-0.25, 0.25)
    ]
    return Draft(
        (block((x, y, z)), block((x - 0.38 * pitch, y - 0.38 * pitch, stud), (0.0, 0.0, float(z + stud) / 2))),
        (painted(joined(rounded_box((x, y, z), 0.0008), *studs), color, 0.12),),
        rng.uniform(400, 700),
        color,
    )


def apple(rng: np.random.Generator) -> Draft:
    """An apple: dimples at both ends, a stem."""
    r = rng.uniform(0.026, 0.032)
    half = r * rng.uniform(0.9, 1.02)
    profile = []
    for radius, z in arc(r, half, points=15):
        dent = 0.3 * np.exp(-((radius / (0.4 * r)) ** 2))
        profile.append((radius * (1 + 0.07 * z / half), z * (1 - dent)))
    colors = [(0.75, 0.08, 0.1), (0.55, 0.72, 0.15), (0.85, 0.62, 0.15), (0.6, 0.03, 0.08)]
    first, second = (colors[i] for i in rng.choice(4, 2, replace=False))
    return Draft(
        (Part("ellipsoid", (float(r) * 1.01, float(r) * 1.01, float(half) * 0.93)),),
        (
            printed(lathe(profile), textures.skin(rng, first, second, (0.5, 0.45, 0.15)), 0.22),
            painted(_stalk(half * 0.65, half * 0.4), STALK, 0.8),
        ),
        rng.uniform(750, 900),
        first,
    )


def lemon(rng: np.random.Generator) -> Draft:
    """A lemon or lime along x, with a nib at both ends."""
    r = rng.uniform(0.021, 0.027)
    half = r * rng.uniform(1.15, 1.4)
    nib = 0.004
    body = arc(r, half, -78, 78, 11)
    profile = [(0.0, -half - nib), (0.003, -half - nib * 0.8), *body, (0.003, half + nib * 0.8), (0.0, half + nib)]
    color, other = (
        ((0.95, 0.82, 0.1), (0.9, 0.68, 0.08)) if rng.uniform() < 0.65 else ((0.4, 0.6, 0.1), (0.55, 0.7, 0.15))
    )
    part = Part("ellipsoid", (float(half + nib / 2), float(r), float(r)))
    picture = textures.skin(rng, color, other, (0.6, 0.55, 0.15))
    return Draft((part,), (printed(lying(lathe(profile)), picture, 0.4),), rng.uniform(800, 950), color)


def banana(rng: np.random.Generator) -> Draft:
    """A bent tube, dark at both tips."""
    r, bow, reach = rng.uniform(0.0135, 0.017), rng.uniform(0.06, 0.085), rng.uniform(0.75, 0.95)
    angle = np.linspace(-reach, reach, 11)
    path = np.stack([bow * np.sin(angle), np.zeros(11), bow * (1 - np.cos(angle))], axis=1)
    radii = r * np.array([0.3, 0.55, 0.82, 0.95, 1, 1, 1, 0.95, 0.8, 0.4, 0.24])
    knots = [path[1], path[3], path[5], path[7], path[9]]
    widths = [0.8, 0.99, 0.99, 0.8]
    parts = [rod(a, b, r * w) for a, b, w in zip(knots[:-1], knots[1:], widths, strict=True)]
    color = [(0.93, 0.78, 0.15), (0.72, 0.75, 0.2), (0.9, 0.7, 0.2)][int(rng.integers(3))]
    picture = textures.skin(rng, color, (0.85, 0.68, 0.12), (0.22, 0.16, 0.08))
    surface = printed(tube(path, np.stack([radii, radii], axis=1), 9), picture, 0.45)
    return Draft(tuple(parts), (surface,), rng.uniform(750, 900), color)


def pear(rng: np.random.Generator) -> Draft:
    """A pear: a wide bottom, a slim top, a stem."""
    r = rng.uniform(0.024, 0.0305)
    slim, rise = r * rng.uniform(0.5, 0.6), r * rng.uniform(1.1, 1.35)
    low = arc(r, r * 0.95, -90, 20, 8)
    high = [(a, z + rise) for a, z in arc(slim, slim * 1.1, 10, 90, 6)]
    color, blush = [((0.72, 0.75, 0.2), (0.8, 0.55, 0.2)), ((0.6, 0.65, 0.15), (0.7, 0.68, 0.25))][int(rng.integers(2))]
    return Draft(
        (
            Part("ellipsoid", (float(r), float(r), float(r) * 0.95)),
            rod((0, 0, r * 0.45), (0, 0, rise), slim * 1.06),
        ),
        (
            printed(lathe([*low, *high]), textures.skin(rng, color, blush, (0.45, 0.4, 0.15)), 0.35),
            painted(_stalk(rise + slim, 0.004), STALK, 0.8),
        ),
        rng.uniform(800, 950),
        color,
    )


def duck(rng: np.random.Generator) -> Draft:
    """A bath duck: body, head, beak, tail."""
    s = rng.uniform(0.85, 1.1)
    yellow = (0.97, 0.8, 0.1) if rng.uniform() < 0.6 else textures.vivid(rng)
    body = scaled(lathe(arc(1, 1)), (0.034 * s, 0.025 * s, 0.02 * s))
    tail = moved(
        turned(lathe([(0.0, 0.0), (0.012 * s, 0.0), (0.006 * s, 0.014 * s), (0.0, 0.02 * s)], 8), "y", -40),
        (-0.023 * s, 0, 0.006 * s),
    )
    head_at = (0.018 * s, 0.0, 0.028 * s)
    head = moved(lathe(arc(0.0165 * s, 0.0165 * s)), head_at)
    beak = moved(
        lying(scaled(lathe([(0.0075 * s, 0.0), (0.006 * s, 0.007 * s), (0.0, 0.011 * s)], 10), (0.5, 1, 1))),
        (0.032 * s, 0, 0.027 * s),
    )
    eyes = [
        moved(lathe(arc(0.0028 * s, 0.0028 * s, points=5), 8), (0.03 * s, i * 0.008 * s, 0.034 * s)) for i in (-1, 1)
    ]
    return Draft(
        (
            Part("ellipsoid", (0.034 * s, 0.025 * s, 0.02 * s)),
            Part("sphere", (0.0165 * s,), head_at),
            rod((0.03 * s, 0, 0.027 * s), (0.037 * s, 0, 0.027 * s), 0.005 * s),
            rod((-0.025 * s, 0, 0.008 * s), (-0.032 * s, 0, 0.017 * s), 0.006 * s),
        ),
        (
            painted(joined(body, tail, head), yellow, 0.3),
            painted(beak, (0.9, 0.35, 0.05), 0.3),
            painted(joined(*eyes), textures.INK, 0.1),
        ),
        rng.uniform(300, 600),
        yellow,
    )


def remote_control(rng: np.random.Generator) -> Draft:
    """A slab with keys."""
    size = (rng.uniform(0.1, 0.155), rng.uniform(0.036, 0.048), rng.uniform(0.017, 0.024))
    color = (0.1, 0.1, 0.12) if rng.uniform() < 0.6 else textures.pale(rng)
    surface = printed(rounded_box(size, 0.005, 2, atlas=True), textures.buttons(rng, color), 0.35)
    return Draft((block(size),), (surface,), rng.uniform(600, 1000), color)
