"""Families of tools and cutlery, along x. Toy-like proportions: nothing is thinner than the fingers can reach."""

from __future__ import annotations

import numpy as np

from graspgap.objects import textures
from graspgap.objects.draft import BRASS, STEEL, Draft, block, painted, printed, steel
from graspgap.objects.model import Part, Surface
from graspgap.objects.parts import rod
from graspgap.objects.shapes import Shape, arc, cylinder, joined, lathe, lying, moved, plate, rounded_box, tube, turned


def _straight(x: list[float], z: list[float] | None = None) -> np.ndarray:
    """A path along x."""
    return np.stack([np.array(x), np.zeros(len(x)), np.zeros(len(x)) if z is None else np.array(z)], axis=1)


def _finish(rng: np.random.Generator, shape: Shape) -> tuple[Surface, textures.Color]:
    """The shape in steel, wood or plastic."""
    pick = rng.uniform()
    if pick < 0.4:
        return steel(shape, 0.18), STEEL
    if pick < 0.7:
        return printed(shape, textures.wood(rng), 0.55), (0.7, 0.5, 0.3)
    color = textures.vivid(rng)
    return painted(shape, color, 0.25), color


def screwdriver(rng: np.random.Generator) -> Draft:
    """A fluted grip and a steel shaft, flat or cross-tipped."""
    r, grip, shaft = rng.uniform(0.011, 0.0155), rng.uniform(0.055, 0.08), rng.uniform(0.045, 0.075)
    thin = rng.uniform(0.003, 0.0042)
    outline = [(0.0, -grip), (r * 0.75, -grip), (r * 0.97, -grip + 0.006), (r, -grip * 0.7), (r * 0.95, -grip * 0.35)]
    outline += [(r * 0.7, -grip * 0.18), (r * 0.72, -0.006), (r * 0.55, 0.0), (0.0, 0.0)]
    first, second = textures.vivid(rng), textures.either(rng)
    tip = (1.5 * thin, 0.0008) if rng.uniform() < 0.5 else (0.0012, 0.0012)
    rods = tube(
        _straight([-0.002, shaft - 0.014, shaft - 0.006, shaft]),
        np.array([(thin, thin), (thin, thin), (max(thin, tip[0]), max(tip[1], thin * 0.5)), tip]),
        8,
    )
    return Draft(
        (
            rod((-grip, 0, 0), (-grip * 0.25, 0, 0), r, "cylinder"),
            rod((-grip * 0.25, 0, 0), (0, 0, 0), r * 0.75, "cylinder"),
            rod((0, 0, 0), (shaft, 0, 0), thin, "cylinder"),
        ),
        (printed(lying(lathe(outline, 14)), textures.flutes(first, second, 5), 0.2), steel(rods, 0.15)),
        rng.uniform(1000, 1600),
        first,
    )


def hammer(rng: np.random.Generator) -> Draft:
    """A wooden or rubber handle, a steel head with a round face and a wedge."""
    length, wide, thick = rng.uniform(0.1, 0.135), rng.uniform(0.0095, 0.0125), rng.uniform(0.0075, 0.0095)
    r, half = rng.uniform(0.0095, 0.0125), rng.uniform(0.025, 0.031)
    x = np.array([0, 0.006, 0.3 * length, 0.7 * length, length])
    swell = np.array([0.75, 1.05, 1.0, 0.75, 0.75])
    handle = tube(_straight(x.tolist()), np.stack([wide * swell, thick * swell], axis=1), 12)
    face = lathe([(0.0, -half), (r, -half), (r * 1.08, -half + 0.002), (r, -half * 0.6), (r * 0.8, -half * 0.35)], 14)
    middle = cylinder(r * 0.95, -half * 0.4, half * 0.4, 14)
    wedge = tube(_straight([half * 0.3, half * 0.6, half]), np.array([(r * 0.95, r * 0.9), (r, r * 0.6), (r, 0.0015)]))
    head = joined(turned(joined(face, middle), "x", -90), turned(wedge, "z", 90))
    grip = printed(handle, textures.wood(rng), 0.5)
    if rng.uniform() < 0.4:
        grip = printed(handle, textures.label(rng, textures.INK, 0.85, 1.0, textures.vivid(rng)), 0.6)
    return Draft(
        (
            rod((wide, 0, 0), (length, 0, 0), (wide + thick) / 2 * 0.95),
            rod((length, -half, 0), (length, half * 0.5, 0), r, "cylinder"),
            block((2 * r, half * 0.5, r), (length, half * 0.75, 0.0)),
        ),
        (grip, steel(moved(head, (length, 0, 0)), 0.3, (0.5, 0.5, 0.53))),
        rng.uniform(1500, 2500),
        (0.65, 0.45, 0.28),
    )


