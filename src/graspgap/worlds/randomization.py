"""Randomization of a simulated world: appearance and dynamics, each a switch with ranges; every draw is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graspgap.contract import Camera
from graspgap.objects.model import ObjectModel

Range = tuple[float, float]
"""Smallest and largest value of an even draw."""

PATTERNS = ("flat", "stripes", "checker", "speckle")
"""Procedural textures; frequency, phase and two colours make each of them endless."""


@dataclass(frozen=True)
class AppearanceConfig:
    """How far looks vary. Lengths in metres."""

    enabled: bool = False
    camera_position: float = 0.03
    """The camera moves by up to this along each axis."""
    camera_target: float = 0.02
    """The point it looks at moves by up to this."""
    camera_fov: float = 2.0
    """Its field of view changes by up to this [degrees]."""
    camera_roll: float = 2.0
    """It turns about its axis by up to this [degrees]."""
    light_height: Range = (0.6, 2.0)
    light_side: float = 1.2
    """The light is above the bin, off by up to this."""
    light_strength: Range = (0.4, 1.0)
    ambient: Range = (0.2, 0.6)
    tint: float = 0.12
    """Each colour channel of the light is scaled by 1 +- this."""
    shadow: Range = (0.0, 0.8)
    """Share of the light that a shadow takes away."""
    gloss: Range = (0.0, 0.6)
    """Strength of highlights."""
    noise: Range = (0.0, 0.03)
    """Standard deviation of the sensor's noise, on a scale where white is 1."""
    textured: float = 0.7
    """Share of the surfaces with a pattern."""
    frequency: Range = (8.0, 90.0)
    """Of the patterns [1/m]."""


@dataclass(frozen=True)
class DynamicsConfig:
    """How far physics varies: each factor is drawn evenly in its logarithm and scales the nominal value."""

    enabled: bool = False
    mass: Range = (0.5, 2.0)
    """Of each object."""
    object_friction: Range = (0.6, 1.4)
    finger_friction: Range = (0.7, 1.3)
    bin_friction: Range = (0.6, 1.5)
    damping: Range = (0.5, 3.0)
    """Of the objects' free motion."""
    grip_force: Range = (0.6, 1.3)


@dataclass(frozen=True)
class RandomizationConfig:
    """Both switches."""

    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)


_APPEARANCE, _DYNAMICS = AppearanceConfig(enabled=True), DynamicsConfig(enabled=True)
PRESETS = {
    "none": RandomizationConfig(),
    "appearance": RandomizationConfig(appearance=_APPEARANCE),
    "dynamics": RandomizationConfig(dynamics=_DYNAMICS),
    "both": RandomizationConfig(_APPEARANCE, _DYNAMICS),
}
"""Randomizations by name."""

PLAIN = {
    "table": (0.72, 0.70, 0.66),
    "bin": (0.52, 0.57, 0.62),
    "arm": (0.92, 0.50, 0.15),
    "hand": (0.22, 0.22, 0.25),
}
"""Flat colours of everything but the objects, which have their own."""


def plain_looks(camera: Camera, objects: list[ObjectModel]) -> dict[str, Any]:
    """Flat colours, one light, no shadow: the looks without randomization."""
    return {
        "camera": _camera_values(camera),
        "light": [0.2, 0.4, 1.6],
        "light_color": [0.75, 0.75, 0.75],
        "ambient": 0.35,
        "shadow": 0.0,
        "noise": 0.0,
        "materials": {name: {"color": list(color)} for name, color in PLAIN.items()}
        | {f"object_{i}": {"color": list(thing.color)} for i, thing in enumerate(objects)},
    }


def draw_looks(
    rng: np.random.Generator, config: AppearanceConfig, camera: Camera, objects: list[ObjectModel]
) -> dict[str, Any]:
    """Every value of the looks of one attempt, JSON-able: camera, light, noise, and a material for each thing."""
    looks = plain_looks(camera, objects)
    if not config.enabled:
        return looks

    def around(values: tuple[float, float, float], by: float) -> tuple[float, float, float]:
        x, y, z = np.array(values) + rng.uniform(-by, by, 3)
        return float(x), float(y), float(z)

    moved = replace(
        camera,
        position=around(camera.position, config.camera_position),
        target=around(camera.target, config.camera_target),
        fov=camera.fov + rng.uniform(-config.camera_fov, config.camera_fov),
        roll=camera.roll + rng.uniform(-config.camera_roll, config.camera_roll),
    )
    side = rng.uniform(-config.light_side, config.light_side, 2)
    strength = rng.uniform(*config.light_strength) * rng.uniform(1 - config.tint, 1 + config.tint, 3)
    looks |= {
        "camera": _camera_values(moved),
        "light": _rounded([0.55 + side[0], side[1], rng.uniform(*config.light_height)]),
        "light_color": _rounded(strength),
        "ambient": round(rng.uniform(*config.ambient), 4),
        "shadow": round(rng.uniform(*config.shadow), 4),
        "noise": round(rng.uniform(*config.noise), 5),
        "materials": {name: _draw_material(rng, config) for name in looks["materials"]},
    }
    return looks


def _draw_material(rng: np.random.Generator, config: AppearanceConfig) -> dict[str, Any]:
    pattern = PATTERNS[rng.integers(1, len(PATTERNS))] if rng.uniform() < config.textured else PATTERNS[0]
    direction = rng.normal(size=3)
    frequency = rng.uniform(*config.frequency) * direction / np.linalg.norm(direction)
    color = rng.uniform(0, 1, 3)
    contrast = rng.uniform(0.1, 1.0)
    return {
        "pattern": pattern,
        "color": _rounded(color),
        "second": _rounded(color + contrast * (rng.uniform(0, 1, 3) - color)),
        "frequency": _rounded(frequency),
        "phase": round(rng.uniform(0, 2 * np.pi), 4),
        "gloss": round(rng.uniform(*config.gloss), 4),
    }


def draw_dynamics(rng: np.random.Generator, config: DynamicsConfig, objects: int) -> dict[str, Any]:
    """Factors of the physics of one attempt, JSON-able, as `Cell.set_dynamics` takes them; empty when switched off."""
    if not config.enabled:
        return {}

    def factor(limits: Range) -> float:
        return round(float(np.exp(rng.uniform(*np.log(limits)))), 4)

    return {
        "mass": [factor(config.mass) for _ in range(objects)],
        "object_friction": factor(config.object_friction),
        "finger_friction": factor(config.finger_friction),
        "bin_friction": factor(config.bin_friction),
        "damping": factor(config.damping),
        "grip_force": factor(config.grip_force),
    }


def _camera_values(camera: Camera) -> dict[str, Any]:
    return {
        "position": _rounded(camera.position),
        "target": _rounded(camera.target),
        "fov": round(camera.fov, 4),
        "roll": round(camera.roll, 4),
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
