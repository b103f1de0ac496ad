import math

import numpy as np
import pytest

from graspgap.contract import (
    NULL_COMMAND,
    Camera,
    Workspace,
    apply_command,
    checked_command,
    command_between,
    wrap_yaw,
)
from graspgap.errors import UserError, choose


def test_a_command_leads_from_pose_to_target() -> None:
    rng = np.random.default_rng(0)
    poses, targets = rng.uniform(-1.5, 1.5, (2, 200, 4))
    reached = apply_command(poses, command_between(poses, targets))
    np.testing.assert_allclose(reached[:, :3], targets[:, :3], atol=1e-6)
    np.testing.assert_allclose(np.cos(2 * reached[:, 3]), np.cos(2 * targets[:, 3]), atol=1e-5)


def test_staying_is_the_null_command() -> None:
    pose = np.array([0.5, 0.1, 0.2, 0.7], np.float32)
    np.testing.assert_array_equal(command_between(pose, pose), NULL_COMMAND)


def test_a_turn_takes_the_shorter_way() -> None:
    command = command_between(np.array([0, 0, 0, 1.4]), np.array([0, 0, 0, -1.4]))
    assert math.atan2(command[3], command[4]) == pytest.approx(math.pi - 2.8, abs=1e-6)


def test_yaw_and_yaw_plus_pi_are_one_grasp() -> None:
    np.testing.assert_allclose(wrap_yaw(np.array([0.3 + math.pi, 0.3 - math.pi])), 0.3, atol=1e-12)


@pytest.mark.parametrize("bad", [np.array([0, 0, np.nan, 0, 1]), np.array([np.inf, 0, 0, 0, 1]), np.zeros(4)])
def test_bad_commands_are_refused_in_one_line(bad: np.ndarray) -> None:
    with pytest.raises(UserError) as error:
        checked_command(bad)
    assert "\n" not in str(error.value)


def test_the_workspace_clips_every_coordinate() -> None:
    space = Workspace()
    np.testing.assert_allclose(
        space.clip(np.array([9.0, -9, -9, 0.2])), [space.high[0], *space.low[1:], 0.2], atol=1e-6
    )


def test_rays_and_projection_agree() -> None:
    camera, size = Camera(roll=7.0), 8
    points = np.array(camera.position) + 0.9 * camera.rays(size)
    centres = (np.arange(size) + 0.5) / size * 2 - 1
    u, v = np.meshgrid(centres, centres)
    np.testing.assert_allclose(camera.project(points), np.stack([u, v], -1), atol=1e-9)


def test_points_above_the_target_are_seen_higher_up() -> None:
    camera = Camera()
    target = np.array(camera.target)
    assert camera.project(target + np.array([0, 0, 0.05]))[1] < camera.project(target)[1]


def test_the_nearest_valid_option_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'graspgan'"):
        choose("--method", "graspgann", ["graspgan", "pixelda"])
