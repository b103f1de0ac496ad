"""The guard in front of a robot: no command reaches it that breaks a limit.

| limit | a command beyond it |
|---|---|
| shape, finite values | is refused; nothing moves |
| the box | is clipped to it: the world's contract says so, and policies learn with it |
| longest leg, largest turn | goes in several legs, each looked after by itself |
| a leg that doesn't arrive (something is in the way) | ends the move there |
| moves in an attempt | is refused: a policy that never closes |
| gripper reported outside the box | is refused, whatever it asks for |
| speed and force | is no part of a command: the robot is told both before each attempt, or refuses |
| late or missing picture, the same picture after a move | stops the robot |
| the operator's stop file, Ctrl-C | stops the robot |

What is refused or stops the robot is a `UserError` and ends the run; `reset` begins anew.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float64

from graspgap.contract import (
    GraspOutcome,
    Observation,
    Pose,
    apply_command,
    checked_command,
    command_between,
)
from graspgap.errors import UserError
from graspgap.worlds.check import check_observation
from graspgap.worlds.limits import SLACK, SafetyConfig, safe_box
from graspgap.worlds.protocol import ConfinedWorld, RobotWorld, StateWorld, World
from graspgap.worlds.watchdog import Watchdog

T = TypeVar("T")
ARRIVED = 0.02
"""A leg that ends further from its goal [m] was stopped by something."""
STALE = 0.1
"""Over a way as long as this [m] no camera that sees the gripper takes the same picture, to the last bit."""


class SafeWorld:
    """The `World` protocol over another world, which gets only commands within the limits."""

    def __init__(
        self,
        world: World,
        config: SafetyConfig,
        say: Callable[[str], None] | None = None,
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        """`say` prints the commands of a dry run; None: to standard error. `closed` is called once, after the world has
        been closed.

        Raises:
            UserError: if a real world has no `limit`, `stop` and `pose`, or its box is empty.
        """
        self.world, self.config = world, config
        self._robot = world if isinstance(world, RobotWorld) else None
        if world.spec.is_reality and self._robot is None and not config.own_limits:
            raise UserError(
                f"world '{world.spec.name}' is real and has no limit, stop and pose (see RobotWorld): add them, or set "
                "own_limits = true in [safety] if its controller keeps to limits of its own"
            )
        box = safe_box(world.spec.workspace, config)
        self.spec = replace(world.spec, workspace=box)
        if isinstance(world, ConfinedWorld):
            world.confine(box)
        if config.dry_run:
            self.spec = replace(self.spec, name=f"{world.spec.name} (dry run)")
        self._closed: Callable[[], object] | None = closed
        self._say = say or (lambda line: print(line, file=sys.stderr))
        self._guard = Watchdog(self._stop, self._asked_to_stop)
        self._seen: Observation | None = None
        self._changed: Observation | None = None
        """When the picture was last another one."""
        self._moves = self._clipped = self._legs = 0
        self._under_way = False
        """Whether an attempt has begun, and neither a grasp nor a stop has ended it."""

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        self._moves = self._clipped = self._legs = 0
        self._seen = self._changed = None
        limits = self.config.speed, self.config.force
        if self.config.dry_run:
            self._say(f"reset to a start, speed {limits[0]:g} m/s, force {limits[1]:g} N")
            return self._observe(self._watched(self.world.observe, self.config.observe_seconds, "a picture"))
        self._under_way = True
        if self._robot:
            robot = self._robot
            self._watched(lambda: robot.limit(*limits), self.config.observe_seconds, "setting limits")
        return self._observe(
            self._watched(lambda: self.world.reset(seed, scene_seed), self.config.reset_seconds, "reset")
        )

    def observe(self) -> Observation:
        seen, before = self._watched(self.world.observe, self.config.observe_seconds, "a picture"), self._seen
        if self.config.dry_run and before is not None:
            seen = replace(seen, pose=before.pose)
        return self._observe(seen)

    def _observe(self, seen: Any) -> Observation:
        """Check what the world shows, and remember it."""
        try:
            if not isinstance(seen, Observation):
                raise UserError(f"world '{self.spec.name}' gives {type(seen).__name__} for a picture: see Observation")
            check_observation(self.world.spec, seen)
            if self._changed is None or not np.array_equal(seen.image_now, self._changed.image_now):
                self._changed = seen
            way = float(np.linalg.norm(seen.pose[:3] - self._changed.pose[:3]))
            if way > STALE and self.spec.is_reality and not self.config.dry_run:
                raise UserError(
                    f"the camera of world '{self.spec.name}' shows the same picture after a move of {way:.2f} m: see "
                    "whether it has stopped"
                )
        except UserError:
            self._guard.stop()
            raise
        self._seen = seen
        return seen

    def move(self, command: np.ndarray) -> None:
        command = checked_command(command)
        if self._moves >= self.config.moves:
            self._guard.stop()
            raise UserError(
                f"more than {self.config.moves} moves in one attempt: the policy doesn't close; raise moves in "
                "[safety] if it should go on"
            )
        self._moves += 1
        start = self._pose()
        with np.errstate(over="ignore"):  # infinitely far is clipped as well
            wanted = apply_command(start, command)
        target = self.spec.workspace.clip(wanted)
        self._clipped += not np.allclose(wanted[:3], target[:3], atol=1e-6)
        way = command_between(start, target)
        turn = float(np.arctan2(way[3], way[4]))
        legs = max(1, math.ceil(np.linalg.norm(way[:3]) / self.config.step), math.ceil(abs(turn) / self.config.turn))
        for leg in range(1, legs + 1):
            share = leg / legs
            goal = np.array([*(start[:3] + share * way[:3]), start[3] + share * turn], dtype=np.float32)
            if not self._go(self.spec.workspace.clip(goal)):
                break

    def _go(self, goal: Pose) -> bool:
        """One leg; returns whether it arrived."""
        pose = self._pose()
        command = command_between(pose, goal)
        length, turn = float(np.linalg.norm(command[:3])), float(np.arctan2(command[3], command[4]))
        share = min(1.0, self.config.step / max(length, 1e-9), self.config.turn / max(abs(turn), 1e-9))
        if share < 1:  # the robot was not quite where the leg before should have ended
            short = np.array([*(pose[:3] + share * command[:3]), pose[3] + share * turn], dtype=np.float32)
            command = command_between(pose, self.spec.workspace.clip(short))
        self._legs += 1
        if self.config.dry_run:
            self._say("move " + " ".join(f"{value:+.4f}" for value in command.tolist()))
            assert self._seen is not None
            self._seen = replace(self._seen, pose=apply_command(pose, command))
            return True
        self._watched(lambda: self.world.move(command), self.config.move_seconds, "a move")
        return bool(np.linalg.norm(self._pose()[:3] - goal[:3]) < ARRIVED)

    def _pose(self) -> Pose:
        """Where the gripper is now: the robot is asked, because it may have moved since the last picture.

        Raises:
            UserError: if it is outside the box.
        """
        if self.config.dry_run:
            if self._seen is None:
                raise UserError(f"world '{self.spec.name}' has no attempt under way: call reset first")
            pose = self._seen.pose
        elif self._robot:
            pose = np.asarray(self._watched(self._robot.pose, self.config.observe_seconds, "a pose"), dtype=np.float32)
        else:
            pose = self.observe().pose
        low, high = np.array(self.spec.workspace.low) - SLACK, np.array(self.spec.workspace.high) + SLACK
        if pose.shape != (4,) or not np.isfinite(pose).all() or not ((low <= pose[:3]) & (pose[:3] <= high)).all():
            self._guard.stop()
            raise UserError(
                f"world '{self.spec.name}' reports its gripper at {np.round(pose, 3).tolist()}, outside the box "
                f"{list(self.spec.workspace.low)} to {list(self.spec.workspace.high)}: bring it inside by hand"
            )
        return pose

    def grasp(self) -> GraspOutcome:
        """As the world's; the details also say how many commands were clipped and in how many legs the gripper went."""
        notes = {"clipped": float(self._clipped), "legs": float(self._legs)}
        if self.config.dry_run:
            self._say("close, lift, judge")
            return GraspOutcome(False, None, notes)
        outcome = self._watched(self.world.grasp, self.config.grasp_seconds, "a grasp")
        self._under_way = False
        return replace(outcome, details=outcome.details | notes)

    def record(self) -> dict[str, Any]:
        return {"objects": [], "randomization": {}} if self.config.dry_run else self.world.record()

    def object_positions(self) -> Float64[np.ndarray, "n 3"]:
        """Where objects lie, if the world tells; see `StateWorld`.

        Raises:
            UserError: if it doesn't, as no real cell does.
        """
        if not isinstance(self.world, StateWorld):
            raise UserError(f"world '{self.spec.name}' doesn't tell where its objects are, as no real cell does")
        return self.world.object_positions()

    def close(self) -> None:
        """Let go of the world, and stop it first if an attempt was broken off; a second time, nothing."""
        closed, self._closed = self._closed, None
        if closed is not None:
            if self._under_way:
                self._guard.stop()
            try:
                self.world.close()
            finally:
                closed()

    def _watched(self, call: Callable[[], T], seconds: float, what: str) -> T:
        """Run a call of the world; a simulated one can neither hurt nor hang, and may need this very thread."""
        return self._guard.run(call, seconds, what) if self.spec.is_reality else call()

    def _stop(self) -> None:
        self._under_way = False
        if self._robot:
            self._robot.stop()

    def _asked_to_stop(self) -> str | None:
        if Path(self.config.stop_file).expanduser().exists():
            return f"stopped by {self.config.stop_file}: remove it, and run the same command again to go on"
        return None
