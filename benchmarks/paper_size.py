"""The paper's networks on 472 x 472 pixels: do they train on this machine, and how long does the servo think?

    pip install -e . -c constraints.txt
    python benchmarks/paper_size.py

Three parts, each written as soon as it is done and not measured again unless asked for (`--redo`); `--parts servo` or
`--steps 1` make a short try of it. The pictures are random pixels, which cost as much as any.

- grasp: `GraspTrainer` with the published grasp network (Grasping44), batches of 32 pictures with 6 commands each;
- graspgan: the whole step of GraspGAN with the published networks;
- servo, on one core: a decision that runs the trunk once and its head for 64 x 3 commands, and the naive way, which
  runs trunk and head for each of them. The naive way is measured on batches of `--naive-batch` and multiplied by the
  number of batches in a decision; the two take turns, the ratio is the median over the repeats, its interval the least
  and the greatest.

Each part has a process of its own, so that the greatest memory is its own.
"""

from __future__ import annotations

from common import BUSY, CORES, RESULTS, begin, save, table

# isort: split
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import tyro

from graspgap.contract import Camera, Observation, Workspace, command_between
from graspgap.deployment.predictor import NetworkPredictor
from graspgap.files import read_json
from graspgap.grasping.cem import CemConfig, cross_entropy_method
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain
from graspgap.networks.presets import NETWORKS, with_networks
from graspgap.seeding import generator
from graspgap.training.adapt import AdapterTrainer, AdapterTrainingConfig
from graspgap.training.grasp import GraspData, GraspTrainer, GraspTrainingConfig
from random_data import random_views

NETWORK = NETWORKS["paper"].grasp
SIZE = NETWORK.image_size
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Config:
    """What is measured."""

    parts: tuple[str, ...] = ("grasp", "graspgan", "servo")
    steps: int = 20
    """Training steps."""
    batch: int = 32
    """Pictures per step of the grasp network."""
    adapter_batch: int = 2
    """Simulated and real pairs per step of GraspGAN."""
    repeats: int = 5
    """Decisions, of which the median counts."""
    naive_batch: int = 16
    """Candidates that the naive way scores at once."""
    naive_batches: int = 2
    """Batches of them in each repeat."""
    redo: bool = False
    """Measure again what has been measured."""
    out: Path = RESULTS / "paper_size.json"
    part: str = ""
    """Measure this part alone, in this process."""


def trained(step: Callable[[int], dict[str, float]], what: str, config: Config, batch: int) -> dict[str, Any]:
    """Take all steps; seconds of the median one, and of all of them. Fails if a loss is not finite."""
    times = []
    for number in range(config.steps):
        start = time.perf_counter()
        losses = step(number)
        times.append(time.perf_counter() - start)
        if not np.isfinite(list(losses.values())).all():
            raise SystemExit(f"{what}: step {number} gave {losses}")
        print(f"{what}: step {number + 1} of {config.steps}, {times[-1]:.1f} s", file=sys.stderr)
    return {"steps": config.steps, "batch": batch, "seconds_per_step": median(times), "seconds": sum(times)}


def grasp(config: Config) -> dict[str, Any]:
    """Train the grasp network."""
    sim, _ = random_views(SIZE, config.batch)
    training = GraspTrainingConfig(network=NETWORK, steps=config.steps, batch=config.batch)
    return trained(GraspTrainer(training, GraspData(sim), CPU).step, "grasp network", config, config.batch)


def graspgan(config: Config) -> dict[str, Any]:
    """Train GraspGAN."""
    options = with_networks(AdapterTrainingConfig().options, "paper", "graspgan").fitted(SIZE, Camera())
    training = AdapterTrainingConfig("graspgan", options, steps=config.steps, batch=config.adapter_batch)
    trainer = AdapterTrainer(training, *random_views(SIZE, 8), CPU)
    return trained(trainer.step, "GraspGAN", config, config.adapter_batch)


