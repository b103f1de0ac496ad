"""Gripper poses of other robots as ours: base frame, handedness, units, and rotations that become a yaw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial.transform import Rotation

from graspgap.contract import wrap_yaw
from graspgap.errors import UserError, choose

Form = Literal["yaw", "quat-xyzw", "quat-wxyz", "rpy", "rotvec"]
Length = Literal["m", "cm", "mm", "inch"]
Angle = Literal["rad", "deg"]

VALUES: dict[str, int] = {"yaw": 4, "quat-xyzw": 7, "quat-wxyz": 7, "rpy": 6, "rotvec": 6}
"""Numbers of a pose in each form, the place included."""
METRES: dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
AXES = {f"{sign}{name}": (-1 if sign else 1) * np.eye(3)[k] for sign in ("", "-") for k, name in enumerate("xyz")}

FAR = 5.0
"""No arm reaches so far [m]: the unit of length must be another one."""
TURNS = 4 * np.pi
"""No wrist turns so far [rad]: the unit of angles must be another one."""


@dataclass(frozen=True)
class FrameConfig:
    """How the recording's gripper poses are to be read. Ours are in metres and radians, in a right-handed base frame
    with z up, of the point midway between the fingertips."""

    rotation: Form = "yaw"
    """How the rotation stands after x, y, z. `rpy`: roll, pitch, yaw about the fixed axes x, y, z. `yaw`: the gripper
    points straight down, and this is the angle about z."""
    length: Length = "m"
    """Unit of x, y, z."""
    angle: Angle = "rad"
    """Unit of `yaw`, `rpy` and `rotvec`."""
    axes: tuple[str, str, str] = ("x", "y", "z")
    """Which axes of the recording's base frame our x, y, z are, as `y`, `-x`, `z`."""
    handedness: Literal["right", "left"] = "right"
    """Of the recording's base frame; `axes` must agree with it."""
    turn: float = 0.0
    """Angle of that frame about our z, after `axes` [degrees]."""
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where its origin is in our base frame [m]."""
    approach: str = "z"
    """Axis of the recorded gripper frame that points from wrist to fingertips; not for `yaw`."""
    fingers: str = "x"
    """Axis of the recorded gripper frame along which the fingers open."""
    tool: float = 0.0
    """From the recorded point along `approach` (for `yaw`: down) to the point midway between the fingertips [m]."""
    tolerance: float = 10.0
    """Rows in which the gripper's axis is further from straight down than this are skipped [degrees]."""


def check_frame(config: FrameConfig) -> None:
    """Refuse a frame that contradicts itself.

    Raises:
        UserError: names the setting and what was expected.
    """
    for name, axis in (*(("axes", axis) for axis in config.axes), ("approach", config.approach)):
        choose(name, axis, AXES)
    choose("fingers", config.fingers, AXES)
    choose("rotation", config.rotation, get_args(Form))
    if config.fingers[-1] == config.approach[-1] and config.rotation != "yaw":
        raise UserError(f"fingers '{config.fingers}' lies along approach '{config.approach}': give the axis across it")
    if config.rotation == "yaw" and config.fingers[-1] == "z":
        raise UserError(f"fingers '{config.fingers}' doesn't turn with a yaw about z: give x or y")
    hand = np.linalg.det(_base(config))
    if abs(hand) < 0.5:
        raise UserError(
            f"axes {', '.join(config.axes)} name an axis twice: give x, y and z once each, with their signs"
        )
    if (hand > 0) != (config.handedness == "right"):
        found = "right" if hand > 0 else "left"
        raise UserError(
            f"axes {', '.join(config.axes)} turn a {found}-handed frame into ours, but handedness says "
            f"'{config.handedness}': correct one of them"
        )
    if config.rotation == "yaw" and abs(_base(config)[2, 2]) < 0.5:
        raise UserError(f"axes {', '.join(config.axes)} lay z down, and a yaw is about it: give a full rotation")
    if not 0 < config.tolerance < 90:
        raise UserError(f"tolerance {config.tolerance:g} degrees must be between 0 and 90")


def to_poses(
    values: Float[np.ndarray, "t k"], config: FrameConfig, what: str
) -> tuple[Float32[np.ndarray, "t 4"] | None, str]:
    """Our poses of the recorded ones; or None and why a row with them has to be skipped.

    Raises:
        UserError: if there are too few or too many numbers, or they can't be in the unit that `config` says.
    """
    count = VALUES[config.rotation]
    if values.shape[1] != count:
        raise UserError(
            f"{what} gives {values.shape[1]} numbers a pose, expected {count} for rotation '{config.rotation}': "
            "correct the rotation or the pose index"
        )
    if not np.isfinite(values).all():
        return None, "pose is not finite"
    scale = METRES[config.length]
    farthest = np.abs(values[:, :3]).max(initial=0)
    if farthest > FAR / scale:
        raise UserError(
            f"{what} has a gripper at {farthest:.4g} {config.length}: give the unit of its places, "
            f"length = one of {', '.join(METRES)}"
        )
    places = values[:, :3] * scale
    angles = values[:, 3:]
    if config.rotation.startswith("quat"):
        small = np.abs(angles).max(initial=0) < 2  # else the norm might overflow
        if not small or np.abs(np.linalg.norm(angles, axis=1) - 1).max(initial=0) > 0.02:
            return None, "quaternion is not of length 1"
        turned = Rotation.from_quat(angles, scalar_first=config.rotation == "quat-wxyz").as_matrix()
    else:
        angles = np.radians(angles) if config.angle == "deg" else angles
        if np.abs(angles).max(initial=0) > TURNS:
            raise UserError(f"{what} has an angle of {np.abs(angles).max():.4g} rad: give its unit, angle = 'deg'")
        turned = _matrices(angles, config.rotation)
    base = _base(config)
    down = np.array([0.0, 0.0, -1.0])
    fingers = turned @ AXES[config.fingers] @ base.T
    approach = np.broadcast_to(down, fingers.shape)
    if config.rotation != "yaw":
        approach = turned @ AXES[config.approach] @ base.T
        if (approach @ down).min(initial=1) < np.cos(np.radians(config.tolerance)):
            return None, f"gripper is more than {config.tolerance:g} degrees from straight down"
    places = places @ base.T + config.origin + config.tool * approach
    yaw = np.arctan2(fingers[:, 1], fingers[:, 0])
    yaw = np.where(np.abs(yaw) < 1, yaw, wrap_yaw(yaw))  # wrapping costs a small angle its last bits
    return np.column_stack([places, yaw]).astype(np.float32), ""


def _matrices(angles: Float[np.ndarray, "t k"], form: str) -> Float[np.ndarray, "t 3 3"]:
    if form == "rotvec":
        return Rotation.from_rotvec(angles).as_matrix()
    return Rotation.from_euler("xyz" if form == "rpy" else "z", angles).as_matrix()


def _base(config: FrameConfig) -> Float[np.ndarray, "3 3"]:
    """From coordinates in the recording's base frame to ours, without its origin."""
    return Rotation.from_euler("z", config.turn, degrees=True).as_matrix() @ np.stack([AXES[a] for a in config.axes])
