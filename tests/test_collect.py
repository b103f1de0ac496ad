"""Collection, training and evaluation survive a kill or a full disk and end with the same result."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest

from graspgap.cli.main import main
from graspgap.collection.collect import CollectSettings, collect
from graspgap.collection.policies import PolicyChoice, make_policy
from graspgap.config import from_json
from graspgap.contract import DEPTH_UNIT, Camera, SemanticClass
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.evaluation.trials import Arm, TrialSettings, evaluate
from graspgap.files import sha256
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.worlds.catalog import WORLDS, WorldChoice
from graspgap.worlds.mitsuba_renderer import MitsubaRenderer

SETTINGS = CollectSettings(world=WorldChoice(image_size=32), attempts_per_shard=4, attempts_per_scene=4)


def shards(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted((folder / "data").glob("shard-*.parquet"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("collect") / "whole"
    collect(out, SETTINGS, attempts=12, workers=1)
    return out


def test_the_dataset_tells_what_was_collected(whole: Path) -> None:
    data = open_dataset(whole)
    data.verify()
    view = data.simulated()
    assert len(view) == 12
    assert len(np.unique(view.scenes)) == 3
    assert view.images.shape == (48, 3, 32, 32)
    assert data.meta["successes"] == view.success.sum()


def test_layers_are_columns_that_datasets_opens(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["collect", str(out), "--attempts", "2", "--workers", "1", "--image-size", "32", "--layers"]) == 0
    rows = datasets.load_dataset(
        "parquet", data_files=str(out / "data" / "*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    world = WORLDS["sim"](WorldChoice(image_size=32, layers=True))
    for k, row in enumerate(rows):
        attempt = run_attempt(world, ScriptedPolicy(4), 0, k)
        assert attempt.layers is not None
        pictures = [attempt.layers_before, *attempt.layers]
        for before, steps, name, unit in (
            ("instances_before", "instances", "instances", 1),
            ("depth_before", "depths", "depth", DEPTH_UNIT),
        ):
            for stored, layers in zip([row[before], *row[steps]], pictures, strict=True):
                np.testing.assert_allclose(np.asarray(stored) * unit, getattr(layers, name), atol=0.6 * DEPTH_UNIT)
        seen, mask = np.asarray(row["instances"][0]), np.asarray(row["masks"][0])
        np.testing.assert_array_equal(seen > 0, mask == SemanticClass.OBJECT)
        assert seen.max() <= len(row["objects"])
    assert open_dataset(out).simulated().images.shape[1:] == (3, 32, 32)
    part = tmp_path / "part"
    assert main(["dataset", "verify", str(out)]) == 0
    assert main(["dataset", "sample", str(part), str(out), "--attempts", "1"]) == 0
    assert main(["dataset", "verify", str(part)]) == 0
    assert open_dataset(part).meta["has_layers"]


def test_a_file_of_ranges_and_a_camera_are_settings_like_others(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[dynamics]\nmass = [3, 3.1]\n")
    (tmp_path / "camera.json").write_text('{"position": [0.5, 0.1, 0.8], "target": [0.55, 0, 0], "fov": 30}')
    out, words = tmp_path / "out", ["--attempts", "1", "--workers", "1", "--image-size", "16"]
    files = ["--randomize", str(tmp_path / "mine.toml"), "--camera", str(tmp_path / "camera.json")]
    assert main(["collect", str(out), *words, *files]) == 0
    meta = open_dataset(out).meta
    assert meta["notes"]["randomization"]["dynamics"]["mass"] == [3, 3.1]
    assert meta["camera"]["fov"] == 30.0
    assert from_json(WorldChoice, meta["config"]["world"]).camera == Camera((0.5, 0.1, 0.8), (0.55, 0.0, 0.0), 30.0)
    row = pq.read_table(out / "data" / "shard-00000.parquet", columns=["randomization"])["randomization"][0].as_py()
    assert all(3 <= factor <= 3.1 for factor in json.loads(row)["dynamics"]["mass"])
    (tmp_path / "mine.toml").write_text("[dynamics]\nmass = [1, 3.1]\n")
    assert main(["collect", str(out), *words, *files]) == 2


def test_attempts_replay_in_another_world_of_the_same_settings(whole: Path) -> None:
    view = open_dataset(whole).simulated()
    world = WORLDS["sim"](SETTINGS.world)
    policy = make_policy(SETTINGS.policy, SETTINGS.steps_per_attempt).policy
    for k in (9, 2):  # in another order, and without the attempts before
        attempt = run_attempt(world, policy, SETTINGS.seed, k, SETTINGS.steps_per_attempt, SETTINGS.attempts_per_scene)
        frames = slice(view.offsets[k], view.offsets[k + 1])
        assert view.poses is not None
        np.testing.assert_array_equal(view.images_before[k], attempt.image_before.transpose(2, 0, 1))
        np.testing.assert_array_equal(view.images[frames], np.stack(attempt.images).transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(view.masks[frames], attempt.masks)
        np.testing.assert_array_equal(view.poses[frames], attempt.poses)
        assert view.success[k] == attempt.outcome.success


def test_any_number_of_workers_gives_the_same_shards(tmp_path: Path, whole: Path) -> None:
    collect(tmp_path / "two", SETTINGS, attempts=12, workers=2)
    assert shards(tmp_path / "two") == shards(whole)


def test_an_extended_dataset_keeps_its_attempts(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "grown"
    collect(out, SETTINGS, attempts=6, workers=1)
    collect(out, SETTINGS, attempts=12, workers=1)
    assert shards(out) == shards(whole)


def test_the_success_shown_is_that_of_all_attempts(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    success = open_dataset(whole).simulated().success
    collect(tmp_path / "grown", SETTINGS, attempts=8, workers=1)
    collect(tmp_path / "grown", SETTINGS, attempts=12, workers=1)
    before, after = capsys.readouterr().err.splitlines()
    assert before.endswith(f" {success[:8].mean():.1%} of 8 succeeded")
    assert after.endswith(f" {success.mean():.1%} of 12 succeeded")


def test_resume_needs_something_to_resume(tmp_path: Path) -> None:
    words = ["collect", str(tmp_path / "out"), "--attempts", "4", "--image-size", "16", "--workers", "1"]
    assert main([*words, "--resume"]) == 2
    assert not (tmp_path / "out").exists()
    assert main(words) == 0
    before = shards(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "data")
    assert main([*words, "--resume"]) == 0
    assert shards(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("change", "attempts", "message"),
    [
        ({"seed": 1}, 12, "seed = 0"),
        ({"policy": PolicyChoice("random")}, 12, "policy.name = scripted"),
        ({}, 6, "would lose some: give 12 or more"),
    ],
)
def test_what_would_spoil_a_dataset_is_refused(whole: Path, change: dict, attempts: int, message: str) -> None:
    before = shards(whole)
    with pytest.raises(UserError, match=message) as refusal:
        collect(whole, replace(SETTINGS, **change), attempts, workers=1)
    assert "\n" not in str(refusal.value)
    assert shards(whole) == before


def test_a_disk_that_fills_up_costs_the_unfinished_shard_alone(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "full", os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "shard-00001.parquet":
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(UserError, match=r"shard-00001\.parquet: No space left"):
            collect(out, SETTINGS, attempts=12, workers=1)
    assert [path.name for path in (out / "data").iterdir()] == ["shard-00000.parquet"]
    collect(out, SETTINGS, attempts=12, workers=1)
    assert shards(out) == shards(whole)


def test_the_scripted_policy_is_refused_in_the_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*_: object) -> None:
        raise AssertionError("a picture was made")

    for method in ("prepare", "render"):
        monkeypatch.setattr(MitsubaRenderer, method, drawn)
    settings = CollectSettings(world=WorldChoice("standin"), policy=PolicyChoice("scripted"))
    with pytest.raises(UserError, match="no real cell"):
        collect(tmp_path / "x", settings, attempts=4, workers=1)
    with pytest.raises(UserError, match="no real cell"):
        evaluate(tmp_path / "x", TrialSettings(policy=PolicyChoice("scripted")), 4, Arm(), workers=1)
    assert not (tmp_path / "x").exists()


def kill_after(path: Path, command: list[str], most: float) -> None:
    """Start a command and kill it -9 at a random moment, at most `most` seconds after this file is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "graspgap.cli.main", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(path, process)
    time.sleep(np.random.default_rng().uniform(0, most))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert path.exists()


