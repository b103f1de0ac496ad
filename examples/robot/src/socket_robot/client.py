"""The world `socket`: what a user writes to bring a robot of their own. Replace the socket by your robot's driver."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from graspgap.config import from_json
from graspgap.contract import Camera, GraspOutcome, MotorCommand, Observation, Pose, Workspace, WorldSpec
from graspgap.errors import UserError
from graspgap.worlds.catalog import WorldChoice
from socket_robot.wire import receive, send


@dataclass(frozen=True)
class RobotConfig:
    """What stands in `--world-config`, besides `[safety]`."""

    host: str = "127.0.0.1"
    port: int = 7300
    seconds: float = 10.0
    """Longest wait for an answer."""


def make(choice: WorldChoice, tables: dict[str, Any]) -> SocketWorld:
    """The factory that the entry point names: a world from graspgap's settings and the user's."""
    return SocketWorld(choice, from_json(RobotConfig, tables))


class SocketWorld:
    """A `RobotWorld` whose robot listens at a socket. It connects when it must, and again after a loss."""

    def __init__(self, choice: WorldChoice, config: RobotConfig) -> None:
        self._link: socket.socket | None = None
        self.config = config
        self._lock = threading.Lock()  # one question at a time
        self._before: np.ndarray | None = None
        told, _ = self._ask("hello", image_size=choice.image_size)
        self.spec = WorldSpec(
            name="socket",
            image_size=told["image_size"],
            workspace=from_json(Workspace, told["workspace"]),
            camera=choice.camera or from_json(Camera, told["camera"]),
            has_masks=False,
            has_state=False,
            is_reality=True,
        )

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        told, pictures = self._ask("reset", seed=seed, scene_seed=scene_seed)
        self._before = pictures[0]
        return self._observation(told, pictures[1])

    def observe(self) -> Observation:
        told, (picture,) = self._ask("observe")
        return self._observation(told, picture)

    def _observation(self, told: dict[str, Any], picture: np.ndarray) -> Observation:
        before = picture if self._before is None else self._before  # before any attempt, as in a dry run
        return Observation(before, picture, np.array(told["pose"], np.float32))

    def pose(self) -> Pose:
        return np.array(self._ask("pose")[0]["pose"], np.float32)

    def move(self, command: MotorCommand) -> None:
        self._ask("move", command=[float(value) for value in command])

    def grasp(self) -> GraspOutcome:
        told, _ = self._ask("grasp")
        return GraspOutcome(told["success"], told["object_name"], told["details"])

    def record(self) -> dict[str, Any]:
        return dict(self._ask("record")[0]["record"])

    def limit(self, speed: float, force: float) -> None:
        self._ask("limit", speed=speed, force=force)

    def stop(self) -> None:
        """On a line of its own, because the usual one may be waiting for the robot."""
        with self._connect() as link:
            send(link, {"do": "stop"})
            receive(link)

    def close(self) -> None:
        if self._link:
            self._link.close()
            self._link = None

    __del__ = close

    def _connect(self) -> socket.socket:
        return socket.create_connection((self.config.host, self.config.port), self.config.seconds)

    def _ask(self, what: str, **values: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
        """One question and its answer; a question that failed is never asked again, because the robot may have moved.

        Raises:
            UserError: if the robot is gone, or refuses.
        """
        with self._lock:
            try:
                if self._link is None:
                    self._link = self._connect()
                    self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                send(self._link, {"do": what, **values})
                told, pictures = receive(self._link)
            except OSError as error:
                self.close()
                where = f"{self.config.host}:{self.config.port}"
                raise UserError(
                    f"no answer to '{what}' from the robot at {where} ({error}): see that its server runs, then run "
                    "the same command again"
                ) from error
        if "refused" in told:
            raise UserError(f"the robot refuses '{what}': {told['refused']}")
        return told, pictures
