"""Points whose place is known in the picture and in the robot's base frame: what a calibration is made of."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64

from graspgap.contract import Image
from graspgap.datasets.pictures import decode_whole_picture
from graspgap.errors import UserError
from graspgap.files import write_text

COLUMNS = ("picture", "u", "v", "x", "y", "z")
"""Of a file of points: the picture's file, pixels from its left and upper edge, metres in the base frame. A seventh,
`yaw` [rad], is for drawing the gripper alone."""
BOARD_COLUMNS = ("picture", "x", "y", "z", "yaw")
"""Of a file of boards: where the outer corner beside marker 0 lies, and how the row from there is turned."""


@dataclass(frozen=True)
class Point:
    """One known point."""

    picture: Path
    pixel: tuple[float, float] | None
    """From the left and the upper edge; None: to be clicked."""
    place: tuple[float, float, float]
    """Base frame [m]."""
    yaw: float = 0.0
    """Of the gripper whose grasp point it is [rad]."""


@dataclass(frozen=True)
class Board:
    """A printed ChArUco board, lying face up."""

    columns: int = 7
    """Squares along the row with marker 0."""
    rows: int = 5
    square: float = 0.03
    """Side of a square [m], measured on the print."""
    marker: float = 0.022
    """Side of a marker [m]."""

    def made(self) -> cv2.aruco.CharucoBoard:
        """The board for OpenCV, with AprilTag 36h11 markers."""
        if min(self.columns, self.rows) < 3 or not 0 < self.marker < self.square:
            raise UserError(f"{self} is no board: expected 3 or more squares a side, and markers inside their squares")
        tags = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, tags)

    def picture(self, pixels_per_square: int = 120) -> Image:
        """The board to print, with a margin of half a square."""
        size = (np.array([self.columns, self.rows]) + 1) * pixels_per_square
        grey = self.made().generateImage(tuple(size.tolist()), marginSize=pixels_per_square // 2)
        return np.repeat(np.asarray(grey, dtype=np.uint8)[..., None], 3, axis=2)


def read_points(path: Path) -> list[Point]:
    """Points of a CSV file with `COLUMNS`; pictures are beside it. Empty `u` and `v` are to be clicked.

    Raises:
        UserError: if a column or a picture is missing, or a value is no number.
    """
    points = []
    for number, row in _rows(path, COLUMNS, ("yaw",)):
        clicked = bool(row["u"] or row["v"])
        pixel = (_number(path, number, row, "u"), _number(path, number, row, "v")) if clicked else None
        x, y, z = (_number(path, number, row, axis) for axis in "xyz")
        yaw = _number(path, number, row, "yaw") if row.get("yaw") else 0.0
        points.append(Point(_beside(path, row["picture"]), pixel, (x, y, z), yaw))
    return points


def write_points(path: Path, points: list[Point]) -> None:
    """Write points as `read_points` reads them."""
    lines = [",".join((*COLUMNS, "yaw"))]
    for point in points:
        u, v = ("", "") if point.pixel is None else (f"{value:.2f}" for value in point.pixel)
        place = ",".join(f"{value:.5f}" for value in (*point.place, point.yaw))
        lines.append(f"{point.picture.relative_to(path.parent).as_posix()},{u},{v},{place}")
    write_text(path, "\n".join(lines) + "\n")


def read_boards(path: Path, board: Board) -> list[Point]:
    """The corners of a board in the pictures of a CSV file with `BOARD_COLUMNS`.

    Raises:
        UserError: as `read_points`, or if a picture shows no board.
    """
    points = []
    for number, row in _rows(path, BOARD_COLUMNS, ()):
        x, y, z, yaw = (_number(path, number, row, name) for name in BOARD_COLUMNS[1:])
        picture = _beside(path, row["picture"])
        pixels, places = find_board(read_picture(picture), board)
        if len(pixels) < 6:
            raise UserError(f"{picture} shows {len(pixels)} corners of the board, expected 6 or more: see its light")
        c, s = math.cos(yaw), math.sin(yaw)
        for (u, v), (a, b) in zip(pixels.tolist(), places.tolist(), strict=True):
            points.append(Point(picture, (u, v), (x + c * a + s * b, y + s * a - c * b, z), yaw))
    return points


def find_board(picture: Image, board: Board) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]:
    """The board's inner corners in a picture [pixels from the left and upper edge], and on the board [m] along the row
    of marker 0 and down from there."""
    made = board.made()
    found, numbers, _, _ = cv2.aruco.CharucoDetector(made).detectBoard(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    if numbers is None or found is None:
        return np.empty((0, 2)), np.empty((0, 2))
    places = np.asarray(made.getChessboardCorners(), dtype=np.float64)[np.asarray(numbers).ravel(), :2]
    return np.asarray(found, dtype=np.float64).reshape(-1, 2) + 0.5, places  # OpenCV counts from a pixel's middle


def read_picture(path: Path) -> Image:
    """A picture of any size.

    Raises:
        UserError: if it can't be read.
    """
    try:
        return decode_whole_picture(path.read_bytes())
    except OSError as error:
        raise UserError(f"can't read the picture {path} ({error.strerror}): it should lie beside the file") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _rows(path: Path, columns: tuple[str, ...], more: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            names = list(reader.fieldnames or ())
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"can't read {path} ({error}): give a CSV file with columns {','.join(columns)}") from None
    given = set(names)
    if not set(columns) <= given or given - {*columns, *more}:
        raise UserError(f"{path} has the columns {','.join(names)}, expected {','.join(columns)}")
    if not rows:
        raise UserError(f"{path} holds no rows: give one for each point")
    return list(enumerate(rows, start=2))


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"line {line} of {path} has {name} = '{row[name]}', expected a number")
    return value


def _beside(path: Path, name: str) -> Path:
    picture = path.parent / name
    try:
        there = bool(name) and picture.is_file()
    except (OSError, ValueError):  # no name that a file can have
        there = False
    if not there:
        raise UserError(f"the picture '{name}' of {path} is missing: paths are taken from the file's folder")
    return picture
