"""What a robot is allowed to do: the table `[safety]` of `--world-config`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from graspgap.config import from_json
from graspgap.contract import Workspace
from graspgap.errors import UserError

FAR = 1e3
"""No gripper is further from its base [m]."""
SLACK = 0.02
"""A reported pose may be this far outside the box [m]: robots are not quite where they are sent."""


@dataclass(frozen=True)
class SafetyConfig:
    """Limits, as in the table `[safety]` of `--world-config`. Lengths in metres."""

    low: tuple[float, float, float] | None = None
    """Smallest x, y, z of the gripper; None: of the world's workspace. Never less than that."""
    high: tuple[float, float, float] | None = None
    """Largest x, y, z of the gripper; None: of the world's workspace. Never more than that."""
    speed: float = 0.25
    """Fastest motion of the gripper [m/s]: what ISO 10218-1 allows while somebody is near."""
    force: float = 20.0
    """Strongest grip [N]."""
    step: float = 0.1
    """Longest leg; longer moves go in several."""
    turn: float = 0.8
    """Largest turn of a leg [rad]."""
    moves: int = 20
    """Most moves in an attempt. An attempt of ours has at most 9."""
    observe_seconds: float = 2.0
    """A picture or a pose that takes longer stops the robot, as do the next three."""
    move_seconds: float = 20.0
    """A leg."""
    grasp_seconds: float = 60.0
    """Closing, lifting, judging."""
    reset_seconds: float = 600.0
    """Bringing the gripper to a start; somebody may refill the bin meanwhile."""
    stop_file: str = "graspgap.stop"
    """While this file is there, nothing moves; create it to stop the robot (`touch graspgap.stop`). A path that is not
    absolute begins at the folder where graspgap was started."""
    dry_run: bool = False
    """Print commands and move nothing: the gripper is taken to be where they would have led."""
    own_limits: bool = False
    """The robot's own controller limits speed and force and stops: a world without `RobotWorld`'s methods may do."""


def read_safety(values: Any) -> SafetyConfig:
    """The limits that a table gives; the others keep their defaults.

    Raises:
        UserError: if a name is unknown, or a limit is none.
    """
    if not isinstance(values, dict):
        raise UserError(f"[safety] is {values!r}, expected one table: correct it")
    for field in fields(SafetyConfig):
        value = values.get(field.name, field.default)
        number = isinstance(value, float | int) and not isinstance(value, bool)
        if field.type == "int":
            number = number and isinstance(value, int)
        if field.type in ("float", "int") and not (number and 0 < value < math.inf):
            what = "whole number above 0" if field.type == "int" else "positive number"
            raise UserError(f"[safety] {field.name} is {value!r}, expected a {what}: correct it")
        if field.type in ("bool", "str") and type(value).__name__ != field.type:
            raise UserError(f"[safety] {field.name} is {value!r}, expected a {field.type}: correct it")
        if field.name == "stop_file" and not value.strip():
            raise UserError("[safety] stop_file is empty, expected the path of a file: correct it")
        if field.name in ("low", "high") and value is not None and not _is_point(value):
            raise UserError(f"[safety] {field.name} is {value!r}, expected x, y, z in metres: correct it")
    if values.get("step", 1.0) < 2 * SLACK:
        raise UserError(f"[safety] step is {values['step']}, expected {2 * SLACK:g} m or more: correct it")
    try:
        return from_json(SafetyConfig, values)
    except ValueError as error:
        raise UserError(f"[safety] in --world-config: {error}; see SafetyConfig") from None


def _is_point(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 3 and all(isinstance(each, float | int) for each in value)
    return numbers and all(abs(each) < FAR for each in value)


def safe_box(workspace: Workspace, config: SafetyConfig) -> Workspace:
    """The part of the workspace that lies within the limits.

    Raises:
        UserError: if there is none, or no grasp is possible there.
    """
    low = np.maximum(workspace.low, config.low or workspace.low)
    high = np.minimum(workspace.high, config.high or workspace.high)
    grasp_z = (max(workspace.grasp_z[0], float(low[2])), min(workspace.grasp_z[1], float(high[2])))
    if not (low < high).all() or grasp_z[0] > grasp_z[1]:
        raise UserError(
            f"[safety] low {config.low} and high {config.high} leave nothing of the workspace {workspace.low} to "
            f"{workspace.high} with grasps at z {workspace.grasp_z}: correct them"
        )
    return Workspace(tuple(low.tolist()), tuple(high.tolist()), grasp_z)
