"""Kinematics and speeds of the arm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cells import cell_with
from graspgap.contract import Workspace
from graspgap.errors import UserError
from graspgap.worlds import arm
from graspgap.worlds.cell_model import GRASP_POINT


def dh_chain(joints: np.ndarray) -> np.ndarray:
    """Flange pose by the published Denavit-Hartenberg table of the iiwa 14: alternating twists, no link lengths."""
    pose = np.eye(4)
    twists = np.array([-1, 1, 1, -1, -1, 1, 0]) * math.pi / 2
    for angle, twist, offset in zip(joints, twists, (0.36, 0, 0.42, 0, 0.40, 0, 0.126), strict=True):
        c, s, ca, sa = math.cos(angle), math.sin(angle), math.cos(twist), math.sin(twist)
        pose = pose @ np.array([[c, -s * ca, s * sa, 0], [s, c * ca, -c * sa, 0], [0, sa, ca, offset], [0, 0, 0, 1]])
    return pose


def test_forward_kinematics_is_the_published_chain() -> None:
    rng = np.random.default_rng(0)
    for joints in rng.uniform(-1, 1, (50, 7)) * arm.JOINT_LIMITS:
        np.testing.assert_allclose(arm.forward(joints), dh_chain(joints), atol=1e-9)


def test_inverse_kinematics_reaches_the_workspace_pointing_down() -> None:
    rng, space = np.random.default_rng(0), Workspace()
    for *place, yaw in rng.uniform((*space.low, -1.57), (*space.high, 1.57), (200, 4)):
        flange = np.add(place, (0, 0, GRASP_POINT))
        joints = arm.inverse(flange, yaw)
        assert (np.abs(joints) <= arm.JOINT_LIMITS).all()
        pose = arm.forward(joints)
        np.testing.assert_allclose(pose[:3, 3], flange, atol=1e-9)
        np.testing.assert_allclose(pose[:3, 2], [0, 0, -1], atol=1e-9)
        np.testing.assert_allclose(pose[:2, 0], [-math.cos(yaw), -math.sin(yaw)], atol=1e-9)


@pytest.mark.parametrize(
    ("place", "yaw", "message"),
    [
        ((2.0, 0.0, 0.2), 0.0, "can't reach"),
        ((math.nan, 0.0, 0.2), 0.0, "can't reach"),
        ((0.05, 0.0, 0.05), 0.0, "joint limit"),
        ((0.55, 0.0, 0.2), 3.3, "joint limit"),
        ((0.55, 0.0, 0.2), math.nan, "joint limit"),
    ],
)
def test_what_is_out_of_reach_is_refused(place: tuple[float, float, float], yaw: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        arm.inverse(np.array(place), yaw)


def test_the_model_in_the_physics_has_the_same_kinematics() -> None:
    cell = cell_with()
    for joints in np.random.default_rng(1).uniform(-1, 1, (10, 7)) * arm.JOINT_LIMITS:
        cell._set_arm(joints)
        flange = arm.forward(joints)
        grasp = cell.data.site_xpos[cell.grasp_site]
        np.testing.assert_allclose(grasp, flange[:3, 3] + GRASP_POINT * flange[:3, 2], atol=1e-9)


def test_joints_keep_to_their_speed_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, rng, fastest = cell_with(), np.random.default_rng(0), [np.zeros(7)]
    cell.place_arm(np.array([0.55, 0.0, 0.2, 0.0], np.float32))
    step = cell._step

    def watched(seconds: float) -> None:
        step(seconds)
        fastest.append(np.abs(cell.data.qvel[:7]))

    monkeypatch.setattr(cell, "_step", watched)
    space = cell.workspace
    for _ in range(30):
        cell.move_to(rng.uniform((*space.low, -1.5), (*space.high, 1.5)).astype(np.float32))
    ratio = np.max(fastest, axis=0) / arm.JOINT_SPEEDS
    assert ratio.max() < 1.1  # a straight line is not quite straight in the joints
    assert ratio.max() > 0.7  # some joint was at its limit
