"""The cross-entropy method over grasp targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from graspgap.contract import Workspace, wrap_yaw

Score = Callable[[Float[np.ndarray, "n 4"]], Float[np.ndarray, "n"]]
"""Predicted success of n target poses (x, y, z [m], yaw [rad])."""


@dataclass(frozen=True)
class CemConfig:
    """Cross-entropy method (Levine et al. 2016: 64 samples, 6 elites, 3 iterations)."""

    samples: int = 64
    """Targets scored in each iteration."""
    elites: int = 6
    """Best targets to which the Gaussian is fitted anew."""
    iterations: int = 3
    floor_xy: float = 0.005
    """Smallest standard deviation of x, y and z [m]: published code has none and may collapse onto one sample."""
    floor_yaw: float = 0.15
    """Smallest standard deviation of yaw [rad]."""


def uniform_targets(rng: np.random.Generator, count: int, workspace: Workspace) -> Float[np.ndarray, "n 4"]:
    """Targets drawn evenly from the workspace, with z in its grasp range."""
    low = (*workspace.low[:2], workspace.grasp_z[0], -np.pi / 2)
    high = (*workspace.high[:2], workspace.grasp_z[1], np.pi / 2)
    return rng.uniform(low, high, size=(count, 4))


def cross_entropy_method(
    score: Score, workspace: Workspace, rng: np.random.Generator, config: CemConfig
) -> tuple[Float[np.ndarray, "4"], float]:
    """The best target found and its score.

    The first batch is drawn evenly from the workspace; each later one from a Gaussian fitted to the elites (standard
    deviation with ddof 1), clipped to the workspace. Unlike published code, which returns the best of the last batch,
    the best target ever scored is returned. Yaw has period pi, so its mean is taken over the doubled angle.
    """
    targets = uniform_targets(rng, config.samples, workspace)
    best, best_score = targets[0], -np.inf
    low = (*workspace.low[:2], workspace.grasp_z[0])
    high = (*workspace.high[:2], workspace.grasp_z[1])
    for iteration in range(config.iterations):
        scores = score(targets)
        order = np.argsort(-scores, kind="stable")
        if scores[order[0]] > best_score:
            best, best_score = targets[order[0]], float(scores[order[0]])
        if iteration == config.iterations - 1:
            break
        elites = targets[order[: config.elites]]
        mean = elites.mean(axis=0)
        mean[3] = np.angle(np.exp(2j * elites[:, 3]).mean()) / 2
        spread = elites.std(axis=0, ddof=1)
        spread[3] = np.sqrt(np.square(wrap_yaw(elites[:, 3] - mean[3])).sum() / (config.elites - 1))
        spread = np.maximum(spread, [config.floor_xy] * 3 + [config.floor_yaw])
        targets = rng.normal(mean, spread, size=(config.samples, 4))
        targets[:, :3] = np.clip(targets[:, :3], low, high)
        targets[:, 3] = wrap_yaw(targets[:, 3])
    return best, best_score
