"""Robots of LeRobot as worlds: `--world lerobot:CONFIG.toml`.

LeRobot is not among our dependencies (its versions of torch and NumPy are other ones than ours), so that this speaks to
it through what all of its robots have: `connect`, `get_observation`, `send_action`, `disconnect`. It was tested with
stand-ins for them alone.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from graspgap.config import from_json
from graspgap.contract import Pose
from graspgap.deployment.arm_world import ArmConfig, ArmWorld, Look
from graspgap.errors import UserError
from graspgap.settings import check_table
from graspgap.worlds.catalog import WorldChoice


@runtime_checkable
class LeRobot(Protocol):
    """The part of LeRobot's `Robot` that is used."""

    def connect(self) -> None: ...

    def get_observation(self) -> dict[str, Any]:
        """Camera pictures uint8[h, w, 3] and numbers by name."""
        ...

    def send_action(self, action: dict[str, Any]) -> Any:
        """Set numbers by name."""
        ...

    def disconnect(self) -> None: ...


@runtime_checkable
class Kinematics(Protocol):
    """From a robot's numbers to gripper poses and back; the gripper points straight down."""

    def pose(self, observation: Mapping[str, Any]) -> Any:
        """x, y, z [m] and yaw [rad] of the point between the fingertips, base frame."""
        ...

    def action(self, pose: Pose, observation: Mapping[str, Any]) -> Mapping[str, Any]:
        """The numbers, without the gripper's, that bring the gripper to a pose; near the observed ones."""
        ...


@dataclass(frozen=True)
class LeRobotConfig:
    """What stands in the file, besides the tables `[arm]` (`ArmConfig`) and `[safety]`."""

    robot: str
    """`package.module:function` of yours that returns your robot, configured and not connected."""
    camera: str
    """Name of the camera's picture in an observation."""
    gripper: str
    """Name of the gripper's number in observations and actions."""
    gripper_open: float
    """Its value with open fingers."""
    gripper_closed: float
    """Its value with closed fingers."""
    gripper_force: float
    """Strongest grip that you have set the gripper to [N]."""
    pose: tuple[str, ...] = ()
    """Names of x, y, z [m] and yaw [rad], where your robot takes and reports gripper poses itself."""
    kinematics: str = ""
    """Else `package.module:function` of yours that returns a `Kinematics`."""


class LeRobotArm:
    """The `Arm` protocol over a robot of LeRobot."""

    def __init__(self, robot: LeRobot, kinematics: Kinematics, config: LeRobotConfig, opening: float) -> None:
        """`opening`: between the open fingers [m]."""
        self.robot, self.kinematics, self.config, self.opening = robot, kinematics, config, opening
        self.force = config.gripper_force

    def connect(self) -> None:
        self.robot.connect()

    def look(self) -> Look:
        seen = self.robot.get_observation()
        picture = np.asarray(_value(seen, self.config.camera))
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            found = f"{picture.dtype}{list(picture.shape)}"
            raise UserError(f"camera '{self.config.camera}' of the robot gives {found}, expected uint8[h, w, 3] RGB")
        pose = np.array(self.kinematics.pose(seen), dtype=np.float32)
        if pose.shape != (4,) or not np.isfinite(pose).all():
            raise UserError(f"kinematics gives the pose {pose.tolist()}, expected x, y, z [m] and yaw [rad]")
        config = self.config
        share = (float(_value(seen, config.gripper)) - config.gripper_closed) / (
            config.gripper_open - config.gripper_closed
        )
        return Look(picture, pose, max(0.0, share * self.opening))

    def send(self, pose: Pose, opening: float) -> None:
        config, share = self.config, min(1.0, max(0.0, opening / self.opening))
        action = dict(self.kinematics.action(pose, self.robot.get_observation()))
        values = [float(value) for value in action.values()]
        if not np.isfinite(values).all():
            raise UserError(f"kinematics gives an action that is not finite for the pose {pose.tolist()}: not sent")
        action[config.gripper] = config.gripper_closed + share * (config.gripper_open - config.gripper_closed)
        self.robot.send_action(action)

    def close(self) -> None:
        self.robot.disconnect()


class _Reported:
    """The `Kinematics` of a robot that takes and reports gripper poses itself."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def pose(self, observation: Mapping[str, Any]) -> list[float]:
        return [float(_value(observation, name)) for name in self.names]

    def action(self, pose: Pose, observation: Mapping[str, Any]) -> dict[str, float]:
        return dict(zip(self.names, pose.tolist(), strict=True))


def make(choice: WorldChoice, tables: dict[str, Any]) -> ArmWorld:
    """The factory of world `lerobot`.

    Raises:
        UserError: if LeRobot or a setting is missing, or what the file names can't be used.
    """
    if importlib.util.find_spec("lerobot") is None:
        raise UserError(
            "world 'lerobot' needs LeRobot, which is not installed: install it beside graspgap, or write an Arm"
        )
    own = dict(tables)
    arm_table = own.pop("arm", {})
    if not isinstance(arm_table, dict):
        raise UserError(f"'arm' in --world-config is {arm_table!r}, expected a table: write [arm]")
    check_table(ArmConfig, arm_table, "[arm] in --world-config")
    check_table(LeRobotConfig, own, "--world-config")
    arm_config, config = from_json(ArmConfig, arm_table), from_json(LeRobotConfig, own)
    if config.gripper_open == config.gripper_closed:
        raise UserError(f"gripper_open and gripper_closed are both {config.gripper_open}: give the gripper's two ends")
    if bool(config.pose) == bool(config.kinematics) or len(config.pose) not in (0, 4):
        raise UserError("give either pose = [x, y, z, yaw], four names, or kinematics = 'package.module:function'")
    kinematics = _made(config.kinematics, Kinematics) if config.kinematics else _Reported(config.pose)
    arm = LeRobotArm(_made(config.robot, LeRobot), kinematics, config, arm_config.opening)
    return ArmWorld("lerobot", arm, arm_config, choice.camera, choice.image_size)


def _made(name: str, kind: Any) -> Any:
    """What the user's function returns.

    Raises:
        UserError: if there is no such function, or it returns something else.
    """
    module, colon, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute) if colon else None
    except (ImportError, AttributeError) as error:
        raise UserError(f"'{name}' can't be loaded ({error}): expected package.module:function") from error
    if not callable(function):
        raise UserError(f"'{name}' is no function: expected package.module:function")
    made = function()
    if not isinstance(made, kind):
        raise UserError(f"'{name}' returns a {type(made).__name__}, expected the methods of {kind.__name__}")
    return made


def _value(observation: Mapping[str, Any], name: str) -> Any:
    if name not in observation:
        raise UserError(f"the robot's observation has no '{name}': it has {', '.join(sorted(observation))}")
    return observation[name]