def wrench(rng: np.random.Generator) -> Draft:
    """A spanner: a bar with a ring at one end and a jaw at the other."""
    length, wide, thick = rng.uniform(0.07, 0.1), rng.uniform(0.014, 0.018), rng.uniform(0.015, 0.018)
    ring, jaw = rng.uniform(0.014, 0.018), rng.uniform(0.026, 0.034)
    bar = plate([(0, -wide / 2, wide / 2), (length, -wide / 2, wide / 2)], thick * 0.7)
    half = thick / 2
    eye = lathe([(ring * 0.55, -half), (ring, -half), (ring, half), (ring * 0.55, half), (ring * 0.55, -half)], 18)
    mouth = [plate([(length - 0.004, -wide * 0.6, wide * 0.6), (length + 0.008, -jaw / 2, jaw / 2)], thick)]
    for sign in (-1, 1):
        low, high = sorted((sign * jaw / 2, sign * jaw * 0.22))
        end_low, end_high = sorted((sign * jaw * 0.42, sign * jaw * 0.22))
        mouth.append(plate([(length + 0.007, low, high), (length + 0.024, end_low, end_high)], thick))
    color = (0.6, 0.6, 0.63) if rng.uniform() < 0.6 else BRASS
    shape = joined(bar, moved(eye, (-ring * 0.8, 0, 0)), *mouth)
    prongs = [block((0.017, jaw * 0.26, thick), (length + 0.0155, s * jaw * 0.35, 0.0)) for s in (-1, 1)]
    return Draft(
        (
            block((length, wide, thick * 0.7), (length / 2, 0.0, 0.0)),
            Part("cylinder", (ring, half), (-ring * 0.8, 0.0, 0.0)),
            block((0.012, jaw * 0.85, thick), (length + 0.002, 0.0, 0.0)),
            *prongs,
        ),
        (steel(shape, rng.uniform(0.15, 0.35), color, smooth=False),),
        rng.uniform(2500, 4000),
        color,
        0.75,
    )


def spoon(rng: np.random.Generator) -> Draft:
    """A thick-handled spoon of steel, wood or plastic."""
    length, wide, bowl = rng.uniform(0.075, 0.1), rng.uniform(0.0085, 0.01), rng.uniform(0.016, 0.021)
    long, neck = bowl * 1.35, 0.0065
    x = [0.0, 0.004, 0.35 * length, 0.8 * length, length]
    a = [0.8 * wide, wide, wide, neck, neck]
    b = [0.8 * wide, wide, wide, neck, 0.0045]
    cup, z = [0.0] * 5, [0.0] * 5
    for t in np.linspace(0.12, 1.0, 8):
        angle = np.pi * t
        x.append(length + long * (1 - np.cos(angle)))
        a.append(max(bowl * np.sin(angle), 0.002))
        b.append(0.0022)
        cup.append(0.009 * np.sin(angle))
        z.append(-0.007 * np.sin(angle))
    shape = tube(_straight(x, z), np.stack([a, b], axis=1), 12, np.array(cup))
    surface, color = _finish(rng, shape)
    return Draft(
        (
            rod((0.9 * wide, 0, 0), (length * 0.85, 0, 0), 0.97 * wide),
            rod((length * 0.85, 0, 0), (length, 0, 0), neck),
            Part("ellipsoid", (float(long), float(bowl), 0.0068), (float(length + long), 0.0, -0.003)),
        ),
        (surface,),
        rng.uniform(700, 1800),
        color,
    )


def fork(rng: np.random.Generator) -> Draft:
    """A thick-handled fork of steel, wood or plastic."""
    length, wide, head = rng.uniform(0.075, 0.1), rng.uniform(0.0085, 0.01), rng.uniform(0.013, 0.016)
    x = [0.0, 0.004, 0.35 * length, 0.8 * length, length + 0.004]
    handle = tube(
        _straight(x),
        np.array([(0.8 * wide, 0.8 * wide), (wide, wide), (wide, wide), (0.0065, 0.0065), (0.007, 0.0045)]),
        12,
    )
    thick = 0.009
    palm = plate([(length, -0.006, 0.006), (length + 0.008, -head, head), (length + 0.018, -head, head)], thick)
    tines = []
    for middle in np.linspace(-head + 0.0022, head - 0.0022, 4):
        tines.append(
            plate(
                [
                    (length + 0.017, middle - 0.0022, middle + 0.0022),
                    (length + 0.046, middle - 0.0012, middle + 0.0012),
                ],
                thick,
            )
        )
    surface, color = _finish(rng, joined(handle, palm, *tines))
    return Draft(
        (
            rod((0.9 * wide, 0, 0), (length * 0.85, 0, 0), 0.97 * wide),
            rod((length * 0.85, 0, 0), (length, 0, 0), 0.0065),
            block((0.042, 2 * head, thick), (float(length + 0.025), 0.0, 0.0)),
        ),
        (surface,),
        rng.uniform(700, 1800),
        color,
    )


