"""What a family of objects draws: parts and surfaces in any convenient frame, before they become an object."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from graspgap.objects.model import ObjectModel, Part, Surface, part_volume
from graspgap.objects.parts import centre_of_mass, scaled, shifted
from graspgap.objects.shapes import Shape
from graspgap.objects.textures import Color, Texture, linear

STEEL: Color = (0.82, 0.82, 0.84)
BRASS: Color = (0.86, 0.72, 0.42)


@dataclass(frozen=True)
class Draft:
    """An object before its origin is moved to the centre of mass."""

    parts: tuple[Part, ...]
    surfaces: tuple[Surface, ...]
    density: float
    """Mass per volume of the parts [kg/m^3]: hollow things are light."""
    color: Color
    """Where the parts are drawn flat."""
    friction: float = 0.9

    def model(self, name: str, mass: tuple[float, float], scale: float = 1.0) -> ObjectModel:
        """The object, `scale` times as long as drawn, its mass kept within limits [kg]."""
        centre = centre_of_mass(self.parts)
        parts = tuple(scaled(shifted(part, -centre), scale) for part in self.parts)
        weight = float(np.clip(self.density * sum(part_volume(part) for part in parts), *mass))
        surfaces = tuple(replace(surface, vertices=scale * (surface.vertices - centre)) for surface in self.surfaces)
        return ObjectModel(name, parts, weight, surfaces, self.color, self.friction)


def painted(shape: Shape, color: Color, roughness: float = 0.3, metallic: float = 0.0, smooth: bool = True) -> Surface:
    """A surface of one colour (sRGB)."""
    vertices, faces, _ = shape
    return Surface(
        vertices, faces, color=linear(color), roughness=float(roughness), metallic=float(metallic), smooth=smooth
    )


def steel(shape: Shape, roughness: float = 0.22, color: Color = STEEL, smooth: bool = True) -> Surface:
    """A metal surface."""
    return painted(shape, color, roughness, 1.0, smooth)


def printed(shape: Shape, texture: Texture, roughness: float = 0.3) -> Surface:
    """A surface with a picture."""
    vertices, faces, uv = shape
    return Surface(vertices, faces, uv, texture, roughness=float(roughness))


def upright(radius: float, low: float, high: float) -> Part:
    """A cylinder about z."""
    return Part("cylinder", (float(radius), float(high - low) / 2), (0.0, 0.0, float(low + high) / 2))


def stacked(profile: list[tuple[float, float]], count: int) -> tuple[Part, ...]:
    """Cylinders about z, each as wide as a lathe's outside (radius, z) at the middle of its height."""
    radius, z = np.array(profile).T
    edges = np.linspace(z.min(), z.max(), count + 1)
    wide = np.interp((edges[1:] + edges[:-1]) / 2, z, radius)
    wide[-1] = max(wide[-1], radius[-1] - 0.002)
    return tuple(upright(r, low, high) for r, low, high in zip(wide, edges, edges[1:], strict=False))


def block(size: tuple[float, float, float], position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Part:
    """A box of these side lengths."""
    x, y, z = (float(side) / 2 for side in size)
    return Part("box", (x, y, z), position)
