"""`graspgap align` in the stand-in, whose true camera is known: how far off is what it finds?

    pip install -e . -c constraints.txt
    python benchmarks/align.py

The gripper goes to some poses, as the robot reports them (with its calibration error), and the point between its
fingertips is clicked where the true camera (with its distortion) sees it, `click` pixels off. For each number of
pictures the camera is solved, `repeats` times. Then, over the workspace: where the solved camera and the true one see a
reported place, and how far apart on the floor of the bin one pixel's two rays meet it. `nominal` is what the operator
believes.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from graspgap.contract import Camera
from graspgap.deployment.align.fit import fit_camera
from graspgap.errors import UserError
from graspgap.progress import progress
from graspgap.seeding import generator
from graspgap.worlds.camera_file import read_camera
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.sensor import SensorConfig
from graspgap.worlds.standin import NOMINAL_CAMERA, TRUE_CAMERA, TRUE_CELL
from graspgap.worlds.tabletop import TabletopWorld


@dataclass(frozen=True)
class Config:
    """What is tried."""

    pictures: tuple[int, ...] = (8, 15, 30)
    """Numbers of pictures."""
    repeats: int = 20
    click: float = 1.5
    """Standard deviation of a click [pixels]."""
    size: int = 640
    """Pixels of a side of the pictures that are clicked."""
    seed: int = 0


def true_pixels(places: np.ndarray, size: int) -> np.ndarray:
    """Where the stand-in's pictures show true places, with the lens's distortion (see `worlds.sensor.distort`)."""
    ideal = TRUE_CAMERA.project(places)
    seen = ideal.copy()
    for _ in range(20):  # the distortion says where a pixel comes from; this is its inverse
        seen = ideal / (1 + SensorConfig().barrel * ((seen**2).sum(axis=-1, keepdims=True) - 2))
    return (seen + 1) / 2 * size


def errors(camera: Camera, size: int, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Root mean square error over the workspace [pixels], and on the floor of the bin [m]."""
    grid = np.stack(np.meshgrid(*[np.linspace(a, b, 6) for a, b in zip(low, high, strict=True)]), axis=-1).reshape(
        -1, 3
    )
    truth = true_pixels(grid - TRUE_CELL.calibration[:3], size)
    seen = (camera.project(grid) + 1) / 2 * size
    floor = grid[np.isclose(grid[:, 2], low[2])]
    rays = (true_pixels(floor - TRUE_CELL.calibration[:3], size) / size * 2 - 1) * np.tan(np.radians(camera.fov) / 2)
    ways = np.concatenate([rays, np.ones((len(rays), 1))], axis=1) @ camera.rotation()
    reach = (low[2] - camera.position[2]) / ways[:, 2:]
    hit = camera.position + reach * ways
    return _rms(seen - truth), _rms(hit - floor)


def _rms(differences: np.ndarray) -> float:
    return float(np.sqrt((differences**2).sum(axis=-1).mean()))


def main() -> None:
    """Align, compare, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    world = make_world(WorldChoice("standin", image_size=16))
    assert isinstance(world, TabletopWorld)
    low, high = np.array(world.spec.workspace.low), np.array(world.spec.workspace.high)
    pixels, floor = errors(NOMINAL_CAMERA, config.size, low, high)
    rows: list[dict[str, Any]] = [_row("nominal", 0, [pixels], [floor], [_distance(NOMINAL_CAMERA)], config)]
    with progress("align", len(config.pictures) * config.repeats, 0, "cameras") as advance:
        for count in config.pictures:
            found: list[tuple[float, float, float]] = []
            refused = 0
            for repeat in range(config.repeats):
                try:
                    found.append(_aligned(world, config, count, repeat, low, high))
                except UserError:
                    refused += 1
                advance(1, f"{refused} refused")
            pictures, floors, places = (list(each) for each in zip(*found, strict=True))
            rows.append(_row("aligned", count, pictures, floors, places, config) | {"refused": refused})
    rows[0]["refused"] = 0
    print(table(rows))
    print(save("align", asdict(config), rows, load))


def _aligned(
    world: TabletopWorld[Any], config: Config, count: int, repeat: int, low: np.ndarray, high: np.ndarray
) -> tuple[float, float, float]:
    """Errors of one aligned camera: in the picture [pixels], on the floor [m], of its place [m]."""
    rng = generator(config.seed, count, repeat, "align")
    world.reset(int(rng.integers(2**31)), repeat)
    places, clicks = [], []
    for _ in range(count):
        world.cell.place_arm(np.array([*rng.uniform(low, high), rng.uniform(-1.5, 1.5)], dtype=np.float32))
        places.append(world.cell.pose()[:3].astype(np.float64))
        clicks.append(true_pixels(world.cell.true_pose()[:3].astype(np.float64), config.size))
    clicked = np.array(clicks) + rng.normal(0, config.click, (count, 2))
    fit = fit_camera(clicked, np.array(places), config.size, config.size)
    camera = _camera(fit.as_file())
    return *errors(camera, config.size, low, high), _distance(camera)


def _camera(values: dict[str, Any]) -> Camera:
    """As `collect --camera` reads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "camera.json"
        path.write_text(json.dumps(values))
        return read_camera(path).camera


def _distance(camera: Camera) -> float:
    """From where the true camera stands, in the frame that the robot reports [m]."""
    return float(np.linalg.norm(np.subtract(camera.position, np.add(TRUE_CAMERA.position, TRUE_CELL.calibration[:3]))))


def _row(
    what: str, count: int, pixels: list[float], floor: list[float], place: list[float], config: Config
) -> dict[str, Any]:
    return {
        "camera": what,
        "pictures": count,
        "picture_error_px": round(float(np.median(pixels)), 2),
        "of_64_px": round(float(np.median(pixels)) * 64 / config.size, 3),
        "floor_error_mm": round(1e3 * float(np.median(floor)), 2),
        "camera_error_mm": round(1e3 * float(np.median(place)), 1),
    }


if __name__ == "__main__":
    main()
