"""`graspgap align` in a stand-in, whose true camera is known: how far off is what it finds?

    pip install -e . -c constraints.txt
    python benchmarks/align.py                                           # how far off
    python benchmarks/align.py --world standin2 --once runs/identified   # one camera, for the preset `second`

The gripper goes to some poses, as the robot reports them (with its calibration error), and the point between its
fingertips is clicked where the true camera (with its distortion) sees it, `click` pixels off. For each number of
pictures the camera is solved, `repeats` times. Then, over the workspace: where the solved camera and the true one see a
reported place, and how far apart on the floor of the bin one pixel's two rays meet it. `nominal` is what the operator
believes. With `--once FOLDER` one camera is found by `graspgap align` itself from clicked pictures, which are left in
FOLDER.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import csv
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.spatial.transform import Rotation

from graspgap.cli.align import Config as AlignConfig
from graspgap.cli.align import run as run_align
from graspgap.contract import Camera
from graspgap.datasets.view import save_png
from graspgap.deployment.align.fit import fit_camera
from graspgap.errors import UserError, choose
from graspgap.progress import progress
from graspgap.seeding import generator
from graspgap.worlds import standin, standin2
from graspgap.worlds.camera_file import read_camera
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.sensor import SensorConfig, distorted
from graspgap.worlds.standin import NOMINAL_CAMERA
from graspgap.worlds.tabletop import TabletopWorld


@dataclass(frozen=True)
class Truth:
    """What the judge alone knows of a stand-in."""

    camera: Camera
    barrel: float
    """Of its lens, see `worlds.sensor.distort`."""
    calibration: tuple[float, float, float, float]
    """What the robot reports more than is true: x, y, z [m], yaw [rad]."""

    @property
    def place(self) -> np.ndarray:
        """Where the camera stands in the frame that the robot reports [m]."""
        return np.add(self.camera.position, self.calibration[:3])


TRUTHS = {
    "standin": Truth(standin.TRUE_CAMERA, SensorConfig().barrel, standin.TRUE_CELL.calibration),
    "standin2": Truth(standin2.TRUE_CAMERA, standin2.SENSOR.barrel, standin2.TRUE_CELL.calibration),
}


@dataclass(frozen=True)
class Config:
    """What is tried."""

    world: str = "standin"
    """`standin` or `standin2` (extra `bullet`)."""
    once: Path | None = None
    """Folder for one camera and the pictures that it is found from."""
    pictures: tuple[int, ...] = (8, 15, 30)
    """Numbers of pictures."""
    repeats: int = 20
    click: float = 1.5
    """Standard deviation of a click [pixels]."""
    size: int = 640
    """Pixels of a side of the pictures that are clicked."""
    seed: int = 0


def true_pixels(truth: Truth, places: np.ndarray, size: int) -> np.ndarray:
    """Where the stand-in's pictures show true places, with the lens's distortion (see `worlds.sensor.distort`)."""
    return (distorted(truth.camera.project(places), truth.barrel) + 1) / 2 * size


def errors(truth: Truth, camera: Camera, size: int, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Root mean square error over the workspace [pixels], and on the floor of the bin [m]."""
    grid = np.stack(np.meshgrid(*[np.linspace(a, b, 6) for a, b in zip(low, high, strict=True)]), axis=-1).reshape(
        -1, 3
    )
    true = true_pixels(truth, grid - truth.calibration[:3], size)
    seen = (camera.project(grid) + 1) / 2 * size
    floor = grid[np.isclose(grid[:, 2], low[2])]
    rays = (true_pixels(truth, floor - truth.calibration[:3], size) / size * 2 - 1) * np.tan(np.radians(camera.fov) / 2)
    ways = np.concatenate([rays, np.ones((len(rays), 1))], axis=1) @ camera.rotation()
    reach = (low[2] - camera.position[2]) / ways[:, 2:]
    hit = camera.position + reach * ways
    return _rms(seen - true), _rms(hit - floor)


