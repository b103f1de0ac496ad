"""Videos, written by PyAV and read back frame for frame."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graspgap.cli.main import main
from graspgap.datasets import open_dataset
from graspgap.datasets.import_video import ImportVideoConfig, import_video
from graspgap.datasets.video_frames import frames_at
from graspgap.errors import UserError
from recordings import FPS, shade, write_video
from test_import import firsts

ALL = ImportVideoConfig(every=0, image_size=16, frames_per_attempt=3)


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264rgb"), ("mkv", "ffv1")])
@pytest.mark.parametrize("first", [0, 7])
def test_all_frames_of_all_files_become_rows(tmp_path: Path, ending: str, codec: str, first: int) -> None:
    write_video(tmp_path / f"in/take_10.{ending}", [shade(100 + k) for k in range(2)], codec)
    write_video(tmp_path / f"in/take_2.{ending}", [shade(k) for k in range(6)], codec, first)
    meta = import_video(tmp_path / "in", tmp_path / "out", ALL)
    view = open_dataset(tmp_path / "out").unlabelled()
    assert firsts(view.images_before) == [0, 0, 100]
    assert firsts(view.images) == [1, 2, 3, 4, 5, 101]
    assert view.scenes.tolist() == [0, 0, 1]
    assert (meta["has_labels"], meta["notes"]["videos"]) == (False, 2)


def test_frames_are_taken_at_an_interval(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [shade(k) for k in range(3 * FPS)])
    assert main(["import", "video", str(tmp_path / "a.mp4"), str(tmp_path / "out"), "--every", "0.5"]) == 0
    assert firsts(open_dataset(tmp_path / "out").unlabelled().images) == [5, 10, 15, 20, 25]


@pytest.mark.parametrize("first", [0, 7])
def test_frames_are_found_by_their_time(tmp_path: Path, first: int) -> None:
    write_video(tmp_path / "a.mp4", [shade(k) for k in range(60)], first=first)
    wanted = [0, 1, 1, 2, 9, 30, 31, 59]
    found = frames_at(tmp_path / "a.mp4", [k / FPS + 0.02 for k in wanted], 0.05)
    assert [int(picture[0, 0, 0]) for picture in found] == wanted
    for time in (6.0, 0.05 + 1e-3):
        with pytest.raises(UserError, match="has no frame at"):
            frames_at(tmp_path / "a.mp4", [time], 0.04)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no videos"):
        import_video(tmp_path, tmp_path / "out", ALL)
    with pytest.raises(UserError, match="--every"):
        import_video(tmp_path, tmp_path / "out", ImportVideoConfig(every=-1))
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match="can't be decoded"):
        import_video(tmp_path, tmp_path / "out", ALL)


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264rgb"), ("mkv", "ffv1")])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6])
def test_a_video_that_was_cut_short_is_our_error(tmp_path: Path, ending: str, codec: str, kept: float) -> None:
    path = tmp_path / f"a.{ending}"
    write_video(path, [shade(k % 250) for k in range(8 * FPS)], codec)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(UserError, match="copy it again"):
        import_video(path, tmp_path / "out", ALL)
    assert not (tmp_path / "out/meta.json").exists()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_damaged_bytes_are_pictures_or_our_error(tmp_path_factory, place: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("video")
    write_video(folder / "a.mp4", [shade(k) for k in range(6)])
    data = (folder / "a.mp4").read_bytes()
    place %= len(data)
    (folder / "a.mp4").write_bytes(data[:place] + junk + data[place + len(junk) :])
    try:
        meta = import_video(folder / "a.mp4", folder / "out", ALL)
    except UserError:
        return
    assert meta["attempts"] >= 1
