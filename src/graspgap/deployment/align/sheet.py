"""A picture of an alignment, for those who look at it without a browser."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from graspgap.contract import Camera
from graspgap.datasets.view import image_grid, save_png
from graspgap.deployment.align.fit import Fit
from graspgap.deployment.align.page import simulated
from graspgap.deployment.align.points import Point, read_picture

SHOWN = 5
"""Pictures, spread over all of them."""
SIDE = 160
"""Pixels of a side."""
CLICKED, SEEN = (255, 40, 220), (0, 255, 255)
"""Colours of what was clicked, and of where the camera sees the reported place."""


def save_sheet(path: Path, points: list[Point], fit: Fit, camera: Camera, crop: tuple[int, int, int]) -> None:
    """Write pictures with their points, and the same ones half covered by what simulation shows through the camera.

    `camera` and `crop` are the fit's as `worlds.camera_file` reads it. Pictures with several points are left out.
    """
    clicked = [point for point in points if point.pixel is not None]
    seen = fit.project(np.array([point.place for point in clicked]))
    alone = [k for k, point in enumerate(clicked) if sum(one.picture == point.picture for one in clicked) == 1]
    if not alone:
        return
    left, top, side = crop
    rows: tuple[list[UInt8[np.ndarray, "s s 3"]], ...] = ([], [])
    for k in np.unique(np.linspace(0, len(alone) - 1, SHOWN).round().astype(int)):
        point, where = clicked[alone[k]], seen[alone[k]]
        picture = read_picture(point.picture)[top : top + side, left : left + side]
        shown = np.ascontiguousarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        drawn = cv2.resize(simulated(camera, point, crop), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        rows[1].append(cv2.addWeighted(shown, 0.5, drawn, 0.5, 0))
        for place, colour, mark in ((point.pixel, CLICKED, cv2.MARKER_CROSS), (where, SEEN, cv2.MARKER_TILTED_CROSS)):
            u, v = ((np.array(place) - (left, top)) * SIDE / side).round().astype(int).tolist()
            cv2.drawMarker(shown, (u, v), colour, mark, 13, 1)
        rows[0].append(shown)
    labels = ["your pictures: + clicked, x where the camera sees it", "half simulation, through the camera"]
    save_png(image_grid(list(rows), labels, scale=1), path)