def wait_for(path: Path, process: subprocess.Popen[Any]) -> None:
    """Until the file is there, the process has ended, or two minutes are over."""
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_killed_collection_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    def command(out: Path) -> list[str]:
        words = ["collect", str(out), "--attempts", "60", "--image-size", "16", "--steps-per-attempt", "2"]
        return [*words, "--workers", "1", "--seed", "3"]

    first = tmp_path / "killed" / "data" / "shard-00000.parquet"
    kill_after(first, command(tmp_path / "killed"), most=0.3)
    written = first.stat().st_mtime_ns
    assert main(command(tmp_path / "killed")) == 0
    assert main(command(tmp_path / "whole")) == 0
    assert first.stat().st_mtime_ns == written
    assert len(shards(tmp_path / "whole")) == 2
    assert shards(tmp_path / "killed") == shards(tmp_path / "whole")


@pytest.mark.skipif(os.name != "posix", reason="kill sends no signal on Windows")
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIGINT])
def test_a_command_that_is_told_to_stop_ends_with_its_workers(tmp_path: Path, number: signal.Signals) -> None:
    words = ["collect", str(tmp_path / "out"), "--attempts", "4000", "--image-size", "16", "--workers", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "graspgap.cli.main", *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            wait_for(tmp_path / "out" / "data" / "shard-00000.parquet", process)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]  # a worker that is left would keep the pipe open
            assert said.splitlines()[-1].startswith("graspgap: stopped; run the same command again")
            assert process.returncode == 128 + number
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_killed_training_resumes_to_the_same_policy(tmp_path: Path, sim_data: Path, real_data: Path) -> None:
    def command(out: Path) -> list[str]:
        words = ["train", str(out), "--sim", str(sim_data), "--real", str(real_data), "--features", "consistency,dbn"]
        words += ["--image-size", "32", "--steps", "12", "--workers", "1", "--training.checkpoint-seconds", "0"]
        return [*words, "--training.batch", "2", "--training.recalibration", "1"]

    kill_after(tmp_path / "killed" / "checkpoint.safetensors", command(tmp_path / "killed"), most=0.1)
    assert main(command(tmp_path / "killed")) == 0
    assert main(command(tmp_path / "whole")) == 0
    for name in ("policy.safetensors", "held_out.json"):
        assert sha256(tmp_path / "killed" / name) == sha256(tmp_path / "whole" / name)


