"""Which pictures of an episode are taken, and when its fingers close."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64


def spread(steps: int, count: int) -> Int64[np.ndarray, "t"]:
    """Up to `count` different steps spread evenly over an episode, without its first where there are others."""
    return np.unique(np.linspace(min(1, steps - 1), steps - 1, min(count, max(steps - 1, 1))).round().astype(np.int64))
