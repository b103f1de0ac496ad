"""Randomization of a simulated world: appearance and dynamics, each a switch with ranges; every draw is recorded."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from graspgap.config import from_json
from graspgap.errors import UserError, choose
from graspgap.settings import Bounds, is_number, read_toml

Range = tuple[float, float]
"""Smallest and largest value of an even draw."""
OFF: Range = (0.0, 0.0)


@dataclass(frozen=True)
class AppearanceConfig:
    """How far looks vary. Lengths in metres."""

    enabled: bool = False
    """Off: plain colours, one light, the nominal camera, whatever the ranges say."""
    camera_position: float = 0.03
    """The camera moves by up to this along each axis."""
    camera_target: float = 0.02
    """The point it looks at moves by up to this."""
    camera_fov: float = 2.0
    """Its field of view changes by up to this [degrees]."""
    camera_roll: float = 2.0
    """It turns about its axis by up to this [degrees]."""
    camera_barrel: Range = OFF
    """Barrel distortion of the lens, as `sensor.SensorConfig.barrel`; masks are distorted with the picture."""
    light_height: Range = (0.6, 2.0)
    light_side: float = 1.2
    """The light is above the bin, off by up to this."""
    light_strength: Range = (0.4, 1.0)
    light_count: tuple[int, int] = (1, 1)
    """Fewest and most lights. Several share the strength of one; each has a place and a colour of its own."""
    ambient: Range = (0.2, 0.6)
    tint: float = 0.12
    """Each colour channel of the light is scaled by 1 +- this."""
    shadow: Range = (0.0, 0.8)
    """Share of the light that a shadow takes away."""
    gloss: Range = (0.0, 0.6)
    """Strength of highlights."""
    color: float = 1.0
    """How far colours go from the plain ones (0) to any (1)."""
    textured: float = 0.7
    """Share of the surfaces with a pattern."""
    frequency: Range = (8.0, 90.0)
    """Of stripes, checkers and speckles [1/m]."""
    tiled: float = 0.0
    """Share of the surfaces, textured or not, that carry one of the 1,152 kinds of `tiles` instead."""
    tile_size: Range = (0.02, 0.12)
    """Length of a tile's side."""
    background: float = 0.0
    """Share of the pictures whose table has a large tile and whose far distance has another colour."""
    background_size: Range = (0.15, 0.8)
    """Length of the side of the table's tile."""
    noise: Range = (0.0, 0.03)
    """Standard deviation of the sensor's noise, on a scale where white is 1."""
    shot_noise: Range = OFF
    """Standard deviation of the noise that grows with the light, at white."""
    vignette: Range = OFF
    """Share of the light that is lost in the corners."""
    defocus: Range = OFF
    """Standard deviation of the lens's blur [pixels of a picture of 64 pixels]."""
    exposure: Range = (1.0, 1.0)
    """Gain of the whole picture before clipping."""
    balance: float = 0.0
    """Gain of each colour channel: 1 +- this."""
    jpeg: tuple[int, int] = (0, 0)
    """Quality of the JPEG compression, 1 to 100; 0: none."""


@dataclass(frozen=True)
class DynamicsConfig:
    """How far physics varies: each factor is drawn evenly in its logarithm and scales the nominal value."""

    enabled: bool = False
    """Off: nominal physics, whatever the ranges say."""
    mass: Range = (0.5, 2.0)
    """Of each object."""
    object_friction: Range = (0.6, 1.4)
    finger_friction: Range = (0.7, 1.3)
    bin_friction: Range = (0.6, 1.5)
    damping: Range = (0.5, 3.0)
    """Of the objects' free motion."""
    grip_force: Range = (0.6, 1.3)
    finger_speed: Range = (1.0, 1.0)
    """At which the fingers close."""
    speed: Range = (1.0, 1.0)
    """Of the arm."""
    latency: Range = OFF
    """More time between the end of a move and the picture [s], drawn evenly."""
    calibration: float = 0.0
    """What the robot reports is off by up to this along x, y and z [m]."""
    calibration_yaw: float = 0.0
    """And by up to this in yaw [rad]."""


@dataclass(frozen=True)
class RandomizationConfig:
    """Both switches."""

    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)


_LENGTH, _GAIN, _SHARE = Bounds(0, 10), Bounds(0, 10), Bounds(0, 1)
_SIZE, _FACTOR = Bounds(0.001, 10), Bounds(0.01, 100)
LIMITS = {
    "camera_position": _LENGTH, "camera_target": _LENGTH, "camera_fov": Bounds(0, 20), "camera_roll": Bounds(0, 180),
    "camera_barrel": Bounds(-0.2, 0.4), "light_height": Bounds(0.1, 10), "light_side": _LENGTH,
    "light_strength": _GAIN, "light_count": Bounds(1, 16), "ambient": _GAIN, "tint": _SHARE, "shadow": _SHARE,
    "gloss": _SHARE, "color": _SHARE, "textured": _SHARE, "frequency": Bounds(0, 1000), "tiled": _SHARE,
    "tile_size": _SIZE, "background": _SHARE, "background_size": _SIZE, "noise": _SHARE, "shot_noise": _SHARE,
    "vignette": _SHARE, "defocus": Bounds(0, 20), "exposure": _GAIN, "balance": _SHARE, "jpeg": Bounds(0, 100),
    "mass": _FACTOR, "object_friction": _FACTOR, "finger_friction": _FACTOR, "bin_friction": _FACTOR,
    "damping": _FACTOR, "grip_force": _FACTOR, "finger_speed": _FACTOR, "speed": _FACTOR, "latency": Bounds(0, 10),
    "calibration": _SHARE, "calibration_yaw": Bounds(0, math.pi),
}  # fmt: skip
"""Between which values the numbers of a file may lie: beyond them they mean nothing, or nothing that a cell could be.
The default camera sees 22 degrees; more barrel distortion would fold the picture."""

