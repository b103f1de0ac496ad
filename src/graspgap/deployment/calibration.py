"""What a prediction of a policy is worth: its calibrated success, and below which the policy had better abstain."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from graspgap.config import from_json
from graspgap.errors import UserError
from graspgap.files import read_json, write_json
from graspgap.settings import check_table

CALIBRATION = "calibration.json"
"""Beside the weights of a policy run; `null` where there was no held-out attempt."""
TINY = 1e-12


@dataclass(frozen=True)
class Calibration:
    """Platt scaling on held-out attempts: sigmoid(scale logit(C) + shift)."""

    source: str
    """`sim` or `real`: which held-out attempts. It holds for pictures like theirs; for another camera it is a guess."""
    samples: int
    """Servo steps of those attempts."""
    scale: float
    shift: float
    below: tuple[tuple[float, float, float], ...]
    """Rising: (threshold, success rate of the samples whose calibrated prediction is below it, their share)."""

    def success(self, predicted: float) -> float:
        """Calibrated probability of what the network predicts as `predicted`, both in [0, 1]."""
        predicted = min(max(predicted, TINY), 1 - TINY)
        score = self.scale * (math.log(predicted) - math.log1p(-predicted)) + self.shift
        return 1 / (1 + math.exp(-score)) if score > -700 else 0.0

    def threshold(self, rate: float) -> float:
        """The highest threshold below which at most `rate` of the held-out attempts succeeded; 0 if there is none."""
        return max((threshold for threshold, success, _ in self.below if success <= rate), default=0.0)


def save_calibration(path: Path, calibration: Calibration | None) -> None:
    """Write it as JSON, atomically."""
    write_json(path, calibration and asdict(calibration))


def load_calibration(path: Path) -> Calibration | None:
    """What `save_calibration` wrote; None if there is nothing, as in runs of earlier versions.

    Raises:
        UserError: if the file is damaged.
    """
    if not path.exists():
        return None
    values = read_json(path, "a policy run")
    if values is None:
        return None
    try:
        check_table(Calibration, dict(values), "it")
        found = from_json(Calibration, values | {"below": tuple(map(tuple, values["below"]))})
        if not all(0 <= value <= 1 for row in found.below for value in row):
            raise ValueError("'below' holds what is no share")
        return found
    except (ValueError, TypeError, KeyError, UserError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run the same train command again") from None
