"""Poses of other robots become ours, or are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from graspgap.contract import wrap_yaw
from graspgap.datasets.poses import VALUES, FrameConfig, check_frame, to_poses
from graspgap.errors import UserError

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-2, 2)
DOWN = Rotation.from_euler("x", 180, degrees=True)


def quats(yaws: list[float], tilt: float = 0.0) -> np.ndarray:
    """xyzw of a gripper whose z points down and whose x is at `yaws` [rad], leaned by `tilt` [degrees]."""
    return np.stack(
        [(Rotation.from_euler("z", y) * Rotation.from_euler("y", tilt, degrees=True) * DOWN).as_quat() for y in yaws]
    )


def one(values: list[float], **config: object) -> list[float]:
    frame = FrameConfig(**config)
    check_frame(frame)
    poses, why = to_poses(np.array([values]), frame, "pose")
    assert poses is not None, why
    return poses[0].tolist()


def near(found: list[float], wanted: list[float]) -> None:
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_quaternion_of_a_gripper_that_points_down_is_a_yaw():
    yaws = [-1.5, -0.3, 0.0, 0.7, 1.2]
    for form, order in (("quat-xyzw", [0, 1, 2, 3]), ("quat-wxyz", [3, 0, 1, 2])):
        values = np.column_stack([np.full((5, 3), 0.25), quats(yaws)[:, order]])
        poses, why = to_poses(values, FrameConfig(rotation=form), "pose")
        assert why == ""
        np.testing.assert_allclose(poses[:, 3], yaws, atol=1e-6)
        np.testing.assert_allclose(poses[:, :3], 0.25)
    near(one([0, 0, 0, *quats([0.2])[0]], rotation="quat-xyzw", fingers="y")[3:], [0.2 - math.pi / 2])
    upward = [0, 0, 0, *Rotation.from_euler("z", 0.2).as_quat()]
    near(one(upward, rotation="quat-xyzw", approach="-z")[3:], [0.2])


def test_a_gripper_that_leans_too_far_is_skipped():
    for tilt, fine in ((9.0, True), (11.0, False), (170.0, False)):
        values = np.column_stack([np.zeros((2, 3)), quats([0.0, 0.5], 0.0)])
        values[1, 3:] = quats([0.5], tilt)[0]
        poses, why = to_poses(values, FrameConfig(rotation="quat-xyzw"), "pose")
        assert (poses is not None) == fine
        assert fine or "more than 10 degrees from straight down" in why


def test_units_of_length_and_angle():
    near(one([100, 200, 300, 90.0], length="mm", angle="deg"), [0.1, 0.2, 0.3, -math.pi / 2])
    near(one([10, 0, 0, 0.0], length="inch"), [0.254, 0, 0, 0])
    near(one([1, 2, 3, 180.0, 0.0, 30.0], rotation="rpy", angle="deg"), [1, 2, 3, math.radians(30)])
    turn = (Rotation.from_euler("z", 0.4) * DOWN).as_rotvec()
    near(one([1, 2, 3, *turn], rotation="rotvec"), [1, 2, 3, 0.4])
    with pytest.raises(UserError, match=r"a gripper at 120 m: give the unit.*mm"):
        one([120, 0, 0, 0.0])
    with pytest.raises(UserError, match="angle = 'deg'"):
        one([0, 0, 0, 90.0])


def test_poses_in_our_own_frame_keep_every_bit():
    values = np.array([[0.5, -0.25, 0.1, yaw] for yaw in (1e-12, -3e-10, 0.3, -1.2)], np.float32)
    poses, _ = to_poses(values, FrameConfig(), "pose")
    np.testing.assert_array_equal(poses, values)


def test_frames_and_handedness():
    near(one([1, 2, 3, 0.1], axes=("y", "-x", "z")), [2, -1, 3, 0.1 - math.pi / 2])
    near(one([1, 2, 3, 0.1], axes=("x", "-y", "z"), handedness="left"), [1, -2, 3, -0.1])  # turns the other way round
    near(one([1, 0, 0.5, 0.0], turn=90, origin=(0.1, 0.2, 0.3)), [0.1, 1.2, 0.8, -math.pi / 2])
    near(one([0, 0, 0.5, 0.0], tool=0.1), [0, 0, 0.4, 0.0])
    near(one([0, 0, 0.5, *quats([0.3])[0]], rotation="quat-xyzw", tool=0.1), [0, 0, 0.4, 0.3])
    # z down in the recording: a gripper along its +z
    near(one([1, 2, -0.5, 0, 0, 0.3], rotation="rpy", axes=("x", "-y", "-z")), [1, -2, 0.5, -0.3])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"axes": ("x", "-y", "z")}, "turn a left-handed frame into ours, but handedness says 'right'"),
        ({"handedness": "left"}, "turn a right-handed frame"),
        ({"axes": ("x", "x", "z")}, "name an axis twice"),
        ({"axes": ("x", "y", "up")}, "axes 'up' is unknown"),
        ({"fingers": "z"}, "doesn't turn with a yaw"),
        ({"fingers": "-z", "rotation": "rpy"}, "lies along approach"),
        ({"axes": ("y", "z", "x")}, "lay z down"),
        ({"tolerance": 90.0}, "between 0 and 90"),
    ],
)
def test_frames_that_contradict_themselves_are_refused(config, words):
    with pytest.raises(UserError, match=words):
        check_frame(FrameConfig(**config))


def test_numbers_that_are_no_pose():
    assert "not finite" in to_poses(np.array([[0, 0, np.nan, 0.0]]), FrameConfig(), "pose")[1]
    assert "length 1" in to_poses(np.ones((1, 7)), FrameConfig(rotation="quat-xyzw"), "pose")[1]
    assert "length 1" in to_poses(np.zeros((1, 7)), FrameConfig(rotation="quat-xyzw"), "pose")[1]
    with pytest.raises(UserError, match="gives 6 numbers a pose, expected 7"):
        to_poses(np.zeros((1, 6)), FrameConfig(rotation="quat-xyzw"), "pose")


@settings(max_examples=300)
@given(st.sampled_from(sorted(VALUES)), st.lists(NUMBERS, min_size=7, max_size=7), st.integers(0, 3))
def test_whatever_is_recorded_is_a_finite_pose_a_reason_or_our_error(
    form: str, values: list[float], count: int
) -> None:
    rows = np.tile(np.float64(values)[: VALUES[form]], (count, 1))
    try:
        poses, why = to_poses(rows, FrameConfig(rotation=form), "pose")
    except UserError:
        return
    assert (poses is None) == bool(why)
    if poses is not None:
        assert np.isfinite(poses).all()
        np.testing.assert_array_equal(poses[:, 3], wrap_yaw(poses[:, 3].astype(np.float64)).astype(np.float32))
