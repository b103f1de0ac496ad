"""Families of hardware: nuts, gears, wheels, brackets. Discs lie about z. Nothing is thinner than fingers can reach."""

from __future__ import annotations

import numpy as np

from graspgap.objects import textures
from graspgap.objects.draft import BRASS, STEEL, Draft, block, painted, steel, upright
from graspgap.objects.model import Surface
from graspgap.objects.parts import rod
from graspgap.objects.shapes import Shape, cog, cylinder, joined, lathe, moved, rounded_box, turned
from graspgap.objects.textures import Color

ZINC: Color = (0.66, 0.69, 0.70)
OXIDE: Color = (0.12, 0.12, 0.13)
BLACK: Color = (0.07, 0.07, 0.08)


def finish(rng: np.random.Generator, shape: Shape, smooth: bool = True) -> tuple[Surface, Color]:
    """The shape in bright, brass, galvanised or black metal, or in painted or plain plastic."""
    pick = rng.uniform()
    if pick < 0.45:
        color, roughness = [(STEEL, 0.2), (BRASS, 0.25), (ZINC, 0.5)][int(rng.integers(3))]
        return steel(shape, roughness, color, smooth), color
    if pick < 0.6:
        return painted(shape, OXIDE, 0.45, 0.0, smooth), OXIDE
    color = textures.vivid(rng) if pick < 0.85 else textures.pale(rng)
    return painted(shape, color, rng.uniform(0.3, 0.8), 0.0, smooth), color


def nut(rng: np.random.Generator) -> Draft:
    """A large hexagonal nut."""
    wide, half = rng.uniform(0.018, 0.0245), rng.uniform(0.008, 0.0115)
    shape = cog([wide] * 6, half, wide * rng.uniform(0.45, 0.6))
    surface, color = finish(rng, shape, smooth=False)
    return Draft((upright(wide * 0.94, -half, half),), (surface,), rng.uniform(1500, 3500), color, 0.85)


def wing_nut(rng: np.random.Generator) -> Draft:
    """A nut with two wings."""
    r, half, reach = rng.uniform(0.011, 0.013), rng.uniform(0.008, 0.0105), rng.uniform(0.029, 0.036)
    rise = half + rng.uniform(0.006, 0.01)
    body = lathe([(r * 0.5, -half), (r, -half), (r * 0.85, half), (r * 0.5, half), (r * 0.5, -half)], 12)
    wing = rounded_box((reach - r * 0.7, 0.009, rise), 0.003)
    middle = (reach + r * 0.7) / 2
    wings = [moved(wing, (sign * middle, 0, rise / 2)) for sign in (-1, 1)]
    surface, color = finish(rng, joined(body, *wings))
    blocks = [block((reach - r * 0.7, 0.009, rise), (sign * middle, 0.0, rise / 2)) for sign in (-1, 1)]
    return Draft((upright(r * 0.95, -half, half), *blocks), (surface,), rng.uniform(1500, 3500), color, 0.85)


def gear(rng: np.random.Generator) -> Draft:
    """A spur gear with a hub."""
    r, half, teeth = rng.uniform(0.018, 0.0235), rng.uniform(0.0065, 0.009), int(rng.integers(10, 17))
    deep, hub = r * rng.uniform(0.1, 0.14), r * rng.uniform(0.42, 0.55)
    bore, rise = hub * 0.5, half + rng.uniform(0.003, 0.006)
    wheel = cog(np.tile([r, r, r - deep, r - deep], teeth).tolist(), half, bore)
    ring = lathe([(bore, half - 0.002), (hub, half - 0.002), (hub, rise), (bore, rise)], 14)
    surface, color = finish(rng, joined(wheel, ring), smooth=False)
    return Draft(
        (upright(r - deep * 0.4, -half, half), upright(hub, half, rise)), (surface,), rng.uniform(900, 2500), color
    )


def knob(rng: np.random.Generator) -> Draft:
    """A lobed grip on a threaded stud."""
    r, half, lobes = rng.uniform(0.019, 0.0245), rng.uniform(0.0075, 0.0105), int(rng.integers(3, 7))
    stud, length = rng.uniform(0.0045, 0.006), rng.uniform(0.018, 0.03)
    angle = np.linspace(0, 2 * np.pi, 8 * lobes, endpoint=False)
    grip = cog((r * (1 - 0.12 * (1 - np.cos(lobes * angle)))).tolist(), half)
    color = textures.either(rng) if rng.uniform() < 0.7 else BLACK
    thread = [(0.0, -half - length), (stud * 0.8, -half - length)]
    for z in np.arange(-half - length + 0.002, -half - 0.003, 0.003):
        thread += [(stud, float(z)), (stud * 0.82, float(z) + 0.0018)]
    return Draft(
        (upright(r * 0.94, -half, half), upright(stud, -half - length, -half)),
        (painted(grip, color, 0.5, smooth=False), steel(lathe([*thread, (stud, -half)], 10), 0.25)),
        rng.uniform(700, 1300),
        color,
    )


def bearing(rng: np.random.Generator) -> Draft:
    """Two rings with a seal between them."""
    r, half = rng.uniform(0.018, 0.025), rng.uniform(0.0065, 0.0095)
    bore, seal = r * rng.uniform(0.4, 0.5), r * rng.uniform(0.1, 0.14)
    middle = (r + bore) / 2

    def ring(inside: float, outside: float, height: float) -> Shape:
        points = [(inside, -height), (outside, -height), (outside, height), (inside, height), (inside, -height)]
        return lathe(points, 18)

    rings = joined(ring(middle + seal, r, half), ring(bore, middle - seal, half))
    color = textures.vivid(rng) if rng.uniform() < 0.5 else BLACK
    return Draft(
        (upright(r, -half, half),),
        (steel(rings, 0.15), painted(ring(middle - seal, middle + seal, half - 0.0008), color, 0.7)),
        rng.uniform(1500, 3500),
        STEEL,
        0.8,
    )


