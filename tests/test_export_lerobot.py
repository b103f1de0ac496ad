from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import PaperWorld
from graspgap.cli.main import main
from graspgap.contract import command_between
from graspgap.datasets import export_lerobot as module
from graspgap.datasets import open_dataset
from graspgap.datasets.export_lerobot import LerobotExport, export_lerobot
from graspgap.datasets.import_lerobot import LerobotMapping, import_lerobot
from graspgap.datasets.lerobot_layout import BEFORE, NOW, SUCCESS, TARGET
from graspgap.datasets.lerobot_stats import levels, of_levels, of_parts, of_values
from graspgap.datasets.mapping import read_mapping
from graspgap.datasets.schema import PictureRow
from graspgap.datasets.targets import target_of
from graspgap.datasets.writer import ImportedSpec, finish, write_shard
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy

IMAGES = LerobotExport(images=True)


def labelled(folder: Path, shards: tuple[int, ...] = (5, 4, 6)) -> Path:
    """Attempts of 1 to 4 steps, in shards of these many rows."""
    first = 0
    for index, rows in enumerate(shards):
        numbers = range(first, first + rows)
        attempts = [run_attempt(PaperWorld(), RandomPolicy(1 + k % 4), 3, k, per_scene=4) for k in numbers]
        write_shard(folder, index, [replace(one, predicted=[0.25] * len(one.images)) for one in attempts])
        first += rows
    finish(folder, {"seed": 3}, PaperWorld().spec, len(shards))
    return folder


