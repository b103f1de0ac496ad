"""Which pictures are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from graspgap.datasets import UnlabelledView
from graspgap.errors import UserError
from graspgap.seeding import generator


@dataclass(frozen=True)
class ScoreSettings:
    """How much is looked at. Scores compare only if these are equal."""

    pictures: int = 400
    """Pairs of pictures of each side, of whole attempts drawn by the seed."""
    judge_steps: int = 400
    """Training steps of the judge of adapters."""
    classifier_steps: int = 150
    """Training steps of each classifier of domains."""
    looks: int = 48
    """Real pictures on which the cross-entropy method seeks a policy's best command."""
    batch: int = 32
    """Pairs per training step of judge and classifiers, of each side."""
    seed: int = 0


def whole_attempts(view: UnlabelledView, pictures: int, seed: int) -> Int64[np.ndarray, "f"]:
    """Servo steps of whole attempts in random order, as many as begin within the first `pictures`.

    Raises:
        UserError: if that is a single attempt.
    """
    order = generator(seed, "scored").permutation(len(view))
    lengths = np.diff(view.offsets)[order]
    chosen = order[np.cumsum(lengths) - lengths < pictures]
    if len(chosen) < 2:
        raise UserError(
            f"{view.provenance()['path']} gives one attempt to score with, expected two or more: give more "
            "--settings.pictures"
        )
    return np.concatenate([np.arange(view.offsets[row], view.offsets[row + 1]) for row in chosen])


def half_of_scenes(
    view: UnlabelledView, frames: Int64[np.ndarray, "f"], rng: np.random.Generator
) -> Bool[np.ndarray, "f"]:
    """Which servo steps are in the second of two folds: half of the scenes, whole, since pictures of a scene resemble
    one another; half of the attempts where there is one scene."""
    owners = view.owner[frames]
    groups = view.scenes[owners]
    if len(np.unique(groups)) < 2:
        groups = owners
    present = rng.permutation(np.unique(groups))
    return np.isin(groups, present[: len(present) // 2])
