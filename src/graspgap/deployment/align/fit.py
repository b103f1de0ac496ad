"""A pinhole camera from known points: focal length and pose at once, robust to a wrong click."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from graspgap.contract import Camera
from graspgap.errors import UserError

FEWEST = 6
"""Points: twelve numbers for seven unknowns, so that a wrong one shows."""
VIEWS = (10, 15, 20, 30, 45, 60, 80, 100)
"""Fields of view [degrees] from which the search begins."""
LOOSE = 2.0
"""Errors beyond this [pixels of a picture 640 wide] count less and less (soft L1)."""
ZOOM = 1.4
"""Between a camera that is found by rough points and the one that was believed in."""
SURE = 0.25
"""A camera whose position is less sure than this [m] is refused: the points lie too close together. Distance and focal
length make up for each other, so a camera that is a few centimetres off may see the workspace right to the pixel."""


@dataclass(frozen=True)
class Fit:
    """A camera and how well it explains the points."""

    k: Float64[np.ndarray, "3 3"]
    """Intrinsic matrix [pixels]; square pixels, centre in the middle of the picture."""
    base_camera: Float64[np.ndarray, "4 4"]
    """The camera's pose in the base frame; axes right, down, forward."""
    width: int
    height: int
    errors: Float64[np.ndarray, "n"]
    """Distance of each point from where the camera sees it [pixels]."""
    position_error: float
    """Standard deviation of the camera's position that the points leave [m]."""
    focal_error: float
    """Of the focal length, as a share of it."""

    @property
    def rms(self) -> float:
        """Root mean square of the errors [pixels]."""
        return float(np.sqrt((self.errors**2).mean()))

    def as_file(self) -> dict[str, Any]:
        """What `worlds.camera_file` reads: the form of a calibration."""
        return {
            "K": self.k.tolist(),
            "width": self.width,
            "height": self.height,
            "T_base_camera": self.base_camera.tolist(),
        }

    def project(self, places: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 2"]:
        """Pixels from the left and the upper edge, of points in the base frame [m]."""
        seen = (places - self.base_camera[:3, 3]) @ self.base_camera[:3, :3]
        return seen[:, :2] / seen[:, 2:] * self.k[0, 0] + self.k[:2, 2]


def fit_camera(
    pixels: Float64[np.ndarray, "n 2"],
    places: Float64[np.ndarray, "m 3"],
    width: int,
    height: int,
    focal: float | None = None,
    guess: Camera | None = None,
) -> Fit:
    """The camera that sees `places` (base frame [m]) at `pixels`; `focal` [pixels] if it is known.

    For each of some focal lengths the pose by `cv2.solvePnP`, then both together by least squares with a soft L1 loss.
    `guess` is the camera that one believes in: one more start, which is what rough points need.
    The centre of the projection is taken to be the middle of the picture: a few dozen points don't tell it.

    Raises:
        UserError: if there are too few points, they lie badly, or no camera explains them.
    """
    if len(pixels) < FEWEST:
        raise UserError(f"{len(pixels)} points are too few: click {FEWEST} or more, spread over the workspace")
    centre = np.array([width, height]) / 2
    begin = [focal] if focal else [_focal(width, view) for view in VIEWS]
    scale = LOOSE * width / 640
    best = None
    starts = [(_pose(pixels - centre, places, length), length) for length in begin]
    if guess:
        turn = guess.rotation()
        there = np.concatenate([Rotation.from_matrix(turn).as_rotvec(), -turn @ guess.position])
        starts.append((there, focal or _focal(height, guess.fov)))
    for start, length in starts:
        if start is None:
            continue
        unknowns = start if focal else np.array([*start, math.log(length)])
        found = least_squares(
            _residuals, unknowns, loss="soft_l1", f_scale=scale, max_nfev=200, args=(pixels - centre, places, focal)
        )
        if best is None or found.cost < best.cost:
            best = found
    if best is None:
        raise UserError("no camera sees the points where they were clicked: check the order of u, v and x, y, z [m]")
    length = focal or math.exp(best.x[6])
    turn = Rotation.from_rotvec(best.x[:3]).as_matrix()
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.T, -turn.T @ best.x[3:6]
    residuals = _residuals(best.x, pixels - centre, places, focal).reshape(-1, 2)
    errors = np.linalg.norm(residuals, axis=1)
    if not np.isfinite(errors).all() or np.median(errors) > 0.05 * width:
        raise UserError(
            f"the best camera misses half of the points by {np.median(errors):.0f} pixels or more: check the order of "
            "u, v and x, y, z, and that lengths are in metres of the base frame"
        )
    position_error, focal_error = _uncertainty(best, turn, residuals, focal is None)
    if not position_error < SURE:
        raise UserError(
            f"the points tell the camera's position to {position_error:.2f} m only: spread them over the workspace, at "
            "several heights, or give --focal"
        )
    k = np.array([[length, 0, centre[0]], [0, length, centre[1]], [0, 0, 1]])
    return Fit(k, pose, width, height, errors, position_error, focal_error)


def require_plausible(fit: Fit, places: Float64[np.ndarray, "m 3"], belief: Camera) -> None:
    """Refuse a camera that nobody could have meant: points of a detector that is unsure everywhere shrink to one place,
    and a camera that is far away, or sees far too wide, explains them well.

    Raises:
        UserError: if it shows `places` more than `ZOOM` times larger or smaller than `belief` does, or has a focal
            length more than twice `ZOOM` times longer or shorter.
    """
    believed = (belief.project(places) + 1) / 2 * fit.height
    spread = [float(np.sqrt(seen.var(axis=0).sum())) for seen in (fit.project(places), believed)]
    for what, ratio, most in (
        ("shows the gripper's places", spread[0] / spread[1], ZOOM),
        ("has a focal length", fit.k[0, 0] / _focal(fit.height, belief.fov), 2 * ZOOM),
    ):
        if not 1 / most < ratio < most:
            raise UserError(f"the camera that was found {what} {ratio:.2f} times as large as the one believed in")


def suspects(fit: Fit) -> list[int]:
    """Points that the camera misses by more than 4 times the median error, and by 2 pixels or more: wrong clicks."""
    return np.flatnonzero(fit.errors > max(2.0, 4 * float(np.median(fit.errors)))).tolist()


def _focal(side: int, view: float) -> float:
    """Focal length [pixels] with which a side of so many pixels spans a view [degrees]."""
    return side / 2 / math.tan(math.radians(view) / 2)


def _pose(
    pixels: Float64[np.ndarray, "n 2"], places: Float64[np.ndarray, "m 3"], length: float
) -> Float64[np.ndarray, "6"] | None:
    """Rotation vector and translation (base to camera), or None where there is none with the points in front."""
    k = np.diag([length, length, 1.0])
    try:
        done, turn, shift = cv2.solvePnP(places, pixels, k, None, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:
        return None
    if not done or not np.isfinite(turn).all() or not np.isfinite(shift).all():
        return None
    ahead = places @ Rotation.from_rotvec(turn.ravel()).as_matrix().T + shift.ravel()
    return np.concatenate([turn.ravel(), shift.ravel()]) if (ahead[:, 2] > 0).all() else None


def _residuals(
    unknowns: Float64[np.ndarray, "k"],
    pixels: Float64[np.ndarray, "n 2"],
    places: Float64[np.ndarray, "m 3"],
    focal: float | None,
) -> Float64[np.ndarray, "r"]:
    length = focal or math.exp(min(unknowns[6], 20.0))
    seen = places @ Rotation.from_rotvec(unknowns[:3]).as_matrix().T + unknowns[3:6]
    depth = np.maximum(seen[:, 2:], 1e-3)
    return (seen[:, :2] / depth * length - pixels).ravel()


def _uncertainty(
    found: Any, turn: Float64[np.ndarray, "3 3"], residuals: Float64[np.ndarray, "n 2"], free: bool
) -> tuple[float, float]:
    """Standard deviations of the camera's position [m] and of its focal length (share)."""
    jacobian = found.jac
    count = residuals.size
    spread = 1.4826 * float(np.median(np.abs(residuals)))  # of clicks, whatever a wrong one does
    spread *= np.sqrt(count / (count - len(found.x)))
    try:
        covariance = np.linalg.inv(jacobian.T @ jacobian) * max(spread, 1e-3) ** 2
    except np.linalg.LinAlgError:
        return math.inf, math.inf
    steps = np.eye(6) * 1e-6
    place = [-Rotation.from_rotvec(found.x[:3] + step[:3]).as_matrix().T @ (found.x[3:6] + step[3:]) for step in steps]
    here = -turn.T @ found.x[3:6]
    moves = (np.array(place) - here).T / 1e-6
    variance = np.trace(moves @ covariance[:6, :6] @ moves.T)
    return float(np.sqrt(max(variance, 0.0))), float(np.sqrt(covariance[6, 6])) if free else 0.0
