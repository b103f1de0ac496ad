"""The page on which a person looks at an alignment, adjusts it, and clicks points: one file that needs no server."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from graspgap.contract import Camera, Image, Workspace
from graspgap.datasets.pictures import encode_png
from graspgap.deployment.align.fit import Fit
from graspgap.deployment.align.points import Point, read_picture
from graspgap.files import write_text
from graspgap.worlds.cell_model import FINGER, GRASP_POINT, CellConfig
from graspgap.worlds.sim import SimConfig, make_sim

PACKAGE = "graspgap.deployment.align"
OVERLAYS = 12
"""Pictures that get a simulated one laid over them: more would make a heavy page."""
OVERLAY_SIDE = 384
"""Most pixels of a side of a simulated picture."""


class _NoObjects:
    """An empty bin."""

    name = "none"

    def sample(self, rng: Any, count: int, split: str) -> list[Any]:
        return []


def write_page(
    path: Path, points: list[Point], fit: Fit | None, camera: Camera | None, crop: tuple[int, int, int] | None
) -> None:
    """Write the page. Without a `fit` it is for clicking alone; `camera` and `crop` are the fit's as
    `worlds.camera_file` reads it."""
    pictures = list(dict.fromkeys(point.picture for point in points))
    frames: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures):
        image = read_picture(picture)
        frame = {"name": picture.name, "width": image.shape[1], "height": image.shape[0], "picture": _uri(image)}
        shown = [point for point in points if point.picture == picture]
        drawn = camera is not None and len(shown) == 1 and number < OVERLAYS
        frame["overlay"] = _uri(simulated(camera, shown[0], crop)) if drawn and camera and crop else None
        frames.append(frame)
    workspace = Workspace()
    data = {
        "camera": fit.as_file() if fit else None,
        "crop": list(crop) if crop else None,
        "frames": frames,
        "points": [
            {"frame": pictures.index(each.picture), "pixel": each.pixel, "place": each.place, "yaw": each.yaw}
            for each in points
        ],
        "workspace": asdict(workspace),
        "gripper": {"opening": CellConfig().opening, "finger": 2 * FINGER[2], "hand": GRASP_POINT - 2 * FINGER[2]},
    }
    environment = Environment(
        loader=PackageLoader(PACKAGE, "."), autoescape=False, undefined=StrictUndefined, keep_trailing_newline=True
    )
    script = resources.files(PACKAGE).joinpath("page.js").read_text(encoding="utf-8")
    text = environment.get_template("page.html.j2").render(
        summary=summary(fit), script=script, data=json.dumps(data).replace("<", "\\u003c")
    )
    write_text(path, text)


def summary(fit: Fit | None) -> str:
    """One line about how good the camera is."""
    if fit is None:
        return "Click the point between the fingertips in every picture, save points.csv, and run graspgap align again."
    return (
        f"{len(fit.errors)} points, reprojection error {fit.rms:.2f} pixels (rms) of {fit.width} x {fit.height}; the "
        f"camera's position is sure to {1e3 * fit.position_error:.0f} mm, its focal length to {fit.focal_error:.1%}."
    )


def simulated(camera: Camera, point: Point, crop: tuple[int, int, int] | None) -> Image:
    """What simulation shows of the cell through `camera` with the gripper at a known point: an empty bin."""
    size = min(OVERLAY_SIDE, crop[2]) if crop else OVERLAY_SIDE
    world = make_sim(SimConfig(image_size=size, camera=camera, objects=(0, 0)), _NoObjects(), "train")
    world.reset(0)
    world.cell.place_arm(np.array([*point.place, point.yaw], dtype=np.float32))
    return world.renderer.render(world.cell)[0]


def _uri(image: Image) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(image, small=True)).decode("ascii")
