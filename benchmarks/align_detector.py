"""`graspgap align --sim --real` in the stand-ins, whose true cameras are known: how far off are the points that nobody
clicked, and the camera that they tell?

    pip install -e . -c constraints.txt
    graspgap study runs/identified --preset identified
    graspgap collect runs/standin2 --world standin2 --attempts 1000 --seed 500    # extra `bullet`
    graspgap collect runs/bullet --world bullet --randomize both --attempts 1500
    graspgap align runs/published --sim runs/bullet --real runs/standin2    # it is refused, and leaves its detector
    python benchmarks/align_detector.py --runs runs/identified/seed*/cameras/unlabelled runs/published \\
        --real runs/identified/seed0/data/standin runs/standin2

Every detector looks at every dataset. The gripper of `bullet` is the published one, as the second stand-in's.
`nominal camera`: what the camera that the operator believes in would be off.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from align import TRUTHS, as_read, off_by, true_pixels
from graspgap.contract import Camera
from graspgap.datasets import Dataset, open_dataset
from graspgap.deployment.align.detect import DetectorSettings, detect, load_detector, surest
from graspgap.deployment.align.fit import fit_camera, require_plausible
from graspgap.errors import UserError
from graspgap.runs import read_run


@dataclass(frozen=True)
class Config:
    """What is tried."""

    runs: tuple[Path, ...]
    """Folders of `graspgap align --sim --real`, for their detectors."""
    real: tuple[Path, ...]
    """Datasets of stand-ins."""


def looked(run: Path, data: Dataset) -> dict[str, str | int | float]:
    """One detector in one world."""
    settings, device, size = DetectorSettings(), torch.device("cpu"), data.image_size
    detector = load_detector(run, device)
    view = data.limit(settings.attempts, settings.seed).unlabelled()
    found = detect(detector, view, np.arange(len(view.images)), device)
    assert view.poses is not None
    places, truth = view.poses[:, :3].astype(np.float64), TRUTHS[data.world]
    pixels = (found.points + 1) / 2 * size
    errors = np.linalg.norm(pixels - true_pixels(truth, places - truth.calibration[:3], size), axis=1)
    sure = surest(found.spread, settings.kept)
    known = read_run(run, "alignment")
    row: dict[str, str | int | float] = {
        "world": data.world,
        "learned_in": str(known["inputs"]["sim"]["world"]),
        "seed": str(known["config"]["seed"]),
        "pictures": len(errors),
        "error_px": round(float(np.median(errors)), 2),
        "of_the_surer_half": round(float(np.median(errors[sure])), 2),
    }
    try:
        fit = fit_camera(pixels[sure], places[sure], size, size, guess=Camera())
        require_plausible(fit, places[sure], Camera())
    except UserError:
        return row | dict.fromkeys(("of_64_px", "floor_error_mm", "camera_error_mm"), "refused")
    return row | _off(as_read(fit.as_file()), data)


def _off(camera: Camera, data: Dataset) -> dict[str, float]:
    found = off_by(camera, data.world, data.image_size)
    return {name: found[name] for name in ("of_64_px", "floor_error_mm", "camera_error_mm")}


def main() -> None:
    """Look, compare, save."""
    config = tyro.cli(Config, description=__doc__)
    load, rows = begin(), []
    for place in config.real:
        data = open_dataset(place)
        rows.append(
            {"world": data.world, "learned_in": "nominal camera"}
            | dict.fromkeys(("seed", "pictures", "error_px", "of_the_surer_half"), "")
            | _off(Camera(), data)
        )
        rows += [looked(run, data) for run in config.runs]
    print(table(rows))
    save("align_detector", {"kept": DetectorSettings().kept, "attempts": DetectorSettings().attempts}, rows, load)


if __name__ == "__main__":
    main()
