"""What an object is to every world: convex parts for physics, surfaces for pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.spatial import ConvexHull

Split = Literal["train", "test"]
"""`test` objects are for `evaluate` alone."""


@dataclass(frozen=True)
class Part:
    """A convex collision part in the object's frame. Lengths in metres, as MuJoCo's geoms.

    `size`: box: half extents (3); sphere: radius; capsule and cylinder: radius, half length along z (a capsule's
    half length excludes its caps); ellipsoid: semi-axes (3); mesh: empty, the hull of `vertices`.
    """

    kind: Literal["box", "sphere", "capsule", "cylinder", "ellipsoid", "mesh"]
    size: tuple[float, ...] = ()
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """Rotation (w, x, y, z)."""
    vertices: Float[np.ndarray, "n 3"] | None = None


def part_volume(part: Part) -> float:
    """Volume [m^3] of a part; of a mesh, of its hull."""
    size = part.size
    if part.kind == "mesh":
        assert part.vertices is not None
        return float(ConvexHull(part.vertices).volume)
    volumes = {
        "box": lambda: 8 * math.prod(size),
        "sphere": lambda: 4 / 3 * math.pi * size[0] ** 3,
        "capsule": lambda: math.pi * size[0] ** 2 * (2 * size[1] + 4 / 3 * size[0]),
        "cylinder": lambda: 2 * math.pi * size[0] ** 2 * size[1],
        "ellipsoid": lambda: 4 / 3 * math.pi * math.prod(size),
    }
    return volumes[part.kind]()


@dataclass(frozen=True)
class Surface:
    """A visible triangle mesh in the object's frame, with one material."""

    vertices: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "m 3"]
    uv: Float[np.ndarray, "n 2"] | None = None
    texture: UInt8[np.ndarray, "h w 3"] | None = None
    """Picture over uv in [0, 1] (v up); None: the flat `color`."""
    color: tuple[float, float, float] = (0.7, 0.7, 0.7)
    """Linear RGB in [0, 1]."""
    roughness: float = 0.4
    """Of the glossy coat, 0 (mirror) to 1 (matt)."""
    metallic: float = 0.0
    smooth: bool = True
    """Whether shading normals are interpolated."""


@dataclass(frozen=True)
class ObjectModel:
    """A rigid object, its origin at the centre of mass."""

    name: str
    parts: tuple[Part, ...]
    mass: float
    """[kg]"""
    surfaces: tuple[Surface, ...] = ()
    """What a picture shows; empty: draw the parts."""
    color: tuple[float, float, float] = (0.6, 0.6, 0.6)
    """RGB in [0, 1] where parts are drawn flat."""
    friction: float = 1.0
    """Sliding friction coefficient before a world scales it."""


@runtime_checkable
class ObjectSet(Protocol):
    """A named set of objects with a seeded, documented split. Objects are made on demand."""

    name: str

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> list[ObjectModel]:
        """`count` different objects of the split, drawn by `rng`."""
        ...
