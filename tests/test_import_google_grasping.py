"""The public grasping dataset: files with its field names, written by `tfrecord` and read back value for value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tfrecord.writer import TFRecordWriter

from graspgap.cli.main import main
from graspgap.contract import command_between
from graspgap.datasets import open_dataset
from graspgap.datasets.import_google_grasping import GoogleGraspingMapping, import_google_grasping
from graspgap.datasets.importing import read_report
from graspgap.datasets.poses import FrameConfig
from graspgap.errors import UserError
from test_import import firsts, shade

MAPPING = GoogleGraspingMapping(image_size=16)
Record = dict[str, tuple[Any, str]]
LEFT = np.array([0, 0.01, 0, 0])


def jpeg(value: int) -> bytes:
    """Of one grey in the upper half, which JPEG keeps to within 2."""
    return cv2.imencode(".jpg", shade(value, 32, 40), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


def pose(attempt: int, step: int) -> np.ndarray:
    """x, y, z [m], yaw [rad] that are reached at the end of a step."""
    return np.array([0.5 + 0.01 * step, 0.02 * attempt, 0.3 - 0.02 * step, 0.1 * step])


def vec_quat(place: np.ndarray, tilt: float = 0.0) -> list[float]:
    turn = Rotation.from_euler("z", place[3]) * Rotation.from_euler("x", 180 + tilt, degrees=True)
    return [*place[:3], *turn.as_quat()]


def record(attempt: int, steps: int = 4, success: float = 1.0, status: float = 0.5, tilt: float = 0.0) -> Record:
    """An attempt whose commands were 1 cm to the left of where the gripper got."""
    fields: Record = {
        "grasp/image/encoded": (jpeg(20 * attempt), "byte"),
        "grasp_success": ([success], "float"),
        "gripper/status": ([status], "float"),
        "camera/intrinsics/matrix33": ([0.0] * 9, "float"),
        "robot/name": (b"iiwa", "byte"),
    }
    for step in range(steps):
        where, name = pose(attempt, step), f"grasp/{step}"
        path = "transforms/base_T_endeffector/vec_quat_7"
        fields |= {
            f"{name}/image/encoded": (jpeg(20 * attempt + 100 + 10 * step), "byte"),
            f"{name}/reached_pose/{path}": (vec_quat(where, tilt), "float"),
            f"{name}/commanded_pose/{path}": (vec_quat(where + LEFT, tilt), "float"),
            f"{name}/params": ([0.1 * step, 0, 0, 0, 1.0], "float"),
        }
    return fields


def write(path: Path, records: list[Record]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = TFRecordWriter(str(path))
    for fields in records:
        writer.write(fields)
    writer.close()
    return path


def without(fields: Record, *words: str) -> Record:
    return {name: value for name, value in fields.items() if not any(word in name for word in words)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    write(
        folder / "grasping_dataset_102.tfrecord-00000-of-00002", [record(0), record(1, steps=3, success=0.0, status=0)]
    )
    write(folder / "grasping_dataset_102.tfrecord-00001-of-00002", [record(2, success=0.0)])
    return folder


def test_attempts_are_read_value_for_value(source, tmp_path):
    meta = import_google_grasping(source, tmp_path / "out", MAPPING)
    view = open_dataset(tmp_path / "out").labelled(1.0)
    np.testing.assert_allclose(firsts(view.images_before), [0, 20, 40], atol=2)
    np.testing.assert_allclose(firsts(view.images), [110, 120, 130, 130, 140, 150, 160, 170], atol=2)
    # the picture of a step was taken where the step before ended
    places = np.array([pose(0, 0), pose(0, 1), pose(0, 2), pose(1, 0), pose(1, 1), pose(2, 0), pose(2, 1), pose(2, 2)])
    np.testing.assert_allclose(view.poses, places, atol=1e-6)
    targets = np.array([pose(0, 3)] * 3 + [pose(1, 2)] * 2 + [pose(2, 3)] * 3) + LEFT
    np.testing.assert_allclose(view.commands, command_between(places, targets), atol=1e-6)
    assert view.success.tolist() == [True, False, False]
    assert view.scenes.tolist() == [0, 1, 2]
    assert (meta["has_labels"], meta["has_poses"], meta["is_reality"]) == (True, True, True)
    assert meta["notes"]["assumed"] == "fingers open along x of the end effector"
    kept = pq.read_table(tmp_path / "out/data/shard-00000.parquet")["randomization"].to_pylist()
    np.testing.assert_allclose(np.array(json.loads(kept[0])["params"])[:, 0], [0.1, 0.2, 0.3], atol=1e-6)


def test_both_published_ways_of_reading_the_label(source, tmp_path):
    import_google_grasping(source, tmp_path / "out", replace(MAPPING, label="gripper-status"))
    assert open_dataset(tmp_path / "out").labelled(1.0).success.tolist() == [True, False, True]
    assert main(["import", "google-grasping", str(source), str(tmp_path / "b"), "--label", "gripper-status"]) == 0
    assert open_dataset(tmp_path / "b").labelled(1.0).success.tolist() == [True, False, True]


def test_the_tool_and_the_last_steps_are_as_mapped(source, tmp_path):
    mapping = replace(MAPPING, frames_per_attempt=2, frame=replace(MAPPING.frame, tool=0.1))
    import_google_grasping(source, tmp_path / "out", mapping)
    view = open_dataset(tmp_path / "out").labelled(1.0)
    np.testing.assert_allclose(view.poses[:2], [pose(0, 1), pose(0, 2)] - np.array([0, 0, 0.1, 0]), atol=1e-6)


def test_what_is_no_attempt_is_skipped_with_the_reason(tmp_path):
    odd = {
        "no grasp_success": without(record(0), "grasp_success"),
        "grasp_success is neither 0 nor 1": record(0, success=0.4),
        "no picture with the arm out of view": without(record(0), "grasp/image"),
        "no picture with a pose at the last step": without(record(0), "grasp/2/reached_pose"),
        "no commanded pose at the last step": without(record(0), "grasp/3/commanded_pose"),
        "gripper is more than 10 degrees from straight down": record(0, tilt=12),
        "picture is missing or damaged": record(0) | {"grasp/2/image/encoded": (jpeg(0)[:200], "byte")},
        "pose is not finite": record(0)
        | {"grasp/1/reached_pose/transforms/base_T_endeffector/vec_quat_7": ([np.nan] * 7, "float")},
    }
    write(tmp_path / "in/a.tfrecord", [*odd.values(), record(3, steps=2), record(0, steps=1)])
    meta = import_google_grasping(tmp_path / "in", tmp_path / "out", MAPPING)
    report = read_report(tmp_path / "out")
    counts = {why: reason.count for why, reason in report.skipped.items()}
    assert counts == dict.fromkeys(odd, 1) | {"no picture with a pose at the last step": 2}
    assert meta["notes"]["skipped"] == counts
    assert (meta["attempts"], meta["frames"]) == (1, 1)
    assert report.skipped["no grasp_success"].names == ["a.tfrecord at byte 0"]


def test_the_steps_that_were_not_made_may_be_there_and_empty(tmp_path):
    empty = {f"grasp/{k}/image/encoded": (b"", "byte") for k in range(4, 11)}
    write(tmp_path / "in/a.tfrecord", [record(0) | empty])
    assert import_google_grasping(tmp_path / "in", tmp_path / "out", MAPPING)["frames"] == 3


def test_other_files_and_frames_are_refused(source, tmp_path):
    write(tmp_path / "other/a.tfrecord", [{"steps/reward": ([1.0], "float")}])
    for folder, mapping, words in [
        (tmp_path / "absent", MAPPING, "has no TFRecord files"),
        (tmp_path / "other", MAPPING, r"no fields grasp/\.\.\. \(it has steps/reward\)"),
        (source, replace(MAPPING, frame=FrameConfig("quat-xyzw", length="inch", handedness="left")), "handedness"),
        (source, replace(MAPPING, frame=FrameConfig("quat-wxyz")), "no row comes of"),
        (source, replace(MAPPING, frame=FrameConfig()), "gives 7 numbers a pose, expected 4"),
    ]:
        with pytest.raises(UserError, match=words):
            import_google_grasping(folder, tmp_path / f"out{abs(hash(words))}", mapping)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_a_damaged_file_is_our_error_or_changes_nothing(tmp_path_factory, place: int, value: int, cut: bool) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = write(folder / "in/a.tfrecord", [record(0, steps=2)])
    data = path.read_bytes()
    place %= len(data)
    damaged = data[:place] if cut else data[:place] + bytes([value]) + data[place + 1 :]
    path.write_bytes(damaged)
    try:
        import_google_grasping(folder / "in", folder / "out", MAPPING)
    except UserError as error:
        assert "again" in str(error)  # noqa: PT017, it may be raised
        assert damaged != data
    else:
        assert damaged == data
