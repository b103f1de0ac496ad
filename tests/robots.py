"""A robot of paper for the tests of safety, and the example robot behind its socket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import graspgap
from conftest import REAL, PaperWorld
from graspgap.contract import GraspOutcome, MotorCommand, Observation, Pose, WorldSpec

EXAMPLE = Path(__file__).parents[1] / "examples" / "robot"


class PaperRobot:
    """A real world of paper that notes whatever reaches it."""

    def __init__(self, spec: WorldSpec = REAL) -> None:
        self.spec, self.paper = spec, PaperWorld(spec)
        self.arrived: list[tuple[Pose, MotorCommand]] = []
        self.limits: list[tuple[float, float]] = []
        self.stops = 0

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        assert self.limits, "a robot that knows no limits was moved"
        return self.paper.reset(seed, scene_seed)

    def observe(self) -> Observation:
        return self.paper.observe()

    def move(self, command: MotorCommand) -> None:
        self.arrived.append((self.paper.pose.copy(), np.array(command)))
        self.paper.move(command)

    def grasp(self) -> GraspOutcome:
        return self.paper.grasp()

    def record(self) -> dict[str, Any]:
        return self.paper.record()

    def limit(self, speed: float, force: float) -> None:
        self.limits.append((speed, force))

    def stop(self) -> None:
        self.stops += 1

    def pose(self) -> Pose:
        return self.paper.pose

    def close(self) -> None:
        self.paper.close()


def install(folder: Path, name: str, target: str, package: str = "") -> Path:
    """The metadata of an installed package whose entry point is `name = target`; put `folder` on the path."""
    package = package or f"{name}-package"
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[graspgap.worlds]\n{name} = {target}\n")
    return folder


@contextmanager
def socket_robot(*words: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The example robot's server in a process of its own, and its port."""
    server, port = start_robot(*words, port=port)
    try:
        yield server, port
    finally:
        server.kill()
        server.wait()
        assert server.stdout
        server.stdout.close()


def start_robot(*words: str, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """Start the server; returns when it listens."""
    paths = [str(EXAMPLE / "src"), str(Path(graspgap.__file__).parents[1])]
    server = subprocess.Popen(
        [sys.executable, "-m", "socket_robot.server", "--port", str(port), *words],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    assert server.stdout
    return server, int(server.stdout.readline().split()[-1])