PRESETS = ("none", "mild", "medium", "heavy", "appearance", "dynamics", "both")
"""Each is the file of its name in `presets`."""


@cache
def preset(name: str) -> RandomizationConfig:
    """The randomization of this name.

    Raises:
        UserError: if there is none.
    """
    return read_randomization(Path(__file__).parent / "presets" / f"{choose('--randomize', name, PRESETS)}.toml")


def ranges_of(name_or_file: str) -> RandomizationConfig | None:
    """The ranges of a file, which is what is written with a suffix or a separator; None for a preset's name.

    Raises:
        UserError: as `read_randomization`.
    """
    path = Path(name_or_file)
    return read_randomization(path) if path.suffix or path.name != name_or_file else None


def read_randomization(path: Path) -> RandomizationConfig:
    """A TOML file with the tables [appearance] and [dynamics], whose keys are the fields of their configurations.

    A table that is missing is switched off; a key that is missing keeps the field's default.

    Raises:
        UserError: if the file can't be read, names an unknown table or key, or a value is not of the field's kind or
            out of its `LIMITS`.
    """
    tables = read_toml(path, "--randomize", "a preset or a TOML file")
    defaults = asdict(RandomizationConfig())
    for name, table in tables.items():
        choose(f"table of {path}", name, defaults)
        if not isinstance(table, dict):
            raise UserError(f"'{name}' in {path} is no table: write [{name}] and a line for each range")
        for key, value in table.items():
            choose(f"key of [{name}] in {path}", key, defaults[name])
            what = f"{key} in {path}"
            _check(what, value, defaults[name][key])
            if key in LIMITS:
                _check_limits(what, value, LIMITS[key])
    return from_json(RandomizationConfig, {name: {"enabled": True} | table for name, table in tables.items()})


def _check(what: str, value: Any, default: Any) -> None:
    """Refuse a value that is not like the default: a number, a switch, or a range of two numbers."""
    if isinstance(default, tuple):
        fine = isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] <= value[1]
        if not fine:
            raise UserError(f"{what} is {value}, expected a range: write [smallest, largest]")
        if isinstance(default[0], int) and not all(isinstance(number, int) for number in value):
            raise UserError(f"{what} is {value}, expected whole numbers: write {[round(number) for number in value]}")
    elif isinstance(default, bool) != isinstance(value, bool) or not (isinstance(value, bool) or is_number(value)):
        expected = "true or false" if isinstance(default, bool) else "a finite number"
        raise UserError(f"{what} is {value}, expected {expected}")


def _check_limits(what: str, value: Any, limits: Bounds) -> None:
    if not all(number in limits for number in (value if isinstance(value, list) else [value])):
        raise UserError(f"{what} is {value}, out of range: give {limits}")


def draw_dynamics(rng: np.random.Generator, config: DynamicsConfig, objects: int) -> dict[str, Any]:
    """Physics of one attempt, JSON-able, as a cell's `set_dynamics` takes it: factors, but for `latency` [s] and
    `calibration` (x, y, z [m], yaw [rad]), which are added. What is switched off is left out."""
    if not config.enabled:
        return {}

    def factor(limits: Range, rng: np.random.Generator = rng) -> float:
        return round(float(np.exp(rng.uniform(*np.log(limits)))), 4)

    draw: dict[str, Any] = {
        "mass": [factor(config.mass) for _ in range(objects)],
        "object_friction": factor(config.object_friction),
        "finger_friction": factor(config.finger_friction),
        "bin_friction": factor(config.bin_friction),
        "damping": factor(config.damping),
        "grip_force": factor(config.grip_force),
    }
    of_fingers, of_arm, of_latency, of_calibration = rng.spawn(4)  # a knob that is turned leaves the others' draws
    if config.finger_speed != (1.0, 1.0):
        draw["finger_speed"] = factor(config.finger_speed, of_fingers)
    if config.speed != (1.0, 1.0):
        draw["speed"] = factor(config.speed, of_arm)
    if config.latency != OFF:
        draw["latency"] = round(of_latency.uniform(*config.latency), 4)
    if config.calibration or config.calibration_yaw:
        reach = np.array([config.calibration] * 3 + [config.calibration_yaw])
        draw["calibration"] = (of_calibration.uniform(-1, 1, 4) * reach).round(5).tolist()
    return draw