def test_an_interrupted_evaluation_resumes_to_the_same_records(tmp_path: Path) -> None:
    world = WorldChoice("sim", split="test", image_size=32)
    settings = TrialSettings(world, PolicyChoice("random"), seed=5)
    result = evaluate(tmp_path / "whole", settings, 15, Arm(), workers=1)
    assert [record.attempt for record in result.records] == list(range(15))
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    first, second = sorted((tmp_path / "cut" / "pieces").iterdir())
    first.unlink()
    (tmp_path / "cut" / "results.json").unlink()
    kept = second.stat().st_mtime_ns
    resumed = evaluate(tmp_path / "cut", settings, 15, Arm(), workers=1)
    assert second.stat().st_mtime_ns == kept
    for was, now in zip(result.records, resumed.records, strict=True):
        assert asdict(was) | {"seconds": 0} == asdict(now) | {"seconds": 0}
    (tmp_path / "whole" / "results.json").write_text("{")  # is made again of what was kept
    for out in ("cut", "whole"):
        with pytest.raises(UserError, match=r"holds 15 attempts, --attempts 14 would lose some: give 15 or more"):
            evaluate(tmp_path / out, settings, 14, Arm(), workers=1)
    mended = evaluate(tmp_path / "whole", settings, 15, Arm(), workers=1)
    assert mended.records == result.records
