"""`graspgap align OUT --points FILE.csv`"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from tyro.conf import Positional

from graspgap.datasets.view import save_png
from graspgap.deployment.align.fit import fit_camera, suspects
from graspgap.deployment.align.page import summary, write_page
from graspgap.deployment.align.points import Board, Point, read_boards, read_picture, read_points
from graspgap.deployment.align.sheet import save_sheet
from graspgap.errors import UserError
from graspgap.files import write_json
from graspgap.worlds.camera_file import read_camera


@dataclass(frozen=True)
class Config:
    """Find where your camera stands, from pictures with the gripper, or a printed board, at known places."""

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
    focal: float | None = None
    """Focal length [pixels], if you know it; else it is solved for."""


def run(config: Config) -> None:
    """Solve, and say how sure it is."""
    if config.print_board:
        save_png(config.board.picture(), config.out / "board.png")
        size = [1e3 * config.board.square * count for count in (config.board.columns, config.board.rows)]
        print(f"{config.out / 'board.png'}: print it so that its squares measure {size[0]:g} x {size[1]:g} mm together")
        return
    if config.points is None and config.boards is None:
        raise UserError("nothing to align with: give --points FILE.csv, --boards FILE.csv, or --print-board")
    if config.focal is not None and not 0 < config.focal < 1e6:
        raise UserError(f"--focal {config.focal} is no focal length: give pixels")
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
    camera = config.out / "camera.json"
    write_json(camera, fit.as_file())
    read = read_camera(camera)
    write_json(
        config.out / "alignment.json",
        {
            "camera": asdict(read.camera),
            "rms_pixels": fit.rms,
            "position_error_m": fit.position_error,
            "focal_error": fit.focal_error,
            "points": [
                {"picture": point.picture.name, "pixel": point.pixel, "place": point.place, "error_pixels": error}
                for point, error in zip(clicked, fit.errors.tolist(), strict=True)
            ],
        },
    )
    write_page(page, points, fit, read.camera, read.crop)
    if read.crop:
        save_sheet(config.out / "align.png", points, fit, read.camera, read.crop)
    print(summary(fit))
    for index in suspects(fit):
        print(f"look at {clicked[index].picture.name} again: its point is {fit.errors[index]:.1f} pixels off")
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