def pulley(rng: np.random.Generator) -> Draft:
    """A grooved wheel with a bore."""
    r, half = rng.uniform(0.019, 0.025), rng.uniform(0.0075, 0.0105)
    bore, groove = r * rng.uniform(0.2, 0.35), r * rng.uniform(0.14, 0.2)
    profile = [(bore, -half), (r, -half), (r, -half * 0.7), (r - groove, -half * 0.15), (r - groove, half * 0.15)]
    profile += [(r, half * 0.7), (r, half), (bore, half), (bore, -half)]
    surface, color = finish(rng, lathe(profile, 20))
    discs = (
        upright(r, -half, -half * 0.4),
        upright(r - groove * 0.8, -half * 0.4, half * 0.4),
        upright(r, half * 0.4, half),
    )
    return Draft(discs, (surface,), rng.uniform(900, 2500), color)


def bracket(rng: np.random.Generator) -> Draft:
    """An angle of two plates with holes."""
    wide, thick = rng.uniform(0.018, 0.03), rng.uniform(0.005, 0.0075)
    long, high = rng.uniform(0.04, 0.06), rng.uniform(0.03, 0.044)
    foot, wall = (long, wide, thick), (thick, wide, high)
    at = (thick / 2, 0.0, high / 2)
    shape = joined(moved(rounded_box(foot, 0.001), (long / 2, 0, thick / 2)), moved(rounded_box(wall, 0.001), at))
    surface, color = finish(rng, shape, smooth=False)
    hole = cylinder(wide * 0.16, -0.0004, 0.0004, 10, 0.0001)
    holes = [moved(hole, (long * share, 0, thick + 0.0001)) for share in (0.45, 0.8)]
    holes.append(moved(turned(hole, "y", 90), (thick + 0.0001, 0, high * 0.65)))
    return Draft(
        (block(foot, (long / 2, 0.0, thick / 2)), block(wall, at)),
        (surface, painted(joined(*holes), BLACK, 0.9)),
        rng.uniform(1200, 2800),
        color,
        0.85,
    )


def caster(rng: np.random.Generator) -> Draft:
    """A wheel between the legs of a fork under a plate."""
    r, half, thick = rng.uniform(0.0135, 0.0165), rng.uniform(0.005, 0.007), 0.003
    wide, high = 2 * (half + thick + 0.001), r * 1.35
    plate = (2 * r * rng.uniform(0.95, 1.15), wide * 1.35, 0.005)
    leg = rounded_box((r * 1.1, thick, high), 0.001)
    legs = [moved(leg, (0, sign * (half + 0.001 + thick / 2), high / 2)) for sign in (-1, 1)]
    fork = joined(*legs, moved(rounded_box(plate, 0.001), (0, 0, high + 0.0025)))
    tyre = textures.vivid(rng) if rng.uniform() < 0.5 else BLACK
    hub = turned(joined(cylinder(r * 0.45, -half - 0.0006, half + 0.0006, 12)), "x", 90)
    metal = ZINC if rng.uniform() < 0.6 else BRASS
    return Draft(
        (
            rod((0, -half, 0), (0, half, 0), r, "cylinder"),
            block((r * 1.1, wide, high), (0.0, 0.0, high / 2)),
            block(plate, (0.0, 0.0, high + 0.0025)),
        ),
        (
            painted(turned(cylinder(r, -half, half, 18, 0.002), "x", 90), tyre, 0.8),
            painted(hub, textures.PAPER, 0.4),
            steel(fork, 0.35, metal, smooth=False),
        ),
        rng.uniform(1000, 2000),
        tyre,
    )


def clamp(rng: np.random.Generator) -> Draft:
    """A C of three bars with a screw through its end."""
    thick, wide = rng.uniform(0.008, 0.0105), rng.uniform(0.014, 0.019)
    deep, gap = rng.uniform(0.03, 0.038), rng.uniform(0.018, 0.025)
    span = gap + 2 * thick
    back, jaw = (thick, wide, span), (deep, wide, thick)
    places = [(0.0, 0.0, 0.0)] + [(deep / 2 - thick / 2, 0.0, sign * (span - thick) / 2) for sign in (-1, 1)]
    sizes = [back, jaw, jaw]
    frame = joined(*(moved(rounded_box(size, 0.0015), at) for size, at in zip(sizes, places, strict=True)))
    x, r = deep - thick * 1.1, thick * 0.42
    low, high = -gap * 0.1, span / 2 + rng.uniform(0.014, 0.022)
    screw = joined(
        cylinder(r, low, high, 10), cylinder(r * 1.9, high - 0.006, high, 10), cylinder(r * 1.7, low, low + 0.003, 10)
    )
    surface, color = finish(rng, frame, smooth=False)
    return Draft(
        (
            *(block(size, at) for size, at in zip(sizes, places, strict=True)),
            rod((x, 0, low), (x, 0, high), r * 1.3, "cylinder"),
        ),
        (surface, steel(moved(screw, (x, 0, 0)), 0.25)),
        rng.uniform(1200, 2500),
        color,
        0.85,
    )