def marker(rng: np.random.Generator) -> Draft:
    """A thick felt pen: printed barrel, coloured cap with a clip."""
    r, length = rng.uniform(0.0088, 0.0115), rng.uniform(0.1, 0.14)
    cap = length * rng.uniform(0.3, 0.4)
    ink = textures.vivid(rng)
    ground = textures.pale(rng) if rng.uniform() < 0.5 else ink
    barrel = [(0.0, 0.0), (r * 0.7, 0.0), (r * 0.9, 0.002), (r * 0.92, length - cap)]
    top = cylinder(r, length - cap, length, 12, 0.0025)
    clip = moved(rounded_box((0.003, 0.005, cap * 0.7), 0.001), (r + 0.0012, 0, length - cap * 0.4))
    return Draft(
        (
            rod((0, 0, 0), (length - cap, 0, 0), r * 0.92, "cylinder"),
            rod((length - cap, 0, 0), (length, 0, 0), r, "cylinder"),
        ),
        (
            printed(lying(lathe(barrel, 12)), textures.label(rng, ground, 0.2, 0.9, ink), 0.25),
            painted(lying(joined(top, clip)), ink, 0.25),
        ),
        rng.uniform(600, 900),
        ink,
    )


def bolt(rng: np.random.Generator) -> Draft:
    """A large hexagonal bolt."""
    r, head, shaft = rng.uniform(0.008, 0.0105), rng.uniform(0.009, 0.013), rng.uniform(0.035, 0.06)
    wide = r * rng.uniform(1.65, 1.85)
    thread = [(r * 0.85, -0.001), (r * 0.85, shaft * 0.25)]
    for z in np.arange(shaft * 0.25, shaft - 0.004, 0.0042):
        thread += [(r, float(z) + 0.001), (r, float(z) + 0.0022), (r * 0.84, float(z) + 0.0036)]
    thread += [(r * 0.7, shaft), (0.0, shaft)]
    hexagon = [(0.0, -head), (wide * 0.93, -head), (wide, -head + 0.001), (wide, 0.0), (0.0, 0.0)]
    color = STEEL if rng.uniform() < 0.7 else BRASS
    return Draft(
        (rod((-head, 0, 0), (0, 0, 0), wide * 0.95, "cylinder"), rod((0, 0, 0), (shaft, 0, 0), r * 0.97, "cylinder")),
        (
            steel(lying(lathe(thread, 11)), 0.25, color),
            steel(lying(lathe(hexagon, 6)), 0.25, color, smooth=False),
        ),
        rng.uniform(2500, 5000),
        color,
        0.8,
    )


def battery(rng: np.random.Generator) -> Draft:
    """A battery cell: printed jacket, metal ends."""
    r, length = rng.uniform(0.0085, 0.0165), rng.uniform(0.045, 0.062)
    jacket, band = textures.either(rng), BRASS if rng.uniform() < 0.5 else textures.vivid(rng)
    ends = joined(cylinder(r * 0.96, -0.0005, 0.001), cylinder(r * 0.96, length - 0.001, length + 0.0005))
    nub = cylinder(r * 0.35, length, length + 0.0025, 10, 0.0006)
    picture = textures.label(rng, band, 0.05, 0.68, jacket)
    picture[-8:] = np.round(255 * np.array(jacket)).astype(np.uint8)
    return Draft(
        (
            rod((0, 0, 0), (length, 0, 0), r, "cylinder"),
            rod((length, 0, 0), (length + 0.0025, 0, 0), r * 0.35, "cylinder"),
        ),
        (printed(lying(lathe([(r, 0.0), (r, length)])), picture, 0.25), steel(lying(joined(ends, nub)), 0.25)),
        rng.uniform(2000, 3000),
        jacket,
        0.8,
    )


def torch(rng: np.random.Generator) -> Draft:
    """A pocket lamp: grip, flaring head, bright glass."""
    r, length, head = rng.uniform(0.009, 0.0125), rng.uniform(0.06, 0.09), rng.uniform(0.022, 0.032)
    wide = r * rng.uniform(1.45, 1.75)
    body = [(0.0, 0.0), (r * 0.9, 0.0), (r, 0.002), (r, length)]
    cone = [(r, length), (wide, length + head * 0.5), (wide, length + head), (wide * 0.85, length + head)]
    glass = [
        (wide * 0.88, length + head - 0.002),
        *[(a, z + length + head - 0.002) for a, z in arc(wide * 0.86, 0.002, 20, 90, 3)],
    ]
    color = textures.either(rng)
    black = (color[0] * 0.5, color[1] * 0.5, color[2] * 0.5)
    button = moved(rounded_box((0.004, 0.008, 0.014), 0.0015), (r, 0, length * 0.8))
    return Draft(
        (
            rod((0, 0, 0), (length, 0, 0), r, "cylinder"),
            rod((length, 0, 0), (length + head * 0.4, 0, 0), (r + wide) / 2, "cylinder"),
            rod((length + head * 0.4, 0, 0), (length + head, 0, 0), wide, "cylinder"),
        ),
        (
            printed(lying(lathe(body, 14)), textures.dots(rng, color, black), 0.35),
            painted(lying(joined(lathe(cone), button)), color, 0.3, float(rng.uniform() < 0.5)),
            painted(lying(lathe(glass, 14)), (0.95, 0.95, 0.85), 0.06),
        ),
        rng.uniform(900, 1600),
        color,
    )
