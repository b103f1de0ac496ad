"""Settings of the physics of a PyBullet cell, which can be read without pybullet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graspgap.worlds.bullet_tray import BoxTray
from graspgap.worlds.mover import MotionConfig


@dataclass(frozen=True)
class BulletConfig(MotionConfig):
    """Physics and imperfections of the PyBullet cell. Lengths in metres."""

    timestep: float = 1 / 240
    """[s]"""
    solver_iterations: int = 20
    """The original has 150. Of the same 80 attempts aimed at an object, 37 succeeded with 50 iterations, 41 with 30 and
    46 with 20, and a step takes a third of the time that it takes with 50."""
    opening_angle: float = 0.3
    """Of each open finger [rad]: 10.7 cm between them."""
    finger_torque: float = 2.5
    """Of each finger's joint [N m]: about 12 N at its tip. The original had 2 and 2.5."""
    finger_speed: float = 1.2
    """At which the fingers close [rad/s]. The original's 0.72 takes longer than the other worlds give."""
    tip_torque: float = 2.0
    """That keeps the fingertips straight [N m]."""
    joint_torque: float = 200.0
    """Of each joint of the arm [N m]."""
    position_gain: float = 0.3
    """Share of a joint's error that is corrected in a timestep."""
    finger_friction: float = 0.8
    """The published gripper's tips'. PyBullet multiplies the frictions of the two that touch."""
    bin_friction: float = 0.5
    """Of the tray; the original's."""
    object_friction: float = 1.0
    """Scales each object's own sliding friction."""
    rolling_friction: float = 0.002
    """Of the objects, against rolling and spinning [m]. Without it, as in the original, round things leave the tray."""
    object_damping: float = 0.04
    """Share of the objects' speed that is lost in a second."""
    drop_margin: float = 0.025
    """Objects are dropped this far inside the sides of the workspace, or of `tray`."""
    tray: BoxTray | None = None
    """None: the published tray."""
    home: tuple[float, ...] = (math.radians(-100), 1.0, 0.0, -1.3, 0.0, 0.84, 0.0)
    """Joint angles with the arm out of the camera's view, which is from the left in world `bullet` [rad]."""
