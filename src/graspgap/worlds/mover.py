"""How a gripper moves, closes and lifts, and when that counts as a success: the same whatever simulates it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from graspgap.contract import GraspOutcome, Pose, wrap_yaw
from graspgap.objects.model import ObjectModel
from graspgap.worlds import arm

LIFT = 0.12
"""Height of the lift [m]."""
RISE = 0.10
"""What the object must make of it [m]."""
FLING_SPEED = 5.0
"""No object in a bin is that fast [m/s] unless the physics failed: a fingertip that pinches a light object against the
floor can shoot it away at hundreds of m/s, and throw the arm."""
HOLD_SECONDS = 0.5
CLOSE_SECONDS = 0.35
DROP_SECONDS = 1.2
"""What falls rests after this."""
DROP_HEIGHT = 0.1
"""From where a drop test lets go [m]."""
FALL_SPEED = 0.05
"""With which it begins to fall [m/s]."""
SHUT = 0.001
"""Fingers closer than this [m] hold nothing."""
KNOT_SECONDS = 0.016
"""Interval of the joint targets along a path, and of the look-out for flung objects."""


@dataclass(frozen=True)
class MotionConfig:
    """How a gripper moves, and its imperfections, whatever simulates it. Lengths in metres."""

    speed: float = 0.5
    """Mean speed of the gripper [m/s]."""
    press_limit: float = 80.0
    """A move down stops when the gripper presses on something with more than this [N], as a robot's collision
    detection does. A light object is pushed aside before; the weak fingers of `bullet` swing aside: its hand stops."""
    latency: float = 0.0
    """Between the end of a move and the picture [s]."""
    calibration: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """What the robot reports less the truth: x, y, z [m], yaw [rad]."""
    move_noise: float = 0.0
    """Standard deviation of where a move ends, in x, y and z [m]; of its yaw ten times that [rad]."""


class Mover(ABC):
    """One arm with a two-finger gripper over some objects. A subclass brings the physics."""

    config: MotionConfig
    motion: MotionConfig
    """`config` with what was drawn for this attempt."""
    objects: list[ObjectModel]
    yaw: float
    """Of the gripper [rad], unwrapped."""
    flung: bool
    """Whether an object or the arm was thrown in this attempt: the physics failed, and so does the attempt."""
    _lain: Float64[np.ndarray, "n"]
    """Heights of the objects before the last lift [m]."""
    _risen: Sequence[int] = ()
    """Objects that `carry_away` took with it: still half way up after a while, held well or not."""

    @abstractmethod
    def true_pose(self) -> Pose:
        """Where the gripper is, yaw in [-pi/2, pi/2)."""

    @abstractmethod
    def _inverse(self, way: Float[np.ndarray, "4"]) -> Float[np.ndarray, "7"]:
        """Joint angles [rad] at a true pose (x, y, z [m], yaw [rad], unwrapped)."""

    @abstractmethod
    def _drive(self, joints: Float[np.ndarray, "7"]) -> None:
        """Set the joints' targets [rad]."""

    @abstractmethod
    def _stay(self) -> None:
        """Make the joints' angles their targets."""

    @abstractmethod
    def _shut(self) -> None:
        """Begin to close the fingers."""

    @abstractmethod
    def _step(self, seconds: float) -> None:
        """Simulate, looking out for flung objects."""

    @abstractmethod
    def _pressed(self) -> bool:
        """Whether the gripper presses on something with more than its limit."""

    @abstractmethod
    def _opening(self) -> float:
        """Between the fingers [m]."""

    @abstractmethod
    def _held(self) -> set[int]:
        """Objects that touch both fingers now."""

    @abstractmethod
    def _heights(self) -> Float64[np.ndarray, "n"]:
        """Of the objects' centres of mass [m]."""

    @abstractmethod
    def tuck_arm(self) -> None:
        """Put the arm aside at once, out of the camera's view."""

    @abstractmethod
    def _drop_area(self) -> tuple[float, float, float, float]:
        """Where objects are dropped: x and y of its middle, half sides along x and y [m]."""

    @abstractmethod
    def _radius(self, index: int) -> float:
        """Of the sphere around an object's origin that holds it [m]."""

    @abstractmethod
    def _put(self, index: int, place: tuple[float, float, float], turn: Float64[np.ndarray, "4"] | None = None) -> None:
        """Bring an object's origin to a place [m], turned by a unit quaternion (w, x, y, z); None: as it is."""

    @abstractmethod
    def _still(self) -> None:
        """Stop all motion."""

    @abstractmethod
    def _let_go(self, index: int) -> None:
        """Begin an object's fall, even if it sleeps in the air where it was put."""

    @abstractmethod
    def _inside(self, index: int) -> bool:
        """Whether an object lies in the bin."""

    def set_motion(self, draw: dict[str, Any]) -> None:
        """Take up the arm's part of `randomization.draw_dynamics`; what is missing is nominal."""
        config = self.config
        x, y, z, yaw = np.add(config.calibration, draw.get("calibration", (0.0, 0.0, 0.0, 0.0))).tolist()
        self.motion = replace(
            config,
            speed=config.speed * draw.get("speed", 1.0),
            latency=config.latency + draw.get("latency", 0.0),
            calibration=(x, y, z, yaw),
        )

    def settle(self, rng: np.random.Generator, seconds: float = 1.2) -> None:
        """Drop the objects into the bin and wait until they rest; one that falls beside it is dropped again."""
        self.tuck_arm()
        middle_x, middle_y, sx, sy = self._drop_area()
        outside = list(range(len(self.objects)))
        for _ in range(4):
            spheres: list[tuple[float, float, float, float]] = []  # x, y, z, radius: dropped without overlap
            for index in rng.permutation(outside).tolist():
                radius = self._radius(index)
                x, y = middle_x + rng.uniform(-sx, sx), middle_y + rng.uniform(-sy, sy)
                z = 0.02 + radius
                for x2, y2, z2, radius2 in spheres:
                    z = max(z, z2 + math.sqrt(max(0.0, (radius + radius2) ** 2 - (x - x2) ** 2 - (y - y2) ** 2)))
                spheres.append((x, y, z, radius))
                turn = rng.normal(size=4)
                self._put(index, (x, y, z), turn / np.linalg.norm(turn))
            self._still()
            self._step(seconds)
            outside = [i for i in range(len(self.objects)) if not self._inside(i)]
            if not outside:
                break
        for index in outside:  # given up: out of the bin, out of the picture
            self._put(index, (2, 2 + index, 0.2))
        self._still()

    def pose(self) -> Pose:
        """Gripper pose as the robot reports it, with its calibration error."""
        pose = self.true_pose() + np.array(self.motion.calibration, dtype=np.float32)
        pose[3] = wrap_yaw(pose[3])
        return pose

    def move_to(self, pose: Pose, rng: np.random.Generator | None = None) -> None:
        """Move in a straight line to a reported pose, by the shorter rotation, with the robot's errors."""
        config = self.motion
        goal = np.array(pose, dtype=np.float64) - config.calibration
        if rng is not None and config.move_noise:
            goal += rng.normal(0, config.move_noise, 4) * (1, 1, 1, 10)
        start = np.array(self.true_pose(), dtype=np.float64)
        start[3] = self.yaw
        goal[3] = self.yaw + float(wrap_yaw(goal[3] - self.yaw))
        if abs(goal[3] - math.atan2(goal[1], goal[0])) > arm.JOINT_LIMITS[6] - 0.1:
            goal[3] -= math.copysign(math.pi, goal[3])
        goal[2] = max(goal[2], 0.005)
        self._travel(start, goal)

    def _travel(self, start: Float[np.ndarray, "4"], goal: Float[np.ndarray, "4"]) -> None:
        """Follow the line from `start` to `goal` (true poses, yaw unwrapped), slow at both ends."""
        distance = max(float(np.linalg.norm(goal[:3] - start[:3])), 0.12 * abs(goal[3] - start[3]))

        def at(share: float) -> tuple[Float[np.ndarray, "4"], Float[np.ndarray, "7"]]:
            way = start + share * share * (3 - 2 * share) * (goal - start)
            return way, self._inverse(way)

        turns = np.abs(np.diff([at(share)[1] for share in np.linspace(0, 1, 9)], axis=0))
        seconds = max(0.12 + distance / self.motion.speed, 8 * float((turns / arm.JOINT_SPEEDS).max()))
        knots = max(2, math.ceil(seconds / KNOT_SECONDS))
        for knot in range(1, knots + 1):
            way, joints = at(knot / knots)
            self._drive(joints)
            self._step(seconds / knots)
            if self.flung or (goal[2] < start[2] and self._pressed()):
                self._stay()
                goal = way
                break
        self._step(0.1 + self.motion.latency)
        self.yaw = float(goal[3])

    def close_lift_hold(self) -> GraspOutcome:
        """Close the fingers, lift, hold, and judge.

        A success is one object that touches both fingers from the end of the lift to the end of the hold, at least
        10 cm above where it lay. An object that merely rides on another one is not touched by both fingers.
        """
        heights = self._lain = self._heights()
        self._shut()
        self._step(CLOSE_SECONDS)
        held = set(range(len(self.objects))) if self._opening() > SHUT else set()
        if held:  # else there is nothing to lift, and nothing more to learn
            start = np.array(self.true_pose(), dtype=np.float64)
            start[3] = self.yaw
            self._travel(start, start + np.array([0, 0, LIFT, 0]))
            held = self._held()
        for _ in range(5):
            if held:
                self._step(HOLD_SECONDS / 5)
                held &= self._held()
        rise = self._heights() - heights
        winners = [index for index in sorted(held) if rise[index] >= RISE]
        details = {"opening": self._opening(), "lift": float(rise[winners[0]]) if winners else 0.0}
        if len(winners) != 1 or self.flung:
            return GraspOutcome(False, None, details)
        return GraspOutcome(True, self.objects[winners[0]].name, details)

    def carry_away(self) -> None:
        """After `close_lift_hold`: bring the arm, and what it lifted, out of the camera's view at once."""
        self._step(DROP_SECONDS)
        self._risen = np.flatnonzero(self._heights() - self._lain >= RISE / 2).tolist()
        for index in self._risen:
            self._put(index, (2, 2 + index, 0.2))
        self._still()
        self.tuck_arm()

    def drop(self) -> None:
        """After `carry_away`: let fall what was lifted over the middle of the bin, and wait until it rests."""
        x, y, _, _ = self._drop_area()
        for number, index in enumerate(self._risen, start=1):
            self._put(index, (x, y, number * DROP_HEIGHT))
        self._still()
        for index in self._risen:
            self._let_go(index)
        self._step(DROP_SECONDS)
