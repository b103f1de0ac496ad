"""Collection, training and evaluation survive a kill and end with the same result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graspgap.collection.collect import CollectSettings, collect
from graspgap.collection.policies import PolicyChoice
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.evaluation.results import EvaluationResult
from graspgap.evaluation.trials import Arm, TrialSettings, evaluate
from graspgap.files import sha256
from graspgap.worlds.catalog import WorldChoice

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


def test_any_number_of_workers_gives_the_same_shards(tmp_path: Path, whole: Path) -> None:
    collect(tmp_path / "two", SETTINGS, attempts=12, workers=2)
    assert shards(tmp_path / "two") == shards(whole)


def test_an_extended_dataset_keeps_its_attempts(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "grown"
    collect(out, SETTINGS, attempts=6, workers=1)
    collect(out, SETTINGS, attempts=12, workers=1)
    assert shards(out) == shards(whole)


def test_other_settings_are_refused(whole: Path) -> None:
    with pytest.raises(UserError, match="seed = 0"):
        collect(whole, replace(SETTINGS, seed=1), attempts=12, workers=1)


def test_the_scripted_policy_is_refused_in_the_stand_in(tmp_path: Path) -> None:
    settings = CollectSettings(world=WorldChoice("standin"), policy=PolicyChoice("scripted"))
    with pytest.raises(UserError, match="no real cell"):
        collect(tmp_path / "x", settings, attempts=4, workers=1)
    assert not (tmp_path / "x").exists()


def kill_when(condition: Path, pattern: str, command: list[str]) -> None:
    """Start a command and kill it -9 as soon as a file of this pattern is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "graspgap.cli.main", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(condition.glob(pattern)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def run(command: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "graspgap.cli.main", *command], check=True, capture_output=True)


def test_a_killed_collection_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    def command(out: Path) -> list[str]:
        return ["collect", str(out), "--attempts", "120", "--image-size", "16", "--workers", "1", "--seed", "3"]

    kill_when(tmp_path / "killed", "data/shard-00000.parquet", command(tmp_path / "killed"))
    assert not (tmp_path / "killed" / "meta.json").exists()
    run(command(tmp_path / "killed"))
    run(command(tmp_path / "whole"))
    assert len(shards(tmp_path / "whole")) == 3
    assert shards(tmp_path / "killed") == shards(tmp_path / "whole")


def test_a_killed_training_resumes_to_the_same_policy(tmp_path: Path, sim_data: Path, real_data: Path) -> None:
    def command(out: Path) -> list[str]:
        words = ["train", str(out), "--sim", str(sim_data), "--real", str(real_data), "--features", "consistency,dbn"]
        words += ["--image-size", "32", "--steps", "40", "--workers", "1", "--training.checkpoint-seconds", "0"]
        return [*words, "--training.batch", "4", "--training.recalibration", "2"]

    kill_when(tmp_path / "killed", "checkpoint.safetensors", command(tmp_path / "killed"))
    assert not (tmp_path / "killed" / "policy.safetensors").exists()
    run(command(tmp_path / "killed"))
    run(command(tmp_path / "whole"))
    for name in ("policy.safetensors", "held_out.json"):
        assert sha256(tmp_path / "killed" / name) == sha256(tmp_path / "whole" / name)


def test_an_interrupted_evaluation_resumes_to_the_same_records(tmp_path: Path) -> None:
    world = WorldChoice("sim", split="test", image_size=32)
    settings = TrialSettings(world, PolicyChoice("random"), seed=5)

    def outcomes(result: EvaluationResult) -> list[tuple[object, ...]]:
        return [(r.attempt, r.scene, r.success, r.object_name, r.steps) for r in result.records]

    whole_result = evaluate(tmp_path / "whole", settings, 15, Arm(), workers=1)
    evaluate(tmp_path / "cut", settings, 15, Arm(), workers=1)
    pieces = sorted((tmp_path / "cut" / "pieces").iterdir())
    assert len(pieces) == 2
    pieces[0].unlink()
    (tmp_path / "cut" / "results.json").unlink()
    assert outcomes(evaluate(tmp_path / "cut", settings, 15, Arm(), workers=1)) == outcomes(whole_result)
