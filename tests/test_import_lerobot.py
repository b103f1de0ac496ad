"""LeRobotDataset folders, written in the documented layout and read back value for value."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graspgap.contract import command_between
from graspgap.datasets import open_dataset
from graspgap.datasets.frames import closing
from graspgap.datasets.import_lerobot import LerobotMapping, import_lerobot
from graspgap.datasets.importing import read_report
from graspgap.datasets.poses import FrameConfig
from graspgap.errors import UserError
from recordings import TOP, WRIST, level, state, write_lerobot

LENGTHS = [6, 8, 7]
PLAIN = LerobotMapping(images=(TOP,), image_size=16, frames_per_attempt=3)
POSED = replace(
    PLAIN,
    pose="observation.state",
    pose_index=(0, 1, 2, 3, 4, 5, 6),
    frame=FrameConfig(rotation="quat-xyzw", fingers="x"),
)
LABELLED = replace(POSED, success="next.success", grasp="gripper", gripper="observation.state", gripper_index=7)


@pytest.fixture(scope="module", params=["v3.0", "v2.1"])
def source(request, tmp_path_factory) -> Path:
    return write_lerobot(tmp_path_factory.mktemp("lerobot") / "in", request.param, LENGTHS)


def firsts(pictures: np.ndarray) -> list[int]:
    return pictures[:, 0, 0, 0].tolist()


def poses(places: list[tuple[int, int]]) -> np.ndarray:
    """Of (episode, frame), as `state` writes them: x, y, z, and the yaw whose halves they hold."""
    return np.array([[*state(e, f)[:3], 0.1 * e + 0.02 * f] for e, f in places])


def test_episodes_become_unlabelled_rows_with_the_right_pictures(source, tmp_path):
    meta = import_lerobot(source, tmp_path / "out", PLAIN)
    view = open_dataset(tmp_path / "out").unlabelled()
    steps = [(0, 1), (0, 3), (0, 5), (1, 1), (1, 4), (1, 7), (2, 1), (2, 4), (2, 6)]
    assert firsts(view.images_before) == [level(e, 0) for e in range(3)]
    assert firsts(view.images) == [level(*step) for step in steps]
    assert view.poses is None
    assert view.scenes.tolist() == [0, 1, 2]
    assert (meta["has_labels"], meta["notes"]["episodes"], meta["notes"]["skipped"]) == (False, 3, {})


def test_each_camera_makes_rows_of_its_own_and_those_of_an_episode_interleave(source, tmp_path):
    mapping = replace(PLAIN, images=(WRIST, TOP), attempts_per_episode=2, frames_per_attempt=2)
    import_lerobot(source, tmp_path / "out", mapping)
    view = open_dataset(tmp_path / "out").unlabelled()
    wanted = [1, 4, 2, 5]
    assert firsts(view.images)[:8] == [100 + v for v in wanted] + wanted
    assert view.scenes.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_poses_success_and_the_moment_of_the_grasp_make_labelled_attempts(source, tmp_path):
    meta = import_lerobot(source, tmp_path / "out", LABELLED)
    view = open_dataset(tmp_path / "out").labelled(1.0)
    steps = [(e, f) for e in range(3) for f in (1, 2, 4)]  # nothing after the fingers have closed
    assert firsts(view.images) == [level(*step) for step in steps]
    np.testing.assert_allclose(view.poses, poses(steps), atol=1e-6)
    targets = np.repeat(poses([(e, 4) for e in range(3)]), 3, axis=0)
    np.testing.assert_allclose(view.commands, command_between(poses(steps), targets), atol=1e-6)
    assert view.success.tolist() == [True, False, True]
    assert (meta["has_labels"], meta["has_poses"], meta["successes"]) == (True, True, 2)


def test_the_commanded_pose_is_the_target_where_it_is_mapped(source, tmp_path):
    import_lerobot(source, tmp_path / "out", replace(LABELLED, target="action", grasp="last-frame"))
    view = open_dataset(tmp_path / "out").labelled(1.0)
    np.testing.assert_allclose(view.commands[2], [0, 0, -0.05, 0, 1], atol=1e-6)
    np.testing.assert_allclose(view.poses[2], poses([(0, 5)])[0], atol=1e-6)


def test_success_may_stand_in_meta_episodes_and_episodes_without_are_skipped(source, tmp_path):
    meta = import_lerobot(source, tmp_path / "out", replace(LABELLED, success="grasp"))
    assert open_dataset(tmp_path / "out").labelled(1.0).success.tolist() == [False, True]
    assert meta["notes"]["skipped"] == {"success is missing, or neither true nor false": 1}
    assert read_report(tmp_path / "out").skipped["success is missing, or neither true nor false"].names == ["episode 2"]


def test_what_can_not_be_an_attempt_is_skipped_with_the_reason(source, tmp_path):
    for mapping, why in [
        (replace(LABELLED, frame=replace(LABELLED.frame, approach="-z")), "gripper is more than 10 degrees"),
        (replace(LABELLED, threshold=-1.0), "fingers don't close"),
        (replace(LABELLED, pose_index=(0, 1, 2, 3, 4, 5, 7)), "quaternion is not of length 1"),
    ]:
        with pytest.raises(UserError, match=r"no row comes of .* import\.json"):
            import_lerobot(source, tmp_path / why, mapping)
        (found,) = read_report(tmp_path / why).skipped.items()
        assert found[0].startswith(why)
        assert found[1].count == 3
        assert found[1].names == ["episode 0", "episode 1", "episode 2"]


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (replace(PLAIN, images=()), "has 2 cameras .*--images"),
        (replace(PLAIN, images=("observation.images.tip",)), "did you mean 'observation.images.top'"),
        (replace(PLAIN, pose="observation.stat"), "did you mean 'observation.state'"),
        (replace(POSED, pose_index=()), "gives 8 numbers a pose, expected 7"),
        (replace(POSED, pose_index=(0, 1, 2, 3, 4, 5, 8)), "has 8 numbers, expected places from 0"),
        (replace(PLAIN, target="action"), "map pose too"),
        (replace(PLAIN, success="grasp"), "map pose too"),
        (replace(LABELLED, success="next.sucess"), "did you mean 'next.success'"),
        (replace(LABELLED, grasp="unknown"), "needs the moment of the grasp"),
        (replace(LABELLED, gripper=None), "give --gripper"),
        (replace(LABELLED, gripper_index=8), "there is no 8"),
        (replace(LABELLED, attempts_per_episode=2), "is one attempt"),
        (replace(POSED, frame=FrameConfig(rotation="quat-xyzw", length="mm", handedness="left")), "handedness"),
    ],
)
def test_mappings_that_contradict_themselves_or_the_folder_are_refused(source, tmp_path, mapping, words):
    with pytest.raises(UserError, match=words):
        import_lerobot(source, tmp_path / "out", mapping)


@pytest.mark.parametrize("kind", ["data", "videos", "meta/episodes"])
@pytest.mark.parametrize("how", ["cut", "junk", "absent"])
def test_damaged_folders_are_our_error(source, tmp_path, kind, how):
    copy = shutil.copytree(source, tmp_path / "in")
    path = min(one for one in copy.rglob("*") if one.is_file() and str(one.relative_to(copy)).startswith(kind))
    data = path.read_bytes()
    if how == "absent":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if how == "cut" else b"\x07" * 500)
    with pytest.raises(UserError) as error:
        import_lerobot(copy, tmp_path / "out", PLAIN)
    assert "again" in str(error.value) or "no episodes" in str(error.value) or "no meta/" in str(error.value)
    assert not (tmp_path / "out/meta.json").exists()


def test_a_folder_may_not_point_outside_of_itself(source, tmp_path):
    copy = shutil.copytree(source, tmp_path / "in")
    info = json.loads((copy / "meta/info.json").read_text())
    for template, words in (
        ("../secret.parquet", "outside of it"),
        ("/etc/secret", "outside of it"),
        ("{episode_index.__class__}", "expected .*_index, .* in it"),
        ("{nothing}", "expected .*_index, .* in it"),
    ):
        (copy / "meta/info.json").write_text(json.dumps(info | {"data_path": template}))
        with pytest.raises(UserError, match=words):
            import_lerobot(copy, tmp_path / f"out{len(template)}", PLAIN)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "is damaged"),
        ("{}", "is damaged"),
        ('{"codebase_version": "v9", "fps": 1, "features": {}, "data_path": ""}', "of version v9"),
        ('{"codebase_version": "v3.0", "fps": 0, "features": {}, "data_path": ""}', "0 frames a second"),
        ('{"codebase_version": "v3.0", "fps": "x", "features": {}, "data_path": ""}', "is damaged"),
        ('{"codebase_version": "v3.0", "fps": 1, "features": {"a": 3}, "data_path": ""}', "is damaged"),
    ],
)
def test_wrong_info_is_refused(tmp_path, text, words):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text(text)
    with pytest.raises(UserError, match=words):
        import_lerobot(tmp_path, tmp_path / "out", PLAIN)
    with pytest.raises(UserError, match="is not a LeRobotDataset"):
        import_lerobot(tmp_path / "absent", tmp_path / "out", PLAIN)


def test_a_missing_frame_is_not_passed_over(source, tmp_path):
    copy = shutil.copytree(source, tmp_path / "in")
    path = min((copy / "data").rglob("*.parquet"))
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(UserError, match="5 frames of episode 0, expected 6"):
        import_lerobot(copy, tmp_path / "out", PLAIN)


def test_a_picture_that_is_damaged_is_skipped_and_one_camera_needs_no_name(tmp_path):
    root = write_lerobot(tmp_path / "in", "v3.0", [4, 4], video=False)
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[1][WRIST] = {"bytes": rows[1][WRIST]["bytes"][:100], "path": None}
    rows[6][WRIST] = {"bytes": None, "path": "images/6.png"}
    (root / "images").mkdir()
    (root / "images/6.png").write_bytes(rows[5][WRIST]["bytes"])
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    meta = import_lerobot(root, tmp_path / "out", replace(PLAIN, images=()))
    assert firsts(open_dataset(tmp_path / "out").unlabelled().images) == [131, 131, 133]
    assert meta["notes"]["skipped"] == {"picture is missing or damaged": 1}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.integers(0, 3))
def test_damaged_bytes_are_rows_or_our_error(source, tmp_path_factory, place: int, junk: bytes, which: int) -> None:
    copy = shutil.copytree(source, tmp_path_factory.mktemp("lerobot") / "in")
    names = ("meta/info", "meta/episodes", "data", "videos")
    path = min(
        one for one in copy.rglob("*.*") if str(one.relative_to(copy)).startswith(names[which]) and one.is_file()
    )
    data = path.read_bytes()
    place %= len(data)
    path.write_bytes(data[:place] + junk + data[place + len(junk) :])
    try:
        meta = import_lerobot(copy, copy.parent / "out", LABELLED)
    except UserError:
        return
    assert meta["attempts"] >= 1


@pytest.mark.parametrize(
    ("opening", "when"),
    [
        ([1, 1, 0, 0], 2),
        ([0, 0, 1, 0, 1, 0], 3),
        ([0, 0, 0], None),
        ([1, 1], None),
        ([float("nan"), 0], None),
        ([1], None),
    ],
)
def test_fingers_close_where_they_were_open_before(opening, when):
    assert closing(np.float64(opening), 0.5, below=True) == when
    assert closing(1 - np.float64(opening), 0.5, below=False) == when