def unlabelled(folder: Path, poses: bool) -> Path:
    generator = np.random.default_rng(0)
    rows = []
    for k, length in enumerate([3, 1, 5]):
        images = [generator.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(length + 1)]
        places = generator.uniform(-1, 1, (length, 4)).astype(np.float32) if poses else None
        rows.append(PictureRow(k, k // 2, images[0], images[1:], "bare", places))
    write_shard(folder, 0, rows)
    finish(folder, {}, ImportedSpec("bare", 32), 1)
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return labelled(tmp_path_factory.mktemp("source") / "data")


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory) -> Path:
    """In three parts."""
    out = tmp_path_factory.mktemp("exported") / "out"
    export_lerobot(source, out, IMAGES, part_mb=0)
    return out


def back(folder: Path, out: Path) -> Path:
    import_lerobot(folder, out, read_mapping(folder / "meta/graspgap.toml", LerobotMapping))
    return out


def same(first: Path, second: Path, labels: bool = True) -> None:
    mine, other = (
        open_dataset(one).labelled(1.0) if labels else open_dataset(one).unlabelled() for one in (first, second)
    )
    names = ("images_before", "images", "owner", "poses", "commands", "scenes", *(("success",) if labels else ()))
    for name in names:
        np.testing.assert_array_equal(getattr(mine, name), getattr(other, name), err_msg=name)


def test_a_labelled_dataset_comes_back_bit_for_bit(source, exported, tmp_path):
    same(source, back(exported, tmp_path / "back"))


@pytest.mark.parametrize("poses", [True, False])
def test_an_unlabelled_dataset_comes_back_bit_for_bit(tmp_path, poses):
    source = unlabelled(tmp_path / "in", poses)
    info = export_lerobot(source, tmp_path / "out", IMAGES)
    assert (SUCCESS in info["features"], "action" in info["features"]) == (False, poses)
    same(source, back(tmp_path / "out", tmp_path / "back"), labels=False)
    before = json.loads((tmp_path / "out/meta/stats.json").read_text())[BEFORE]
    view = open_dataset(source).unlabelled()
    frames = view.images_before[view.owner] / 255  # the same picture in each frame of an episode
    np.testing.assert_allclose(np.ravel(before["mean"]), frames.mean(axis=(0, 2, 3)))
    assert before["count"] == [9]


def test_videos_come_back_frame_for_frame_within_the_loss_of_the_codec(source, tmp_path):
    pytest.importorskip("av", reason="extra recordings")
    export_lerobot(source, tmp_path / "out", LerobotExport(), part_mb=0)
    mine = open_dataset(source).labelled(1.0)
    other = open_dataset(back(tmp_path / "out", tmp_path / "back")).labelled(1.0)
    np.testing.assert_array_equal(mine.commands, other.commands)
    for name in ("images_before", "images"):
        first, second = (getattr(one, name).astype(float) for one in (mine, other))
        errors = np.abs(first[:, None] - second[None]).mean(axis=(2, 3, 4))  # every frame beside every other
        assert errors.diagonal().max() < 6
        different = (first[:, None] != first[None]).any(axis=(2, 3, 4))
        assert (errors.diagonal() < np.where(different, errors, np.inf).min(axis=1)).all()


def test_other_programs_read_the_layout(source, exported):
    info = json.loads((exported / "meta/info.json").read_text())
    frames = len(open_dataset(source).labelled(1.0).images)
    assert (info["codebase_version"], info["total_episodes"], info["total_frames"]) == ("v3.0", 15, frames)
    assert info["video_path"] is None
    rows = datasets.Dataset.from_parquet(
        [str(path) for path in sorted(exported.glob("data/*/*.parquet"))], keep_in_memory=True
    )
    assert set(rows.column_names) == info["features"].keys()
    assert rows["index"][:] == list(range(frames))
    assert rows[0][NOW].size == (32, 32)
    assert rows["timestamp"][:6] == [0, 0, 0.25, 0, 0.25, 0.5]
    tasks = pandas.read_parquet(exported / "meta/tasks.parquet")
    assert tasks.iloc[0].name == "grasp an object in the bin"
    assert tasks.loc["grasp an object in the bin"].task_index == 0
    episodes = pa.concat_tables(
        [pq.read_table(path, partitioning=None) for path in sorted(exported.glob("meta/episodes/*/*"))]
    ).to_pylist()
    assert [episode["data/file_index"] for episode in episodes] == [0] * 5 + [1] * 4 + [2] * 6
    assert episodes[6]["dataset_from_index"] == episodes[5]["dataset_to_index"]
    assert [episode["scene"] for episode in episodes] == [k // 4 for k in range(15)]
    assert (episodes[7]["attempt"], episodes[7]["seed"], episodes[7]["world"]) == (7, 3, "paper")
    assert episodes[7]["predicted"] == [0.25] * episodes[7]["length"]
    ends = [row[SUCCESS] for row in rows if row["next.done"]]
    assert ends == [episode["success"] for episode in episodes]
    assert sum(rows[SUCCESS]) == sum(ends)


def test_statistics_are_those_of_the_values(source, exported):
    stats = json.loads((exported / "meta/stats.json").read_text())
    view = open_dataset(source).labelled(1.0)
    for name, values in (("observation.state", view.poses), ("action", view.commands)):
        found, values = stats[name], values.astype(np.float64)
        assert found["count"] == [len(values)]
        for what in ("min", "max", "mean", "std"):
            np.testing.assert_allclose(found[what], getattr(values, what)(axis=0), atol=1e-12)
        exactly = np.quantile(values, 0.1, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(found["q10"], exactly, atol=1e-3)
    pictures = view.images / 255
    now = stats[NOW]
    assert np.shape(now["mean"]) == (3, 1, 1)
    np.testing.assert_allclose(np.ravel(now["mean"]), pictures.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(np.ravel(now["std"]), pictures.std(axis=(0, 2, 3)))


@given(st.integers(0, 2**31), st.integers(1, 40))
def test_quantiles_of_parts_are_those_of_the_whole(seed: int, rows: int) -> None:
    values = np.random.default_rng(seed).normal(size=(rows * 3, 2)) * [1, 1000]
    found, exact = of_parts(lambda: np.split(values, 3)), of_values(values)
    for what in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(found[what], exact[what], rtol=1e-9)
    for what, share in (("q10", 0.1), ("q50", 0.5), ("q99", 0.99)):
        exactly = np.quantile(values, share, axis=0, method="inverted_cdf")
        assert (np.abs(found[what] - exactly) <= np.ptp(values, axis=0) / 4096 + 1e-9).all()


def test_levels_tell_what_pictures_hold():
    picture = np.random.default_rng(1).integers(3, 200, (8, 8, 3)).astype(np.uint8)
    found, values = of_levels(levels(picture), 1), picture.reshape(-1, 3) / 255
    for what in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(np.ravel(found[what]), getattr(values, what)(axis=0))
    np.testing.assert_allclose(np.ravel(found["q90"]), np.quantile(values, 0.9, axis=0, method="inverted_cdf"))


@given(st.integers(0, 2**31), st.integers(1, 10))
def test_the_target_makes_each_command_again(seed: int, steps: int) -> None:
    generator = np.random.default_rng(seed)
    poses = generator.uniform((0.4, -0.1, 0, -1.57), (0.7, 0.1, 0.3, 1.57), (steps, 4)).astype(np.float32)
    target = generator.uniform((0.4, -0.1, 0, -1.57), (0.7, 0.1, 0.3, 1.57)).astype(np.float32)
    if seed % 3 == 0:
        poses[-1] = target
    commands = command_between(poses, target)
    np.testing.assert_array_equal(command_between(poses, target_of(poses, commands)), commands)


@pytest.mark.parametrize("images", [True, False])
def test_a_killed_export_goes_on_and_nobody_opens_half_of_one(source, exported, tmp_path, monkeypatch, images):
    if not images:
        pytest.importorskip("av", reason="extra recordings")
    out, config, written = tmp_path / "out", LerobotExport(images=images), []
    write = module._Export.write

    def dies(self, part, advance):
        """In the second part, after three attempts."""

        def step(count: int) -> None:
            written.append(part.index)
            if written.count(1) == 3:
                raise KeyboardInterrupt
            advance(count)

        write(self, part, step)

    monkeypatch.setattr(module._Export, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        export_lerobot(source, out, config, part_mb=0)
    assert not (out / "meta/info.json").exists()
    assert [path.name for path in out.rglob("*.parquet")] == ["file-000.parquet"] * 2
    assert [path.name for path in out.rglob("*.tmp")] == []
    with pytest.raises(UserError, match="not a LeRobotDataset"):
        import_lerobot(out, tmp_path / "back", LerobotMapping())
    started = []
    monkeypatch.setattr(
        module._Export, "write", lambda self, part, advance: started.append(part.index) or write(self, part, advance)
    )
    export_lerobot(source, out, config, part_mb=0)
    assert started == [1, 2]
    if images:
        for path in exported.rglob("*.parquet"):
            assert path.read_bytes() == (out / path.relative_to(exported)).read_bytes()
    export_lerobot(source, out, config, part_mb=0)
    assert started == [1, 2]


def test_a_finished_export_that_lost_a_file_makes_it_again(exported, source, tmp_path):
    copy = shutil.copytree(exported, tmp_path / "out")
    (copy / "data/chunk-000/file-001.parquet").unlink()
    export_lerobot(source, copy, IMAGES, part_mb=0)
    assert (copy / "data/chunk-000/file-001.parquet").read_bytes() == (
        exported / "data/chunk-000/file-001.parquet"
    ).read_bytes()


def test_other_folders_and_other_sources_are_refused(source, exported, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        export_lerobot(source, tmp_path / "full", IMAGES)
    with pytest.raises(UserError, match="was begun with task"):
        export_lerobot(source, exported, replace(IMAGES, task="push"), part_mb=0)
    changed = labelled(tmp_path / "changed", (3,))
    export_lerobot(changed, tmp_path / "out", IMAGES)
    shutil.rmtree(changed)
    labelled(changed, (2,))
    with pytest.raises(UserError, match="was begun with meta_sha256"):
        export_lerobot(changed, tmp_path / "out", IMAGES)
    with pytest.raises(UserError, match="not a graspgap dataset"):
        export_lerobot(exported, tmp_path / "new", IMAGES)


def test_odd_pictures_are_no_video(tmp_path):
    pytest.importorskip("av", reason="extra recordings")
    write_shard(
        tmp_path / "in",
        0,
        [PictureRow(0, 0, *(np.zeros((2, 33, 33, 3), np.uint8)[:1]), [np.zeros((33, 33, 3), np.uint8)], "bare")],
    )
    finish(tmp_path / "in", {}, ImportedSpec("bare", 33), 1)
    with pytest.raises(UserError, match="33 pixels, which is odd: give --images"):
        export_lerobot(tmp_path / "in", tmp_path / "out", LerobotExport())
    assert not (tmp_path / "out").exists()


def test_the_command_says_how_to_read_it_back(source, tmp_path, capsys):
    assert main(["export", "lerobot", str(source), str(tmp_path / "out"), "--images", "--fps", "2"]) == 0
    assert "15 episodes" in capsys.readouterr().out
    assert main(["export", "lerobot", str(source), str(tmp_path / "no"), "--images", "--fps", "0"]) == 2
    mapping = str(tmp_path / "out/meta/graspgap.toml")
    assert main(["import", "lerobot", str(tmp_path / "out"), str(tmp_path / "back"), "--mapping", mapping]) == 0
    same(source, tmp_path / "back")


def test_a_scene_that_is_no_number_is_refused(exported, tmp_path):
    mapping = read_mapping(exported / "meta/graspgap.toml", LerobotMapping)
    for name, words in (("world", "expected a number from 0"), ("sceen", "did you mean 'scene'")):
        with pytest.raises(UserError, match=words):
            import_lerobot(exported, tmp_path / "out", replace(mapping, scene=name))
    with pytest.raises(UserError, match=r"camera .* is unknown"):
        import_lerobot(exported, tmp_path / "out", replace(mapping, before=TARGET))
