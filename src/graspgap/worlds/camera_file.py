"""A user's own camera, from its calibration: so that simulated pictures are taken from where real ones are."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from graspgap.contract import Camera, Workspace
from graspgap.errors import UserError

_FORMS = (
    "expected `position`, `target` [m] and `fov` [degrees], or `K` (3 x 3), `width`, `height` [pixels] "
    "and `T_base_camera` (4 x 4)"
)
FAR = 100.0
"""No camera sees a bin from so far [m]: the unit of length must be another one."""
_CALIBRATION = ("K", "width", "height", "T_base_camera")
_OWN = tuple(field.name for field in fields(Camera))


@dataclass(frozen=True)
class CameraFile:
    """What a camera file says."""

    camera: Camera
    crop: tuple[int, int, int] | None = None
    """Left column, upper row and side [pixels] of the square of the user's pictures that `camera` shows; None: all."""


def read_camera(path: Path) -> CameraFile:
    """Read a JSON or TOML file, in one of two forms.

    Ours: `position` and `target` in the robot base frame [m], vertical field of view `fov` and `roll` [degrees].

    A calibration's: the intrinsic matrix `K` [pixels], `width` and `height` of the pictures, and `T_base_camera`, the
    camera's pose in the robot base frame [m] with its axes right, down and forward (the OpenCV convention). Our
    pictures are square: they are the largest square around the principal point. Lens distortion must have been
    removed from the pictures; `distortion` may be given if it is all zeros.

    Raises:
        UserError: if the file can't be read, says neither of this, or its values make no pinhole camera.
    """
    values = _read(path)
    if not isinstance(values, dict):
        raise UserError(f"{path} is no table of values: {_FORMS}")
    distortion = values.pop("distortion", [])
    if np.any(_numbers(path, "distortion", distortion, None)):
        raise UserError(f"{path} has a lens distortion, expected none: undistort your pictures, then give zeros")
    if set(_CALIBRATION) <= set(values):
        _only(path, values, _CALIBRATION)
        return _from_calibration(path, values)
    if not {"position", "target", "fov"} <= set(values):
        raise UserError(f"{path} lacks values: {_FORMS}")
    _only(path, values, _OWN)
    position, target = (_numbers(path, name, values[name], (3,)) for name in ("position", "target"))
    fov, roll = (float(_numbers(path, name, values.get(name, 0.0), ())) for name in ("fov", "roll"))
    if not 0 < fov < 170 or np.allclose(position, target):
        raise UserError(f"{path} is no camera: expected 0 < fov < 170 and a target apart from the position")
    _near(path, np.array([position, target]))
    return CameraFile(Camera(tuple(position.tolist()), tuple(target.tolist()), fov, roll))


def require_sight(camera: Camera, workspace: Workspace, what: str) -> None:
    """Refuse a camera that doesn't look at where objects lie.

    Raises:
        UserError: if the middle of the workspace's floor is behind it or outside its picture.
    """
    middle = (np.add(workspace.low, workspace.high) / 2) * (1, 1, 0)
    ahead = float((middle - camera.position) @ camera.rotation()[2])
    if ahead <= 0 or np.abs(camera.project(middle)).max() > 1:
        raise UserError(
            f"{what} doesn't see the middle of the bin at x {middle[0]:.2f}, y {middle[1]:.2f}, z 0 m in the base "
            "frame: give the camera's pose in the base frame, not its inverse, with z forward"
        )


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UserError(f"can't read --camera {path} ({error.strerror}): give a JSON or TOML file") from None
    except (ValueError, RecursionError) as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise UserError(f"{path} is not valid {kind} ({error}): correct it") from None


def _only(path: Path, values: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(values.keys() - set(known))
    if unknown:
        raise UserError(f"{path} has the unknown value '{unknown[0]}': {_FORMS}")


def _numbers(path: Path, name: str, value: Any, shape: tuple[int, ...] | None) -> Float64[np.ndarray, "*shape"]:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.full(1, np.nan)
    if not np.isfinite(array).all() or (shape is not None and array.shape != shape):
        size = " x ".join(map(str, shape or ()))
        wanted = f"{size} finite numbers" if size else "a number" if shape is not None else "numbers"
        raise UserError(f"'{name}' in {path} is {value}, expected {wanted}")
    return array


def _near(path: Path, places: Float64[np.ndarray, "n 3"]) -> None:
    if np.abs(places).max() > FAR:
        raise UserError(f"{path} has a camera more than {FAR:g} m away: give metres in the base frame of the robot")


def _from_calibration(path: Path, values: dict[str, Any]) -> CameraFile:
    k, pose = _numbers(path, "K", values["K"], (3, 3)), _numbers(path, "T_base_camera", values["T_base_camera"], (4, 4))
    width, height = (float(_numbers(path, name, values[name], ())) for name in ("width", "height"))
    fx, fy, (cx, cy) = k[0, 0], k[1, 1], k[:2, 2]
    if min(fx, fy) <= 0 or abs(fx - fy) > 0.02 * fx or not (0 < cx < width and 0 < cy < height):
        raise UserError(
            f"K in {path} has focal lengths {fx:g}, {fy:g} and centre {cx:g}, {cy:g}, expected square pixels (fx = fy "
            f"within 2%) and a centre inside {width:g} x {height:g}: rectify your pictures"
        )
    _near(path, pose[None, :3, 3])
    turn = pose[:3, :3]
    small = np.abs(turn).max() < 2  # else its squares might overflow
    if not small or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-2) or np.linalg.det(turn) < 0:
        raise UserError(
            f"T_base_camera in {path} holds no rotation, expected right-handed axes of length 1: correct it"
        )
    side = 2 * min(cx, cy, width - cx, height - cy)
    fov = 2 * math.degrees(math.atan(side / 2 / math.sqrt(fx * fy)))
    position, right, forward = pose[:3, 3], turn[:, 0], turn[:, 2]
    reach = -position[2] / forward[2] if forward[2] < 0 < position[2] else 1.0
    target = position + min(reach, 5.0) * forward
    level = Camera(tuple(position.tolist()), tuple(target.tolist()), fov)
    rows = level.rotation()
    roll = math.degrees(math.atan2(right @ rows[1], right @ rows[0]))
    camera = Camera(level.position, level.target, fov, roll)
    return CameraFile(camera, (round(cx - side / 2), round(cy - side / 2), round(side)))
