"""A contact sheet of objects: all in one light and at one scale, with names and longest extents."""

from __future__ import annotations

import math

import cv2
import mitsuba
import numpy as np

from graspgap.contract import Image
from graspgap.objects.model import ObjectModel
from graspgap.objects.parts import bounds
from graspgap.worlds.mitsuba_renderer import drawn_parts, merged, mesh

TILE = 168
"""Pixels of a side of an object's picture."""
TEXT = 34
"""Pixels below it."""
SAMPLES = 48
"""Light paths per pixel."""
COLUMNS = 8
VIEW = (0.55, -0.75, 0.55)
"""From the object towards the camera."""
BAR = 0.05
"""Length of the scale bar [m]."""


def object_sheet(things: list[ObjectModel]) -> Image:
    """A picture of each object from the same direction, orthographic; its surfaces where it has some, else its parts.
    At the top left of each a bar of 5 cm."""
    reach = max(float(np.linalg.norm(np.ptp(bounds(thing.parts), axis=0))) for thing in things)
    span = 1.02 * reach
    cells = [_cell(thing, span) for thing in things]
    columns = min(COLUMNS, len(cells))
    rows = math.ceil(len(cells) / columns)
    sheet = np.full((rows * (TILE + TEXT), columns * TILE, 3), 255, dtype=np.uint8)
    for index, cell in enumerate(cells):
        y, x = index // columns * (TILE + TEXT), index % columns * TILE
        sheet[y : y + TILE + TEXT, x : x + TILE] = cell
    return sheet


def _cell(thing: ObjectModel, span: float) -> Image:
    """An object's picture, `span` metres wide, with its text."""
    cell = np.full((TILE + TEXT, TILE, 3), 255, dtype=np.uint8)
    cell[:TILE] = _picture(thing, span)
    longest = float(np.ptp(bounds(thing.parts), axis=0).max())
    bar = round(BAR / span * TILE)
    cell[6:8, 6 : 6 + bar] = 0
    for line, text in enumerate((thing.name, f"{1000 * longest:.0f} mm")):
        width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)[0][0]
        scale = 0.4 * min(1.0, (TILE - 8) / width)
        at = (4, TILE + 12 + 15 * line)
        cv2.putText(cell, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return cell


def _picture(thing: ObjectModel, span: float) -> Image:
    middle = bounds(thing.parts).mean(axis=0)
    way = np.array(VIEW) / np.linalg.norm(VIEW)
    scene = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3, "hide_emitters": True},
        "sensor": {
            "type": "orthographic",
            "near_clip": 0.01,
            "far_clip": 4.0,
            "to_world": mitsuba.ScalarTransform4f()
            .look_at((middle + way).tolist(), middle.tolist(), [0, 0, 1])
            .scale([span / 2, span / 2, 1]),
            "film": {
                "type": "hdrfilm",
                "width": TILE,
                "height": TILE,
                "pixel_format": "rgba",
                "rfilter": {"type": "box"},
            },
            "sampler": {"type": "independent", "sample_count": SAMPLES},
        },
        "sky": {"type": "constant", "radiance": {"type": "rgb", "value": 0.55}},
        "sun": {"type": "directional", "direction": [0.3, 0.8, -1.0], "irradiance": {"type": "rgb", "value": 1.6}},
    }
    surfaces = merged(thing.surfaces or drawn_parts(thing))
    scene |= {f"surface_{index}": mesh(surface) for index, surface in enumerate(surfaces)}
    light = np.array(mitsuba.render(mitsuba.load_dict(scene)), dtype=np.float64)
    alpha = np.clip(light[..., 3:], 0, 1)
    color = np.clip(light[..., :3], 0, 1) ** (1 / 2.2) + (1 - alpha)  # on white paper
    return (np.clip(color, 0, 1) * 255).round().astype(np.uint8)
