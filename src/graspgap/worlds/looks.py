"""The looks of one attempt: camera, light, sensor, and a material for each thing; plain, or drawn at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from graspgap.contract import Camera
from graspgap.objects.model import ObjectModel
from graspgap.worlds.randomization import OFF, AppearanceConfig
from graspgap.worlds.tiles import KINDS

PATTERNS = ("flat", "stripes", "checker", "speckle")
"""Patterns through space; frequency, phase and two colours make each of them endless."""

PLAIN = {
    "table": (0.72, 0.70, 0.66),
    "bin": (0.52, 0.57, 0.62),
    "arm": (0.92, 0.50, 0.15),
    "hand": (0.22, 0.22, 0.25),
}
"""Flat colours of everything but the objects, which have their own."""
CLEAN = {"shot_noise": 0, "vignette": 0, "defocus": 0, "exposure": 1, "jpeg": 0, "balance": [1, 1, 1]}
"""The camera that does nothing to the light."""
ABOVE_BIN = (0.55, 0.0)
"""x and y of the middle of the lights' places [m]."""


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


def canonical_looks(looks: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """The canonical looks beside `looks`, in the manner of James et al. 2019: light, sensor, table, bin and arm are
    those of `plain`, the camera and its lens stay, and so do the objects, which keep what they were painted with."""
    kept = {name: looks[name] for name in ("camera", "barrel") if name in looks}
    objects = {name: material for name, material in looks["materials"].items() if name not in PLAIN}
    return plain | kept | {"materials": plain["materials"] | objects}


def draw_looks(
    rng: np.random.Generator, config: AppearanceConfig, camera: Camera, objects: list[ObjectModel]
) -> dict[str, Any]:
    """Every value of the looks of one attempt, JSON-able: camera, lights, sensor, and a material for each thing.

    `more_lights`, `sky`, `barrel`, `sensor` and a material's `tile` are left out where they are switched off.
    """
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
    plain = looks["materials"]
    looks |= {"camera": _camera_values(moved)} | _draw_light(rng, config)
    looks |= {
        "ambient": round(rng.uniform(*config.ambient), 4),
        "shadow": round(rng.uniform(*config.shadow), 4),
        "noise": round(rng.uniform(*config.noise), 5),
        "materials": {name: _draw_material(rng, config, plain[name]["color"]) for name in plain},
    }
    of_lens, of_lights, of_tiles, of_background, of_sensor = rng.spawn(5)  # a knob leaves the others' draws alone
    if config.camera_barrel != OFF:
        looks["barrel"] = round(of_lens.uniform(*config.camera_barrel), 5)
    if config.light_count != (1, 1):
        _draw_more_lights(of_lights, config, looks)
    if config.tiled:
        for material in looks["materials"].values():
            size = of_tiles.uniform(*config.tile_size)
            tile = _draw_tile(of_tiles, size)
            if of_tiles.uniform() < config.tiled:
                material["tile"] = tile
    if of_background.uniform() < config.background:
        looks["sky"] = _rounded(of_background.uniform(0, 1, 3))
        looks["materials"]["table"]["tile"] = _draw_tile(of_background, of_background.uniform(*config.background_size))
    return looks | _draw_sensor(of_sensor, config)


def _draw_light(rng: np.random.Generator, config: AppearanceConfig) -> dict[str, Any]:
    side = rng.uniform(-config.light_side, config.light_side, 2)
    strength = rng.uniform(*config.light_strength) * rng.uniform(1 - config.tint, 1 + config.tint, 3)
    place = [ABOVE_BIN[0] + side[0], ABOVE_BIN[1] + side[1], rng.uniform(*config.light_height)]
    return {"light": _rounded(place), "light_color": _rounded(strength)}


def _draw_more_lights(rng: np.random.Generator, config: AppearanceConfig, looks: dict[str, Any]) -> None:
    """Further lights; all of them together are about as strong as one."""
    count = int(rng.integers(config.light_count[0], config.light_count[1] + 1))
    shares = rng.dirichlet(np.ones(count)) if count > 1 else np.ones(1)
    more = [_draw_light(rng, config) for _ in range(count - 1)]
    for light, share in zip((looks, *more), shares, strict=True):
        light["light_color"] = _rounded(np.array(light["light_color"]) * share)
    if more:
        looks["more_lights"] = more


def _draw_material(rng: np.random.Generator, config: AppearanceConfig, plain: list[float]) -> dict[str, Any]:
    pattern = PATTERNS[rng.integers(1, len(PATTERNS))] if rng.uniform() < config.textured else PATTERNS[0]
    direction = rng.normal(size=3)
    frequency = rng.uniform(*config.frequency) * direction / np.linalg.norm(direction)
    color = rng.uniform(0, 1, 3)
    contrast = rng.uniform(0.1, 1.0)
    second = color + contrast * (rng.uniform(0, 1, 3) - color)
    if config.color < 1:
        color, second = (np.array(plain) + config.color * (drawn - plain) for drawn in (color, second))
    return {
        "pattern": pattern,
        "color": _rounded(color),
        "second": _rounded(second),
        "frequency": _rounded(frequency),
        "phase": round(rng.uniform(0, 2 * np.pi), 4),
        "gloss": round(rng.uniform(*config.gloss), 4),
    }


def _draw_tile(rng: np.random.Generator, size: float) -> dict[str, Any]:
    """Which of the `tiles`, how large [m], and its third colour; the first two are the material's."""
    return {
        "kind": int(rng.integers(len(KINDS))),
        "seed": int(rng.integers(2**31)),
        "size": round(size, 4),
        "third": _rounded(rng.uniform(0, 1, 3)),
    }


def _draw_sensor(rng: np.random.Generator, config: AppearanceConfig) -> dict[str, Any]:
    """What the camera does to the light, for `sensor.spoil`."""
    spread, steady = rng.uniform(0, 1, 5), rng.uniform(-config.balance, config.balance, 3)
    names = ("shot_noise", "vignette", "defocus", "exposure", "jpeg")
    drawn = {}
    for name, share in zip(names, spread, strict=True):
        low, high = getattr(config, name)
        drawn[name] = round(low + share * (high - low), 0 if name == "jpeg" else 5)
    sensor = drawn | {"balance": _rounded(1 + steady)}
    return {} if sensor == CLEAN else {"sensor": sensor}


def _camera_values(camera: Camera) -> dict[str, Any]:
    return {
        "position": _rounded(camera.position),
        "target": _rounded(camera.target),
        "fov": round(camera.fov, 4),
        "roll": round(camera.roll, 4),
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
