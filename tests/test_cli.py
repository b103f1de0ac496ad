"""What a user can get wrong costs one line, exit code 2, and nothing else."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import REAL, SIM, make_dataset
from graspgap.cli.main import COMMANDS, main
from graspgap.contract import Camera
from graspgap.deployment.predictor import load_predictor
from graspgap.errors import UserError
from graspgap.files import read_json, sha256, write_json
from graspgap.worlds.catalog import WorldChoice, cached_world

SMALL = ("--image-size", "32")
"""As the paper world's pictures."""


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line that a refused command prints."""
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("graspgap: ")
    assert "Traceback" not in captured.err
    return lines[0]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory, sim_data: Path) -> Path:
    """A policy run of one step."""
    run = tmp_path_factory.mktemp("policy") / "run"
    assert main(train(run, sim_data)) == 0
    return run


def train(run: Path, sim: Path) -> list[str]:
    short = ("--steps", "1", "--training.batch", "2", "--training.recalibration", "1", "--workers", "1")
    return ["train", str(run), "--sim", str(sim), *SMALL, *short]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--help"])
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
        (("collect", "OUT", "--world", "standin", "--randomize", "both"), "valid values are none"),
        (("collect", "OUT", "--seed", "-1"), "--seed -1"),
        (("collect", "OUT", "--resume"), "nothing to resume"),
        (("collect", "OUT", "--parallel", "rya"), "did you mean 'ray'"),
        (("collect", "OUT", "--steps-per-attempt", "1"), "2 to 10"),
        (("collect", "OUT", "--noise", "nan"), "--noise nan"),
        (("collect", "OUT", "--noise", "0.02"), "--noise is for trained policies"),
        (("collect", "OUT", "--seed", "99999999999999999999"), "--seed 99999999999999999999"),
        (("collect", "github://a/b"), "can't be opened"),
        (("evaluate", "OUT", "--policy", "random", "--attempts", "0"), "at least 1"),
        (("evaluate", "OUT", "--policy", "random", "--world", "sim", "--workers", "-1"), "negative"),
        (("evaluate", "OUT", "--policy", "random", "--steps-per-attempt", "11"), "2 to 10"),
        (("evaluate", "OUT", "--policy", "random", "--seed", "-1"), "--seed -1"),
        (("evaluate", "OUT", "--policy", "random", "--seed", "2147483648"), "less than 2147483648"),
        (("study", "OUT", "--preset", "demoo"), "did you mean 'demo'"),
        (("study", "OUT", "--workers", "-1"), "negative"),
        (("study", "OUT", "--seed", "-1"), "--seed -1"),
        (("evaluate", "OUT", "--policy", "no/run", "--world", "sim"), "no/run"),
        (("report", "OUT"), "is no folder"),
        (("train", "OUT"), "no data"),
        (("train", "OUT", "--workers", "-1"), "negative"),
        (("train", "OUT", "--seed", "-1"), "--seed -1"),
        (("train", "OUT", "--steps", "0"), "--steps 0"),
        (("train", "OUT", "--training.batch", "0"), "--training.batch 0"),
        (("train", "OUT", "--device", "gpu"), "--device auto"),
        (("train", "OUT", "--precision", "fp8"), "--precision 'fp8'"),
        (("train", "OUT", "--look-every", "-1"), "--look-every -1"),
        (("train", "OUT", "--real-labels", "0.5"), "--real DATA"),
        (("adapt", "OUT", "--sim", "A", "--real", "B", "--ema", "1"), "--ema 1"),
        (("adapt", "OUT", "--sim", "A", "--real", "B", "--look-every", "-1"), "--look-every -1"),
        (("train", "OUT", "--adapter", "A"), "--sim DATA"),
        (("adapt", "OUT", "--sim", "A", "--real", "B", "--workers", "-1"), "negative"),
        (("adapt", "OUT", "--sim", "A", "--real", "B", "--steps", "0"), "--steps 0"),
        (("adapt", "OUT", "--sim", "A", "--real", "B", "--batch", "0"), "--batch 0"),
        (("import", "images", "A", "OUT", "--image-size", "0"), "--image-size 0"),
        (("import", "images", "A", "OUT", "--frames-per-attempt", "0"), "--frames-per-attempt 0"),
        (("import", "rlds", "A", "OUT", "--image-size", "0"), "--image-size 0"),
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


CHEAP = ("--method", "histogram")


def test_datasets_that_do_not_fit(
    tmp_path: Path, sim_data: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x"
    assert "32 pixels" in refused(capsys, "train", out, "--sim", sim_data)
    blind = make_dataset(tmp_path / "blind", replace(SIM, has_masks=False), attempts=8)
    assert "has no masks" in refused(capsys, "train", out, "--sim", blind, *SMALL)
    assert "48 or more" in refused(capsys, "adapt", out, "--sim", sim_data, "--real", real_data, *SMALL)
    assert "at most 1" in refused(capsys, "train", out, "--real", real_data, "--real-labels", "2", *SMALL)
    moved = make_dataset(tmp_path / "moved", replace(REAL, camera=Camera(fov=30.0)), attempts=8)
    line = refused(capsys, "train", out, "--sim", sim_data, "--real", moved, "--real-labels", "1", *SMALL)
    assert "different nominal cameras" in line
    camera = tmp_path / "camera.json"
    write_json(camera, asdict(Camera(fov=31.0)))
    line = refused(capsys, "train", out, "--sim", sim_data, "--real", moved, "--camera", camera, *SMALL)
    assert f"{sim_data} and {camera} have different nominal cameras" in line
    assert "give --real DATA too" in refused(capsys, "train", out, "--sim", sim_data, "--camera", camera, *SMALL)
    assert "counts as reality" in refused(capsys, "train", out, "--sim", real_data, *SMALL)
    assert "unlabelled reality" in refused(capsys, "train", out, "--sim", sim_data, "--features", "adabn", *SMALL)
    line = refused(capsys, "train", out, "--sim", sim_data, "--real", real_data, "--features", "adabm", *SMALL)
    assert "did you mean 'adabn'" in line
    assert "counts as reality" in refused(capsys, "adapt", out, "--sim", moved, "--real", real_data, *SMALL, *CHEAP)
    assert not out.exists()


def test_a_camera_found_later_counts_in_place_of_the_datasets(tmp_path: Path, sim_data: Path) -> None:
    moved = make_dataset(tmp_path / "moved", replace(REAL, camera=Camera(fov=30.0)), attempts=8)
    camera, out = tmp_path / "camera.json", tmp_path / "run"
    write_json(camera, asdict(SIM.camera))
    words = ["--sim", sim_data, "--real", moved, "--real-labels", "1", "--camera", camera, "--steps", "1", *SMALL]
    assert main(["train", str(out), *map(str, words)]) == 0
    assert load_predictor(out).camera == SIM.camera


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
    assert not (tmp_path / "x").exists()


def test_folders_of_another_kind_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    assert "is not empty" in refused(capsys, "collect", other, "--attempts", "1", "--workers", "1")
    assert [path.name for path in other.iterdir()] == ["notes.txt"]
    assert "is a file" in refused(capsys, "collect", other / "notes.txt", "--attempts", "1", "--workers", "1")
    below = refused(capsys, "collect", other / "notes.txt" / "x", "--attempts", "1", "--workers", "1")
    assert "Not a directory" in below


def test_policies_that_are_none(tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def line(run: Path) -> str:
        return refused(capsys, "evaluate", tmp_path / "x", "--policy", run, "--world", "sim", "--attempts", "1")

    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    assert "has no config.json" in line(unfinished)
    shutil.copy(policy / "config.json", unfinished)
    assert "has not finished" in line(unfinished)
    assert "is no folder" in line(unfinished / "config.json")
    words = ("collect", tmp_path / "x", "--attempts", "1", "--workers", "1", "--image-size", "16", "--policy", policy)
    assert "use --image-size 32" in refused(capsys, *words)
    assert not (tmp_path / "x").exists()


def test_adapters_that_are_none_do_not_begin_a_run(
    tmp_path: Path, sim_data: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = train(tmp_path / "x", sim_data)
    assert "does not exist" in refused(capsys, *words, "--adapter", tmp_path / "nowhere")
    assert "a policy run, expected an adapter run" in refused(capsys, *words, "--adapter", policy)
    assert "Not a directory" in refused(capsys, *words, "--adapter", policy / "config.json")
    assert not (tmp_path / "x").exists()


def test_what_a_kill_left_out_after_training_is_made_up_for(
    policy: Path, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("policy.safetensors", "held_out.json")
    before = [sha256(policy / name) for name in names]
    (policy / "held_out.json").unlink()
    assert main(train(policy, sim_data)) == 0
    assert [sha256(policy / name) for name in names] == before
    assert main(train(policy, sim_data)) == 0
    assert "already trained" in capsys.readouterr().out


def test_what_a_kill_left_out_after_adapting_is_made_up_for(tmp_path: Path) -> None:
    sim = make_dataset(tmp_path / "sim", replace(SIM, image_size=48), attempts=4)
    real = make_dataset(tmp_path / "real", replace(REAL, image_size=48), attempts=4)
    run = tmp_path / "run"
    words = ["adapt", str(run), "--sim", str(sim), "--real", str(real), "--image-size", "48", "--steps", "1"]
    assert main([*words, "--batch", "1", "--workers", "1"]) == 0
    names = ("adapter.safetensors", "grid.png")
    before = [sha256(run / name) for name in names]
    (run / "grid.png").unlink()
    assert main([*words, "--batch", "1", "--workers", "1"]) == 0
    assert [sha256(run / name) for name in names] == before


@pytest.mark.parametrize("command", [[0, 0, np.nan, 0, 1], [np.inf, 0, 0, 0, 1]])
def test_a_nonsensical_command_leaves_the_arm_where_it_was(command: list[float]) -> None:
    world = cached_world(WorldChoice(image_size=16))
    before = world.reset(0)
    with pytest.raises(UserError, match="motor command"):
        world.move(np.array(command, np.float32))
    after = world.observe()
    np.testing.assert_array_equal(after.pose, before.pose)
    np.testing.assert_array_equal(after.image_now, before.image_now)


def test_a_full_disk_costs_one_line_and_leaves_nothing_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    line = refused(capsys, "collect", tmp_path / "x", "--attempts", "1", "--workers", "1", "--image-size", "16")
    assert "No space left" in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_reader_that_has_gone_is_no_error() -> None:
    """As in `graspgap --help | head -0`."""
    command = [sys.executable, "-m", "graspgap.cli.main", "--help"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 1)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "a connection failed: Broken pipe"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "a connection failed: Connection reset"),
        (TimeoutError("timed out"), "a connection failed: timed out"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; free the disk"),
    ],
)
def test_a_broken_connection_of_a_world_is_told_as_such(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: OSError, line: str
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("graspgap.cli.doctor.run", fail)
    assert main(["doctor"]) == 2
    assert f"graspgap: {line}" in capsys.readouterr().err


def test_only_commands_of_two_words_may_be_written_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "command 'doctor-x' is unknown: did you mean 'doctor'?" in refused(capsys, "doctor-x")
    assert "import command 'imagse' is unknown: did you mean 'images'?" in refused(capsys, "import-imagse")


def test_attempts_with_training_objects_are_of_a_world_of_their_own(tmp_path: Path) -> None:
    words = ["--policy", "random", "--world", "sim", "--attempts", "3", "--image-size", "32", "--workers", "1"]
    worlds, objects = [], []
    for split in ("train", "test"):
        assert main(["evaluate", str(tmp_path / split), *words, "--split", split]) == 0
        found = read_json(tmp_path / split / "results.json", "a result")
        worlds.append(found["world"])
        objects.append({name for names in found["scene_objects"].values() for name in names})
    assert worlds == ["sim, training objects", "sim"]
    assert not objects[0] & objects[1]
