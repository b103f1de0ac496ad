"""Families of containers, upright along z. Hollow ones collide as if they were full."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from graspgap.objects import textures
from graspgap.objects.draft import BRASS, STEEL, Draft, block, painted, printed, stacked, steel, upright
from graspgap.objects.model import Part
from graspgap.objects.parts import rod
from graspgap.objects.shapes import arc, cylinder, joined, lathe, lying, moved, rounded_box, share, tube


def bottle(rng: np.random.Generator) -> Draft:
    """Body, shoulder, neck and cap."""
    r, body, rise = rng.uniform(0.019, 0.031), rng.uniform(0.055, 0.09), rng.uniform(0.012, 0.03)
    neck, cap = r * rng.uniform(0.36, 0.5), rng.uniform(0.012, 0.02)
    shoulder = [(neck + (r - neck) * np.cos(t), body + rise * np.sin(t)) for t in np.linspace(0, np.pi / 2, 5)]
    top = body + rise + 0.005 + cap
    profile = [(0.0, 0.0), (r * 0.9, 0.0), (r, 0.004), *shoulder, (neck, body + rise + 0.005)]
    ground, lid = textures.either(rng), textures.either(rng)
    picture = textures.label(rng, ground, share(profile, 2) + 0.06, share(profile, 3) - 0.04)
    return Draft(
        (
            upright(r, 0, body),
            Part("ellipsoid", (r, r, rise), (0.0, 0.0, body)),
            upright(neck * 1.15, body, top),
        ),
        (
            printed(lathe(profile), picture, rng.uniform(0.1, 0.35)),
            painted(cylinder(neck * 1.2, top - cap, top, 14), lid, 0.35),
        ),
        rng.uniform(350, 900),
        ground,
    )


def flask(rng: np.random.Generator) -> Draft:
    """Shampoo or cleaner: a flat body with a screw cap."""
    size = (rng.uniform(0.042, 0.062), rng.uniform(0.026, 0.038), rng.uniform(0.065, 0.1))
    r, cap = size[1] * rng.uniform(0.28, 0.42), rng.uniform(0.014, 0.026)
    top = size[2] / 2 + cap
    color = textures.either(rng)
    return Draft(
        (block(size), upright(r, size[2] / 2, top)),
        (
            printed(rounded_box(size, 0.009, 2, atlas=True), textures.box_faces(rng), 0.2),
            painted(cylinder(r, size[2] / 2 - 0.003, top, 14), color, 0.3),
        ),
        rng.uniform(400, 900),
        color,
    )


def can(rng: np.random.Generator) -> Draft:
    """A drink can or a tin: printed side, metal lids."""
    r, h = rng.uniform(0.022, 0.032), rng.uniform(0.05, 0.1)
    taper = r * rng.choice([0.84, 0.99])
    side = [(r, 0.005), (r, h - 0.005)]
    low = [(0.0, 0.003), (taper * 0.9, 0.003), (taper * 0.92, 0.0), (taper, 0.0), (r, 0.005)]
    lids = joined(lathe(low), lathe([(a, h - z) for a, z in reversed(low)]))
    ground = textures.either(rng)
    picture = textures.label(rng, ground, 0.03, 0.97)
    return Draft(
        (upright(r, 0, h),),
        (printed(lathe(side), picture, 0.25), steel(lids, 0.25, BRASS if rng.uniform() < 0.2 else STEEL)),
        rng.uniform(400, 900),
        ground,
    )


def aerosol(rng: np.random.Generator) -> Draft:
    """A spray can: printed side, metal shoulder, plastic cap."""
    r, h, cap = rng.uniform(0.018, 0.028), rng.uniform(0.07, 0.1), rng.uniform(0.018, 0.03)
    dome = [(r, h), (r * 0.9, h + 0.006), (r * 0.7, h + 0.009)]
    ground, lid = textures.either(rng), textures.vivid(rng)
    rings = joined(lathe(dome), lathe([(0.0, 0.002), (r * 0.9, 0.0), (r * 1.02, 0.0), (r * 1.02, 0.003), (r, 0.003)]))
    wide = r * rng.uniform(0.72, 0.9)
    return Draft(
        (upright(r, 0, h), upright(wide, h, h + cap)),
        (
            printed(lathe([(r, 0.003), (r, h)]), textures.label(rng, ground, 0.02, 0.9), 0.25),
            steel(rings),
            painted(cylinder(wide, h + 0.004, h + cap, bevel=0.004), lid, 0.3),
        ),
        rng.uniform(500, 900),
        ground,
    )


def jar(rng: np.random.Generator) -> Draft:
    """Jam, spices or cream: a squat body, a wide lid."""
    r, h, lid = rng.uniform(0.022, 0.0315), rng.uniform(0.035, 0.06), rng.uniform(0.011, 0.018)
    profile = [(0.0, 0.0), (r * 0.9, 0.0), (r, 0.005), (r, h - 0.006), (r * 0.93, h - 0.001), (r * 0.85, h)]
    content = textures.either(rng)
    picture = textures.label(rng, content, share(profile, 2) + 0.04, share(profile, 3) - 0.03)
    metal = rng.uniform() < 0.5
    top = cylinder(r * 0.96, h, h + lid, 18, 0.002)
    return Draft(
        (upright(r, 0, h), upright(r * 0.96, h, h + lid)),
        (
            printed(lathe(profile), picture, 0.1),
            steel(top, 0.3, BRASS if rng.uniform() < 0.5 else STEEL) if metal else painted(top, textures.vivid(rng)),
        ),
        rng.uniform(500, 1100),
        content,
    )


def mug(rng: np.random.Generator) -> Draft:
    """A small mug with a handle."""
    r, h = rng.uniform(0.024, 0.03), rng.uniform(0.05, 0.063)
    reach, tall, thick = rng.uniform(0.015, 0.02), h * rng.uniform(0.28, 0.36), rng.uniform(0.0035, 0.005)
    belly = rng.uniform(0.86, 1.0)
    profile = [(0.0, 0.0), (r * belly * 0.9, 0.0), (r * belly, 0.004), (r, h * 0.4), (r, h - 0.001)]
    profile += [(r - 0.0015, h), (r - 0.003, h - 0.001), (r - 0.003, 0.008), (0.0, 0.006)]
    angle = np.linspace(-np.pi / 2, np.pi / 2, 9)
    path = np.stack([r - 0.002 + reach * np.cos(angle), np.zeros(9), h / 2 + tall * np.sin(angle)], 1)
    knots = [path[0], path[3], path[5], path[-1]]
    ground = textures.pale(rng) if rng.uniform() < 0.6 else textures.vivid(rng)
    pictures = (
        lambda: textures.label(rng, ground, 0.3, 0.5),
        lambda: textures.stripes(rng),
        lambda: textures.dots(rng, ground, textures.vivid(rng)),
        lambda: textures.speckles(rng, ground, textures.against(ground), 0.03),
    )
    return Draft(
        (upright(r, 0, h), *(rod(a, b, thick) for a, b in pairwise(knots))),
        (
            printed(lathe(profile, 18), pictures[int(rng.integers(4))](), 0.12),
            painted(tube(path, np.full((9, 2), thick), 8), ground, 0.12),
        ),
        rng.uniform(500, 900),
        ground,
    )


def cup(rng: np.random.Generator) -> Draft:
    """A paper or plastic cup, open at the top."""
    r, h = rng.uniform(0.025, 0.0315), rng.uniform(0.05, 0.08)
    low = r * rng.uniform(0.68, 0.82)
    outside = [(low, 0.0), (r, h - 0.003)]
    lip = [(r + 0.0008, h - 0.002), (r, h), (r - 0.002, h - 0.001)]
    profile = [(0.0, 0.0), *outside, *lip, (low - 0.0015, 0.004), (0.0, 0.004)]
    ground = textures.either(rng)
    pictures = (
        lambda: textures.label(rng, ground, 0.2, 0.45),
        lambda: textures.stripes(rng),
        lambda: textures.dots(rng, ground, textures.either(rng)),
        lambda: textures.plain(ground),
    )
    return Draft(
        stacked([(low, 0.0), (r, h)], 3),
        (printed(lathe(profile, 18), pictures[int(rng.integers(4))](), rng.uniform(0.15, 0.6)),),
        rng.uniform(150, 350),
        ground,
    )


def bowl(rng: np.random.Generator) -> Draft:
    """A dip bowl, open at the top, on a foot."""
    r, h = rng.uniform(0.026, 0.0318), rng.uniform(0.026, 0.04)
    foot = r * rng.uniform(0.55, 0.7)
    angle = np.linspace(0.25, np.pi / 2, 6)
    outside = [(foot + (r - foot) * np.sin(t), 0.005 + (h - 0.005) * (1 - np.cos(t))) for t in angle]
    inside = [(max(x - 0.003, 0.0), z + 0.002) for x, z in reversed(outside[:-1])]
    profile = [(0.0, 0.002), (foot, 0.0), (foot, 0.004), *outside, (r - 0.0015, h + 0.001), *inside, (0.0, 0.007)]
    ground = textures.pale(rng) if rng.uniform() < 0.5 else textures.vivid(rng)
    picture = (
        textures.speckles(rng, ground, textures.against(ground), 0.04) if rng.uniform() < 0.5 else textures.stripes(rng)
    )
    return Draft(
        stacked([(foot, 0.0), *outside], 4),
        (printed(lathe(profile, 18), picture, 0.12),),
        rng.uniform(600, 1100),
        ground,
        0.8,
    )


def squeeze_tube(rng: np.random.Generator) -> Draft:
    """A tube of paste along x: round at the cap, flat at the crimp."""
    r, length, cap = rng.uniform(0.015, 0.021), rng.uniform(0.08, 0.115), rng.uniform(0.014, 0.022)
    x = np.linspace(0, length, 6)
    along = x / length
    radii = np.stack([r * (1 + 0.35 * along), r * (1 - along) + 0.0015], axis=1)
    path = np.stack([x, np.zeros(6), np.zeros(6)], axis=1)
    ground = textures.either(rng)
    picture = np.ascontiguousarray(np.rot90(textures.label(rng, ground, 0.1, 0.9)))
    lid = lying(cylinder(r * 0.75, -cap, 0.001, 14))
    bodies = tuple(
        block((length / 4, 1.9 * a, 1.9 * b), (float(length * (i + 0.5) / 4), 0.0, 0.0))
        for i, (a, b) in enumerate(
            zip(np.interp(np.arange(4) + 0.5, along * 4, radii[:, 0]), r * (1 - (np.arange(4) + 0.5) / 4), strict=True)
        )
    )
    return Draft(
        (*bodies, rod((-cap, 0, 0), (0, 0, 0), r * 0.75, "cylinder")),
        (printed(tube(path, radii, 14), picture, 0.3), painted(lid, textures.either(rng), 0.35)),
        rng.uniform(500, 900),
        ground,
    )


def bulb(rng: np.random.Generator) -> Draft:
    """A light bulb: glass and a screw base."""
    r, base = rng.uniform(0.024, 0.031), rng.uniform(0.02, 0.026)
    neck = 0.0125
    glass = [(neck, base), *[(a, z + base + 1.35 * r) for a, z in arc(r, r, -40, 90, 8)]]
    thread = [(0.0, 0.0), (0.006, 0.001)]
    for z in np.arange(0.005, base - 0.002, 0.004):
        thread += [(neck * 0.92, float(z)), (neck * 1.03, float(z) + 0.002)]
    color = (0.95, 0.94, 0.9) if rng.uniform() < 0.6 else textures.vivid(rng)
    return Draft(
        (upright(neck, 0, base + r * 0.5), Part("sphere", (r,), (0.0, 0.0, base + 1.35 * r))),
        (painted(lathe(glass), color, 0.08), steel(lathe([*thread, (neck, base)], 14), 0.3)),
        rng.uniform(200, 350),
        color,
        0.8,
    )


def spool(rng: np.random.Generator) -> Draft:
    """A reel of thread between two flanges."""
    r, h, rim = rng.uniform(0.018, 0.028), rng.uniform(0.032, 0.055), rng.uniform(0.004, 0.007)
    core = r * rng.uniform(0.68, 0.85)
    thread = textures.vivid(rng)
    dark = (thread[0] * 0.6, thread[1] * 0.6, thread[2] * 0.6)
    winding = np.ascontiguousarray(np.tile(textures.flutes(thread, dark, 14)[:1].transpose(1, 0, 2), (1, 8, 1)))
    ends = joined(cylinder(r, 0, rim, 18), moved(cylinder(r, 0, rim, 18), (0, 0, h - rim)))
    return Draft(
        (upright(core, rim, h - rim), upright(r, 0, rim), upright(r, h - rim, h)),
        (
            printed(lathe([(core, rim), (core, h - rim)]), winding, 0.6),
            printed(ends, textures.wood(rng), 0.5) if rng.uniform() < 0.6 else painted(ends, textures.either(rng)),
        ),
        rng.uniform(500, 800),
        thread,
    )
