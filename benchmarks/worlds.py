"""Random worlds with hostile commands: how many crash, give a NaN, or break another promise of `check_attempt`.

    pip install -e '.[dev]' -c constraints.txt
    python benchmarks/worlds.py

A world is one of random image size, camera, randomization ranges (wider than `heavy`), number and sizes of objects; in
each, an attempt begins, finite commands of up to 10^6 metres move the gripper three times, and the fingers close. The
checks are those of `tests/worlds_at_random.py`. Results are kept every 50 worlds; a run that was stopped resumes.
"""

from __future__ import annotations

from common import RESULTS, begin, save, table

# isort: split
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from graspgap.progress import progress

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from worlds_at_random import check_attempt, random_world


@dataclass(frozen=True)
class Config:
    """What is tried."""

    worlds: int = 1000
    """World k has seed `seed` + k."""
    seed: int = 0


def main() -> None:
    """Try, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    row: dict[str, Any] = {"worlds": 0, "failures": 0, "failed_seeds": [], "seconds": 0.0}
    path = RESULTS / "worlds.json"
    if path.exists():
        before = json.loads(path.read_text())
        if before["settings"]["seed"] == config.seed and before["rows"][0]["worlds"] <= config.worlds:
            row = before["rows"][0]
    with progress("worlds", config.worlds, row["worlds"], "worlds") as advance:
        for number in range(row["worlds"], config.worlds):
            start = time.perf_counter()
            seed = config.seed + number
            try:
                check_attempt(random_world(seed), seed)
            except Exception as error:  # whatever it is, it is counted
                row["failures"] += 1
                row["failed_seeds"].append([seed, f"{type(error).__name__}: {error}"[:200]])
            row["worlds"], row["seconds"] = number + 1, round(row["seconds"] + time.perf_counter() - start, 1)
            advance(1, f"{row['failures']} failures")
            if number % 50 == 49:
                save("worlds", asdict(config), [row], load)
    print(table([row]))
    print(save("worlds", asdict(config), [row], load))


if __name__ == "__main__":
    main()
