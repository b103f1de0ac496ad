"""One way to make a random generator from a seed and the place where it is used."""

from __future__ import annotations

import zlib

import numpy as np

SEEDS = 2**31
"""Seeds of attempts, and attempts and scenes, are below this: several of them fit into a number of 64 bits."""


def generator(seed: int, *keys: int | str) -> np.random.Generator:
    """Generator for (seed, keys): equal arguments give equal draws, different ones independent streams."""
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
