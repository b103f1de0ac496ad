"""Datasets are described, checked, merged, split and sampled, and stay what they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import REAL, SIM, PaperWorld
from graspgap.cli.main import main
from graspgap.contract import GraspAttempt, WorldSpec
from graspgap.datasets import PictureRow, finish, open_dataset, shard_path, write_shard
from graspgap.datasets.check import verify
from graspgap.datasets.recombine import merge, sample, split
from graspgap.datasets.summary import summary
from graspgap.errors import UserError
from graspgap.files import sha256
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy, ScriptedPolicy

SMALL = replace(SIM, image_size=16)


def attempts(numbers: range, seed: int = 0, spec: WorldSpec = SMALL) -> list[GraspAttempt]:
    policy = ScriptedPolicy(2) if spec.has_state else RandomPolicy(2)
    return [run_attempt(PaperWorld(spec), policy, seed, k, steps=2, per_scene=4) for k in numbers]


def make(folder: Path, seed: int = 0, spec: WorldSpec = SMALL, numbers: range = range(24)) -> Path:
    """Shards of 10 attempts, four attempts to a scene."""
    starts = range(0, len(numbers), 10)
    for index, start in enumerate(starts):
        write_shard(folder, index, attempts(numbers[start : start + 10], seed, spec), f"seed {seed}")
    finish(folder, {"world": {"randomize": "none", "objects": ""}, "seed": seed}, spec, len(starts))
    return folder


@pytest.fixture(scope="module")
def zero(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("zero") / "data")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("one") / "data", seed=1)


def stored(folder: Path) -> list[dict[str, Any]]:
    """All rows as they are on the disk, by seed and attempt."""
    rows = [row for path in sorted((folder / "data").iterdir()) for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["seed"], row["attempt"]))


def scenes(folder: Path) -> set[tuple[int, int]]:
    return {(row["seed"], row["scene"]) for row in stored(folder)}


def test_info_says_which_policy_made_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = attempts(range(12))
    rows[:4] = [replace(row, policy="servo:first") for row in rows[:4]]
    write_shard(tmp_path, 0, rows[:5])
    write_shard(tmp_path, 1, rows[5:])
    finish(tmp_path, {"world": {"randomize": "both", "objects": ""}, "seed": 0}, SMALL, 2)
    assert main(["dataset", "info", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    wins = [row.outcome.success for row in rows]
    assert facts["policies"] == [
        {"policy": "scripted", "attempts": 8, "successes": sum(wins[4:])},
        {"policy": "servo:first", "attempts": 4, "successes": sum(wins[:4])},
    ]
    assert facts["made_from"] == [{"path": str(tmp_path), "settings": {"world.randomize": "both", "seed": 0}}]
    assert facts["bytes"] == sum(path.stat().st_size for path in (tmp_path / "data").iterdir())
    assert (facts["pictures"], facts["successes"]) == (36, sum(wins))
    assert main(["dataset", "info", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "36 of 16 x 16 pixels" in table
    assert "world.randomize both" in table


def test_info_of_unlabelled_pictures_claims_no_success(tmp_path: Path) -> None:
    (row,) = attempts(range(1))
    write_shard(tmp_path, 0, [PictureRow(0, 0, row.image_before, row.images, "camera")])
    finish(tmp_path, {}, replace(REAL, image_size=16), 1)
    facts = summary(tmp_path)
    assert facts["successes"] is None
    assert facts["policies"] == [{"policy": "unknown", "attempts": 1, "successes": None}]


def test_a_sound_dataset_passes(zero: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "verify", str(zero)]) == 0
    assert "24 attempts and 3 shards, all whole" in capsys.readouterr().out


def test_every_damaged_shard_is_counted_and_the_first_named(
    tmp_path: Path, zero: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(zero, tmp_path / "copy")
    shard_path(copy, 1).write_bytes(shard_path(copy, 1).read_bytes()[:-9])
    shard_path(copy, 2).unlink()
    assert main(["dataset", "verify", str(copy)]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("graspgap: "))
    assert "2 of 3 shards" in line
    assert "shard-00001.parquet is damaged" in line


def spoil(folder: Path, change: dict[str, Any]) -> Path:
    """A dataset whose hashes are right and whose first shard has other columns."""
    (first, *rest) = attempts(range(10))
    write_shard(folder, 0, [replace(first, **change), *rest])
    write_shard(folder, 1, attempts(range(10, 20)))
    finish(folder, {}, SMALL, 2)
    return folder


def test_verify_looks_into_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="more than once, first attempt 15 of seed 0"):
        verify(spoil(tmp_path / "twice", {"attempt": 15}))
    larger = attempts(range(1), spec=SIM)[0]
    pictures = {"image_before": larger.image_before, "images": larger.images}
    masks = {"mask_before": larger.mask_before, "masks": larger.masks}
    monkeypatch.setattr("graspgap.datasets.writer.decode_picture", lambda _: np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r"1 of 2 shards.*shard-00000.*shape \(3, 32, 32\)"):
        verify(spoil(tmp_path / "larger", pictures | masks))
    monkeypatch.setattr("graspgap.datasets.schema.encode_png", lambda _: b"no picture")
    with pytest.raises(UserError, match=r"2 of 2 shards.*not a PNG"):
        verify(spoil(tmp_path / "broken", {}))


def test_verify_names_a_shard_that_meta_json_does_not_know(tmp_path: Path, zero: Path) -> None:
    copy = shutil.copytree(zero, tmp_path / "copy")
    shutil.copy(shard_path(copy, 0), shard_path(copy, 7))
    with pytest.raises(UserError, match=r"shard-00007.parquet is not in meta.json"):
        verify(copy)


def test_a_merged_dataset_has_the_shards_of_all(tmp_path: Path, zero: Path, one: Path) -> None:
    meta = merge(tmp_path / "both", [zero, one])
    verify(tmp_path / "both")
    assert [sha256(shard_path(tmp_path / "both", k)) for k in range(6)] == [
        sha256(shard_path(folder, k)) for folder in (zero, one) for k in range(3)
    ]
    assert (meta["attempts"], meta["scenes"]) == (48, 12)
    assert [origin["path"] for origin in meta["config"]["made_from"]] == [str(zero), str(one)]
    assert meta["config"]["made_from"][1]["meta_sha256"] == sha256(one / "meta.json")
    seeds = [origin["settings"]["seed"] for origin in summary(tmp_path / "both")["made_from"]]
    assert seeds == [0, 1]


def test_a_broken_off_merge_copies_what_is_missing(tmp_path: Path, zero: Path, one: Path) -> None:
    merge(tmp_path / "both", [zero, one])
    meta = (tmp_path / "both" / "meta.json").read_bytes()
    kept, gone, cut = (shard_path(tmp_path / "both", k) for k in (0, 1, 4))
    gone.unlink()
    cut.write_bytes(b"half")
    (tmp_path / "both" / "meta.json").unlink()
    was = kept.stat().st_mtime_ns
    merge(tmp_path / "both", [zero, one])
    assert kept.stat().st_mtime_ns == was
    assert (tmp_path / "both" / "meta.json").read_bytes() == meta
    verify(tmp_path / "both")


def test_what_does_not_fit_together_is_not_merged(tmp_path: Path, zero: Path, one: Path) -> None:
    camera = replace(SMALL.camera, fov=30.0)
    for change, words in [
        ({"image_size": 32}, "image_size = 16.*image_size = 32"),
        ({"name": "other"}, "world = paper.*world = other"),
        ({"camera": camera}, "camera = .*22.0.*camera = .*30.0"),
        ({"is_reality": True}, "is_reality = False.*is_reality = True"),
        ({"has_masks": False}, "has_masks = True.*has_masks = False"),
    ]:
        other = make(tmp_path / next(iter(change)), 5, replace(SMALL, **change), range(4))
        with pytest.raises(UserError, match=f"{zero} has {words}"):
            merge(tmp_path / "out", [zero, other])
    part = make(tmp_path / "part", numbers=range(23, 27))
    with pytest.raises(UserError, match=f"{zero} and {part} both hold attempt 23 of seed 0"):
        merge(tmp_path / "out", [zero, one, part])
    with pytest.raises(UserError, match="at least 2"):
        merge(tmp_path / "out", [zero])
    assert not (tmp_path / "out").exists()


def test_a_damaged_shard_is_not_merged(tmp_path: Path, zero: Path, one: Path) -> None:
    copy = shutil.copytree(zero, tmp_path / "copy")
    data = bytearray(shard_path(copy, 1).read_bytes())
    data[len(data) // 3] ^= 1
    shard_path(copy, 1).write_bytes(data)
    with pytest.raises(UserError, match=r"copy.*shard-00001.parquet is damaged"):
        merge(tmp_path / "out", [one, copy])


def test_a_split_shares_no_scene_and_loses_nothing(tmp_path: Path, zero: Path, one: Path) -> None:
    both = tmp_path / "both"
    merge(both, [zero, one])
    first, second = split(tmp_path / "a", tmp_path / "b", both, fraction=0.75)
    assert (first["scenes"], second["scenes"]) == (9, 3)
    assert not scenes(tmp_path / "a") & scenes(tmp_path / "b")
    parts = stored(tmp_path / "a") + stored(tmp_path / "b")
    assert sorted(parts, key=lambda row: (row["seed"], row["attempt"])) == stored(both)
    for name in "ab":
        verify(tmp_path / name)
    assert {shard["rows"] for shard in first["shards"][:-1]} == {10}
    split(tmp_path / "c", tmp_path / "d", both, fraction=0.75, seed=1)
    assert scenes(tmp_path / "c") != scenes(tmp_path / "a")
    assert merge(tmp_path / "again", [tmp_path / "a", tmp_path / "b"])["scenes"] == 12


def test_samples_are_nested_and_resume(tmp_path: Path, zero: Path) -> None:
    sample(tmp_path / "small", zero, 7)
    meta = sample(tmp_path / "large", zero, 15)
    numbers = [{row["attempt"] for row in stored(tmp_path / name)} for name in ("small", "large")]
    assert [len(each) for each in numbers] == [7, 15]
    assert numbers[0] < numbers[1]
    assert meta["config"]["made_from"][0]["attempts"] == 15
    bytes_before = sha256(shard_path(tmp_path / "large", 1))
    kept = shard_path(tmp_path / "large", 0).stat().st_mtime_ns
    shard_path(tmp_path / "large", 1).unlink()
    sample(tmp_path / "large", zero, 15)
    assert sha256(shard_path(tmp_path / "large", 1)) == bytes_before
    assert shard_path(tmp_path / "large", 0).stat().st_mtime_ns == kept
    with pytest.raises(UserError, match=r"made_from\[0\]"):
        sample(tmp_path / "large", zero, 16)


def test_reality_stays_reality(tmp_path: Path) -> None:
    spec = replace(REAL, image_size=16)
    real = make(tmp_path / "real", spec=spec)
    other = make(tmp_path / "other", 1, spec)
    merge(tmp_path / "merged", [real, other])
    split(tmp_path / "a", tmp_path / "b", real, 0.5)
    sample(tmp_path / "sample", real, 5)
    for name in ("merged", "a", "b", "sample"):
        data = open_dataset(tmp_path / name)
        assert data.meta["is_reality"]
        with pytest.raises(UserError, match="counts as reality"):
            data.simulated()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("split", "A", "B", "zero", "--fraction", "1"), "between 0 and 1"),
        (("split", "A", "A", "zero"), "both sides"),
        (("split", "A", "B", "zero", "--by", "scenes"), "did you mean 'scene'"),
        (("split", "A", "B", "zero", "--seed", "-1"), "--seed -1"),
        (("sample", "A", "zero", "--attempts", "25"), "holds 24 attempts"),
        (("sample", "A", "zero", "--attempts", "0"), "--attempts 0"),
        (("merge", "A", "zero", "nowhere"), "nowhere is no folder"),
        (("info", "nowhere"), "nowhere is no folder"),
        (("inf", "zero"), "did you mean 'info'"),
        ((), "needs one of info, verify, merge, split, sample"),
    ],
)
def test_wrong_words_get_one_line(
    words: tuple[str, ...], hint: str, tmp_path: Path, zero: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"zero": zero, "A": tmp_path / "a", "B": tmp_path / "b"}
    assert main(["dataset", *(str(places.get(word, word)) for word in words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert hint in line
    assert not list(tmp_path.iterdir())
