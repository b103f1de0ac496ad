"""Grasp attempts per second on one core, beside PyBullet's `KukaDiverseObjectEnv` on the same core in the same run.

    pip install -e '.[bullet]' -c constraints.txt
    python benchmarks/collect.py

Without pybullet its rows are left out. Nothing else should run meanwhile. An attempt is what each system makes of it:

- graspgap: 5 to 10 objects (`standin`, `standin2`: 8 to 10), a picture of the bin, 8 servo steps with a picture
  each, then close, lift and hold; fingers that closed on nothing are not lifted. Ten attempts begin from each settled
  scene, as `graspgap collect` does it; with `fresh scenes` each one from its own, which is nearest to what PyBullet
  does.
  `bullet` simulates the same arm, tray and camera as PyBullet's environment.
- PyBullet: 5 objects dropped one after the other, at most 8 actions with a picture each, then close and lift.

- robosuite (with `--robosuite`): see `robosuite_worker.py`; its processor time is not in the table. ManiSkill is not
  measured: its renderer needs Vulkan, which a machine without a graphics driver doesn't have.

All pictures have 64 x 64 pixels, all commands are random. The repeats of the rows take turns, so that a disturbance
meets them all; `times_pybullet` is the median over the repeats of the rate in units of PyBullet's in the same turn.
Processor time well below the wall time means that other processes took the core; that they slow it down from another
one shows only in the range.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tyro

from graspgap.grasping.attempt import ATTEMPTS_PER_SCENE, run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.seeding import generator
from graspgap.worlds.catalog import WORLDS, WorldChoice
from kuka import available, make_kuka, run_episode

KUKA = "PyBullet KukaDiverseObjectEnv"


@dataclass(frozen=True)
class Config:
    """What is measured."""

    attempts: int = 20
    """Attempts in a repeat."""
    repeats: int = 7
    """Repeats, of which the median counts."""
    image_size: int = 64
    """Pixels of a side of the pictures."""
    steps: int = 8
    """Servo steps of an attempt; with the picture before, 9 pictures, as many as PyBullet's episode has at most."""
    robosuite: Path | None = None
    """Python of an environment with robosuite, to measure it too; see `robosuite_worker.py`."""
    json: Path | None = None
    """Where to write the figures; default: `benchmarks/results/collect.json`."""


Batch = Callable[[int, int], tuple[int, int]]
"""Makes `count` attempts of the repeat `repeat`: number of successes, number of pictures."""


def graspgap_batch(config: Config, choice: WorldChoice, per_scene: int) -> Batch:
    """Attempts in a world of graspgap, by random commands."""
    world, policy = WORLDS[choice.name](choice), RandomPolicy(config.steps)

    def batch(repeat: int, count: int) -> tuple[int, int]:
        attempts = [run_attempt(world, policy, repeat, index, config.steps, per_scene) for index in range(count)]
        return sum(a.outcome.success for a in attempts), sum(1 + len(a.images) for a in attempts)

    return batch


def kuka_batch(config: Config) -> Batch:
    """Episodes of PyBullet's environment, by random actions."""
    env = make_kuka(config.image_size)

    def batch(repeat: int, count: int) -> tuple[int, int]:
        random.seed(repeat)  # it draws its scenes from the global generators
        np.random.seed(repeat)  # noqa: NPY002
        rng = generator(repeat, "kuka")
        episodes = [run_episode(env, rng) for _ in range(count)]
        return sum(success for success, _ in episodes), sum(pictures for _, pictures in episodes)

    return batch


def robosuite_batch(config: Config, python: Path) -> Batch:
    """Attempts in a process of robosuite's own."""
    command = [str(python), str(Path(__file__).with_name("robosuite_worker.py")), str(config.image_size)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdin
    assert worker.stdout
    ask, answers = worker.stdin, worker.stdout

    def batch(repeat: int, count: int) -> tuple[int, int]:
        print(repeat, count, file=ask, flush=True)
        successes, pictures = map(int, answers.readline().split())
        return successes, pictures

    return batch


def subjects(config: Config) -> dict[str, Batch]:
    """What is measured, by the name of its row."""
    size = config.image_size
    plain, both, heavy = (WorldChoice("sim", randomize=name, image_size=size) for name in ("none", "both", "heavy"))
    standin = WorldChoice("standin", image_size=size, full_bin=True)
    kuka = kuka_batch(config) if available() else None  # before our worlds: it always talks to the first simulation
    batches = {
        "sim, --randomize none": graspgap_batch(config, plain, ATTEMPTS_PER_SCENE),
        "sim, --randomize both": graspgap_batch(config, both, ATTEMPTS_PER_SCENE),
        "sim, --randomize heavy": graspgap_batch(config, heavy, ATTEMPTS_PER_SCENE),
        "sim, --randomize none, fresh scenes": graspgap_batch(config, plain, 1),
        "standin": graspgap_batch(config, standin, ATTEMPTS_PER_SCENE),
    }
    if kuka is None:
        print("pybullet is not installed: its rows are left out (pip install -e '.[bullet]' -c constraints.txt)")
    else:
        bullet = WorldChoice("bullet", image_size=size)
        batches["bullet, --randomize none"] = graspgap_batch(config, bullet, ATTEMPTS_PER_SCENE)
        batches["bullet, --randomize none, fresh scenes"] = graspgap_batch(config, bullet, 1)
        second = WorldChoice("standin2", image_size=size, full_bin=True)
        batches["standin2"] = graspgap_batch(config, second, ATTEMPTS_PER_SCENE)
        batches[KUKA] = kuka
    if config.robosuite:
        batches["robosuite PickPlace, IIWA"] = robosuite_batch(config, config.robosuite)
    return batches


def measure(config: Config) -> list[dict[str, Any]]:
    """A row for each subject, after one attempt each that is not counted."""
    batches = subjects(config)
    wall: dict[str, list[float]] = {name: [] for name in batches}
    cpu: dict[str, list[float]] = {name: [] for name in batches}
    counts = {name: np.zeros(2, dtype=int) for name in batches}
    for batch in batches.values():
        batch(config.repeats, 1)
    for repeat in range(config.repeats):
        for name, batch in batches.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            counts[name] += batch(repeat, config.attempts)
            wall[name].append((time.perf_counter() - start) / config.attempts)
            cpu[name].append((time.process_time() - start_cpu) / config.attempts)
    total, kuka = config.repeats * config.attempts, wall.get(KUKA)
    return [
        {
            "what": name,
            "attempts_per_second": round(1 / median(wall[name]), 3),
            "slowest": round(1 / max(wall[name]), 3),
            "fastest": round(1 / min(wall[name]), 3),
            "times_pybullet": round(float(np.median(np.divide(kuka, wall[name]))), 1) if kuka else None,
            "cpu_seconds_per_attempt": round(median(cpu[name]), 4),
            "pictures_per_attempt": round(counts[name][1] / total, 2),
            "successes": f"{counts[name][0]}/{total}",
        }
        for name in batches
    ]


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    rows = measure(config)
    print(table(rows))
    times = {row["what"]: row["times_pybullet"] for row in rows}
    worlds = ("sim", "bullet")
    facts = {f"{world}_over_kuka_diverse_object_env": times.get(f"{world}, --randomize none") for world in worlds}
    settings = {name: value for name, value in asdict(config).items() if name not in ("json", "robosuite")}
    print(save("collect", settings, rows, load, facts, config.json))


if __name__ == "__main__":
    main()
