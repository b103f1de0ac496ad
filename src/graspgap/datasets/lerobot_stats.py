"""Statistics as a LeRobotDataset keeps them, of an episode and of all: min, max, mean, std, count and quantiles of
each feature. Those of pictures are per channel, of values in [0, 1], in the shape [3, 1, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, UInt8

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
LEVELS = np.arange(256) / 255
BINS = 4096
"""Quantiles of a whole dataset are right to this part of the range of the feature."""

Statistics = dict[str, Any]
"""By name of the statistic; lists of numbers, `count` [n]."""


def of_values(values: Float64[np.ndarray, "t k"]) -> Statistics:
    """Exact statistics of a feature of an episode."""
    found = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
    }
    found |= dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True))
    return {name: value.tolist() for name, value in found.items()} | {"count": [len(values)]}


def levels(picture: UInt8[np.ndarray, "h w 3"]) -> Int64[np.ndarray, "3 256"]:
    """How many pixels of each channel have each value."""
    return np.stack([np.bincount(picture[..., channel].ravel(), minlength=256) for channel in range(3)])


def of_levels(counts: Int64[np.ndarray, "3 256"], pictures: int) -> Statistics:
    """Exact statistics of so many pictures by the counts of their `levels`."""
    total = counts.sum(axis=1)
    mean = counts @ LEVELS / total
    found = {
        "min": LEVELS[(counts > 0).argmax(axis=1)],
        "max": LEVELS[255 - (counts[:, ::-1] > 0).argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(counts @ LEVELS**2 / total - mean**2, 0)),
    }
    for name, share in QUANTILES.items():
        found[name] = LEVELS[_reached(counts, share)]
    return {name: value.reshape(3, 1, 1).tolist() for name, value in found.items()} | {"count": [pictures]}


def of_parts(parts: Callable[[], Iterable[Float[np.ndarray, "t k"]]]) -> Statistics:
    """Statistics of a feature of all episodes; `parts` gives its values, in pieces, twice: first for the range, then
    for the quantiles."""
    count, mean, square = 0, np.zeros(()), np.zeros(())
    low, high = np.array(np.inf), np.array(-np.inf)
    for part in parts():
        values = part.astype(np.float64)
        apart, share = values.mean(axis=0) - mean, len(values) / (count + len(values))
        square = square + ((values - values.mean(axis=0)) ** 2).sum(axis=0) + apart**2 * count * share
        mean, count = mean + apart * share, count + len(values)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
    width = np.where(high > low, high - low, 1) / BINS
    bins = np.zeros((len(low), BINS), np.int64)
    for part in parts():
        where = np.minimum((part.astype(np.float64) - low) / width, BINS - 1).astype(np.int64)
        for number, mine in enumerate(bins):
            mine += np.bincount(where[:, number], minlength=BINS)
    found = {"min": low, "max": high, "mean": mean, "std": np.sqrt(square / count)}
    for name, share in QUANTILES.items():
        found[name] = np.clip(low + (_reached(bins, share) + 0.5) * width, low, high)
    return {name: value.tolist() for name, value in found.items()} | {"count": [count]}


def _reached(counts: Int64[np.ndarray, "k bins"], share: float) -> Int64[np.ndarray, "k"]:
    """The first bin at which this share of each row's counts is reached."""
    wanted = share * counts.sum(axis=1, keepdims=True) - 1e-6  # 0.1 x 30 is a little more than 3
    return (counts.cumsum(axis=1) >= wanted).argmax(axis=1)
