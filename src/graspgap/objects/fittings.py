"""Families of pipe fittings and of what is bent from rod. Long things lie along x."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from graspgap.objects import textures
from graspgap.objects.draft import STEEL, Draft, block, painted, steel
from graspgap.objects.hardware import finish
from graspgap.objects.model import Part
from graspgap.objects.parts import rod
from graspgap.objects.shapes import Shape, cylinder, joined, lathe, lying, moved, rounded_box, tube, turned


def _arc(radius: float, start: float, end: float, points: int, about: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """A path on a circle about (x, z) in the xz plane, between two angles from x towards z [degrees]."""
    angle = np.radians(np.linspace(start, end, points))
    return np.stack([about[0] + radius * np.cos(angle), np.zeros(points), about[1] + radius * np.sin(angle)], axis=1)


def _collar(r: float, length: float) -> Shape:
    """The open end of a pipe, upwards from z = 0."""
    inside = r * 0.72
    return lathe([(0.0, 0.0), (r, 0.0), (r, length), (inside, length), (inside, length * 0.4), (0.0, length * 0.4)], 14)


def elbow(rng: np.random.Generator) -> Draft:
    """A bend of a right angle between two collars."""
    r, bow, end = rng.uniform(0.0085, 0.0105), rng.uniform(0.015, 0.019), rng.uniform(0.009, 0.012)
    wide = r * 1.25
    path = _arc(bow, 0, 90, 7)
    bend = tube(path, np.full((7, 2), r), 12)
    down = moved(turned(_collar(wide, end), "x", 180), (bow, 0, 0.002))
    side = moved(turned(_collar(wide, end), "y", -90), (0.002, 0, bow))
    surface, color = finish(rng, joined(bend, down, side))
    return Draft(
        (
            rod((bow, 0, 0.002), (bow, 0, 0.002 - end), wide, "cylinder"),
            rod((0.002, 0, bow), (0.002 - end, 0, bow), wide, "cylinder"),
            *(rod(path[i], path[i + 2], r * 0.97) for i in (0, 2, 4)),
        ),
        (surface,),
        rng.uniform(700, 2200),
        color,
    )


def tee(rng: np.random.Generator) -> Draft:
    """Three collars on a pipe with a branch."""
    r, half, end = rng.uniform(0.0085, 0.0105), rng.uniform(0.017, 0.022), rng.uniform(0.008, 0.01)
    wide, branch = r * 1.25, half * rng.uniform(0.85, 1.0)
    pipes = joined(lying(cylinder(r, -half, half, 14)), cylinder(r, 0.0, branch, 14))
    ends = [moved(turned(_collar(wide, end), "y", sign * 90), (sign * (half - 0.001), 0, 0)) for sign in (-1, 1)]
    ends.append(moved(_collar(wide, end), (0, 0, branch - 0.001)))
    surface, color = finish(rng, joined(pipes, *ends))
    reach = half - 0.001
    return Draft(
        (
            rod((-reach, 0, 0), (reach, 0, 0), r, "cylinder"),
            rod((0, 0, 0), (0, 0, branch), r, "cylinder"),
            *(rod((sign * reach, 0, 0), (sign * (reach + end), 0, 0), wide, "cylinder") for sign in (-1, 1)),
            rod((0, 0, branch - 0.001), (0, 0, branch - 0.001 + end), wide, "cylinder"),
        ),
        (surface,),
        rng.uniform(700, 2200),
        color,
    )


def coupling(rng: np.random.Generator) -> Draft:
    """A hexagon between two threaded or barbed ends."""
    r, half = rng.uniform(0.008, 0.0105), rng.uniform(0.006, 0.009)
    wide, left, right = r * rng.uniform(1.35, 1.6), rng.uniform(0.014, 0.024), rng.uniform(0.014, 0.024)
    hexagon = lathe([(0.0, -half), (wide, -half), (wide, half), (0.0, half)], 6)

    def end(length: float) -> Shape:
        profile = [(r * 0.9, half - 0.001)]
        for z in np.arange(half + 0.002, half + length - 0.004, 0.0045):
            profile += [(r, float(z)), (r * 0.82, float(z) + 0.0035)]
        return lathe([*profile, (r * 0.85, half + length), (r * 0.6, half + length), (0.0, half + length - 0.004)], 11)

    surface, color = finish(rng, lying(joined(end(right), turned(end(left), "x", 180))))
    return Draft(
        (
            rod((-half, 0, 0), (half, 0, 0), wide * 0.95, "cylinder"),
            rod((half, 0, 0), (half + right, 0, 0), r * 0.95, "cylinder"),
            rod((-half - left, 0, 0), (-half, 0, 0), r * 0.95, "cylinder"),
        ),
        (surface, steel(lying(hexagon), 0.25, color if max(color) > 0.3 else STEEL, smooth=False)),
        rng.uniform(1200, 3500),
        color,
        0.85,
    )


def valve(rng: np.random.Generator) -> Draft:
    """A ball valve: a body between two collars, a lever on a stem."""
    r, half, end = rng.uniform(0.0105, 0.0125), rng.uniform(0.013, 0.017), rng.uniform(0.008, 0.011)
    wide, stem = r * 1.15, r + rng.uniform(0.008, 0.011)
    long = rng.uniform(0.032, 0.042)
    body = joined(
        lying(lathe([(0.0, -half), (r * 0.85, -half), (r * 1.1, 0.0), (r * 0.85, half), (0.0, half)], 14)),
        *(moved(turned(_collar(wide, end), "y", sign * 90), (sign * (half - 0.001), 0, 0)) for sign in (-1, 1)),
        cylinder(0.005, 0.0, stem, 10),
    )
    lever = moved(rounded_box((long, 0.011, 0.006), 0.002), (long / 2 - 0.008, 0, stem))
    color = textures.vivid(rng)
    surface, _ = finish(rng, body)
    return Draft(
        (
            rod((-half, 0, 0), (half, 0, 0), r, "cylinder"),
            *(rod((sign * half, 0, 0), (sign * (half + end - 0.001), 0, 0), wide, "cylinder") for sign in (-1, 1)),
            rod((0, 0, 0), (0, 0, stem), 0.005, "cylinder"),
            block((long, 0.011, 0.006), (long / 2 - 0.008, 0.0, stem)),
        ),
        (surface, painted(lever, color, 0.4)),
        rng.uniform(1200, 3000),
        color,
    )


def handle(rng: np.random.Generator) -> Draft:
    """A bow handle for a drawer, bent from rod."""
    r, length, high = rng.uniform(0.0065, 0.008), rng.uniform(0.07, 0.1), rng.uniform(0.026, 0.034)
    bend, half = rng.uniform(0.010, 0.014), length / 2
    right = _arc(bend, 0, 90, 5, (half - bend, high - bend))
    left = _arc(bend, 90, 180, 5, (bend - half, high - bend))
    path = np.concatenate([[(half, 0, 0), (half, 0, 0.004)], right, left, [(-half, 0, 0.004), (-half, 0, 0)]])
    surface, color = finish(rng, tube(path, np.full((len(path), 2), r), 10))
    corner = 0.29 * bend
    knees = [(sign * (half - corner), 0, high - corner) for sign in (-1, 1)]
    return Draft(
        (
            *(rod((sign * half, 0, r), (sign * half, 0, high - bend), r * 0.98) for sign in (-1, 1)),
            rod((bend - half, 0, high), (half - bend, 0, high), r * 0.98),
            *(Part("sphere", (float(r * 0.98),), (float(x), 0.0, float(z))) for x, _, z in knees),
        ),
        (surface,),
        rng.uniform(1200, 3000),
        color,
        0.9,
    )


def eye_bolt(rng: np.random.Generator) -> Draft:
    """A ring on a threaded stud along x."""
    r, bow, length = rng.uniform(0.0062, 0.0072), rng.uniform(0.013, 0.017), rng.uniform(0.028, 0.042)
    path = _arc(bow, 0, 360, 15, (-bow, 0.0))
    ring = tube(path, np.full((15, 2), r), 9)
    thread = [(0.0, -0.003), (r * 0.9, -0.003)]
    for z in np.arange(0.006, length - 0.003, 0.0038):
        thread += [(r * 0.95, float(z)), (r * 0.8, float(z) + 0.0022)]
    stud = lying(lathe([*thread, (r * 0.8, length), (0.0, length)], 10))
    surface, color = finish(rng, joined(ring, stud))
    corners = [path[i] for i in (0, 3, 6, 8, 11, 14)]
    return Draft(
        (
            *(rod(a, b, r * 0.97) for a, b in pairwise(corners)),
            rod((0, 0, 0), (length, 0, 0), r * 0.93, "cylinder"),
        ),
        (surface,),
        rng.uniform(1500, 3500),
        color,
        0.85,
    )
