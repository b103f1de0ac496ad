"""The example robot, collected from and evaluated in by the usual commands, while both sides are killed at random.

    pip install -e . -c constraints.txt
    python benchmarks/socket_robot.py

`graspgap collect` and `graspgap evaluate` run in processes of their own against the robot's server. At random moments
either is killed (SIGKILL) and begun again, until both are done. Then: is the dataset what one without a kill gives,
byte for byte; did an unsafe command arrive (the judge of `hostile_commands.py`); how long does a step take over the
socket.
"""

from __future__ import annotations

from common import begin, save, table

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

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "examples/robot/src"))

from socket_robot.client import RobotConfig, SocketWorld

import graspgap
from graspgap.evaluation.results import load as load_result
from graspgap.files import sha256
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.worlds.catalog import WorldChoice
from graspgap.worlds.limits import SafetyConfig
from graspgap.worlds.safety import SafeWorld
from graspgap.worlds.timed import TimedWorld
from hostile_commands import judge
from robots import EXAMPLE, install, start_robot


@dataclass(frozen=True)
class Config:
    """What is tried."""

    attempts: int = 200
    """To collect."""
    trials: int = 50
    """To evaluate."""
    policy: str = "random"
    """A policy run to evaluate."""
    kills: int = 20
    """Of the client and of the server, half each, while collecting; half as many while evaluating."""
    seconds: tuple[float, float] = (1.0, 6.0)
    """Shortest and longest time between two kills; a client needs a few seconds to begin."""
    seed: int = 0


class Lab:
    """A robot's server and whoever drives it, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.server, self.port = start_robot("--log", str(self.log))
        self.settings = folder / "robot.toml"
        self.settings.write_text((EXAMPLE / "robot.toml").read_text().replace("7300", str(self.port)))
        self.packages = install(folder / "packages", "socket", "socket_robot.client:make")

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """A graspgap command in a process of its own."""
        paths = [self.packages, EXAMPLE / "src", Path(graspgap.__file__).parents[1]]
        world = ["--world", "socket", "--world-config", str(self.settings)]
        return subprocess.Popen(
            [sys.executable, "-m", "graspgap.cli.main", *words, *world],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
            cwd=self.folder,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def restart(self) -> None:
        """Kill the server and begin it again at its port."""
        self.end()
        self.server, _ = start_robot("--log", str(self.log), port=self.port)

    def end(self) -> None:
        """Kill the server."""
        self.server.kill()
        self.server.wait()


def with_kills(lab: Lab, kills: int, config: Config, rng: np.random.Generator, *words: str) -> dict[str, Any]:
    """Run a command until it succeeds, killing it or the server `kills` times."""
    row: dict[str, Any] = {"command": words[0], "client_kills": 0, "server_kills": 0, "losses_told": 0, "runs": 0}
    while True:
        row["runs"] += 1
        running = lab.command(*words)
        while row["client_kills"] + row["server_kills"] < kills and running.poll() is None:
            try:
                running.wait(rng.uniform(*config.seconds))
            except subprocess.TimeoutExpired:
                if rng.uniform() < 0.5:
                    row["client_kills"] += 1
                    running.kill()
                else:
                    row["server_kills"] += 1
                    lab.restart()
        errors = running.communicate()[1].decode()
        if running.returncode == 0:
            return row
        if running.returncode == 2:
            if "no answer to" not in errors:
                raise SystemExit(errors)
            row["losses_told"] += 1
        elif running.returncode != -9:
            raise SystemExit(f"{words[0]} ended with {running.returncode}: {errors}")


def main() -> None:
    """Collect, evaluate, compare, save."""
    config = tyro.cli(Config, description=__doc__)
    load, rng = begin(), np.random.default_rng(config.seed)
    with tempfile.TemporaryDirectory() as name:
        lab = Lab(Path(name))
        start = time.perf_counter()
        count = ("--attempts", str(config.attempts))
        rows = [with_kills(lab, config.kills, config, rng, "collect", "killed", *count)]
        with_kills(lab, 0, config, rng, "collect", "whole", *count)
        policy = config.policy if config.policy == "random" else str(Path(config.policy).resolve())
        trials = ("--policy", policy, "--attempts", str(config.trials))
        rows.append(with_kills(lab, config.kills // 2, config, rng, "evaluate", "trials", *trials))
        seconds = round(time.perf_counter() - start, 1)
        files = [sorted((lab.folder / each / "data").iterdir()) for each in ("killed", "whole")]
        hashes = [[(path.name, sha256(path)) for path in each] for each in files]
        safety = SafetyConfig(low=(0.463, -0.087, 0.014), high=(0.637, 0.087, 0.24), step=0.08)
        arrived, unsafe = judge(lab.log.read_text().splitlines(), safety)
        result = load_result(lab.folder / "trials")
        latency = _latency(lab, safety)
        lab.end()
    facts = {
        "equal_bytes": hashes[0] == hashes[1],
        "arrived": arrived,
        "unsafe_arrived": len(unsafe),
        "trials_succeeded": result.successes,
        "seconds_per_attempt": round(result.wall_seconds / result.attempts, 2),
        "latency": latency,
        "seconds": seconds,
    }
    print(table(rows))
    print(table(latency))
    print(f"equal bytes: {facts['equal_bytes']}; {arrived} commands arrived, {len(unsafe)} of them unsafe")
    settings = asdict(config) | {"policy": "random" if config.policy == "random" else "run"}
    print(save("socket_robot", settings, rows, load, facts))
    sys.exit(bool(unsafe) or not facts["equal_bytes"])


def _latency(lab: Lab, safety: SafetyConfig) -> list[dict[str, Any]]:
    """Per call, over the socket with the guard; the robot's own (simulated) work is part of it."""
    socket = SocketWorld(WorldChoice("socket"), RobotConfig(port=lab.port))
    world = TimedWorld(SafeWorld(socket, safety))
    for number in range(10):
        run_attempt(world, RandomPolicy(4), 1, number)
    world.close()
    return world.rows()


if __name__ == "__main__":
    main()
