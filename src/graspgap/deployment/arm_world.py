"""A world from an arm that can do little: report a picture, its pose and its fingers, and take set-points.

How to begin an attempt, lift, drop and tell success is the same for every such arm, and is here.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from graspgap.contract import (
    Camera,
    GraspOutcome,
    Image,
    Observation,
    Pose,
    Workspace,
    WorldSpec,
    apply_command,
    checked_command,
    command_between,
    wrap_yaw,
)
from graspgap.datasets.pictures import square
from graspgap.deployment.success import SuccessConfig, judge
from graspgap.errors import UserError
from graspgap.seeding import generator
from graspgap.settings import Bounds, in_range
from graspgap.worlds.mover import LIFT
from graspgap.worlds.tabletop import START_Z

LEAST_RATE = 5.0
"""Set-points per second: at the fastest speed of `[safety]` they are then 5 cm apart."""
METRES_PER_RADIAN = 0.12
"""A turn counts as so long a way: the gripper's fingertips are not its axis."""


@dataclass(frozen=True)
class Look:
    """What an arm reports at one moment."""

    picture: Image
    """Of any size, RGB."""
    pose: Pose
    """Its yaw may be any angle: set-points go on from there, not from what is the same grasp half a turn away."""
    opening: float
    """Between the fingers [m]."""


@runtime_checkable
class Arm(Protocol):
    """One arm with a two-finger gripper and a camera."""

    force: float
    """Strongest grip that the gripper is set to [N]."""

    def connect(self) -> None:
        """Begin; called once, before anything else."""
        ...

    def look(self) -> Look:
        """What it reports now."""
        ...

    def send(self, pose: Pose, opening: float) -> None:
        """Set where the gripper and its fingers should go [m]; returns at once. Set-points come at `ArmConfig.rate`."""
        ...

    def close(self) -> None:
        """Let go of the arm."""
        ...


@dataclass(frozen=True)
class ArmConfig:
    """How an arm acts. Lengths in metres."""

    aside: tuple[float, float, float, float]
    """A gripper pose (x, y, z, yaw [rad]) out of the camera's view, with a free way to it from above the bin. On
    that way, at the top of `workspace` or higher, alone is the arm outside the box of `[safety]`."""
    opening: float
    """Between the open fingers."""
    workspace: Workspace = field(default_factory=Workspace)
    rate: float = 30.0
    """Set-points per second."""
    settle_seconds: float = 0.5
    """After a move, before a picture."""
    close_seconds: float = 1.5
    """What the fingers need to close or to open."""
    most_yaw: float = math.pi
    """Yaws beyond this to either side [rad] are reached by the other half turn, at which the gripper looks the same."""
    crop: tuple[int, int, int] | None = None
    """Left column, upper row and side [pixels] of the square of the pictures that is used, as `collect --camera` names
    it; None: the largest in the middle."""
    success: SuccessConfig = field(default_factory=SuccessConfig)

    def __post_init__(self) -> None:
        """Refuse what would move the arm in leaps.

        Raises:
            UserError: names the value and its bounds.
        """
        for name, value, bounds in (
            ("opening", self.opening, Bounds(0, 1, above=True)),
            ("rate", self.rate, Bounds(LEAST_RATE, 1000)),
            ("settle_seconds", self.settle_seconds, Bounds(0)),
            ("close_seconds", self.close_seconds, Bounds(0)),
            ("most_yaw", self.most_yaw, Bounds(math.pi / 2)),
        ):
            in_range(f"[arm] {name}", value, bounds)