def servo(config: Config) -> dict[str, Any]:
    """Time decisions on one core, the trunk run once, and the naive way."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    predictor, cem = NetworkPredictor(GraspNet(NETWORK), Domain.SIMULATION), CemConfig()
    candidates, rng = cem.samples * cem.iterations, generator(0, "servo")
    looks, decisions, naive = [], [], []
    for repeat in range(config.repeats + 1):
        pictures = rng.integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
        pose = rng.uniform((*Workspace().low, -1.5), (*Workspace().high, 1.5)).astype(np.float32)
        start = time.perf_counter()
        scorer = predictor.look(Observation(pictures[0], pictures[1], pose))
        looked = time.perf_counter()
        cross_entropy_method(lambda targets, s=scorer, p=pose: s(command_between(p, targets)), Workspace(), rng, cem)
        decided = time.perf_counter()
        batch, batches = config.naive_batch, config.naive_batches if repeat else 1
        with torch.inference_mode():
            for _ in range(batches):
                poses = torch.from_numpy(np.tile(pose, (batch, 1)))
                seen = torch.from_numpy(np.concatenate([*pictures], axis=2).transpose(2, 0, 1)[None]).float()
                commands = torch.from_numpy(rng.normal(0, 0.05, (batch, 1, 5)).astype(np.float32))
                predictor.net((seen / 127.5 - 1).expand(batch, -1, -1, -1), poses, commands).sigmoid()
        if repeat:  # the first one warms up
            looks.append(looked - start)
            decisions.append(decided - start)
            naive.append((time.perf_counter() - decided) / (batch * batches) * candidates)
    ratios = sorted(slow / fast for slow, fast in zip(naive, decisions, strict=True))
    return {
        "candidates": candidates,
        "look_seconds": median(looks),
        "decision_seconds": median(decisions),
        "naive_seconds": median(naive),
        "times_faster": median(ratios),
        "interval": [ratios[0], ratios[-1]],
    }


PARTS = {"grasp": grasp, "graspgan": graspgan, "servo": servo}


def measure(part: str, config: Config) -> dict[str, Any]:
    """A part in a process of its own, and its greatest memory."""
    words = [sys.executable, __file__, "--part", part, "--out", str(config.out.with_suffix(f".{part}.json"))]
    for name in ("steps", "batch", "adapter_batch", "repeats", "naive_batch", "naive_batches"):
        words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    if CORES:  # not the one core that this process keeps to
        os.sched_setaffinity(0, CORES)
    subprocess.run(words, check=True)
    path = Path(words[5])
    found = read_json(path, "a benchmark")
    path.unlink()
    return found["rows"][0] | {"load_before": found["load_before"]}


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    if config.part:
        threads = 1 if config.part == "servo" else len(CORES) or 1
        if CORES and threads > 1:
            os.sched_setaffinity(0, CORES)
        torch.set_num_threads(threads)
        row = {"what": config.part} | PARTS[config.part](config)
        row |= {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "threads": threads}
        save("paper_size", {}, [rounded(row)], load, path=config.out)
        return
    done = (
        {}
        if config.redo or not config.out.exists()
        else {row["what"]: row for row in read_json(config.out, "a benchmark")["rows"]}
    )
    for part in config.parts:
        if part not in done:
            done[part] = measure(part, config)
            settings = asdict(config) | {"out": config.out.name, "network": asdict(NETWORK)}
            facts = {"busy": any(row["load_before"] > BUSY for row in done.values())}
            save("paper_size", settings, list(done.values()), load, facts, config.out, cores=len(CORES) or 1)
    for row in done.values():
        print(table([row]), end="\n\n")
    print(config.out)


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Three significant digits."""

    def short(value: Any) -> Any:
        if isinstance(value, list):
            return [short(one) for one in value]
        return float(f"{value:.3g}") if isinstance(value, float) else value

    return {name: short(value) for name, value in row.items()}


if __name__ == "__main__":
    main()
