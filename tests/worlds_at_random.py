"""Random worlds, and what must hold in every one of them; the benchmark `worlds.py` uses this too."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import mujoco
import numpy as np

from graspgap.config import from_json
from graspgap.contract import Camera, SemanticClass
from graspgap.objects import make_object_set
from graspgap.objects.prisms import PrismConfig, Prisms
from graspgap.seeding import generator
from graspgap.worlds.cell import Cell
from graspgap.worlds.randomization import AppearanceConfig, DynamicsConfig, RandomizationConfig
from graspgap.worlds.sim import SimConfig, make_sim
from graspgap.worlds.tabletop import TabletopWorld

LIMITS: dict[str, tuple[float, float]] = {
    "camera_barrel": (-0.05, 0.08), "light_height": (0.3, 3.0), "light_strength": (0.0, 2.0), "light_count": (1, 4),
    "ambient": (0.0, 1.0), "shadow": (0.0, 1.0), "gloss": (0.0, 1.0), "frequency": (0.1, 300.0),
    "tile_size": (0.002, 1.0), "background_size": (0.01, 2.0), "noise": (0.0, 0.2), "shot_noise": (0.0, 0.2),
    "vignette": (0.0, 1.0), "defocus": (0.0, 3.0), "exposure": (0.1, 4.0), "jpeg": (0, 100),
    "camera_position": (0.0, 0.1), "camera_target": (0.0, 0.06), "camera_fov": (0.0, 8.0), "camera_roll": (0.0, 180.0),
    "light_side": (0.0, 3.0), "tint": (0.0, 1.0), "color": (0.0, 1.0), "textured": (0.0, 1.0), "tiled": (0.0, 1.0),
    "background": (0.0, 1.0), "balance": (0.0, 0.5),
    "mass": (0.2, 5.0), "object_friction": (0.1, 3.0), "finger_friction": (0.1, 3.0), "bin_friction": (0.1, 3.0),
    "damping": (0.1, 10.0), "grip_force": (0.2, 3.0), "finger_speed": (0.4, 2.0), "speed": (0.3, 2.0),
    "latency": (0.0, 0.3), "calibration": (0.0, 0.02), "calibration_yaw": (0.0, 0.2),
}  # fmt: skip
"""Between which values a range may lie: wider than the preset `heavy`."""


def random_ranges(rng: np.random.Generator) -> RandomizationConfig:
    """Any ranges within `LIMITS`, each part on or off."""

    def drawn(config: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, default in asdict(config).items():
            if name == "enabled":
                values[name] = bool(rng.integers(2))
            elif isinstance(default, tuple):
                low, high = np.sort(rng.uniform(*LIMITS[name], 2)).tolist()
                whole = isinstance(default[0], int)
                values[name] = (round(low), round(high)) if whole else (low, high)
            else:
                values[name] = float(rng.uniform(*LIMITS[name]))
        return values

    appearance, dynamics = (drawn(config) for config in (AppearanceConfig(), DynamicsConfig()))
    return RandomizationConfig(AppearanceConfig(**appearance), DynamicsConfig(**dynamics))


def random_prisms(rng: np.random.Generator) -> Prisms:
    """Prisms of any sizes that the gripper can span."""
    thin, long = np.sort(rng.uniform(0.01, 0.035, 2)), np.sort(rng.uniform(0.035, 0.09, 2))
    parts = np.sort(rng.integers(1, 7, 2))
    return Prisms(
        PrismConfig(
            parts=(int(parts[0]), int(parts[1])),
            thickness=(float(thin[0]), float(thin[1])),
            length=(float(long[0]), float(long[1])),
            extent=(0.02, 0.12),
            width=0.07,
        )
    )


def random_world(seed: int) -> TabletopWorld[Cell]:
    """A world `sim` of random settings, which depend on the seed alone."""
    rng = generator(seed, "random world")
    most = int(rng.integers(1, 12))
    config = SimConfig(
        image_size=int(rng.integers(16, 49)),
        objects=(int(rng.integers(0, most + 1)), most),
        layers=bool(rng.integers(2)),
        randomization=random_ranges(rng),
        camera=Camera(fov=float(rng.uniform(15, 60)), roll=float(rng.uniform(-180, 180))),
    )
    objects = make_object_set("everyday") if rng.uniform() < 0.3 else random_prisms(rng)
    return make_sim(config, objects, "train")


def hostile_command(rng: np.random.Generator) -> np.ndarray:
    """A finite command that may be far out of any limits."""
    return (rng.normal(size=5) * 10 ** rng.uniform(-6, 6)).astype(np.float32)


def check_attempt(world: TabletopWorld[Cell], seed: int) -> None:
    """Begin an attempt, look, move by hostile commands, close; what must hold is asserted all the way."""
    rng = generator(seed, "hostile")
    world.reset(seed, seed % 3)
    _check_start(world)
    for _ in range(3):
        _check_look(world, rng)
        world.move(hostile_command(rng))
        pose, space = world.cell.pose(), world.spec.workspace
        assert np.isfinite(pose).all()
        off = np.abs(np.array(world.cell.motion.calibration)[:3]).max() + 0.03
        assert (pose[:3] > np.array(space.low) - off).all()
        assert (pose[:3] < np.array(space.high) + off).all()
    outcome = world.grasp()
    assert np.isfinite(list(outcome.details.values())).all()
    assert np.isfinite(world.cell.data.qpos).all()
    json.dumps(world.record(), allow_nan=False)


def _check_start(world: TabletopWorld[Cell]) -> None:
    """Objects lie in the bin and on its floor; one that four drops left outside is far out of the picture."""
    cell = world.cell
    for index, body in enumerate(cell.object_bodies):
        place = cell.data.xpos[body]
        assert cell._inside(index) or place[0] > 1.5, f"object {index} at {place}"
        assert place[2] > -0.002
    touching = cell.body_object[cell.model.geom_bodyid[cell.data.contact.geom]]
    with_bin = (touching < 0).any(axis=1)
    assert cell.data.contact.dist[with_bin].min(initial=0) > -0.003, "an object sticks in the bin"


def _check_look(world: TabletopWorld[Cell], rng: np.random.Generator) -> None:
    """Pictures are pictures, and masks agree with rays of their own at some pixels."""
    seen = world.observe()
    size = world.spec.image_size
    assert seen.image_now.shape == (size, size, 3)
    mask = seen.mask_now
    assert mask is not None
    looks = world.record()["randomization"]["looks"]
    camera = from_json(Camera, looks["camera"])
    rays, model, found = camera.rays(size, looks.get("barrel", 0.0)), world.cell.model, np.zeros(1, np.int32)
    for row, column in rng.integers(0, size, (20, 2)):
        far = mujoco.mj_ray(model, world.cell.data, np.array(camera.position), rays[row, column], None, True, -1, found)
        body = model.body(model.geom_bodyid[found[0]]).name if far >= 0 else "world"
        kinds = {"bin": SemanticClass.BIN, "world": SemanticClass.BACKGROUND}
        kind = SemanticClass.OBJECT if body.startswith("object_") else kinds.get(body, SemanticClass.ARM)
        assert mask[row, column] == kind
        if seen.layers_now is not None:
            number = int(body.removeprefix("object_")) + 1 if kind == SemanticClass.OBJECT else 0
            assert seen.layers_now.instances[row, column] == number
            assert np.isfinite(seen.layers_now.depth[row, column])
