"""The robot's computer: a simulated arm that hides behind a socket, in a process of its own.

    python -m socket_robot.server --port 7300 --world sim --log commands.jsonl

It stands for the driver of a real arm, and does what it is told: keeping to limits is the client's side's business. The
log has one line for each command that arrived, from which `benchmarks/hostile_commands.py` judges them.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from graspgap.contract import Observation
from graspgap.errors import UserError
from graspgap.worlds.catalog import WorldChoice, make_world
from socket_robot.wire import receive, send


@dataclass(frozen=True)
class Config:
    """Where to listen, and what to be."""

    port: int = 7300
    """0: any that is free; the first line that is printed names it."""
    world: str = "sim"
    """The simulated cell behind the socket."""
    objects: str = ""
    """Its object set."""
    image_size: int = 64
    log: Path | None = None
    """File to which every command is added as it arrives, one JSON object per line."""


class Server:
    """One arm. Questions are answered one at a time, but `stop` at once."""

    def __init__(self, config: Config) -> None:
        choice = WorldChoice(config.world, config.objects, image_size=config.image_size)
        self.world = make_world(choice)
        self.log = config.log.open("a", encoding="utf-8", buffering=1) if config.log else None
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.world.reset(0)  # a robot is somewhere, even before it is asked to begin

    def serve(self, listener: socket.socket) -> None:
        """Answer everybody who comes, until the process ends."""
        while True:
            link, _ = listener.accept()
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._attend, args=(link,), daemon=True).start()

    def _attend(self, link: socket.socket) -> None:
        with link:
            while True:
                try:
                    asked, _ = receive(link)
                    send(link, *self._answer(asked))
                except OSError:
                    return  # the client has gone; the arm stays where it is

    def _answer(self, asked: dict[str, Any]) -> tuple[dict[str, Any], tuple[np.ndarray, ...]]:
        what = asked.get("do")
        if what == "stop":
            self.stopped.set()
            self._note(asked)
            return {}, ()
        with self.lock:
            try:
                if what == "reset":
                    self.stopped.clear()
                elif what in ("move", "grasp") and self.stopped.is_set():
                    return {"refused": "the robot was stopped: reset it"}, ()
                return self._do(asked)
            except (UserError, KeyError, TypeError, ValueError) as error:
                return {"refused": f"{type(error).__name__}: {error}"}, ()

    def _do(self, asked: dict[str, Any]) -> tuple[dict[str, Any], tuple[np.ndarray, ...]]:
        world, spec = self.world, self.world.spec
        match asked["do"]:
            case "hello":
                return {
                    "image_size": spec.image_size,
                    "workspace": asdict(spec.workspace),
                    "camera": asdict(spec.camera),
                }, ()
            case "reset":
                seen = world.reset(asked["seed"], asked["scene_seed"])
                return _pose(seen), (seen.image_before, seen.image_now)
            case "observe":
                seen = world.observe()
                return _pose(seen), (seen.image_now,)
            case "pose":
                return {"pose": self._where()}, ()
            case "limit":
                self._note(asked)
                return {}, ()
            case "move":
                self._note(asked | {"pose": self._where()})
                world.move(np.array(asked["command"], np.float32))
                return {}, ()
            case "grasp":
                self._note(asked)
                outcome = world.grasp()
                return asdict(outcome), ()
            case "record":
                return {"record": world.record()}, ()
        raise ValueError(f"{asked['do']!r} is no question")

    def _where(self) -> list[float]:
        """The gripper's pose; the cell tells it without drawing a picture."""
        return [float(value) for value in self.world.cell.pose()]  # type: ignore[attr-defined]

    def _note(self, asked: dict[str, Any]) -> None:
        if self.log:
            self.log.write(json.dumps(asked) + "\n")


def _pose(seen: Observation) -> dict[str, Any]:
    return {"pose": [float(value) for value in seen.pose]}


def main() -> None:
    """Serve until killed."""
    config = tyro.cli(Config, description=__doc__)
    try:
        server = Server(config)
        listener = socket.create_server(("127.0.0.1", config.port))
    except (UserError, OSError) as error:
        sys.exit(f"socket_robot: {error}")
    print(f"listening at port {listener.getsockname()[1]}", flush=True)
    server.serve(listener)


if __name__ == "__main__":
    main()
