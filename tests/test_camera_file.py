"""A user's camera: both forms of the file give the rays that the calibration means, and bad files one clear line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from graspgap.contract import Camera, Workspace
from graspgap.errors import UserError
from graspgap.worlds.camera_file import read_camera, require_sight
from graspgap.worlds.catalog import WORLDS, WorldChoice

TURN = Rotation.from_euler("xyz", (160.0, 12.0, 75.0), degrees=True).as_matrix()
POSE = np.block([[TURN, np.array([[0.5], [0.1], [0.8]])], [np.zeros((1, 3)), 1.0]])
CALIBRATION: dict[str, Any] = {
    "K": [[600.0, 0, 330.0], [0, 600.0, 235.0], [0, 0, 1]], "width": 640, "height": 480, "T_base_camera": POSE.tolist()
}  # fmt: skip
OURS: dict[str, Any] = {"position": [0.5, 0.1, 0.8], "target": [0.55, 0.0, 0.0], "fov": 30}


def written(folder: Path, values: Any) -> Path:
    path = folder / "camera.json"
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize("down", [False, True])
def test_a_calibration_sees_each_point_where_its_matrix_puts_it(tmp_path: Path, down: bool) -> None:
    pose = np.array(POSE)
    if down:  # straight down: no direction of "up" is left to define the roll by
        pose[:3, :3] = Rotation.from_euler("z", 33, degrees=True).as_matrix() @ np.diag((1.0, -1.0, -1.0))
    found = read_camera(written(tmp_path, CALIBRATION | {"T_base_camera": pose.tolist()}))
    points = np.random.default_rng(0).uniform((0.4, -0.2, 0.0), (0.7, 0.2, 0.2), (50, 3))
    seen = (points - pose[:3, 3]) @ pose[:3, :3] @ np.array(CALIBRATION["K"]).T
    pixels = seen[:, :2] / seen[:, 2:]
    assert found.crop is not None
    left, top, side = found.crop
    assert (left, top, side) == (330 - 235, 0, 470)
    np.testing.assert_allclose(found.camera.project(points), (pixels - (left, top)) / side * 2 - 1, atol=1e-9)


def test_our_own_form_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text("position = [0.5, 0.1, 0.8]\ntarget = [0.55, 0.0, 0.0]\nfov = 30\nroll = 4.5\n")
    assert read_camera(path).camera == Camera((0.5, 0.1, 0.8), (0.55, 0.0, 0.0), 30.0, 4.5)
    assert read_camera(path).crop is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1], "no table"),
        ({}, "lacks values"),
        (OURS | {"foV": 2}, "unknown value 'foV'"),
        (OURS | {"fov": 0}, "0 < fov < 170"),
        (OURS | {"target": OURS["position"]}, "apart from the position"),
        (OURS | {"position": [0, 1]}, "expected 3 finite numbers"),
        (OURS | {"position": [0, 1, None]}, "expected 3 finite numbers"),
        (OURS | {"roll": "left"}, "expected a number"),
        (OURS | {"distortion": [0.1, 0]}, "undistort"),
        (CALIBRATION | {"name": "front"}, "unknown value 'name'"),
        (CALIBRATION | {"K": [[600, 0, 330], [0, 500, 235], [0, 0, 1]]}, "square pixels"),
        (CALIBRATION | {"K": [[600, 0, 700], [0, 600, 235], [0, 0, 1]]}, "a centre inside"),
        (CALIBRATION | {"T_base_camera": np.diag((1.0, 1, -1, 1)).tolist()}, "holds no rotation"),
        (CALIBRATION | {"T_base_camera": (2 * POSE).tolist()}, "holds no rotation"),
        (CALIBRATION | {"T_base_camera": np.diag((1e300, 1, 1, 1)).tolist()}, "holds no rotation"),
    ],
)
def test_a_bad_camera_is_one_clear_line(tmp_path: Path, values: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_camera(written(tmp_path, values))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_cameras(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't read --camera"):
        read_camera(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_camera(tmp_path / "bad.json")
    (tmp_path / "bad.toml").write_text("=")
    with pytest.raises(UserError, match="not valid TOML"):
        read_camera(tmp_path / "bad.toml")


def test_an_inverted_pose_is_found_out(tmp_path: Path) -> None:
    camera = read_camera(written(tmp_path, CALIBRATION | {"T_base_camera": np.linalg.inv(POSE).tolist()})).camera
    with pytest.raises(UserError, match="not its inverse"):
        require_sight(camera, Workspace(), "--camera")
    require_sight(read_camera(written(tmp_path, CALIBRATION)).camera, Workspace(), "--camera")


def test_a_world_takes_pictures_from_where_the_file_says(tmp_path: Path) -> None:
    camera = read_camera(written(tmp_path, OURS)).camera
    usual, moved = (WORLDS["sim"](WorldChoice(image_size=32, camera=one)) for one in (None, camera))
    assert moved.spec.camera == camera != usual.spec.camera
    assert not np.array_equal(usual.reset(1).image_before, moved.reset(1).image_before)
    assert moved.record()["randomization"]["looks"]["camera"]["position"] == list(camera.position)


def test_the_stand_in_takes_a_camera_for_where_its_own_is_believed_to_be(tmp_path: Path) -> None:
    believed = read_camera(written(tmp_path, OURS)).camera
    usual, told = (WORLDS["standin"](WorldChoice("standin", image_size=16, camera=one)) for one in (None, believed))
    assert told.spec.camera == believed != usual.spec.camera
    assert np.array_equal(usual.reset(1).image_before, told.reset(1).image_before)
    behind = Camera(believed.target, believed.position, believed.fov)
    with pytest.raises(UserError, match="doesn't see the middle of the bin"):
        WORLDS["standin"](WorldChoice("standin", camera=behind))


def test_barrel_distortion_bends_rays_as_it_bends_pictures() -> None:
    camera, barrel = Camera(fov=40.0), 0.05
    points = camera.position + camera.rays(32, barrel).reshape(-1, 3)
    seen = camera.project(points)
    centres = (np.arange(32) + 0.5) / 32 * 2 - 1
    p = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(seen, p * (1 + barrel * ((p**2).sum(axis=1, keepdims=True) - 2)), atol=1e-9)
    assert math.isclose(np.linalg.norm(camera.rays(4, barrel)[0, 0]), 1.0)
