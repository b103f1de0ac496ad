"""How well semantic masks agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Integer

from graspgap.contract import SemanticClass

JUDGED = (SemanticClass.ARM, SemanticClass.OBJECT)
"""Classes that a grasp depends on; the bin and what is behind it are easy."""


def overlap(one: Bool[np.ndarray, "*n"], other: Bool[np.ndarray, "*n"]) -> float:
    """Intersection over union, 0 where neither has a pixel: who sees nothing agrees about nothing."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def mean_iou(
    drawn: Integer[np.ndarray, "*n"], true: Integer[np.ndarray, "*n"], classes: Sequence[SemanticClass] = JUDGED
) -> float:
    """Mean over the classes of intersection over union, each over all pixels of all pictures together."""
    return float(np.mean([overlap(drawn == kind, true == kind) for kind in classes]))


def agreement(before: Integer[np.ndarray, "b h w"], now: Integer[np.ndarray, "b h w"]) -> float:
    """Overlap of the objects drawn in I0 and in It, over the pixels where no arm is drawn in It. While the gripper
    approaches, nothing else moves."""
    clear = now != SemanticClass.ARM
    return overlap((before == SemanticClass.OBJECT) & clear, (now == SemanticClass.OBJECT) & clear)
