"""Hostile commands against the example robot behind its socket: how many unsafe ones arrive. It must be none.

    pip install -e . -c constraints.txt
    python benchmarks/hostile_commands.py

Commands of six kinds go through `SafeWorld` to the robot's server in a process of its own, which logs whatever arrives
there with the gripper's pose. A command is unsafe if it is no 5 finite numbers, ends outside the box, is longer or
turns further than a leg may, arrives before limits were told, or after `stop`. The judge shares no code with the
guard.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import json
import math
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "examples/robot/src"))

from socket_robot.client import RobotConfig, SocketWorld

from graspgap.errors import UserError
from graspgap.progress import progress
from graspgap.worlds.catalog import WorldChoice
from graspgap.worlds.limits import SafetyConfig
from graspgap.worlds.safety import SafeWorld
from robots import socket_robot

KINDS = ("not finite", "wrong shape", "jump", "through the table", "tiny", "wild turn")
TOLERANCE = 1e-6
"""Of single precision [m, rad]."""
TURN_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Config:
    """What is tried."""

    commands: int = 10_000
    per_attempt: int = 25
    """More than the guard allows: a policy that never closes."""
    seed: int = 0


def hostile(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A command of one kind."""
    command = np.concatenate([rng.normal(0, 0.1, 3), rng.normal(size=2)])
    match kind:
        case "not finite":
            command[rng.integers(5)] = rng.choice([np.nan, np.inf, -np.inf, 1e300])
        case "wrong shape":
            command = rng.normal(size=rng.choice([0, 3, 4, 6, 10]))
        case "jump":
            command[:3] *= 10.0 ** rng.integers(1, 38)
        case "through the table":
            command[:3] = rng.normal(0, 0.05), rng.normal(0, 0.05), -rng.uniform(0.1, 5)
        case "tiny":
            command *= 10.0 ** -rng.integers(5, 45)
        case "wild turn":
            command[3:] *= 10.0 ** rng.integers(-38, 38)
    with np.errstate(over="ignore"):
        return command.astype(np.float32)


def main() -> None:
    """Try, judge, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    safety = SafetyConfig(low=(0.47, -0.08, 0.02), high=(0.63, 0.08, 0.2), step=0.08, stop_file="graspgap.stop")
    tried: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with socket_robot("--image-size", "16", "--log", str(log)) as (_, port):
            socket = SocketWorld(WorldChoice("socket", image_size=16), RobotConfig(port=port))
            world = SafeWorld(socket, safety)
            rng = np.random.default_rng(config.seed)
            with progress("hostile commands", config.commands, 0, "commands") as advance:
                for number in range(config.commands):
                    if number % config.per_attempt == 0:
                        _begin(world, number)
                    kind = KINDS[rng.integers(len(KINDS))]
                    tried[kind] += 1
                    try:
                        world.move(hostile(kind, rng))
                    except UserError:
                        refused[kind] += 1
                    advance(1, f"{sum(refused.values())} refused")
            world.close()
        arrived, unsafe = judge(log.read_text().splitlines(), safety)
    rows: list[dict[str, Any]] = [
        {"kind": kind, "tried": tried[kind], "refused": refused[kind]} for kind in KINDS if tried[kind]
    ]
    print(table(rows))
    facts = {"arrived": arrived, "unsafe_arrived": len(unsafe), "first_unsafe": unsafe[:3]}
    print(f"{arrived} commands arrived, {len(unsafe)} of them unsafe")
    print(save("hostile_commands", asdict(config) | {"safety": asdict(safety)}, rows, load, facts))
    sys.exit(bool(unsafe))


def _begin(world: SafeWorld, number: int) -> None:
    """Reset until the start is inside the narrower box: this robot starts anywhere in its own."""
    for turn in range(100):
        try:
            pose = world.reset(number * 100 + turn).pose
        except UserError:
            continue
        if (pose[:3] >= world.spec.workspace.low).all() and (pose[:3] <= world.spec.workspace.high).all():
            return
    raise SystemExit("no start within the box")


def judge(lines: list[str], safety: SafetyConfig) -> tuple[int, list[str]]:
    """How many moves arrived, and those that were unsafe."""
    assert safety.low
    assert safety.high
    count, unsafe, limited, stopped = 0, [], False, False
    for line in lines:
        said = json.loads(line)
        if said["do"] == "limit":
            limited = said["speed"] <= safety.speed and said["force"] <= safety.force
            stopped = False
        elif said["do"] == "stop":
            stopped = True
        elif said["do"] == "move":
            count += 1
            command, pose = said["command"], said["pose"]
            fine = limited and not stopped and len(command) == 5 and all(map(math.isfinite, command))
            if fine:
                ends = [pose[axis] + command[axis] for axis in range(3)]
                inside = [
                    low - TOLERANCE <= end <= high + TOLERANCE
                    for low, end, high in zip(safety.low, ends, safety.high, strict=True)
                ]
                short = math.hypot(*command[:3]) <= safety.step + TOLERANCE
                fine = all(inside) and short and abs(math.atan2(*command[3:])) <= safety.turn + TURN_TOLERANCE
            if not fine:
                unsafe.append(line)
    return count, unsafe


if __name__ == "__main__":
    main()
