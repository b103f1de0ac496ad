"""The `World` protocol: what graspgap asks of a simulator, of the stand-in reality, and of a user's own robot."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from graspgap.contract import GraspOutcome, Image, MotorCommand, Observation, Pose, Workspace, WorldSpec


@runtime_checkable
class World(Protocol):
    """A cell in which one attempt after another happens. Each world owns one `numpy.random.Generator`."""

    spec: WorldSpec

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        """Begin an attempt: put objects in the bin, take `image_before`, bring the gripper to a start pose.

        `scene_seed` alone decides which objects lie where; `seed` decides all the rest (looks, noise, start pose).
        Without a `scene_seed` it is drawn from `seed`. Equal arguments replay the same attempt bit for bit on the
        same machine. A real robot may ignore both.
        """
        ...

    def observe(self) -> Observation:
        """What the camera and the robot report now."""
        ...

    def move(self, command: MotorCommand) -> None:
        """Move the gripper from its current pose by `command`, clipped to the workspace; returns on arrival.

        Raises:
            UserError: if the command is not float32[5] or not finite; nothing has moved then.
        """
        ...

    def grasp(self) -> GraspOutcome:
        """Close the fingers here, lift, hold, and judge. Ends the attempt."""
        ...

    def record(self) -> dict[str, Any]:
        """JSON-able facts of this attempt: `objects` (names) and `randomization` (every drawn value)."""
        ...

    def close(self) -> None:
        """Release what the world holds. The world can't be used afterwards."""
        ...


@runtime_checkable
class StateWorld(World, Protocol):
    """A world that also tells where its objects are. Only simulation does; no real cell can."""

    def object_positions(self) -> Float[np.ndarray, "n 3"]:
        """Centres of mass of the objects that lie in the bin, base frame [m]."""
        ...


@runtime_checkable
class DropTestWorld(World, Protocol):
    """A world that can show what its gripper held (Levine et al. 2016)."""

    def drop_test(self) -> tuple[Image, Image]:
        """After `grasp`: a picture of the bin with the arm, and what it may hold, out of view; then, after the fingers
        have opened over the bin, another one. Ends the attempt for good."""
        ...


@runtime_checkable
class ConfinedWorld(World, Protocol):
    """A world whose own motions, at the begin and the end of an attempt, can be kept inside a smaller box."""

    def confine(self, box: Workspace) -> None:
        """Act inside this box [m] from now on; it is a part of the world's workspace. Called once, before anything
        moves."""
        ...


@runtime_checkable
class RobotWorld(World, Protocol):
    """A world that moves something real: what `worlds.safety.SafeWorld` needs besides a `World`."""

    def limit(self, speed: float, force: float) -> None:
        """Keep the gripper's speed [m/s] and the force of its fingers [N] below these from now on. Called before each
        `reset`.

        Raises:
            UserError: if the robot can't keep to them.
        """
        ...

    def stop(self) -> None:
        """Stop all motion at once. Called from another thread than the call that is under way, which should raise."""
        ...

    def pose(self) -> Pose:
        """Where the robot reports its gripper to be now, without a picture. Called before each move."""
        ...
