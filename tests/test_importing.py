"""What all importers share: resume, the report, mapping files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from graspgap.cli.main import main
from graspgap.contract import GraspAttempt, GraspOutcome
from graspgap.datasets import importing, open_dataset
from graspgap.datasets.check import verify
from graspgap.datasets.import_lerobot import LerobotMapping
from graspgap.datasets.import_rosbag import RosbagMapping
from graspgap.datasets.importing import REPORT, Report, Skip, Unit, read_report, run_import
from graspgap.datasets.mapping import read_mapping
from graspgap.datasets.poses import check_frame
from graspgap.datasets.schema import PictureRow
from graspgap.errors import UserError
from test_import import put, shade


@dataclass(frozen=True)
class Frame:
    turn: float = 0.0
    axes: tuple[str, str, str] = ("x", "y", "z")
    tool: float = 0.0


@dataclass(frozen=True)
class Mapping:
    image_size: int = 8
    frames_per_attempt: int = 3
    images: tuple[str, ...] = ()
    pose: str | None = None
    hand: Literal["right", "left"] = "right"
    frame: Frame = field(default_factory=lambda: Frame(tool=0.5))  # another default than Frame's own


class Killed(BaseException):
    """As a signal ends a process: nothing catches it."""


class Counting:
    """Unit u holds u + 1 rows of shade 10 u + k, and a skip after each odd one."""

    kind, counted, nothing = "counting", "rows", "nothing came of it"

    def __init__(self, units: int = 5, labelled: bool = False) -> None:
        self.units = [Unit(f"unit {u}", u + 1) for u in range(units)]
        self.labelled = labelled
        self.reads: list[int] = []

    def read(self, unit: int, advance: importing.Advance) -> Iterator[PictureRow | GraspAttempt | Skip]:
        self.reads.append(unit)
        for k in range(unit + 1):
            picture = shade(10 * unit + k, 8, 8)
            row = PictureRow(0, 0, picture, [picture], self.kind)
            if self.labelled:
                poses = np.zeros((1, 4), np.float32)
                outcome = GraspOutcome(k % 2 == 0)
                yield GraspAttempt(0, 0, 0, picture, [picture], poses, poses[0], outcome, self.kind, "?", [], {})
            else:
                yield row
            advance(1)
            if k % 2:
                yield Skip("odd", f"{unit}.{k}")

    def notes(self, report: Report) -> dict[str, Any]:
        return {"skipped": report.skips}


def shards(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "data").iterdir())]


@pytest.mark.parametrize("written", [0, 1, 2, 4])
@pytest.mark.parametrize("when", ["before the report", "after it"])
def test_a_killed_import_goes_on_where_it_was(tmp_path, monkeypatch, written, when):
    source = Counting()
    whole = run_import(tmp_path / "whole", tmp_path, source, Mapping(), 8, per_shard=3)
    real = importing.write_json

    def kill(path: Path, value: Any) -> None:
        if when == "after it":
            real(path, value)
        if value["shards"] > written:
            raise Killed

    monkeypatch.setattr(importing, "write_json", kill)
    with pytest.raises(Killed):
        run_import(tmp_path / "out", tmp_path, Counting(), Mapping(), 8, per_shard=3)
    monkeypatch.setattr(importing, "write_json", real)
    again = Counting()
    meta = run_import(tmp_path / "out", tmp_path, again, Mapping(), 8, per_shard=3)
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")
    assert (meta["attempts"], meta["notes"]) == (15, {"skipped": 6}) == (whole["attempts"], whole["notes"])
    verify(tmp_path / "out")
    data = open_dataset(tmp_path / "out")
    assert data.keys[:, 1].tolist() == list(range(15))
    assert data.scenes.tolist() == [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4]
    if when == "after it" and written:
        done = 3 * (written + 1)
        assert again.reads[0] == [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4][done - 1]  # not from the start


def test_a_finished_import_reads_nothing_again_but_what_was_deleted(tmp_path):
    run_import(tmp_path / "out", tmp_path, Counting(), Mapping(), 8, per_shard=3)
    before = shards(tmp_path / "out")
    again = Counting()
    run_import(tmp_path / "out", tmp_path, again, Mapping(), 8, per_shard=3)
    assert again.reads == []
    (tmp_path / "out/data/shard-00001.parquet").unlink()
    run_import(tmp_path / "out", tmp_path, again, Mapping(), 8, per_shard=3)
    assert again.reads == [0, 1, 2, 3, 4]
    assert shards(tmp_path / "out") == before


def test_a_source_that_changed_is_not_mixed_with_what_it_was(tmp_path):
    run_import(tmp_path / "out", tmp_path, Counting(5), Mapping(), 8)
    with pytest.raises(UserError, match="has changed since"):
        run_import(tmp_path / "out", tmp_path, Counting(6), Mapping(), 8)
    for text, words in (("{", "not valid JSON"), ("{}", "is damaged"), ('{"skipped": 3}', "is damaged")):
        (tmp_path / "out" / REPORT).write_text(text)
        with pytest.raises(UserError, match=words):
            run_import(tmp_path / "out", tmp_path, Counting(5), Mapping(), 8)


def test_the_report_counts_all_and_names_some(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "NAMES", 2)
    meta = run_import(tmp_path / "out", tmp_path, Counting(labelled=True), Mapping(), 8)
    report = read_report(tmp_path / "out")
    assert (report.rows, report.pictures, report.successes, report.finished) == (15, 15, 9, True)
    assert (report.skipped["odd"].count, report.skipped["odd"].names) == (6, ["1.1", "2.1"])
    assert (meta["has_labels"], meta["successes"]) == (True, 9)


def test_the_command_prints_what_was_taken_and_skipped(tmp_path, capsys):
    put(tmp_path / "in/a/1.png", shade(1))
    for name in "bcdef":
        (tmp_path / f"in/{name}.png").write_bytes(b"no")
    file = tmp_path / "m.toml"
    file.write_text("image_size = 32\nframes_per_attempt = 2\nby_folder = false\n")
    words = ["import", "images", str(tmp_path / "in"), str(tmp_path / "out"), "--mapping", str(file)]
    assert main([*words, "--image-size", "64", "--by-folder"]) == 0  # as by default, and not as in the file
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 rows taken, 1 pictures, unlabelled" in printed
    assert "5 skipped: not a whole PNG or JPEG picture (b.png, c.png, d.png, ...)" in printed
    config = json.loads((tmp_path / "out/meta.json").read_text())["config"]
    assert (config["image_size"], config["frames_per_attempt"], config["by_folder"]) == (64, 2, True)


def test_mapping_files_hold_the_options(tmp_path):
    file = tmp_path / "m.toml"
    file.write_text('images = ["a", "b"]\npose = "p"\nhand = "left"\n[frame]\nturn = 90\naxes = ["y", "-x", "z"]\n')
    found = read_mapping(file, Mapping)
    assert found == Mapping(images=("a", "b"), pose="p", hand="left", frame=Frame(90, ("y", "-x", "z"), 0.5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pose = ", "not valid TOML"),
        ("imags = []", "did you mean 'images'"),
        ("images = 'a'", "expected a list of texts"),
        ("images = [1]", "expected a list of texts"),
        ("image_size = 3.5", "expected whole number"),
        ("image_size = true", "expected whole number"),
        ("pose = 3", "expected text"),
        ("hand = 'both'", "expected one of right, left"),
        ("frame = 3", r"write \[frame\]"),
        ("[frame]\nturns = 1", r"key of \[frame\].*did you mean 'turn'"),
        ("[frame]\nturn = nan", "expected number"),
        ("[frame]\nturn = inf", "expected number"),
        ("[frame]\naxes = ['x', 'y']", "expected a list of 3 texts"),
    ],
)
def test_wrong_mapping_files_are_refused(tmp_path, text, words):
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=words):
        read_mapping(file, Mapping)
    with pytest.raises(UserError, match="can't read --mapping"):
        read_mapping(tmp_path / "absent.toml", Mapping)


def test_the_mapping_files_of_the_guide_are_right(tmp_path):
    guide = (Path(__file__).parents[1] / "docs/recordings.md").read_text()
    lerobot, rosbag = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    for text, kind, pose in (
        (lerobot, LerobotMapping, "observation.state"),
        (rosbag, RosbagMapping, "/ee_pose"),
    ):
        (tmp_path / "m.toml").write_text(text)
        found = read_mapping(tmp_path / "m.toml", kind)
        assert (found.pose, found.frame.rotation) == (pose, "quat-xyzw")
        check_frame(found.frame)
