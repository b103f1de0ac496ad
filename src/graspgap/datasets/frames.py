"""Which pictures of an episode are taken, when its fingers close, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Int64

T = TypeVar("T")


def natural(path: Path) -> list[list[str | int]]:
    """Sort key by which frame_2 comes before frame_10."""
    return [[int(word) if word.isdecimal() else word for word in re.split(r"(\d+)", part)] for part in path.parts]


def chunks(items: Iterator[T], length: int, otherwise: T) -> Iterator[list[T]]:
    """Lists of up to `length` items; one list of `otherwise` alone where there are none."""
    first = list(islice(items, length)) or [otherwise]
    yield first
    while more := list(islice(items, length)):
        yield more


def spread(steps: int, count: int, first: bool = False) -> Int64[np.ndarray, "t"]:
    """Up to `count` different steps spread evenly over an episode, without its `first` where there are others, unless
    it is asked for."""
    start = 0 if first else min(1, steps - 1)
    return np.unique(np.linspace(start, steps - 1, min(count, steps - start)).round().astype(np.int64))


def closing(opening: Float[np.ndarray, "t"], threshold: float, below: bool) -> int | None:
    """The first frame whose fingers are closed after one with open fingers; None where there is none."""
    closed = opening < threshold if below else opening > threshold
    starts = np.flatnonzero(closed[1:] & ~closed[:-1] & np.isfinite(opening[:-1])) + 1
    return int(starts[0]) if len(starts) else None


def one_bit(value: Any) -> bool | None:
    """True or false, also as 1 or 0; None for anything else."""
    return bool(value) if isinstance(value, bool | int | float | np.generic) and value in (0, 1) else None