class ArmWorld:
    """The `RobotWorld` protocol over an `Arm`."""

    def __init__(
        self,
        name: str,
        arm: Arm,
        config: ArmConfig,
        camera: Camera | None,
        image_size: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.arm, self.config, self._sleep = arm, config, sleep
        self.spec = WorldSpec(
            name, image_size, config.workspace, camera, has_masks=False, has_state=False, is_reality=True
        )
        self._stopped = threading.Event()
        self._acting = 0
        """The thread whose call may send: one that was given up on and goes on later may not."""
        self._sending = threading.Lock()  # no set-point after the one that stops it
        self._connected = False
        self._before: Image | None = None
        self._speed, self._opening = 0.0, config.opening
        self._start: list[float] = []

    def limit(self, speed: float, force: float) -> None:
        if self.arm.force > force:
            raise UserError(
                f"the gripper of world '{self.spec.name}' is set to {self.arm.force:g} N, expected at most {force:g}: "
                "set its own limit lower, or raise force in [safety]"
            )
        self._speed = speed

    def confine(self, box: Workspace) -> None:
        """Act inside this box from now on: starts, lifts and drops lie in it too."""
        self.spec = replace(self.spec, workspace=box)

    def stop(self) -> None:
        """Stay where the arm is."""
        self._stopped.set()
        if self._connected:
            with self._sending:
                self.arm.send(self.arm.look().pose, self._opening)

    def pose(self) -> Pose:
        return _wrapped(self._look().pose)

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        """Bring the arm aside, take a picture, and go to a start that `seed` draws. What lies in the bin lies there."""
        self._begin()
        self._stopped.clear()
        rng = generator(seed, "arm")
        self._fingers(self.config.opening)
        self._aside()
        self._before = self._picture(self._look())
        low, high = self.spec.workspace.low, self.spec.workspace.high
        start = rng.uniform((*low[:2], START_Z[0], -np.pi / 2), (*high[:2], START_Z[1], np.pi / 2))
        goal = self.spec.workspace.clip(start)
        self._go(self._above(goal))
        self._go(goal)
        self._start = [round(float(value), 5) for value in goal]
        return self.observe()

    def observe(self) -> Observation:
        seen = self._look()
        now = self._picture(seen)
        return Observation(now if self._before is None else self._before, now, _wrapped(seen.pose))

    def move(self, command: np.ndarray) -> None:
        self._begin()
        self._go(self.spec.workspace.clip(apply_command(self._look().pose, checked_command(command))))

    def grasp(self) -> GraspOutcome:
        """Close, lift, judge as `ArmConfig.success` says, and let go over the bin."""
        self._begin()
        self._fingers(0.0)
        pose = self._look().pose
        top = max(float(pose[2]), min(float(pose[2]) + LIFT, self.spec.workspace.high[2]))
        self._go(np.array([*pose[:2], top, pose[3]], dtype=np.float32))
        opening = self._look().opening
        drop_test = self.config.success.way != "opening"
        without = self._shown_aside() if drop_test else None
        low, high = np.array(self.spec.workspace.low), np.array(self.spec.workspace.high)
        self._go(np.array([*((low + high) / 2)[:2], high[2], 0], dtype=np.float32))
        self._fingers(self.config.opening)
        pictures = (without, self._shown_aside()) if without is not None else None
        return GraspOutcome(judge(opening, pictures, self.config.success), None, {"opening": opening})

    def record(self) -> dict[str, Any]:
        return {"objects": [], "randomization": {"start": self._start}}

    def close(self) -> None:
        if self._connected:
            self.arm.close()
            self._connected = False

    def _begin(self) -> None:
        self._acting = threading.get_ident()

    def _look(self) -> Look:
        if not self._connected:
            self.arm.connect()
            self._connected = True
        return self.arm.look()

    def _picture(self, seen: Look) -> Image:
        return square(_cropped(seen.picture, self.config.crop), self.spec.image_size)

    def _shown_aside(self) -> Image:
        self._aside()
        return self._picture(self._look())

    def _aside(self) -> None:
        aside = np.array(self.config.aside, dtype=np.float32)
        self._go(self._above(self._look().pose))
        self._go(self._above(aside))
        self._go(aside)

    def _above(self, pose: Pose) -> Pose:
        """The same pose, no lower than the top of the arm's own workspace: over the bin's walls."""
        high = np.array(pose, dtype=np.float32)
        high[2] = max(high[2], self.config.workspace.high[2])
        return high

    def _fingers(self, opening: float) -> None:
        self._opening = opening
        self._send(self._look().pose)
        self._sleep(self.config.close_seconds)

    def _go(self, goal: Pose) -> None:
        """A straight line at the limit of the speed, in set-points.

        Raises:
            UserError: if the robot was stopped, or no limit was set.
        """
        if not self._speed:
            raise UserError(f"world '{self.spec.name}' was given no limits: call limit first")
        start = self._look().pose
        way = command_between(start, goal)
        turn = float(np.arctan2(way[3], way[4]))
        if abs(start[3] + turn) > self.config.most_yaw:
            turn -= math.copysign(math.pi, start[3] + turn)
        length = max(float(np.linalg.norm(way[:3])), METRES_PER_RADIAN * abs(turn))
        count = max(1, math.ceil(length / self._speed * self.config.rate))
        for number in range(1, count + 1):
            share = number / count
            point = np.array([*(start[:3] + share * way[:3]), start[3] + share * turn], dtype=np.float32)
            self._send(point)
            self._sleep(1 / self.config.rate)
        self._sleep(self.config.settle_seconds)

    def _send(self, pose: Pose) -> None:
        with self._sending:
            if self._stopped.is_set() or self._acting != threading.get_ident():
                raise UserError(f"world '{self.spec.name}' was stopped: reset it")
            self.arm.send(pose, self._opening)


def _wrapped(pose: Pose) -> Pose:
    return np.array([*pose[:3], wrap_yaw(pose[3])], dtype=np.float32)


def _cropped(picture: Image, crop: tuple[int, int, int] | None) -> UInt8[np.ndarray, "_ _ 3"]:
    """The square of a picture.

    Raises:
        UserError: if it reaches beyond the picture.
    """
    if crop is None:
        return picture
    left, top, side = crop
    part = picture[top : top + side, left : left + side]
    if min(left, top) < 0 or part.shape[:2] != (side, side):
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise UserError(f"crop {list(crop)} reaches beyond pictures of {size}: correct it")
    return part
