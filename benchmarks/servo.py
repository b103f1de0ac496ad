"""Milliseconds per servo decision on one thread: one look at two pictures, then the cross-entropy method.

    pip install -e . -c constraints.txt
    python benchmarks/servo.py

The network is the default one, untrained: its cost does not depend on its weights. Nothing else should run meanwhile.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import tyro

from graspgap.contract import Observation, Workspace, command_between
from graspgap.deployment.predictor import NetworkPredictor
from graspgap.grasping.cem import CemConfig, cross_entropy_method
from graspgap.grasping.policies import Predictor
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.seeding import generator

QUANTILES = {"median": 50, "p10": 10, "p90": 90}


@dataclass(frozen=True)
class Config:
    """What is measured."""

    decisions: int = 500
    """Decisions, of which the median counts."""
    warm_up: int = 20
    """Decisions before, which are not counted."""


def decide(
    predictor: Predictor, observation: Observation, rng: np.random.Generator, cem: CemConfig
) -> tuple[float, float]:
    """Seconds that the look took, and the whole decision."""
    start = time.perf_counter()
    scorer = predictor.look(observation)
    look = time.perf_counter() - start
    cross_entropy_method(lambda targets: scorer(command_between(observation.pose, targets)), Workspace(), rng, cem)
    return look, time.perf_counter() - start


def measure(config: Config) -> list[dict[str, Any]]:
    """A row for the look, one for the search, one for the whole decision."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network, cem, workspace = GraspNetConfig(), CemConfig(), Workspace()
    predictor = NetworkPredictor(GraspNet(network), Domain.SIMULATION)
    rng = generator(0, "servo")
    times = []
    for _ in range(config.warm_up + config.decisions):
        pictures = rng.integers(0, 256, (2, network.image_size, network.image_size, 3), dtype=np.uint8)
        pose = rng.uniform((*workspace.low, -1.5), (*workspace.high, 1.5)).astype(np.float32)
        times.append(decide(predictor, Observation(pictures[0], pictures[1], pose), rng, cem))
    look, whole = 1e3 * np.array(times[config.warm_up :]).T
    named = {"look": look, f"search {cem.samples} x {cem.iterations}": whole - look, "decision": whole}
    return [
        {"what": what} | {f"ms_{q}": round(float(np.percentile(values, p)), 3) for q, p in QUANTILES.items()}
        for what, values in named.items()
    ]


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    rows = measure(config)
    settings = asdict(config) | {"network": asdict(GraspNetConfig()), "cem": asdict(CemConfig())}
    print(table(rows))
    print(save("servo", settings, rows, load))


if __name__ == "__main__":
    main()
