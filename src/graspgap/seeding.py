"""One way to make a random generator from a seed and the place where it is used."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *keys: int | str) -> np.random.Generator:
    """Generator for (seed, keys): equal arguments give equal draws, different ones independent streams."""
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
