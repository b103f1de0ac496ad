"""Replay: equal bit for bit in every world, and what differs is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from graspgap.cli.main import main
from graspgap.collection.collect import CollectSettings, collect
from graspgap.collection.policies import PolicyChoice
from graspgap.collection.replay import replay, require_equal
from graspgap.contract import Camera
from graspgap.datasets.recombine import merge
from graspgap.errors import UserError
from graspgap.worlds.catalog import WorldChoice
from graspgap.worlds.randomization import preset
from graspgap.worlds.standin_names import STANDINS


def collected(out: Path, world: str = "sim", policy: str = "scripted", seed: int = 0, attempts: int = 3) -> Path:
    preset = "none" if world in STANDINS else "heavy"
    choice = WorldChoice(world, randomize=preset, image_size=32, layers=world == "sim")
    settings = CollectSettings(choice, PolicyChoice(policy), seed, attempts_per_scene=2, attempts_per_shard=2)
    collect(out, settings, attempts, workers=1)
    return out


@pytest.mark.parametrize("world", ["sim", "bullet", "standin", "standin2"])
def test_an_attempt_replays_bit_for_bit(tmp_path: Path, world: str, capsys: pytest.CaptureFixture[str]) -> None:
    if world in ("bullet", "standin2"):
        pytest.importorskip("pybullet")
    data = collected(tmp_path / "data", world, "random" if world in STANDINS else "scripted")
    capsys.readouterr()
    assert main(["replay", str(data), "2", "--out", str(tmp_path / "strip.png")]) == 0
    assert "equal bit for bit" in capsys.readouterr().out
    assert (tmp_path / "strip.png").stat().st_size > 1000


def test_a_record_that_was_changed_is_found_out(tmp_path: Path) -> None:
    data = collected(tmp_path / "data")
    result = replay(data, 1)
    assert result.differences == []
    changed = dict(result.recorded, success=not result.recorded["success"], poses=[[0.0] * 4] * 4)
    with pytest.raises(UserError, match=r"attempt 1 of .* came out differently in poses, success: use the versions"):
        require_equal(type(result)(changed, result.again), data)


def test_a_merged_dataset_knows_how_each_attempt_was_made(tmp_path: Path) -> None:
    merge(tmp_path / "both", [collected(tmp_path / "a"), collected(tmp_path / "b", policy="random", seed=7)])
    with pytest.raises(UserError, match="2 attempts with number 1: add --seed, one of 0, 7"):
        replay(tmp_path / "both", 1)
    for seed, policy in ((0, "scripted"), (7, "random")):
        result = replay(tmp_path / "both", 1, seed)
        assert result.recorded["policy"] == policy
        assert result.differences == []
    with pytest.raises(UserError, match="holds no attempts with number 9: it has 6 attempts"):
        replay(tmp_path / "both", 9)


def test_what_was_not_collected_is_not_made_again(sim_data: Path) -> None:
    with pytest.raises(UserError, match="were not collected by graspgap"):
        replay(sim_data, 1)


def test_a_policy_that_is_gone_is_named(tmp_path: Path) -> None:
    data = collected(tmp_path / "data", attempts=1)
    meta = (data / "meta.json").read_text()
    (data / "meta.json").write_text(meta.replace('"name": "scripted"', '"name": "runs/gone"'))
    with pytest.raises(UserError, match="runs/gone"):
        replay(data, 0)
    assert pq.read_table(data / "data" / "shard-00000.parquet").num_rows == 1


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("world", {"colour": "red"}, r"key of \[world\] in it 'colour' is unknown"),
        ("world", {"image_size": "32"}, r"'image_size' in \[world\] in it is '32', expected whole number"),
        ("world", {"ranges": {"looks": {}}}, r"key of \[ranges\] in \[world\] in it 'looks' is unknown"),
        ("world", {"camera": {"position": [1.0]}}, r"'position' in \[camera\] .* expected a list of 3 numbers"),
        ("world", {"camera": 3}, r"'camera' in \[world\] in it is 3, expected a table"),
        ("policy", {"noise": None}, r"'noise' in \[policy\] in it is None, expected number"),
        ("", {"world": 3}, "'world' in it is 3, expected a table"),
        ("", {"steps_per_attempt": "4"}, "'steps_per_attempt' in it is '4', expected whole number"),
        ("", {"steps": 4}, "key of it 'steps' is unknown"),
    ],
)
def test_settings_of_another_version_are_refused(
    tmp_path: Path, part: str, changes: dict[str, Any], words: str
) -> None:
    data = collected(tmp_path / "data", attempts=1)
    meta = json.loads((data / "meta.json").read_text())
    (meta["config"][part] if part else meta["config"]).update(changes)
    (data / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match=rf"the record of how .*data was made is damaged \(.*{words}.*\): replay it"):
        replay(data, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attempts_per_scene": 0}, "0 attempts start from each scene: expected"),
        ({"world": {"name": "lerobot", "settings": "{"}}, "the settings of world 'lerobot' are no table of JSON"),
        ({"world": {"name": "lerobot", "settings": "[]"}}, "the settings of world 'lerobot' are no table of JSON"),
    ],
)
def test_settings_that_make_no_attempt_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    data = collected(tmp_path / "data", attempts=1)
    meta = json.loads((data / "meta.json").read_text())
    meta["config"].update(changes)
    (data / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match=words):
        replay(data, 0)


def test_ranges_and_a_camera_in_a_record_are_taken(tmp_path: Path) -> None:
    out = tmp_path / "data"
    world = WorldChoice("sim", image_size=32, camera=Camera(fov=30.0), ranges=preset("heavy"))
    collect(out, CollectSettings(world, PolicyChoice("random"), attempts_per_scene=2), 1, workers=1)
    assert replay(out, 0).differences == []


@pytest.mark.parametrize("changes", [{}, {"attempts": "3"}])
def test_a_collection_with_damaged_facts_says_how_to_go_on(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = collected(tmp_path / "data") / "meta.json"
    made = path.read_text()
    path.write_text(json.dumps(changes))
    with pytest.raises(UserError, match=r"meta\.json is damaged .*'attempts'.*: delete it and run the same"):
        collected(tmp_path / "data")
    path.unlink()
    collected(tmp_path / "data")
    assert json.loads(path.read_text()) == json.loads(made)
