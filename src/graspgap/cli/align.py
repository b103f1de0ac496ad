"""`graspgap align OUT --points FILE.csv`, or `graspgap align OUT --sim DATA --real DATA`"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from tyro.conf import Positional

from graspgap.cli.checks import at_least, check_numbers, two_datasets
from graspgap.cli.hidden import hide
from graspgap.cli.place import Place
from graspgap.cli.train import HELD_OUT
from graspgap.datasets import open_dataset
from graspgap.datasets.view import save_png
from graspgap.deployment.align.detect import (
    LEARNED,
    LEAST,
    DetectorSettings,
    detect,
    held_out_error,
    load_or_train,
    surest,
)
from graspgap.deployment.align.fit import Fit, fit_camera, require_plausible, suspects
from graspgap.deployment.align.page import OVERLAYS, summary, write_page
from graspgap.deployment.align.points import Board, Point, read_boards, read_picture, read_points, write_points
from graspgap.deployment.align.sheet import save_sheet
from graspgap.errors import UserError
from graspgap.files import write_json
from graspgap.locations import Location
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run
from graspgap.tensors import choose_device
from graspgap.worlds.camera_file import read_camera

hide(DetectorSettings, "seed")


@dataclass(frozen=True)
class Config:
    """Find where your camera stands, from pictures with the gripper, or a printed board, at known places, or from
    unlabelled attempts."""

    out: Positional[Path]
    """Folder to write `camera.json` (for `collect --camera`), `align.html`, `align.png` and `alignment.json` to."""
    points: Path | None = None
    """CSV file `picture,u,v,x,y,z[,yaw]`: where the point between the fingertips is in the picture [pixels from the
    left and upper edge] and where the robot reports it [m, base frame]. Leave u and v empty to click them in
    `align.html`."""
    boards: Path | None = None
    """CSV file `picture,x,y,z,yaw`: where the outer corner beside marker 0 of a printed board lies, face up [m, base
    frame], and how the row of squares from there is turned [rad]."""
    board: Board = field(default_factory=Board)
    """The printed board."""
    print_board: bool = False
    """Write `board.png` to print, and nothing else."""
    sim: Place | None = None
    """With `real`: simulated dataset in which a detector learns what the gripper looks like; best collected with
    `--randomize both`."""
    real: Place | None = None
    """Dataset of your robot's attempts, in which that detector clicks: pictures and poses alone are read, never a label
    or a mask."""
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    """How it learns, and how much it looks at."""
    focal: float | None = None
    """Focal length, if you know it [pixels of the pictures that are given, so of the dataset's with `real`]; else it is
    solved for."""
    seed: int = 0
    """Of the detector."""
    workers: int = 0
    """Threads that the detector uses; 0: one per core."""
    device: str = "auto"
    """Where it runs: `auto`, `cpu`, `cuda`."""


def run(config: Config) -> None:
    """Solve, and say how sure it is."""
    if config.print_board:
        save_png(config.board.picture(), config.out / "board.png")
        size = [1e3 * config.board.square * count for count in (config.board.columns, config.board.rows)]
        print(f"{config.out / 'board.png'}: print it so that its squares measure {size[0]:g} x {size[1]:g} mm together")
        return
    check(config)
    if config.sim and config.real:
        _from_attempts(config, config.sim, config.real)
        return
    points = [*(read_points(config.points) if config.points else ())]
    points += read_boards(config.boards, config.board) if config.boards else []
    page = config.out / "align.html"
    clicked = [point for point in points if point.pixel is not None]
    if not clicked:
        write_page(page, points, None, None, None)
        print(f"{page}: click the {len(points)} points there, save points.csv, and run this again with it")
        return
    width, height = _size(points)
    pixels = np.array([point.pixel for point in clicked], dtype=np.float64)
    fit = fit_camera(pixels, np.array([point.place for point in clicked]), width, height, config.focal)
    _save(config.out, fit, points, fit.errors)
    for index in suspects(fit):
        print(f"look at {clicked[index].picture.name} again: its point is {fit.errors[index]:.1f} pixels off")


def check(config: Config) -> None:
    """Refuse what the options alone tell to be wrong.

    Raises:
        UserError: names the option and what it should be.
    """
    if (config.sim is None) != (config.real is None):
        raise UserError("--sim and --real belong together: a detector learns in the one and looks at the other")
    clicks = config.points is not None or config.boards is not None
    if config.sim is None and not clicks:
        raise UserError(
            "nothing to align with: give --points FILE.csv, --boards FILE.csv, --sim DATA --real DATA, or --print-board"
        )
    if config.sim is not None and clicks:
        raise UserError("give --points and --boards, or --sim and --real: rough points add nothing to clicked ones")
    if config.sim is not None:
        two_datasets(config.sim, config.real)
    if config.focal is not None and not 0 < config.focal < 1e6:
        raise UserError(f"--focal {config.focal} is no focal length: give pixels")
    at_least("--seed", config.seed, 0)
    check_numbers("--detector", config.detector)


def _from_attempts(config: Config, sim_place: Location, real_place: Location) -> None:
    """A detector clicks. It stays in the folder: a command that is stopped later on need not teach it again."""
    device = choose_device(config.device)
    if config.workers:
        torch.set_num_threads(choose_workers(config.workers))
    sim, real = open_dataset(sim_place), open_dataset(real_place)
    sim.require_simulated()
    sim.require_image_size(real.image_size)
    if not real.meta["has_poses"]:
        raise UserError(f"--real needs gripper poses, and {real.path} holds pictures alone")
    if sim.camera is None:
        raise UserError(f"{sim.path}, given as --sim, doesn't tell its camera: collect it in 'sim'")
    settings = replace(config.detector, seed=config.seed)
    looked, size = real.limit(settings.attempts, settings.seed), real.image_size
    count = round(settings.kept * int(looked.lengths.sum()))
    if count < LEAST:
        raise UserError(
            f"{count} pictures of {real.path} would be kept, expected {LEAST} or more: collect more attempts, or raise "
            "--detector.attempts or --detector.kept"
        )
    learned, held_out = sim.split_by_scene(HELD_OUT, settings.seed)
    facts = {"sim": sim.facts(), "real": real.facts()}
    begin_run(config.out, "alignment", settings, facts, places=("attempts", "kept"))
    detector = load_or_train(config.out, learned.limit(settings.steps * settings.batch), settings, device)
    off = held_out_error(detector, held_out.limit(settings.attempts), settings.kept, device)
    if off > LEARNED * size:
        raise UserError(
            f"the detector is {off:.1f} pixels off in simulation (median), expected {LEARNED * size:.1f} or less: give "
            "another folder, more --detector.steps, and a --sim of more attempts"
        )
    view = looked.unlabelled()
    found = detect(detector, view, np.arange(len(view.images)), device)
    frames = np.flatnonzero(surest(found.spread, settings.kept))
    assert view.poses is not None
    poses = view.poses[frames].astype(np.float64)
    pixels = (found.points[frames] + 1) / 2 * size
    try:
        fit = fit_camera(pixels, poses[:, :3], size, size, config.focal, sim.camera)
        require_plausible(fit, poses[:, :3], sim.camera)
    except UserError as error:
        raise UserError(
            f"the detector's points tell no camera ({str(error).partition(':')[0]}): give more attempts; if the "
            f"gripper looks otherwise than in {sim.path}, click points yourself, and give --points FILE.csv"
        ) from None
    shown = np.unique(np.linspace(0, len(frames) - 1, OVERLAYS).round().astype(int))
    points = []
    for number, k in enumerate(shown.tolist(), start=1):
        picture = config.out / "pictures" / f"{number:02d}.png"
        save_png(np.moveaxis(view.images[frames[k]], 0, -1), picture)
        x, y, z, yaw = poses[k].tolist()
        points.append(Point(picture, (float(pixels[k, 0]), float(pixels[k, 1])), (x, y, z), yaw))
    write_points(config.out / "points.csv", points)
    used = {"pictures": len(found.spread), "kept": len(frames), "simulated_error_pixels": off, "focal": config.focal}
    _save(config.out, fit, points, fit.errors[shown], used)
    print(f"the detector is {off:.2f} pixels off in simulation (median); see {config.out / 'align.png'}")


def _save(
    out: Path,
    fit: Fit,
    points: list[Point],
    errors: Float64[np.ndarray, "n"],
    detector: dict[str, Any] | None = None,
) -> None:
    """Write what was found, and say it. `errors` are those of the points that have a pixel; `detector`: facts about who
    clicked, where nobody did."""
    camera, page = out / "camera.json", out / "align.html"
    write_json(camera, fit.as_file())
    read = read_camera(camera)
    clicked = [point for point in points if point.pixel is not None]
    write_json(
        out / "alignment.json",
        {
            "camera": asdict(read.camera),
            "rms_pixels": fit.rms,
            "position_error_m": fit.position_error,
            "focal_error": fit.focal_error,
            "points": [
                {"picture": point.picture.name, "pixel": point.pixel, "place": point.place, "error_pixels": error}
                for point, error in zip(clicked, errors.tolist(), strict=True)
            ],
        }
        | ({"detector": detector} if detector else {}),
    )
    write_page(page, points, fit, read.camera, read.crop)
    if read.crop:
        save_sheet(out / "align.png", points, fit, read.camera, read.crop)
    print(summary(fit))
    print(f"{camera}: graspgap collect DATA --world sim --camera {camera}; see {page}")


def _size(points: list[Point]) -> tuple[int, int]:
    """Width and height of all pictures.

    Raises:
        UserError: if they differ.
    """
    sizes = {point.picture: read_picture(point.picture).shape[1::-1] for point in points}
    found = set(sizes.values())
    if len(found) != 1:
        one, other = (next(path for path, size in sizes.items() if size == each) for each in sorted(found)[:2])
        raise UserError(f"{one} and {other} have different sizes: use one camera, in one mode")
    width, height = found.pop()
    return int(width), int(height)
