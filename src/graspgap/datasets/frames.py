"""Which pictures of an episode are taken, when its fingers close, and how it ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int64


def spread(steps: int, count: int) -> Int64[np.ndarray, "t"]:
    """Up to `count` different steps spread evenly over an episode, without its first where there are others."""
    return np.unique(np.linspace(min(1, steps - 1), steps - 1, min(count, max(steps - 1, 1))).round().astype(np.int64))


def closing(opening: Float[np.ndarray, "t"], threshold: float, below: bool) -> int | None:
    """The first frame whose fingers are closed after one with open fingers; None where there is none."""
    closed = opening < threshold if below else opening > threshold
    starts = np.flatnonzero(closed[1:] & ~closed[:-1] & np.isfinite(opening[:-1])) + 1
    return int(starts[0]) if len(starts) else None


def one_bit(value: Any) -> bool | None:
    """True or false, also as 1 or 0; None for anything else."""
    return bool(value) if isinstance(value, bool | int | float | np.generic) and value in (0, 1) else None
