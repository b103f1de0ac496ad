"""Textured surfaces of prisms: each part under a picture of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from graspgap.objects import textures
from graspgap.objects.draft import printed
from graspgap.objects.model import Part, Surface
from graspgap.objects.parts import turn_of
from graspgap.objects.shapes import Shape, arc, cylinder, lathe, rounded_box, scaled
from graspgap.objects.textures import Texture

EDGE = 0.001
"""Radius of a box's edges [m]."""


def shape_of(part: Part) -> Shape:
    """The mesh of a box, cylinder, capsule or ellipsoid in the part's own frame."""
    size = part.size
    if part.kind == "box":
        return rounded_box([2 * half for half in size], EDGE)
    if part.kind == "cylinder":
        return cylinder(size[0], -size[1], size[1])
    if part.kind == "capsule":
        ends = [(radius, z + np.copysign(size[1], z)) for radius, z in arc(size[0], size[0], points=10)]
        return lathe(ends)
    return scaled(lathe(arc(1, 1, points=13)), size)


def textured(parts: tuple[Part, ...], rng: np.random.Generator) -> tuple[tuple[Surface, ...], textures.Color]:
    """A surface for each part, and their mean colour, in which parts are drawn flat."""
    surfaces, colors = [], []
    for part in parts:
        picture = _picture(rng)
        surface = printed(shape_of(part), picture, rng.uniform(0.2, 0.9))
        surfaces.append(replace(surface, vertices=turn_of(part).apply(surface.vertices) + part.position))
        colors.append(picture.mean(axis=(0, 1)) / 255)
    r, g, b = np.mean(colors, axis=0)
    return tuple(surfaces), (float(r), float(g), float(b))


def _picture(rng: np.random.Generator) -> Texture:
    first, second = textures.either(rng), textures.either(rng)
    kinds: tuple[Callable[[], Texture], ...] = (
        lambda: textures.stripes(rng),
        lambda: textures.flutes(first, second, int(rng.integers(2, 9))),
        lambda: textures.dots(rng, first, second),
        lambda: textures.speckles(rng, first, second, rng.uniform(0.05, 0.5)),
        lambda: textures.skin(rng, first, second),
        lambda: textures.label(rng, first, rng.uniform(0.05, 0.3), rng.uniform(0.6, 0.95)),
        lambda: textures.wood(rng),
    )
    return kinds[int(rng.integers(len(kinds)))]()
