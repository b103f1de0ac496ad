"""A study from end to end with a tiny share of its attempts and steps: does every stage of it run?

    pip install -e . -c constraints.txt
    python benchmarks/dry_run.py runs/paper

The study resumes, and what it measures means nothing. `benchmarks/results/dry_run.json` says how many stages of each
kind finished, and what they took.
"""

from __future__ import annotations

from common import CORES, begin, save, table

# isort: split
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import tyro

from graspgap.evaluation.costs import used_seconds
from graspgap.evaluation.stages import record_path
from graspgap.evaluation.study import plan
from graspgap.evaluation.study_file import study_of


@dataclass(frozen=True)
class Config:
    """The study, and how small it is made."""

    out: tyro.conf.Positional[Path]
    """Study folder."""
    preset: str = "paper"
    scale: float = 1e-6
    """Share of the attempts and steps."""
    image_size: int = 218
    """Pixels of a side: the least that the published networks take. 0: the study's own."""
    seed: int = 0


def main() -> None:
    """Run, count, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    if CORES:  # not the one core that this process keeps to
        os.sched_setaffinity(0, CORES)
    words = ["--preset", config.preset, "--seed", str(config.seed)]
    words += ["--scale", str(config.scale), "--image-size", str(config.image_size)]
    subprocess.run([sys.executable, "-m", "graspgap.cli.main", "study", str(config.out), *words], check=True)
    stages = plan(study_of(config.out), config.out, config.seed)
    taken: dict[str, list[float]] = {}
    for stage in stages:
        taken.setdefault(stage.name.split("/")[0], []).append(used_seconds(record_path(config.out, stage)) or 0.0)
    rows = [
        {
            "stages": kind,
            "finished": len(seconds),
            "median_core_seconds": round(median(seconds), 1),
            "core_minutes": round(sum(seconds) / 60, 1),
        }
        for kind, seconds in taken.items()
    ]
    settings = asdict(config) | {"out": config.out.name}
    path = save("dry_run", settings, rows, load, {"stages": len(stages)}, cores=len(CORES) or 1)
    print(table(rows), path, sep="\n")


if __name__ == "__main__":
    main()
