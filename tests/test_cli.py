"""What a user can get wrong costs one line, exit code 2, and nothing else."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from graspgap.cli.main import COMMANDS, main


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line that a refused command prints."""
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("graspgap: ")
    assert "Traceback" not in captured.err
    return lines[0]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"graspgap {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("colect", "OUT"), "did you mean 'collect'"),
        (("import", "image", "A", "B"), "did you mean 'images'"),
        (("collect", "OUT", "--world", "simm"), "did you mean 'sim'"),
        (("collect", "OUT", "--objects", "prism"), "did you mean 'prisms'"),
        (("collect", "OUT", "--randomize", "appearence"), "did you mean 'appearance'"),
        (("collect", "OUT", "--policy", "scriptd"), "did you mean 'scripted'"),
        (("collect", "OUT", "--attempts", "0"), "at least 1"),
        (("collect", "OUT", "--workers", "-1"), "negative"),
        (("collect", "OUT", "--image-size", "4"), "too small"),
        (("collect", "OUT", "--objects", "no/folder"), "no/folder"),
        (("study", "OUT", "--preset", "demoo"), "did you mean 'demo'"),
        (("evaluate", "OUT", "--policy", "no/run", "--world", "sim"), "no/run"),
        (("report", "OUT"), "no results.json"),
        (("train", "OUT"), "no data"),
        (("adapt", "OUT", "--sim", "A", "--real", "B", "--method", "graspgn"), "did you mean 'graspgan'"),
    ],
)
def test_wrong_words_get_one_line(
    words: tuple[str, ...], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert hint in refused(capsys, *(out if word == "OUT" else word for word in words))
    assert not out.exists()


def test_datasets_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "nowhere" in refused(capsys, "train", tmp_path / "x", "--sim", tmp_path / "nowhere")
    assert "meta.json" in refused(capsys, "train", tmp_path / "x", "--sim", empty)
    assert "empty" in refused(capsys, "import", "images", empty, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_datasets_that_do_not_fit(
    tmp_path: Path, sim_data: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x"
    assert "32 pixels" in refused(capsys, "train", out, "--sim", sim_data)
    small = ("--image-size", "32")
    assert "counts as reality" in refused(capsys, "train", out, "--sim", real_data, *small)
    assert "unlabelled reality" in refused(capsys, "train", out, "--sim", sim_data, "--features", "adabn", *small)
    line = refused(capsys, "train", out, "--sim", sim_data, "--real", real_data, "--features", "adabm", *small)
    assert "did you mean 'adabn'" in line
    assert "counts as reality" in refused(capsys, "adapt", out, "--sim", real_data, "--real", real_data, *small)
    assert not out.exists()


def test_a_truncated_shard_is_named_and_left_alone(
    tmp_path: Path, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sim_data, copy)
    shard = next((copy / "data").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    line = refused(capsys, "train", tmp_path / "x", "--sim", copy, "--image-size", "32")
    assert shard.name in line
    assert shard.exists()


def test_labels_of_an_unlabelled_set_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("a", "b"):
        (tmp_path / "frames" / folder).mkdir(parents=True)
        for number in range(3):
            picture = np.full((20, 24, 3), 40 * number, np.uint8)
            cv2.imwrite(str(tmp_path / "frames" / folder / f"{number}.png"), picture)
    imported = tmp_path / "imported"
    assert main(["import", "images", str(tmp_path / "frames"), str(imported), "--image-size", "32"]) == 0
    capsys.readouterr()
    words = ("train", tmp_path / "x", "--real", imported, "--real-labels", "0.5", "--image-size", "32")
    assert "has no labels" in refused(capsys, *words)


def test_folders_of_another_kind_are_refused(
    tmp_path: Path, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    assert "is not empty" in refused(capsys, "collect", other, "--attempts", "1", "--workers", "1")
    assert [path.name for path in other.iterdir()] == ["notes.txt"]
    line = refused(capsys, "evaluate", tmp_path / "x", "--policy", sim_data, "--world", "sim")
    assert "config.json" in line or "a policy run" in line


def test_a_full_disk_costs_one_line_and_leaves_nothing_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    line = refused(capsys, "collect", tmp_path / "x", "--attempts", "1", "--workers", "1", "--image-size", "16")
    assert "No space left" in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
