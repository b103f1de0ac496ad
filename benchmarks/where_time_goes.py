"""Where the time of an attempt in `sim` goes, and the floor: what MuJoCo takes to simulate and to cast the rays.

    pip install -e . -c constraints.txt
    python benchmarks/where_time_goes.py

Python's profiler makes calls of Python slower: the shares of what is not MuJoCo are upper bounds, and the rate of the
floor is a lower one. Nothing else should run meanwhile.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import cProfile
import pstats
import time
from dataclasses import asdict, dataclass
from typing import Any

import tyro

from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.worlds.catalog import WORLDS, WorldChoice

OWN = {
    "physics": ("mj_step", "mj_forward"),
    "rays": ("mj_multiRay",),
    "new_scenes": ("compile",),
}
"""Functions of MuJoCo, by what they do."""
FILES = {
    "shading": ("raycast.py", "tiles.py", "sensor.py", "looks.py"),
    "inverse_kinematics": ("arm.py",),
}
"""Files of ours."""


@dataclass(frozen=True)
class Config:
    """What is measured."""

    attempts: int = 100
    steps: int = 8
    """Servo steps; with the picture before, 9 pictures."""
    randomize: tuple[str, ...] = ("none", "heavy")
    """Randomization presets."""


def row(config: Config, preset: str) -> dict[str, Any]:
    """Shares of the time of attempts with a preset."""
    world, policy = WORLDS["sim"](WorldChoice("sim", randomize=preset)), RandomPolicy(config.steps)
    run_attempt(world, policy, 1, 0, config.steps)
    start = time.process_time()
    for number in range(config.attempts):
        run_attempt(world, policy, 0, number, config.steps)
    seconds = (time.process_time() - start) / config.attempts
    profile = cProfile.Profile()
    profile.enable()
    for number in range(config.attempts):
        run_attempt(world, policy, 0, number, config.steps)
    profile.disable()
    stats = pstats.Stats(profile)
    total: float = stats.total_tt  # type: ignore[attr-defined]
    found = dict.fromkeys([*OWN, *FILES], 0.0)
    for (file, _, function), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        for name, functions in OWN.items():
            if file == "~" and any(f".{each}>" in f"{function}>" or f"'{each}'" in function for each in functions):
                found[name] += own
        for name, files in FILES.items():
            if file.endswith(files):
                found[name] += own
    shares = {name: f"{value / total:.0%}" for name, value in found.items()}
    floor = sum(found[name] for name in OWN) / config.attempts
    return {
        "preset": preset,
        "cpu_ms_per_attempt": round(1e3 * seconds, 1),
        **shares,
        "rest_of_python": f"{1 - sum(found.values()) / total:.0%}",
        "floor_ms_per_attempt": round(1e3 * floor, 1),
    }


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    rows = [row(config, preset) for preset in config.randomize]
    print(table(rows))
    print(save("where_time_goes", asdict(config), rows, load))


if __name__ == "__main__":
    main()
