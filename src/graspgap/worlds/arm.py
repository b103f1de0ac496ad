"""The arm: seven joints with the published kinematics of the KUKA LBR iiwa 14 R820, gripper pointing straight down."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from jaxtyping import Float

from graspgap.errors import UserError

BASE, UPPER, FORE, WRIST = 0.36, 0.42, 0.40, 0.126
"""d1, d3, d5, d7 of the DH table [m]: base to shoulder, shoulder to elbow, elbow to wrist, wrist to flange."""
JOINT_LIMITS = np.radians([170.0, 120, 170, 120, 170, 120, 175])
"""Each joint moves within plus and minus this [rad]."""
TORQUE = 60.0
"""Limit of each joint's drive [N m]: about 100 N at the gripper. The real drives are stronger; a careful cell isn't."""
STIFFNESS = (20000.0,) * 4 + (2000.0,) * 3
"""Of each joint's drive [N m/rad]; a stiffer wrist, whose inertia is small, rings at a timestep of 4 ms."""
JOINT_SPEEDS = np.radians([85.0, 85, 100, 75, 130, 135, 135])
"""[rad/s]"""
_LINKS = (
    # offset of the joint from the one before [m], sign of its axis, whether the axis is z (else y)
    (0.1575, 1, True),
    (0.2025, 1, False),
    (0.2045, 1, True),
    (0.2155, -1, False),
    (0.1845, 1, True),
    (0.2155, 1, False),
    (0.081, 1, True),
)
FLANGE = 0.045
"""From joint 7 to the flange [m]."""
HOME = np.array([math.radians(100), -0.3, 0.0, -1.6, 0.0, 0.9, 0.0])
"""Joint angles with the arm out of the camera's view."""


def add_arm(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Add bodies `link_0` to `link_7` to the world, link frames as in the zero pose, upright; returns `link_7`.

    Links are drawn with capsules and collide with nothing: the workspace's limits keep them away from the bin.
    """
    body = spec.worldbody.add_body(name="link_0", gravcomp=1)
    _draw(body, "cylinder", (0.09, 0.06), (0, 0, 0.06))
    radii = (0.075, 0.07, 0.065, 0.06, 0.055, 0.055, 0.045)
    for number, (offset, sign, about_z) in enumerate(_LINKS, start=1):
        body = body.add_body(name=f"link_{number}", pos=(0, 0, offset), gravcomp=1)
        axis = (0, 0, sign) if about_z else (0, sign, 0)
        limit = JOINT_LIMITS[number - 1]
        body.add_joint(
            name=f"joint_{number}",
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=axis,
            range=(-limit, limit),
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            damping=[2, 0, 0],
            armature=0.1,
        )
        body.mass, body.explicitinertial = 2.0, True
        body.inertia = np.array([0.02, 0.02, 0.01])
        length = _LINKS[number][0] if number < 7 else FLANGE
        _draw(body, "capsule", (radii[number - 1], length / 2), (0, 0, length / 2))
        actuator = spec.add_actuator(name=f"joint_{number}", target=f"joint_{number}")
        actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
        actuator.forcerange, actuator.forcelimited = (-TORQUE, TORQUE), mujoco.mjtLimited.mjLIMITED_TRUE
        actuator.set_to_position(kp=STIFFNESS[number - 1], dampratio=1.0)
    return body


def _draw(body: mujoco.MjsBody, kind: str, size: tuple[float, ...], position: tuple[float, float, float]) -> None:
    types = {"capsule": mujoco.mjtGeom.mjGEOM_CAPSULE, "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER}
    body.add_geom(
        type=types[kind], size=(*size, 0)[:3], pos=position, contype=0, conaffinity=0, mass=0, rgba=(0.93, 0.5, 0.15, 1)
    )


def forward(joints: Float[np.ndarray, "7"]) -> Float[np.ndarray, "4 4"]:
    """Pose of the flange in the base frame, for joint angles [rad]."""
    pose = np.eye(4)
    for (offset, sign, about_z), angle in zip(_LINKS, joints, strict=True):
        c, s = math.cos(sign * angle), math.sin(sign * angle)
        step = np.eye(4)
        step[2, 3] = offset
        rows = ((c, -s, 0), (s, c, 0), (0, 0, 1)) if about_z else ((c, 0, s), (0, 1, 0), (-s, 0, c))
        step[:3, :3] = np.array(rows)
        pose = pose @ step
    pose[:3, 3] += FLANGE * pose[:3, 2]
    return pose


def inverse(flange: Float[np.ndarray, "3"], yaw: float) -> Float[np.ndarray, "7"]:
    """Joint angles [rad] that bring the flange to a place [m] pointing straight down, turned by `yaw` [rad].

    Closed form: joints 3 and 5 stay at 0, which keeps the elbow above the line from shoulder to wrist. The flange's x
    axis points along yaw + pi, which is the same grasp of a symmetric gripper and keeps joint 7 near its middle.

    Raises:
        UserError: if the place is out of reach, or a joint would pass its limit.
    """
    x, y, z = float(flange[0]), float(flange[1]), float(flange[2])
    radius, height = math.hypot(x, y), z + WRIST - BASE
    distance = math.hypot(radius, height)
    if not abs(UPPER - FORE) < distance < UPPER + FORE:
        raise UserError(f"the arm can't reach ({x:.3f}, {y:.3f}, {z:.3f}) m: keep the workspace nearer to the base")
    lift = math.acos((UPPER**2 + distance**2 - FORE**2) / (2 * UPPER * distance))
    bend = math.pi - math.acos((UPPER**2 + FORE**2 - distance**2) / (2 * UPPER * FORE))
    shoulder = math.atan2(radius, height) - lift  # from the vertical
    turn = math.atan2(y, x)
    joints = np.array([turn, shoulder, 0.0, -bend, 0.0, math.pi - shoulder - bend, turn - yaw])
    if not (np.abs(joints) <= JOINT_LIMITS).all():  # so that nan is refused too
        raise UserError(f"the arm can't point down at ({x:.3f}, {y:.3f}, {z:.3f}) m, yaw {yaw:.2f}: a joint limit")
    return joints
