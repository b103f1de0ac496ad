"""MCAP files of ROS 2, written by the `mcap` library and read back value for value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from graspgap.contract import command_between
from graspgap.datasets import open_dataset
from graspgap.datasets.import_rosbag import RosbagMapping, import_rosbag
from graspgap.datasets.importing import read_report
from graspgap.errors import UserError
from recordings import MCAP, Cdr, compressed, pose_stamped, raw, shade, write_mcap
from test_import import firsts

CAMERA, POSE = "/camera/image/compressed", "/ee_pose"
KINDS = {CAMERA: "sensor_msgs/msg/CompressedImage", POSE: "geometry_msgs/msg/PoseStamped"}
ALL = RosbagMapping(every=0, image_size=16, frames_per_attempt=3)
POSED = replace(ALL, pose=POSE)
Rows = list[tuple[str, float, bytes]]


def place(k: int) -> list[float]:
    """x, y, z [m], yaw [rad] at picture k."""
    return [0.5 + 0.01 * k, 0.1, 0.3 - 0.01 * k, 0.05 * k]


def quaternion(yaw: float, tilt: float = 0.0) -> list[float]:
    return list((Rotation.from_euler("z", yaw) * Rotation.from_euler("x", 180 + tilt, degrees=True)).as_quat())


def recording(count: int = 6, lag: float = 0.3, tilted: int = -1) -> Rows:
    """Picture k at 100 + k / 10 s, recorded `lag` later; a pose 10 ms before each."""
    rows: Rows = []
    for k in range(count):
        x, y, z, yaw = place(k)
        time, lean = 100 + k / 10, 20.0 if k == tilted else 0.0
        rows.append((CAMERA, time + lag, compressed(shade(k), time)))
        rows.append((POSE, time - 0.01, pose_stamped([x, y, z, *quaternion(yaw, lean)], time - 0.01)))
    return sorted(rows, key=lambda row: row[1])


@pytest.mark.parametrize("how", ["ZSTD", "LZ4", "NONE", "no chunks", "no summary"])
def test_pictures_and_the_poses_near_them_become_rows(tmp_path: Path, how: str) -> None:
    kind = MCAP.CompressionType
    options = {
        "no chunks": {"use_chunking": False},
        "no summary": {"repeat_channels": False, "repeat_schemas": False, "use_statistics": False},
    }.get(how) or {"compression": kind[how], "chunk_size": 500}
    write_mcap(tmp_path / "in/a_0.mcap", KINDS, recording(), **options)
    write_mcap(tmp_path / "in/a_1.mcap", KINDS, recording(2), **options)
    meta = import_rosbag(tmp_path / "in", tmp_path / "out", POSED)
    view = open_dataset(tmp_path / "out").unlabelled()
    assert firsts(view.images_before) == [0, 0, 0]
    assert firsts(view.images) == [1, 2, 3, 4, 5, 1]
    places = np.array([place(k) for k in (1, 2, 3, 4, 5, 1)])
    np.testing.assert_allclose(view.poses, places, atol=1e-6)
    np.testing.assert_allclose(view.commands, command_between(places, places[[2, 2, 2, 4, 4, 5]]), atol=1e-6)
    assert view.scenes.tolist() == [0, 0, 1]
    assert (meta["has_labels"], meta["has_poses"], meta["notes"]["skipped"]) == (False, True, {})


def test_pictures_meet_poses_by_the_clock_that_is_asked_for(tmp_path: Path) -> None:
    write_mcap(tmp_path / "a.mcap", KINDS, recording())
    meta = import_rosbag(tmp_path / "a.mcap", tmp_path / "out", replace(POSED, clock="log"))
    view = open_dataset(tmp_path / "out").unlabelled()
    np.testing.assert_allclose(view.poses, [place(4), place(5)], atol=1e-6)  # 0.3 s late
    assert firsts(view.images) == [1, 2]
    assert meta["notes"]["skipped"] == {"no pose within 0.05 s": 3}


def test_poses_that_do_not_point_down_and_broken_pictures_are_skipped(tmp_path: Path) -> None:
    rows = recording(tilted=3)
    cut = next(k for k, row in enumerate(rows) if row[0] == CAMERA and row[1] > 100.45)
    rows[cut] = (CAMERA, rows[cut][1], rows[cut][2][:-20])
    write_mcap(tmp_path / "a.mcap", KINDS, rows)
    import_rosbag(tmp_path / "a.mcap", tmp_path / "out", POSED)
    assert firsts(open_dataset(tmp_path / "out").unlabelled().images) == [1, 4, 5]
    skipped = read_report(tmp_path / "out").skipped
    assert {why: reason.count for why, reason in skipped.items()} == {
        "picture can't be read": 1,
        "gripper is more than 10 degrees from straight down": 1,
    }
    assert skipped["gripper is more than 10 degrees from straight down"].names == ["a.mcap at 100.300 s"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("frame", ["", "a", "ab", "abc"])
def test_raw_pictures_of_every_encoding_with_padded_rows(tmp_path: Path, order: str, frame: str) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    grey = colour[..., :1]
    forms = {
        "rgb8": colour,
        "bgr8": colour[..., ::-1],
        "rgba8": cv2.cvtColor(colour, cv2.COLOR_RGB2RGBA),
        "bgra8": cv2.cvtColor(colour, cv2.COLOR_RGB2BGRA),
        "mono8": grey,
    }
    rows = [("/raw", 100.0, raw(colour, "rgb8", 100.0))]
    rows += [
        ("/raw", 101.0 + k, raw(one, name, 101.0 + k, k, order, frame)) for k, (name, one) in enumerate(forms.items())
    ]
    rows += [("/raw", 110.0, raw(grey, "bayer_rggb8", 110.0)), ("/raw", 111.0, raw(grey, "rgb8", 111.0))]
    write_mcap(tmp_path / "a.mcap", {"/raw": "sensor_msgs/msg/Image"}, rows)
    meta = import_rosbag(tmp_path / "a.mcap", tmp_path / "out", replace(ALL, frames_per_attempt=9))
    images = open_dataset(tmp_path / "out").unlabelled().images.transpose(0, 2, 3, 1)
    for found in images[:4]:
        assert np.array_equal(found, colour)
    assert np.array_equal(images[4], np.repeat(grey, 3, axis=2))
    assert meta["notes"]["skipped"] == {"picture can't be read": 2}
    bayer, short = read_report(tmp_path / "out").skipped["picture can't be read"].names
    assert "encoding 'bayer_rggb8' is none of rgb8" in bayer
    assert "256 bytes are not 16 rows" in short


def test_pictures_are_taken_at_an_interval_and_may_have_no_poses(tmp_path: Path) -> None:
    write_mcap(tmp_path / "a.mcap", KINDS, recording(21))
    meta = import_rosbag(tmp_path / "a.mcap", tmp_path / "out", replace(ALL, every=0.5))
    assert firsts(open_dataset(tmp_path / "out").unlabelled().images) == [5, 10, 15, 20]
    assert not meta["has_poses"]


def test_topics_and_clocks_are_not_guessed(tmp_path: Path) -> None:
    unstamped = [
        *recording(),
        ("/other", 100.0, compressed(shade(1), 0.0)),
        ("/pose", 100.0, Cdr().put("d", *[0.0] * 7).done()),
    ]
    kinds = KINDS | {"/other": "sensor_msgs/msg/CompressedImage", "/pose": "geometry_msgs/msg/Pose", "/text": "json"}
    path = write_mcap(tmp_path / "a.mcap", kinds, unstamped)
    for mapping, words in [
        (ALL, "has 2 topics with pictures .*--image"),
        (replace(ALL, image="/camera/image"), f"did you mean '{CAMERA}'"),
        (replace(ALL, image=CAMERA, pose="/ee_poses"), f"did you mean '{POSE}'"),
        (replace(ALL, image=CAMERA, pose="/pose"), "have no stamp: give --clock log"),
        (replace(ALL, image="/other"), "no time stamp: give --clock log"),
        (replace(ALL, every=-1.0), "--every"),
        (replace(ALL, apart=float("nan")), "--apart"),
    ]:
        with pytest.raises(UserError, match=words):
            import_rosbag(path, tmp_path / f"out{abs(hash(words))}", mapping)
    with pytest.raises(UserError, match="has no MCAP files"):
        import_rosbag(tmp_path / "absent", tmp_path / "out", ALL)
    one = write_mcap(tmp_path / "b.mcap", KINDS, recording(1))
    with pytest.raises(UserError, match="no row comes of"):
        import_rosbag(one, tmp_path / "one", ALL)
    assert read_report(tmp_path / "one").skipped["file gives no row"].count == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans(), st.booleans())
def test_damaged_files_are_rows_or_our_error(
    tmp_path_factory, place: int, junk: bytes, cut: bool, chunks: bool
) -> None:
    folder = tmp_path_factory.mktemp("bag")
    path = write_mcap(folder / "a.mcap", KINDS, recording(2), use_chunking=chunks)
    data = path.read_bytes()
    place %= len(data)
    path.write_bytes(data[:place] if cut else data[:place] + junk + data[place + len(junk) :])
    try:
        import_rosbag(path, folder / "out", POSED)
    except UserError:
        return
    assert not cut
