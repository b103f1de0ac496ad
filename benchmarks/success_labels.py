"""Success without a person: how often the gripper's opening and the drop test tell the stand-in's outcomes right.

    pip install -e . -c constraints.txt
    python benchmarks/success_labels.py

Attempts in the stand-in aim at objects, so that some succeed: what is measured are the labels, not a policy. The truth
is
the stand-in's own outcome. The thresholds are the defaults, which were chosen with other seeds.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import tyro

from graspgap.contract import command_between
from graspgap.deployment.success import WAYS, SuccessConfig, change, judge
from graspgap.evaluation.statistics import wilson_interval
from graspgap.progress import progress
from graspgap.seeding import generator
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.tabletop import TabletopWorld

LIFT = 0.1
"""Above its target, where the gripper turns [m]."""


@dataclass(frozen=True)
class Config:
    """What is tried."""

    attempts: int = 200
    per_scene: int = 5
    seed: int = 5000
    gripper_noise: float = 0.0
    """Standard deviation of what the gripper reports of its opening [m]."""


def attempt(world: TabletopWorld[Any], config: Config, number: int) -> dict[str, Any]:
    """One attempt near an object: its truth and what the two ways measure."""
    rng = generator(config.seed, number, "labels")
    seen = world.reset(int(rng.integers(2**31)), config.seed + number // config.per_scene)
    spots = world.cell.object_positions()
    spot = spots[rng.integers(len(spots))] if len(spots) else np.array([0.55, 0.0, 0.02])
    target = np.array([*(spot[:2] + rng.normal(0, 0.008, 2)), max(0.012, spot[2] - 0.01), rng.uniform(-1.5, 1.5)])
    for height in (LIFT, 0.0):
        goal = world.spec.workspace.clip(target + np.array([0, 0, height, 0]))
        world.move(command_between(seen.pose, goal))
        seen = world.observe()
    outcome = world.grasp()
    opening = max(0.0, outcome.details["opening"] + rng.normal(0, config.gripper_noise))
    return {"success": outcome.success, "opening": opening, "pictures": world.drop_test()}


def main() -> None:
    """Try, judge, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    world = make_world(WorldChoice("standin"))
    assert isinstance(world, TabletopWorld)
    made = []
    with progress("labels", config.attempts, 0, "attempts") as advance:
        for number in range(config.attempts):
            made.append(attempt(world, config, number))
            advance(1, f"{sum(each['success'] for each in made)} succeeded")
    thresholds = SuccessConfig()
    rows = [_row(way, made, replace(thresholds, way=way)) for way in WAYS]
    print(table(rows))
    scores = [
        {
            "success": each["success"],
            "opening": round(each["opening"], 5),
            "changed": round(change(*each["pictures"], thresholds), 5),
        }
        for each in made
    ]
    print(save("success_labels", asdict(config) | {"thresholds": asdict(thresholds)}, rows, load, {"scores": scores}))


def _row(way: str, made: list[dict[str, Any]], config: SuccessConfig) -> dict[str, Any]:
    truth = np.array([each["success"] for each in made])
    told = np.array([judge(each["opening"], each["pictures"], config) for each in made])
    right = wilson_interval(int((truth == told).sum()), len(made))
    return {
        "way": way,
        "attempts": len(made),
        "successes": int(truth.sum()),
        "right": f"{right.value:.1%} ({right.low:.1%} to {right.high:.1%})",
        "false_successes": int((told & ~truth).sum()),
        "missed_successes": int((truth & ~told).sum()),
    }


if __name__ == "__main__":
    main()
