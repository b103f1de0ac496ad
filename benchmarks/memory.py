"""Memory of a long collection, over its attempts: of the command's own process, and of its workers.

`graspgap collect` runs as a user would run it, with one worker (its own process) and with the default number; its
processes are looked at twice a second. Linux only. `--attempts 1500` shows in a few minutes that it works.

    pip install -e . -c constraints.txt
    python benchmarks/memory.py
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
from typing import Any

import numpy as np
import tyro
from jaxtyping import Float
from scipy import stats

os.sched_setaffinity(0, CORES)  # `common` keeps to one core, for speed; here all are used

BLOCKS = 10
"""Stretches of the run whose means the slope is fitted to: neighbouring samples are not independent."""
WARM_UP = 0.2
"""Share of the attempts left out at the start, while caches fill."""
FLAT = 1.0
"""Slope [MB per 1,000 attempts] that the whole interval must stay below to be called flat."""


@dataclass(frozen=True)
class Config:
    attempts: int = 40_000
    """Attempts of each run."""
    image_size: int = 32
    """Pixels of a side of the pictures."""
    workers: tuple[int, ...] = (1, 0)
    """A run for each: processes, 0 for one per core."""
    per_shard: int = 50
    """Attempts per shard, as `collect` makes them."""


def resident(process: int) -> float:
    """Resident memory of a process [MB]; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def workers_of(process: int) -> list[int]:
    """The worker processes that a process has started."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [int(child) for child in children if b"LokyProcess" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


def run(config: Config, workers: int, out: Path) -> tuple[Float[np.ndarray, "s 3"], int]:
    """Collect; returns samples of (attempts finished, MB of the main process, MB of its largest worker), and how many
    processes were workers in all."""
    words = ["collect", str(out), "--attempts", str(config.attempts), "--image-size", str(config.image_size)]
    command = [sys.executable, "-m", "graspgap.cli.main", *words, "--workers", str(workers)]
    samples, seen = [], set()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            done = len(list((out / "data").glob("shard-*.parquet"))) * config.per_shard
            children = workers_of(process.pid)
            seen.update(children)
            if 0 < done < config.attempts:
                samples.append((done, resident(process.pid), max(map(resident, children), default=0.0)))
            time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"collect ended with {process.returncode}")
    return np.array(samples), len(seen)


def trend(attempts: Float[np.ndarray, "s"], memory: Float[np.ndarray, "s"]) -> dict[str, Any]:
    """Slope of memory over attempts after the warm-up, with its 95% interval, and whether it is flat."""
    late = attempts >= WARM_UP * attempts.max()
    x, y = (np.array([part.mean() for part in np.array_split(v[late], BLOCKS)]) for v in (attempts / 1000, memory))
    fit = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, BLOCKS - 2) * np.nan_to_num(fit.stderr))  # no number where all are equal
    return {
        "start_mb": round(float(memory[late][0]), 1),
        "end_mb": round(float(memory[-1]), 1),
        "peak_mb": round(float(memory.max()), 1),
        "mb_per_1000_attempts": round(float(fit.slope), 3),
        "interval": [round(float(fit.slope) - half, 3), round(float(fit.slope) + half, 3)],
        "verdict": "flat" if fit.slope + half < FLAT else "not flat",
    }


def measure(config: Config) -> list[dict[str, Any]]:
    """A row for the main process of each run, and one for its workers."""
    rows = []
    for workers in config.workers:
        with tempfile.TemporaryDirectory() as folder:
            samples, processes = run(config, workers, Path(folder) / "data")
        name = f"--workers {workers}"
        rows.append({"what": f"{name}, main process", "processes": 1, **trend(samples[:, 0], samples[:, 1])})
        if processes:
            largest = {"what": f"{name}, largest worker", "processes": processes}
            rows.append(largest | trend(samples[:, 0], samples[:, 2]))
    return rows


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    rows = measure(config)
    print(table(rows))
    print(save("memory", asdict(config), rows, load, cores=len(CORES)))


if __name__ == "__main__":
    main()
