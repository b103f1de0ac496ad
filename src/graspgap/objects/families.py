"""Families of everyday objects: each draws dimensions, parts for physics and textured surfaces for pictures.

Long things lie along x. The axis of a capsule or cylinder is z, turned by `ALONG_X` where it lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from graspgap.objects import textures
from graspgap.objects.model import Part, Surface
from graspgap.objects.shapes import Shape, box, lathe, lying, moved, tube

ALONG_X = (math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0)
"""Quaternion (w, x, y, z) that lays the z axis along x."""


@dataclass(frozen=True)
class Draft:
    """An object before its origin is moved to the centre of mass."""

    parts: tuple[Part, ...]
    surfaces: tuple[Surface, ...]
    density: float
    """Mass per volume of the parts [kg/m^3]: hollow things are light."""
    friction: float = 0.9


def _surface(shape: Shape, **look: object) -> Surface:
    vertices, faces, uv = shape
    return Surface(vertices, faces, uv, **look)  # type: ignore[arg-type]


def _cylinder(radius: float, length: float, z: float = 0.0) -> Part:
    return Part("cylinder", (radius, length / 2), (0.0, 0.0, z))


def _rod(radius: float, length: float, x: float = 0.0) -> Part:
    return Part("capsule", (radius, max(length / 2 - radius, 0.001)), (x, 0.0, 0.0), ALONG_X)


def _solid(radius: float, length: float) -> list[tuple[float, float]]:
    """Profile of a closed cylinder about the origin."""
    half = length / 2
    return [(0, -half), (radius, -half), (radius, half), (0, half)]


def _ball_profile(radius: float, half: float, rings: int = 8) -> list[tuple[float, float]]:
    angle = np.linspace(-np.pi / 2, np.pi / 2, rings)
    return [(float(radius * np.cos(a)), float(half * np.sin(a))) for a in angle]


def bottle(rng: np.random.Generator) -> Draft:
    """Body, shoulder, neck, cap."""
    r, body, neck = rng.uniform(0.018, 0.03), rng.uniform(0.06, 0.09), rng.uniform(0.02, 0.035)
    thin = r * rng.uniform(0.35, 0.5)
    top = body / 2 + neck
    outline = [(0, -body / 2), (r, -body / 2), (r, body / 2 - 0.01), (thin, body / 2 + 0.008), (thin, top), (0, top)]
    ground = textures.vivid(rng)
    return Draft(
        (_cylinder(r, body), _cylinder(thin, neck, body / 2 + neck / 2)),
        (
            _surface(lathe(outline), texture=textures.label(rng, ground), color=ground, roughness=0.15),
            _surface(moved(lathe(_solid(thin * 1.2, 0.014)), (0, 0, top - 0.007)), color=textures.vivid(rng)),
        ),
        350,
    )


def can(rng: np.random.Generator) -> Draft:
    """A drink can or tin: printed side, metal lids."""
    r, h = rng.uniform(0.022, 0.032), rng.uniform(0.05, 0.1)
    side = [(r, -h / 2 + 0.004), (r, h / 2 - 0.004)]
    lids = [(0, -h / 2), (r * 0.9, -h / 2), (r, -h / 2 + 0.004)], [(r, h / 2 - 0.004), (r * 0.9, h / 2), (0, h / 2)]
    ground = textures.vivid(rng)
    metal = [_surface(lathe(lid), color=(0.8, 0.8, 0.82), roughness=0.25, metallic=1.0) for lid in lids]
    return Draft(
        (_cylinder(r, h),),
        (_surface(lathe(side), texture=textures.label(rng, ground), color=ground, roughness=0.25), *metal),
        500,
    )


def mug(rng: np.random.Generator) -> Draft:
    """A small mug with a handle."""
    r, h = rng.uniform(0.025, 0.032), rng.uniform(0.055, 0.075)
    outline = [
        (0, -h / 2),
        (r * 0.9, -h / 2),
        (r, h / 2),
        (r * 0.86, h / 2),
        (r * 0.8, -h / 2 + 0.006),
        (0, -h / 2 + 0.006),
    ]
    angle = np.linspace(-np.pi / 2, np.pi / 2, 8)
    path = np.stack([r * 0.95 + 0.018 * np.cos(angle), np.zeros(8), 0.32 * h * np.sin(angle)], 1)
    ground = textures.pale(rng) if rng.uniform() < 0.6 else textures.vivid(rng)
    body = textures.stripes(rng) if rng.uniform() < 0.5 else textures.label(rng, ground)
    return Draft(
        (_cylinder(r, h), Part("box", (0.01, 0.004, 0.32 * h), (r + 0.01, 0.0, 0.0))),
        (
            _surface(lathe(outline), texture=body, color=ground, roughness=0.12),
            _surface(tube(path, np.full(8, 0.0045), 6), color=ground, roughness=0.12),
        ),
        450,
    )


def jar(rng: np.random.Generator) -> Draft:
    """A squat jar with a lid."""
    r, h = rng.uniform(0.024, 0.033), rng.uniform(0.04, 0.06)
    content = textures.vivid(rng)
    return Draft(
        (_cylinder(r, h + 0.014, 0.007),),
        (
            _surface(lathe(_solid(r, h)), texture=textures.label(rng, content), color=content, roughness=0.1),
            _surface(
                moved(lathe(_solid(r * 0.97, 0.014)), (0, 0, h / 2 + 0.007)),
                color=textures.vivid(rng),
                roughness=0.3,
                metallic=float(rng.uniform() < 0.5),
            ),
        ),
        600,
    )


def _slab(rng: np.random.Generator, size: tuple[float, float, float], density: float, **look: object) -> Draft:
    half = (size[0] / 2, size[1] / 2, size[2] / 2)
    return Draft((Part("box", half),), (_surface(box(size), smooth=False, **look),), density)


def carton(rng: np.random.Generator) -> Draft:
    """A packet of tea, medicine or sweets."""
    size = (rng.uniform(0.06, 0.12), rng.uniform(0.035, 0.06), rng.uniform(0.02, 0.045))
    return _slab(rng, size, 300, texture=textures.printed(rng), roughness=0.7)


def soap(rng: np.random.Generator) -> Draft:
    """A smooth bar."""
    a, b, c = rng.uniform(0.035, 0.05), rng.uniform(0.022, 0.03), rng.uniform(0.014, 0.02)
    vertices, faces, uv = lathe(_ball_profile(1.0, 1.0))
    soft = np.sign(vertices) * np.abs(vertices) ** 0.6
    return Draft(
        (Part("box", (0.86 * a, 0.86 * b, 0.9 * c)),),
        (_surface((soft * (a, b, c), faces, uv), color=textures.pale(rng), roughness=0.3),),
        900,
        0.7,
    )


def pen(rng: np.random.Generator) -> Draft:
    """A thick marker: barrel and cap."""
    r, length = rng.uniform(0.008, 0.012), rng.uniform(0.10, 0.14)
    cap = length * 0.35
    barrel = lying(lathe(_solid(r, length - cap)))
    return Draft(
        (_rod(r, length),),
        (
            _surface(moved(barrel, (-cap / 2, 0, 0)), texture=textures.label(rng, textures.pale(rng)), roughness=0.2),
            _surface(
                moved(lying(lathe(_solid(r * 1.15, cap))), (length / 2 - cap / 2, 0, 0)),
                color=textures.vivid(rng),
                roughness=0.15,
            ),
        ),
        700,
    )


def screwdriver(rng: np.random.Generator) -> Draft:
    """Plastic handle, steel shaft."""
    r, grip, shaft = rng.uniform(0.012, 0.016), rng.uniform(0.06, 0.08), rng.uniform(0.05, 0.08)
    outline = [
        (0, -grip / 2),
        (r, -grip / 2 + 0.005),
        (r * 0.8, 0),
        (r, grip / 2 - 0.01),
        (r * 0.5, grip / 2),
        (0, grip / 2),
    ]
    steel = moved(lying(lathe(_solid(0.004, shaft), 8)), (grip / 2 + shaft / 2, 0, 0))
    return Draft(
        (_rod(r, grip), _rod(0.004, shaft, grip / 2 + shaft / 2)),
        (
            _surface(lying(lathe(outline)), texture=textures.stripes(rng), roughness=0.25),
            _surface(steel, color=(0.75, 0.75, 0.78), roughness=0.2, metallic=1.0),
        ),
        900,
    )


def hammer(rng: np.random.Generator) -> Draft:
    """Wooden handle, steel head."""
    r, length = rng.uniform(0.008, 0.011), rng.uniform(0.10, 0.14)
    head = (rng.uniform(0.018, 0.024), rng.uniform(0.05, 0.065), rng.uniform(0.018, 0.024))
    end = length / 2
    return Draft(
        (_rod(r, length), Part("box", (head[0] / 2, head[1] / 2, head[2] / 2), (end, 0.0, 0.0))),
        (
            _surface(lying(lathe(_solid(r, length))), texture=textures.wood(rng), roughness=0.6),
            _surface(moved(box(head), (end, 0, 0)), color=(0.4, 0.4, 0.43), roughness=0.3, metallic=1.0, smooth=False),
        ),
        1500,
    )


def _fruit(rng: np.random.Generator, radius: float, half: float, colors: list[textures.Color], rough: float) -> Draft:
    first, second = (colors[i] for i in rng.choice(len(colors), 2, replace=False))
    kind = Part("ellipsoid", (radius, radius, half))
    shape = lathe(_ball_profile(radius, half))
    return Draft((kind,), (_surface(shape, texture=textures.skin(rng, first, second), roughness=rough),), 800)


def apple(rng: np.random.Generator) -> Draft:
    """An apple, red to green."""
    r = rng.uniform(0.026, 0.034)
    return _fruit(rng, r, r * rng.uniform(0.85, 0.95), [(0.75, 0.08, 0.1), (0.55, 0.75, 0.15), (0.85, 0.6, 0.15)], 0.25)


def lemon(rng: np.random.Generator) -> Draft:
    """A lemon or lime."""
    r = rng.uniform(0.022, 0.028)
    return _fruit(rng, r, r * rng.uniform(1.25, 1.5), [(0.95, 0.85, 0.1), (0.9, 0.75, 0.1), (0.4, 0.65, 0.1)], 0.4)


def banana(rng: np.random.Generator) -> Draft:
    """A bent tube of five capsules."""
    r, bow = rng.uniform(0.013, 0.017), rng.uniform(0.05, 0.075)
    angle = np.linspace(-1.0, 1.0, 9)
    path = np.stack([bow * np.sin(angle), np.zeros(9), bow * (1 - np.cos(angle))], 1)
    radii = r * np.array([0.35, 0.75, 0.95, 1, 1, 1, 0.95, 0.75, 0.35])
    parts = []
    for a, b in zip(path[:-1:2], path[2::2], strict=True):
        x, y, z = (a + b) / 2
        tilt = math.pi / 2 - math.atan2(b[2] - a[2], b[0] - a[0])
        turn = (math.cos(tilt / 2), 0.0, math.sin(tilt / 2), 0.0)
        parts.append(Part("capsule", (0.9 * r, float(np.linalg.norm(b - a)) / 2 - 0.3 * r), (x, y, z), turn))
    skin = textures.skin(rng, (0.95, 0.8, 0.15), (0.85, 0.7, 0.1) if rng.uniform() < 0.6 else (0.6, 0.7, 0.15))
    return Draft(tuple(parts), (_surface(tube(path, radii), texture=skin, roughness=0.45),), 700)


def ball(rng: np.random.Generator) -> Draft:
    """A toy ball."""
    r = rng.uniform(0.02, 0.033)
    texture = (
        textures.stripes(rng) if rng.uniform() < 0.6 else textures.skin(rng, textures.vivid(rng), textures.vivid(rng))
    )
    return Draft((Part("sphere", (r,)),), (_surface(lathe(_ball_profile(r, r)), texture=texture, roughness=0.3),), 300)


def brick(rng: np.random.Generator) -> Draft:
    """A toy brick with studs."""
    pitch = rng.uniform(0.016, 0.02)
    count = int(rng.integers(2, 5))
    size = (pitch * count, 2 * pitch, pitch * rng.uniform(1.0, 1.3))
    color = textures.vivid(rng)
    studs = [
        _surface(
            moved(lathe(_solid(pitch * 0.3, 0.005), 8), ((i - (count - 1) / 2) * pitch, j * pitch / 2, size[2] / 2)),
            color=color,
            roughness=0.12,
        )
        for i in range(count)
        for j in (-1, 1)
    ]
    half = (size[0] / 2, size[1] / 2, size[2] / 2)
    body = _surface(box(size), color=color, roughness=0.12, smooth=False)
    return Draft((Part("box", half),), (body, *studs), 500)


def spoon(rng: np.random.Generator) -> Draft:
    """A wooden or steel spoon."""
    length, bowl = rng.uniform(0.09, 0.12), rng.uniform(0.014, 0.019)
    steel = rng.uniform() < 0.5
    look: dict[str, object] = (
        {"color": (0.8, 0.8, 0.82), "roughness": 0.15, "metallic": 1.0}
        if steel
        else {"texture": textures.wood(rng), "roughness": 0.6}
    )
    vertices, faces, uv = lathe(_ball_profile(1.0, 1.0))
    head = (vertices * (1.5 * bowl, bowl, 0.007), faces, uv)
    end = length / 2 + bowl
    return Draft(
        (_rod(0.005, length), Part("ellipsoid", (1.5 * bowl, bowl, 0.007), (end, 0.0, 0.0))),
        (_surface(lying(lathe(_solid(0.005, length), 8)), **look), _surface(moved(head, (end, 0, 0)), **look)),
        1200 if steel else 600,
    )


def cup(rng: np.random.Generator) -> Draft:
    """A paper or plastic cup, open at the top."""
    r, h = rng.uniform(0.024, 0.033), rng.uniform(0.05, 0.08)
    low = r * rng.uniform(0.65, 0.8)
    outline = [
        (0, -h / 2),
        (low, -h / 2),
        (r, h / 2),
        (r * 0.93, h / 2),
        (low * 0.92, -h / 2 + 0.004),
        (0, -h / 2 + 0.004),
    ]
    texture = textures.stripes(rng) if rng.uniform() < 0.5 else textures.label(rng, textures.vivid(rng))
    return Draft((_cylinder((r + low) / 2, h),), (_surface(lathe(outline), texture=texture, roughness=0.5),), 200)


def pear(rng: np.random.Generator) -> Draft:
    """A pear: a large and a small ball."""
    r = rng.uniform(0.025, 0.031)
    small = 0.6 * r
    outline = [
        (0, -r),
        (0.7 * r, -0.75 * r),
        (r, 0),
        (0.8 * r, 0.7 * r),
        (small, 1.3 * r),
        (0.7 * small, 1.75 * r),
        (0, 1.95 * r),
    ]
    skin = textures.skin(rng, (0.7, 0.75, 0.2), (0.8, 0.6, 0.2))
    return Draft(
        (Part("sphere", (r,)), Part("sphere", (small,), (0.0, 0.0, 1.3 * r))),
        (_surface(lathe(outline), texture=skin, roughness=0.4),),
        800,
    )


def wrench(rng: np.random.Generator) -> Draft:
    """A steel wrench: a flat bar with two jaws."""
    length, width, thick = rng.uniform(0.08, 0.11), rng.uniform(0.012, 0.016), rng.uniform(0.012, 0.016)
    steel = {"color": (0.6, 0.6, 0.63), "roughness": 0.25, "metallic": 1.0, "smooth": False}
    parts = [Part("box", (length / 2, width / 2, thick / 2))]
    surfaces = [_surface(box((length, width, thick)), **steel)]
    for end in (-1, 1):
        for side in (-1, 1):
            x, y = end * (length / 2 + 0.007), side * width * 0.62
            parts.append(Part("box", (0.011, width * 0.28, thick / 2), (x, y, 0.0)))
            surfaces.append(_surface(moved(box((0.022, width * 0.56, thick)), (x, y, 0)), **steel))
    return Draft(tuple(parts), tuple(surfaces), 2500, 0.7)


def squeeze_tube(rng: np.random.Generator) -> Draft:
    """A tube of cream: round at the cap, flat at the end."""
    r, length = rng.uniform(0.016, 0.022), rng.uniform(0.08, 0.11)
    vertices, faces, uv = lying(lathe([(0, -length / 2), (r, -length / 2), (r, 0), (r, length / 2), (0, length / 2)]))
    share = (vertices[:, 0] + length / 2) / length
    flat = vertices * np.stack([np.ones_like(share), 1 + 0.3 * share, 1 - 0.8 * share], 1)
    cap = moved(lying(lathe(_solid(0.7 * r, 0.018), 10)), (-length / 2 - 0.009, 0, 0))
    half = length / 4
    return Draft(
        (
            Part("box", (half, r, 0.85 * r), (-half, 0.0, 0.0)),
            Part("box", (half, 1.2 * r, 0.4 * r), (half, 0.0, 0.0)),
            _rod(0.7 * r, 0.036, -length / 2),
        ),
        (
            _surface((flat, faces, uv), texture=textures.label(rng, textures.pale(rng)), roughness=0.25),
            _surface(cap, color=textures.vivid(rng), roughness=0.3),
        ),
        500,
    )


def remote_control(rng: np.random.Generator) -> Draft:
    """A dark slab with coloured buttons."""
    size = (rng.uniform(0.10, 0.14), rng.uniform(0.035, 0.045), rng.uniform(0.016, 0.022))
    body = _slab(rng, size, 600, color=(0.06, 0.06, 0.07), roughness=0.35)
    buttons = [
        _surface(
            moved(box((0.009, 0.007, 0.003)), (size[0] * (0.12 * i - 0.36), 0.011 * j, size[2] / 2)),
            color=textures.vivid(rng) if rng.uniform() < 0.3 else (0.75, 0.75, 0.75),
            smooth=False,
        )
        for i in range(7)
        for j in (-1, 0, 1)
    ]
    return Draft(body.parts, (*body.surfaces, *buttons), body.density)
