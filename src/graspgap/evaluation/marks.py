"""What a gripper means to do, drawn into an enlarged picture through the nominal camera."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from graspgap.contract import Camera, Image, Pose

AIM, HERE = (255, 214, 10), (0, 220, 255)
"""RGB of where the gripper is sent, and of where it is."""
DARK = (20, 20, 20)
"""RGB of the edge around every mark, so that it is seen on any ground."""
OPENING = 0.08
"""Of the gripper that is drawn [m]."""
FINGER = 0.03
"""Length of its fingers [m]."""
_SHIFT = 4
"""Bits behind the point in OpenCV's coordinates."""


def enlarged(picture: Image, side: int) -> UInt8[np.ndarray, "large_h large_w 3"]:
    """The picture with every pixel as a square block, `side` pixels wide or a little less, if it was no larger."""
    scale = max(1, side // picture.shape[0])
    return np.ascontiguousarray(picture.repeat(scale, axis=0).repeat(scale, axis=1))


def draw_aim(picture: UInt8[np.ndarray, "h w 3"], camera: Camera, pose: Pose, aim: Pose) -> None:
    """Draw in place: an open gripper at `aim`, turned as it is to be, and an arrow to its grasp point from that of the
    gripper at `pose`. Marks behind the camera are left out."""
    start, end = _pixels(picture, camera, np.stack([pose[:3], aim[:3]]))
    unit = picture.shape[0] / 160
    for colour, more in ((DARK, 2.0), (AIM, 0.0)):
        for line in gripper_lines(aim):
            _line(picture, _pixels(picture, camera, line), colour, unit * (1.4 + more))
        if np.linalg.norm(end - start) > 4 * unit:  # else it would be nothing but its head
            _line(picture, [start, end], colour, unit * (0.9 + more))
            for side in (-1, 1):
                _line(picture, [end, end + _turned(start - end, 0.5 * side) * 7 * unit], colour, unit * (0.9 + more))
    for colour, radius in ((DARK, 2.6), (HERE, 1.8)):
        _dot(picture, start, colour, radius * unit)


def gripper_lines(pose: Pose) -> Float[np.ndarray, "3 2 3"]:
    """Two fingers and the palm that joins them, as lines in the base frame [m]; the fingers open along the yaw."""
    side = 0.5 * OPENING * np.array([np.cos(pose[3]), np.sin(pose[3]), 0.0])
    up = np.array([0.0, 0.0, FINGER])
    tips = pose[:3] - side, pose[:3] + side
    return np.array([[tips[0], tips[0] + up], [tips[0] + up, tips[1] + up], [tips[1] + up, tips[1]]], dtype=np.float64)


def _pixels(picture: np.ndarray, camera: Camera, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """Pixel coordinates (right, down) of points; NaN for those that are not in front of the camera."""
    depth = (points - np.asarray(camera.position)) @ camera.rotation()[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = (camera.project(points) + 1) / 2 * picture.shape[0]
    return np.where(depth[:, None] > 1e-6, seen, np.nan)


def _turned(way: Float[np.ndarray, "2"], angle: float) -> Float[np.ndarray, "2"]:
    """The direction of `way`, turned by `angle` [rad]."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]]) @ way / np.linalg.norm(way)


def _line(picture: np.ndarray, ends: Sequence[np.ndarray] | np.ndarray, colour: tuple, width: float) -> None:
    fixed = _fixed(picture, np.asarray(ends))
    if fixed is not None:
        cv2.line(picture, fixed[0], fixed[1], colour, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _dot(picture: np.ndarray, place: np.ndarray, colour: tuple, radius: float) -> None:
    fixed = _fixed(picture, place[None])
    if fixed is not None:
        cv2.circle(picture, fixed[0], round(radius * 2**_SHIFT), colour, -1, cv2.LINE_AA, _SHIFT)


def _fixed(picture: np.ndarray, places: Float[np.ndarray, "n 2"]) -> list[tuple[int, int]] | None:
    """In OpenCV's numbers, whose pixels have whole numbers in their middle; None for what is far off or unseen."""
    if not np.isfinite(places).all() or np.abs(places).max() > 10 * picture.shape[0]:
        return None
    return [(round(x), round(y)) for x, y in (places - 0.5) * 2**_SHIFT]
