"""The words all parts of graspgap share, with their units and frames.

Frames. The *robot base frame* has its origin at the arm's base on the table top, x forward to the bin, y left, z up;
lengths are in metres, angles in radians. A *gripper pose* is (x, y, z, yaw): the point midway between the fingertips
and the rotation about the vertical; the gripper always points straight down. A two-finger gripper is symmetric, so
yaw and yaw + pi are the same grasp.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from graspgap.errors import UserError

Image = UInt8[np.ndarray, "h w 3"]
"""RGB picture, uint8, square."""

Mask = UInt8[np.ndarray, "h w"]
"""Semantic picture, uint8, values of `SemanticClass`."""

Pose = Float32[np.ndarray, "4"]
"""Gripper pose (x, y, z [m], yaw [rad]) in the robot base frame."""

MotorCommand = Float32[np.ndarray, "5"]
"""(dx, dy, dz [m, robot base frame], sin dyaw, cos dyaw), from the current pose to the final grasp pose."""

COMMAND_SIZE = 5
MAX_SERVO_STEPS = 10
"""Longest attempt, in servo steps (Levine et al. 2016 use 2 to 10)."""


DEPTH_UNIT = 1e-4
"""Of stored depth [m]: 0.1 mm, up to 6.5 m."""


class SemanticClass(IntEnum):
    """What a pixel shows."""

    BACKGROUND = 0
    BIN = 1
    ARM = 2
    OBJECT = 3


NULL_COMMAND: MotorCommand = np.array([0, 0, 0, 0, 1], dtype=np.float32)
"""The command that stays where it is: "close here"."""


@dataclass(frozen=True)
class Workspace:
    """Limits of the gripper pose in the robot base frame [m]. Every command is clipped to them before a robot moves."""

    low: tuple[float, float, float] = (0.463, -0.087, 0.012)
    """Smallest x, y, z of the grasp point: the bin's inside less the width of the gripper, a finger above its floor."""
    high: tuple[float, float, float] = (0.637, 0.087, 0.24)
    """Largest x, y, z of the grasp point."""
    grasp_z: tuple[float, float] = (0.012, 0.045)
    """Range of z in which a grasp may be attempted [m]."""

    def clip(self, pose: Float[np.ndarray, "*batch 4"]) -> Float32[np.ndarray, "*batch 4"]:
        """Nearest pose inside the limits; yaw is wrapped to [-pi/2, pi/2), where each grasp has one value."""
        clipped = np.array(pose, dtype=np.float32)
        clipped[..., :3] = np.clip(clipped[..., :3], self.low, self.high)
        clipped[..., 3] = wrap_yaw(clipped[..., 3])
        return clipped


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking from `position` at `target`, with the world's z up; straight down, its x is up. Lengths
    in metres."""

    position: tuple[float, float, float] = (0.33, 0.58, 0.72)
    target: tuple[float, float, float] = (0.55, 0.0, 0.055)
    fov: float = 22.0
    """Vertical field of view [degrees]; pictures are square."""
    roll: float = 0.0
    """Rotation about the viewing axis [degrees]."""

    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Rows are the camera's right, down and forward axes in the base frame (the OpenCV convention).

        The base frame's z is up in the picture; for a camera that looks straight down or up, x is.
        """
        forward = np.subtract(self.target, self.position)
        forward = forward / np.linalg.norm(forward)
        vertical = abs(forward[2]) > 1 - 1e-9
        right = np.cross(forward, (1.0, 0.0, 0.0) if vertical else (0.0, 0.0, 1.0))
        right = right / np.linalg.norm(right)
        down = np.cross(forward, right)
        c, s = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        return np.stack([c * right + s * down, c * down - s * right, forward])

    def projection(self) -> Float[np.ndarray, "3 3"]:
        """As `rotation`, the last row scaled: with (x, y, d) = projection @ (point - position), (u, v) = (x, y) / d."""
        matrix = self.rotation()
        matrix[2] *= math.tan(math.radians(self.fov) / 2)
        return matrix

    def project(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2"]:
        """Image coordinates (u right, v down) in [-1, 1] across the picture, of points in the base frame [m]."""
        seen = (np.asarray(points, dtype=np.float64) - self.position) @ self.rotation().T
        return seen[..., :2] / (seen[..., 2:] * math.tan(math.radians(self.fov) / 2))

    def rays(self, size: int, barrel: float = 0.0) -> Float[np.ndarray, "h w 3"]:
        """Unit directions in the base frame through the centres of the pixels of a `size` x `size` picture.

        With a `barrel` distortion (see `worlds.sensor.distort`) the corners stay and the centre is magnified.
        """
        centres = (np.arange(size) + 0.5) / size * 2 - 1
        u, v = np.meshgrid(centres, centres)
        tangent = math.tan(math.radians(self.fov) / 2) * (1 + barrel * (u**2 + v**2 - 2))
        directions = np.stack([u * tangent, v * tangent, np.ones_like(u)], axis=-1) @ self.rotation()
        return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


@dataclass(frozen=True)
class WorldSpec:
    """What a world gives and takes."""

    name: str
    image_size: int
    """Pictures are image_size x image_size pixels."""
    workspace: Workspace
    camera: Camera | None
    """The *nominal* camera: what the operator believes; the true one may differ. None: nobody has said, so a trained
    policy can't act here."""
    has_masks: bool
    """Whether observations carry semantic masks."""
    has_state: bool
    """Whether the world tells where its objects are (simulation only): what a scripted policy needs."""
    is_reality: bool
    """Whether labels and masks count as real: training may use them only as far as a run is given them."""


@dataclass(frozen=True)
class Layers:
    """What simulation knows of a picture besides its semantic mask."""

    instances: UInt8[np.ndarray, "h w"]
    """0: no object; i + 1: the object with index i in `objects`."""
    depth: Float32[np.ndarray, "h w"]
    """Along the camera's axis [m]; 0 where nothing is hit."""
    canonical: Image | None = None
    """The same instant in the canonical look, where the world was asked for it (`WorldChoice.canonical`)."""


@dataclass(frozen=True)
class Observation:
    """What a policy sees at one servo step."""

    image_before: Image
    """I0: the bin before the attempt, the arm out of view."""
    image_now: Image
    """It: the bin now, with the arm."""
    pose: Pose
    """Gripper pose as the robot reports it."""
    mask_before: Mask | None = None
    mask_now: Mask | None = None
    layers_before: Layers | None = None
    """Where the world was asked for them (`WorldChoice.layers`)."""
    layers_now: Layers | None = None


@dataclass(frozen=True)
class GraspOutcome:
    """How an attempt ended."""

    success: bool
    """One object held between both fingers, 10 cm above where it lay, for 0.5 s."""
    object_name: str | None = None
    """Which object was held, where the world knows it."""
    details: dict[str, float] = field(default_factory=dict)
    """Measured quantities: finger opening [m], height of the lift [m]."""


@dataclass(frozen=True)
class GraspAttempt:
    """One attempt: T servo steps, then close, lift and hold. Each step t is one training sample
    (I0, It, p_T - p_t, label), as in Levine et al. 2016."""

    seed: int
    attempt: int
    scene: int
    """Attempts with the same seed and scene start from the same settled objects."""
    image_before: Image
    images: list[Image]
    """T pictures; the last one is taken at the final grasp pose, before the fingers close."""
    poses: Float32[np.ndarray, "t 4"]
    """T reported gripper poses; the fingers close at the last one."""
    target: Pose
    """p_T: the grasp pose that was commanded. Where the gripper was stopped on its way down, it is not the last of
    `poses`: that one tells how the attempt went, and a policy that is taught with it aims where nothing is in the way
    of a gripper that has got there."""
    outcome: GraspOutcome
    world: str
    policy: str
    objects: list[str]
    """Names of the objects in the bin."""
    randomization: dict[str, Any]
    """Every value drawn for this attempt; empty when randomization is off."""
    mask_before: Mask | None = None
    masks: list[Mask] | None = None
    layers_before: Layers | None = None
    layers: list[Layers] | None = None
    predicted: list[float] | None = None
    """C(v*) at each servo step, where a policy predicts it."""

    @property
    def commands(self) -> Float32[np.ndarray, "t 5"]:
        """Motor command p_T - p_t of each step."""
        return command_between(self.poses, self.target)


def wrap_yaw(yaw: Float[np.ndarray, "*batch"] | np.floating | float) -> Float[np.ndarray, "*batch"]:
    """Wrap an angle [rad] to [-pi/2, pi/2): the grasps of a symmetric gripper."""
    return np.asarray((np.asarray(yaw) + math.pi / 2) % math.pi - math.pi / 2)


def command_between(
    pose: Float[np.ndarray, "*#batch 4"], target: Float[np.ndarray, "*#batch 4"]
) -> Float32[np.ndarray, "*#batch 5"]:
    """Motor command from `pose` to `target`, by the shorter rotation (yaw and yaw + pi are the same grasp)."""
    move = np.asarray(target, dtype=np.float64) - pose
    turn = wrap_yaw(move[..., 3])
    return np.concatenate([move[..., :3], np.sin(turn)[..., None], np.cos(turn)[..., None]], axis=-1).astype(np.float32)


def apply_command(
    pose: Float[np.ndarray, "*#batch 4"], command: Float[np.ndarray, "*#batch 5"]
) -> Float32[np.ndarray, "*#batch 4"]:
    """Pose that `command` leads to from `pose`; the inverse of `command_between`, yaw wrapped to [-pi/2, pi/2)."""
    xyz = np.asarray(pose)[..., :3] + command[..., :3]
    yaw = wrap_yaw(np.asarray(pose)[..., 3] + np.arctan2(command[..., 3], command[..., 4]))
    return np.concatenate([xyz, yaw[..., None]], axis=-1).astype(np.float32)


def checked_command(command: np.ndarray) -> MotorCommand:
    """The command as float32[5].

    Raises:
        UserError: if it has another shape, or holds a value that is not finite. Nothing has moved then.
    """
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is refused below
        array = np.asarray(command, dtype=np.float32)
    if array.shape != (COMMAND_SIZE,):
        raise UserError(
            f"motor command has shape {array.shape}, expected ({COMMAND_SIZE},): dx, dy, dz, sin dyaw, cos dyaw"
        )
    if not np.isfinite(array).all():
        raise UserError(f"motor command {array.tolist()} holds a value that is not finite: the robot was not moved")
    return array
