"""Pictures with exact semantic masks per second on one core: our ray casting, PyBullet's TinyRenderer, MuJoCo's OpenGL.

    pip install -e '.[bullet]' -c constraints.txt
    MUJOCO_GL=egl python benchmarks/frames.py

Rows whose renderer is missing are left out. `sim` and OpenGL draw the same scene, with its arm and 5 to 10 prisms;
OpenGL draws it twice, for the picture and for the segmentation. `bullet` draws its own cell, whose arm is a fine
mesh. Setting up an attempt (colours, textures) is counted in `prepare_ms`, apart from the frames. Nothing else should
run meanwhile.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import mujoco
import numpy as np
import tyro

from graspgap.contract import Camera
from graspgap.errors import UserError
from graspgap.worlds.catalog import WORLDS, WorldChoice
from graspgap.worlds.tabletop import TabletopWorld


@dataclass(frozen=True)
class Config:
    """What is measured."""

    frames: int = 60
    """Frames in a repeat."""
    repeats: int = 9
    """Repeats, of which the median counts; the rows take turns."""
    image_size: int = 64
    """Pixels of a side of the pictures."""


Draw = Callable[[], object]


def ours(world: TabletopWorld[Any]) -> tuple[Draw, Draw]:
    """Draws a frame; prepares an attempt."""
    world.reset(0, 0)
    looks = world.looks | {"noise_seed": 0}
    return lambda: world.renderer.render(world.cell), lambda: world.renderer.prepare(world.cell, looks)


def opengl(world: TabletopWorld[Any], size: int) -> Draw:
    """A frame and its segmentation by MuJoCo's renderer, of the scene as it stands."""
    model, data, camera = world.cell.model, world.cell.data, Camera()
    renderer = mujoco.Renderer(model, size, size)
    view = mujoco.MjvCamera()
    away = np.subtract(camera.target, camera.position)
    view.lookat, view.distance = camera.target, float(np.linalg.norm(away))
    view.azimuth = float(np.degrees(np.arctan2(away[1], away[0])))
    view.elevation = float(np.degrees(np.arcsin(away[2] / view.distance)))
    model.vis.global_.fovy = camera.fov

    def draw() -> object:
        renderer.disable_segmentation_rendering()
        renderer.update_scene(data, view)
        picture = renderer.render()
        renderer.enable_segmentation_rendering()
        return picture, renderer.render()

    return draw


def subjects(config: Config) -> dict[str, tuple[Draw, Draw | None]]:
    """What is measured, by the name of its row."""
    found: dict[str, tuple[Draw, Draw | None]] = {}
    for preset in ("none", "both", "mild", "medium", "heavy"):
        world = WORLDS["sim"](WorldChoice("sim", randomize=preset, image_size=config.image_size))
        assert isinstance(world, TabletopWorld)
        found[f"sim, --randomize {preset}"] = ours(world)
        if preset == "none":
            plain = world
    try:
        bullet = WORLDS["bullet"](WorldChoice("bullet", image_size=config.image_size))
        assert isinstance(bullet, TabletopWorld)
        found["bullet (TinyRenderer)"] = ours(bullet)
    except UserError as error:
        print(f"left out: {error}")
    try:
        found[f"MuJoCo OpenGL ({os.environ.get('MUJOCO_GL', 'default')})"] = opengl(plain, config.image_size), None
    except (RuntimeError, AttributeError, mujoco.FatalError) as error:
        print(f"left out: MuJoCo's OpenGL renderer doesn't start here ({error}); try MUJOCO_GL=egl or osmesa")
    return found


def measure(config: Config) -> list[dict[str, Any]]:
    """A row for each subject, after a frame that is not counted."""
    draws = subjects(config)
    seconds: dict[str, list[float]] = {name: [] for name in draws}
    preparing: dict[str, list[float]] = {name: [] for name in draws}
    for _ in range(config.repeats):
        for name, (draw, prepare) in draws.items():
            if prepare:
                start = time.perf_counter()
                prepare()
                preparing[name].append(time.perf_counter() - start)
            draw()
            start = time.perf_counter()
            for _ in range(config.frames):
                draw()
            seconds[name].append((time.perf_counter() - start) / config.frames)
    reference = seconds["sim, --randomize none"]
    return [
        {
            "what": name,
            "frames_per_second": round(1 / median(times)),
            "slowest": round(1 / max(times)),
            "fastest": round(1 / min(times)),
            "sim_is_faster_by": round(float(np.median(np.divide(times, reference))), 2),
            "prepare_ms": round(1e3 * median(preparing[name]), 2) if preparing[name] else None,
        }
        for name, times in seconds.items()
    ]


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    rows = measure(config)
    print(table(rows))
    print(save("frames", asdict(config) | {"MUJOCO_GL": os.environ.get("MUJOCO_GL", "")}, rows, load))


if __name__ == "__main__":
    main()