def shown(
    world: TabletopWorld[Any], truth: Truth, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Move the gripper somewhere: its pose as the robot reports it, and the pixel where the true camera sees it."""
    low, high = world.spec.workspace.low, world.spec.workspace.high
    world.cell.place_arm(np.array([*rng.uniform(low, high), rng.uniform(-1.5, 1.5)], dtype=np.float32))
    place = world.cell.true_pose()[:3].astype(np.float64)
    return world.cell.pose().astype(np.float64), true_pixels(truth, place, size)


def clicked_camera(folder: Path, world_name: str, seed: int, pictures: int, click: float, size: int) -> Path:
    """Take pictures of a stand-in with the gripper at random poses, click `click` pixels off, and run `graspgap align`;
    the file of the camera that it finds. Pictures have `size` pixels a side."""
    world = tabletop(world_name, size)
    rng = generator(seed, "align worth")
    world.reset(int(rng.integers(2**31)), 0)
    rows: list[list[Any]] = [["picture", "u", "v", "x", "y", "z", "yaw"]]
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(pictures):
        pose, pixel = shown(world, TRUTHS[world_name], rng, size)
        pixel += rng.normal(0, click, 2)
        name = f"{number + 1:02d}.png"
        save_png(world.observe().image_now, folder / name)
        rows.append([name, *np.round(pixel, 1).tolist(), *np.round(pose, 5).tolist()])
    with (folder / "points.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    run_align(AlignConfig(folder, points=folder / "points.csv"))
    return folder / "camera.json"


def off(file: Path, world_name: str, size: int) -> dict[str, float]:
    """How far a camera is from the true one, in what it sees and where it stands."""
    return off_by(read_camera(file).camera, world_name, size)


def off_by(camera: Camera, world_name: str, size: int) -> dict[str, float]:
    """As `off`, of a camera."""
    truth = TRUTHS[world_name]
    space = tabletop(world_name, 16).spec.workspace
    pixels, floor = errors(truth, camera, size, np.array(space.low), np.array(space.high))
    turn = Rotation.from_matrix(camera.rotation() @ truth.camera.rotation().T).magnitude()
    return {
        "of_64_px": round(pixels * 64 / size, 2),
        "floor_error_mm": round(1e3 * floor, 1),
        "camera_error_mm": round(1e3 * _distance(truth, camera), 1),
        "turned_degrees": round(float(np.degrees(turn)), 2),
        "fov": round(camera.fov, 2),
    }


def tabletop(name: str, size: int) -> TabletopWorld[Any]:
    """A stand-in with pictures of this size."""
    world = make_world(WorldChoice(choose("--world", name, TRUTHS), image_size=size))
    assert isinstance(world, TabletopWorld)
    return world


def _rms(differences: np.ndarray) -> float:
    return float(np.sqrt((differences**2).sum(axis=-1).mean()))


def main() -> None:
    """Align, compare, save."""
    config = tyro.cli(Config, description=__doc__)
    if config.once:
        clicks = (config.seed, config.pictures[0], config.click, config.size)
        file = clicked_camera(config.once, config.world, *clicks)
        print(file.read_text(), table([off(file, config.world, config.size)]), sep="\n")
        return
    load, truth = begin(), TRUTHS[config.world]
    world = tabletop(config.world, 16)
    low, high = np.array(world.spec.workspace.low), np.array(world.spec.workspace.high)
    pixels, floor = errors(truth, NOMINAL_CAMERA, config.size, low, high)
    rows: list[dict[str, Any]] = [_row("nominal", 0, [pixels], [floor], [_distance(truth, NOMINAL_CAMERA)], config)]
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
    truth, rng = TRUTHS[config.world], generator(config.seed, count, repeat, "align")
    world.reset(int(rng.integers(2**31)), repeat)
    places, clicks = [], []
    for _ in range(count):
        pose, pixel = shown(world, truth, rng, config.size)
        places.append(pose[:3])
        clicks.append(pixel)
    clicked = np.array(clicks) + rng.normal(0, config.click, (count, 2))
    fit = fit_camera(clicked, np.array(places), config.size, config.size)
    camera = as_read(fit.as_file())
    return *errors(truth, camera, config.size, low, high), _distance(truth, camera)


def as_read(values: dict[str, Any]) -> Camera:
    """As `collect --camera` reads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "camera.json"
        path.write_text(json.dumps(values))
        return read_camera(path).camera


def _distance(truth: Truth, camera: Camera) -> float:
    """From where the true camera stands, in the frame that the robot reports [m]."""
    return float(np.linalg.norm(np.subtract(camera.position, truth.place)))


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
