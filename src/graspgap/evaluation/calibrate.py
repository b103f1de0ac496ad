"""Platt scaling of a grasp network on held-out attempts, and what succeeded below each threshold."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from scipy import optimize, special

from graspgap.deployment.calibration import TINY, Calibration

POINTS = 50
"""Thresholds that are kept, at even shares of the samples."""


def calibrate(
    source: str, predicted: Float64[np.ndarray, "f"], success: Bool[np.ndarray, "f"], points: int = POINTS
) -> Calibration:
    """Scale and shift by maximum likelihood, with Platt's (1999) targets, which keep them finite where the network
    tells successes from failures perfectly, or all samples ended alike; the scale can't be negative.

    Samples of one attempt share an outcome, so the fit is less certain than their number suggests. The thresholds'
    success rates are those of the samples themselves, without an interval.

    Raises:
        ValueError: without samples.
    """
    if not len(success):
        raise ValueError("no samples")
    score = special.logit(np.clip(predicted, TINY, 1 - TINY))
    won = int(success.sum())
    target = np.where(success, (won + 1) / (won + 2), 1 / (len(success) - won + 2))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * score + parameters[1]
        error = special.expit(z) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(error * score).mean(), error.mean()])

    fit = optimize.minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    scale, shift = (float(value) for value in fit.x)
    order = np.argsort(predicted, kind="stable")
    calibrated = special.expit(scale * score[order] + shift)
    rates = np.cumsum(success[order]) / np.arange(1, len(order) + 1)
    below = []
    for threshold in np.unique(calibrated[[len(order) * k // points for k in range(1, points)]]):
        count = int(np.searchsorted(calibrated, threshold))  # of equal predictions none is below
        if count:
            below.append((float(threshold), float(rates[count - 1]), count / len(order)))
    return Calibration(source, len(success), scale, shift, tuple(below))
