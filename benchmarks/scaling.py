"""How collection scales with worker processes, and what 8 million samples would take.

    pip install -e . -c constraints.txt
    python benchmarks/scaling.py

Times `graspgap collect` as a whole command, in world `sim` with masks, for a few and for many attempts; their
difference is free of what starting costs. The numbers of workers take turns. Nothing else should run meanwhile.
"""

from __future__ import annotations

from common import CORES, begin, save, table

# isort: split
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tyro

SAMPLES = 8_000_000
"""Of the original work."""
STEPS = 4
"""Samples that each attempt gives: its servo steps."""


@dataclass(frozen=True)
class Config:
    """What is measured."""

    workers: tuple[int, ...] = (1, 2)
    """Numbers of processes."""
    small: int = 100
    """Attempts of the short run."""
    large: int = 900
    """Attempts of the long run."""
    repeats: int = 5
    """Repeats, of which the median counts."""
    randomize: str = "both"
    """Randomization preset."""


def seconds(config: Config, attempts: int, workers: int, seed: int) -> float:
    """Wall time of one command."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["collect", str(Path(folder) / "data"), "--attempts", str(attempts), "--workers", str(workers)]
        words += ["--randomize", config.randomize, "--seed", str(seed), "--steps-per-attempt", str(STEPS)]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "graspgap.cli.main", *words], check=True, capture_output=True)
        return time.perf_counter() - start


def measure(config: Config) -> list[dict[str, Any]]:
    """A row for each number of workers."""
    if CORES:
        os.sched_setaffinity(0, CORES)
    rates: dict[int, list[float]] = {workers: [] for workers in config.workers}
    for repeat in range(config.repeats):
        for workers in config.workers:
            small, large = (seconds(config, attempts, workers, repeat) for attempts in (config.small, config.large))
            rates[workers].append((config.large - config.small) / (large - small))
            print(f"repeat {repeat}: {workers} workers, {rates[workers][-1]:.1f} attempts/s", flush=True)
    first = rates[config.workers[0]]
    return [
        {
            "workers": workers,
            "attempts_per_second": round(median(found), 2),
            "slowest": round(min(found), 2),
            "fastest": round(max(found), 2),
            "times_first": round(float(np.median(np.divide(found, first))), 2),
            "hours_for_8_million_samples": round(SAMPLES / STEPS / median(found) / 3600, 1),
        }
        for workers, found in rates.items()
    ]


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    rows = measure(config)
    print(table(rows))
    print(save("scaling", asdict(config) | {"samples_per_attempt": STEPS}, rows, load))


if __name__ == "__main__":
    main()
