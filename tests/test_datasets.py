import errno
import json
import resource
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graspgap.contract import Camera, GraspAttempt, GraspOutcome, Workspace, WorldSpec
from graspgap.datasets.reader import open_dataset
from graspgap.datasets.schema import COLUMNS, PictureRow, arrow_schema
from graspgap.datasets.writer import config_hash, finish, shard_done, write_shard
from graspgap.errors import UserError
from graspgap.files import write_json

SIZE = 16
SIM = WorldSpec("sim", SIZE, Workspace(), Camera(), has_masks=True, has_state=True, is_reality=False)
REAL = WorldSpec("standin", SIZE, Workspace(), Camera(), has_masks=False, has_state=False, is_reality=True)


def attempt(k: int, masks: bool = True, size: int = SIZE) -> GraspAttempt:
    """Attempt k, of 2 to 4 steps, 5 attempts in a scene."""
    rng = np.random.default_rng(k)
    steps = 2 + k % 3
    mask = [rng.integers(0, 4, (size, size), dtype=np.uint8) for _ in range(steps + 1)]
    return GraspAttempt(
        seed=3,
        attempt=k,
        scene=k // 5,
        image_before=rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
        images=[rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(steps)],
        poses=rng.normal(size=(steps, 4)).astype(np.float32),
        target=(rng.normal(size=(steps, 4)).astype(np.float32))[-1],
        outcome=GraspOutcome(success=k % 3 == 0, object_name="cup" if k % 3 == 0 else None),
        world="sim",
        policy="random",
        objects=["cup", "box"],
        randomization={"friction": np.float32(0.5), "light": np.ones(2)},
        mask_before=mask[0] if masks else None,
        masks=mask[1:] if masks else None,
        predicted=[0.25] * steps if k % 2 else None,
    )


def write(folder: Path, count: int = 40, spec: WorldSpec = SIM, per_shard: int = 16) -> list[GraspAttempt]:
    rows = [attempt(k, masks=spec.has_masks) for k in range(count)]
    starts = range(0, count, per_shard)
    for index, start in enumerate(starts):
        write_shard(folder, index, rows[start : start + per_shard], "settings")
    finish(folder, {"seed": 3}, spec, len(starts))
    return rows


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[GraspAttempt]]:
    folder = tmp_path_factory.mktemp("sim")
    return folder, write(folder)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[GraspAttempt]]:
    folder = tmp_path_factory.mktemp("real")
    return folder, write(folder, spec=REAL)


def unlabelled_pictures(folder: Path, count: int = 3) -> Path:
    rows = [attempt(k) for k in range(count)]
    write_shard(folder, 0, [PictureRow(r.attempt, r.scene, r.image_before, r.images, "camera") for r in rows])
    finish(folder, {}, REAL, 1)
    return folder


def test_schema_is_what_hugging_face_itself_would_write():
    features = datasets.Features(
        {
            **{name: datasets.Value("int64") for name in ("attempt", "seed", "scene")},
            **{name: datasets.Value("string") for name in ("world", "policy")},
            **{name: datasets.Image() for name in ("image_before", "mask_before")},
            **{name: datasets.List(datasets.Image()) for name in ("images", "masks")},
            "poses": datasets.List(datasets.List(datasets.Value("float32"), length=4)),
            "commands": datasets.List(datasets.List(datasets.Value("float32"), length=5)),
            "success": datasets.Value("bool"),
            "object_name": datasets.Value("string"),
            "objects": datasets.List(datasets.Value("string")),
            "randomization": datasets.Value("string"),
            "predicted": datasets.List(datasets.Value("float32")),
        }
    )
    ours, theirs = arrow_schema({}), features.arrow_schema
    assert ours.equals(theirs)
    assert json.loads(ours.metadata[b"huggingface"]) == json.loads(theirs.metadata[b"huggingface"])
    assert list(COLUMNS) == ours.names


def test_hugging_face_opens_what_was_written(sim, tmp_path):
    folder, rows = sim
    loaded = datasets.load_dataset(
        "parquet", data_files=str(folder / "data/*.parquet"), split="train", cache_dir=str(tmp_path)
    )
    assert len(loaded) == len(rows)
    for row, was in zip(loaded, rows, strict=True):
        assert np.array_equal(row["image_before"], was.image_before)
        assert np.array_equal(row["mask_before"], was.mask_before)
        assert np.array_equal(row["images"], was.images)
        assert np.array_equal(row["masks"], was.masks)
        assert np.array_equal(np.float32(row["poses"]), was.poses)
        assert np.array_equal(np.float32(row["commands"]), was.commands)
        assert row["success"] == was.outcome.success
        assert row["object_name"] == was.outcome.object_name
        assert row["predicted"] == was.predicted
        assert (row["attempt"], row["seed"], row["scene"]) == (was.attempt, was.seed, was.scene)
        assert (row["world"], row["policy"], row["objects"]) == (was.world, was.policy, was.objects)
        assert json.loads(row["randomization"]) == {"friction": 0.5, "light": [1.0, 1.0]}


def test_hugging_face_opens_the_folder_by_its_card(tmp_path):
    folder = unlabelled_pictures(tmp_path / "pictures")
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded[0]["success"] is None
    assert loaded[0]["poses"] is None
    assert loaded[0]["masks"] is None
    assert np.array_equal(loaded[0]["images"], attempt(0).images)


def test_views_hold_what_was_written(sim):
    folder, rows = sim
    view = open_dataset(folder).simulated()
    assert len(view) == len(rows)
    for k, was in enumerate(rows):
        steps = slice(view.offsets[k], view.offsets[k + 1])
        assert np.array_equal(view.images_before[k].transpose(1, 2, 0), was.image_before)
        assert np.array_equal(view.images[steps].transpose(0, 2, 3, 1), was.images)
        assert np.array_equal(view.masks_before[k], was.mask_before)
        assert np.array_equal(view.masks[steps], was.masks)
        assert np.array_equal(view.poses[steps], was.poses)
        assert np.array_equal(view.commands[steps], was.commands)
        assert view.success[k] == was.outcome.success
        assert set(view.owner[steps]) == {k}


def test_equal_attempts_give_equal_bytes(tmp_path):
    for name in "ab":
        write(tmp_path / name, count=20)
    for shard in sorted((tmp_path / "a/data").iterdir()):
        assert shard.read_bytes() == (tmp_path / "b/data" / shard.name).read_bytes()
    assert (tmp_path / "a/meta.json").read_bytes() == (tmp_path / "b/meta.json").read_bytes()


def test_meta_counts_what_the_shards_hold(sim):
    folder, rows = sim
    meta = open_dataset(folder).meta
    assert meta["attempts"] == 40
    assert meta["scenes"] == 8
    assert meta["frames"] == sum(len(row.images) for row in rows)
    assert meta["successes"] == sum(row.outcome.success for row in rows)
    assert (meta["has_labels"], meta["has_masks"], meta["has_poses"]) == (True, True, True)
    assert [shard["rows"] for shard in meta["shards"]] == [16, 16, 8]
    assert meta["camera"]["fov"] == Camera().fov
    assert "| successes | 14 (35.0%) |" in (folder / "README.md").read_text()


def test_a_shard_is_done_only_when_whole_and_of_the_same_settings(tmp_path):
    settings = config_hash({"seed": 3, "world": "sim"})
    assert settings == config_hash({"world": "sim", "seed": 3}) != config_hash({"world": "sim", "seed": 4})
    path = write_shard(tmp_path, 0, [attempt(0), attempt(1)], settings)
    assert shard_done(tmp_path, 0, 2, settings)
    assert not shard_done(tmp_path, 0, 3, settings)
    assert not shard_done(tmp_path, 1, 2, settings)
    with pytest.raises(UserError, match="made with other settings"):
        shard_done(tmp_path, 0, 2, "other")
    path.write_bytes(path.read_bytes()[:-100])
    assert not shard_done(tmp_path, 0, 2, settings)


def test_full_disk_leaves_the_old_shard_and_no_temporary_file(tmp_path, monkeypatch):
    path = write_shard(tmp_path, 0, [attempt(0)])
    before = path.read_bytes()

    def full(table: pa.Table, where: Path, **options: object) -> None:
        Path(where).write_bytes(b"half a shard")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_shard(tmp_path, 0, [attempt(1)])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_breaks_off_leaves_the_old_shard_and_no_temporary_file(tmp_path):
    path = write_shard(tmp_path, 0, [attempt(0)])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"can't write .*File too large"):
            write_shard(tmp_path, 0, [attempt(k) for k in range(20)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("how", ["truncated", "changed", "missing"])
def test_a_damaged_shard_is_named(tmp_path, how):
    write(tmp_path)
    path = tmp_path / "data/shard-00001.parquet"
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    with pytest.raises(
        UserError, match=r"shard-00001.parquet is .*16 rows.*run the command that made the dataset again"
    ):
        open_dataset(tmp_path).verify()


def test_a_shard_that_arrow_cant_read_is_named(tmp_path):
    write(tmp_path)
    dataset = open_dataset(tmp_path)
    path = tmp_path / "data/shard-00002.parquet"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UserError, match=r"shard-00002.parquet is damaged"):
        dataset.unlabelled()
    with pytest.raises(UserError, match=r"shard-00002.parquet is damaged"):
        open_dataset(tmp_path)


def test_one_changed_bit_of_a_picture_is_noticed_when_it_is_read(tmp_path):
    write(tmp_path)
    path = tmp_path / "data/shard-00000.parquet"
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(list(COLUMNS).index("images") + 2)
    assert column.path_in_schema == "images.list.element.bytes"
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"shard-00000.parquet is damaged.*checksum"):
        open_dataset(tmp_path).unlabelled()


def test_finish_removes_what_killed_workers_left(tmp_path):
    left = write_shard(tmp_path, 0, [attempt(0)], "a").with_name(".shard-00000.parquet.123.tmp")
    left.write_bytes(b"half a shard")
    finish(tmp_path, {}, SIM, 1)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["shard-00000.parquet"]


def test_finish_refuses_strangers_gaps_and_mixed_settings(tmp_path):
    write_shard(tmp_path, 0, [attempt(0)], "a")
    with pytest.raises(UserError, match=r"shard-00001.parquet is missing"):
        finish(tmp_path, {}, SIM, 2)
    write_shard(tmp_path, 1, [attempt(1)], "b")
    with pytest.raises(UserError, match="other settings"):
        finish(tmp_path, {}, SIM, 2)
    with pytest.raises(UserError, match="not one of the 1 shards"):
        finish(tmp_path, {}, SIM, 1)
    write_shard(tmp_path, 1, [attempt(1)], "a")
    with pytest.raises(UserError, match=r"16 pixels.*says 32"):
        finish(tmp_path, {}, replace(SIM, image_size=32), 2)


def test_malformed_attempts_are_refused(tmp_path):
    good, tall = attempt(0), np.zeros((SIZE, 8, 3), np.uint8)
    for bad, words in [
        (replace(good, images=[]), "no pictures"),
        (replace(good, image_before=tall, images=[tall] * 2, mask_before=None, masks=None), "square and of one size"),
        (replace(good, poses=good.poses[:1]), "1 poses and 2 pictures"),
        (replace(good, masks=good.masks[:1]), "1 masks and 2 pictures"),
        (replace(good, masks=None), "mask_before and masks, or neither"),
    ]:
        with pytest.raises(UserError, match=words):
            write_shard(tmp_path, 0, [bad])
    with pytest.raises(UserError, match="no attempts"):
        write_shard(tmp_path, 0, [])


def test_label_fractions_are_nested_and_exact(real):
    folder, rows = real
    dataset = open_dataset(folder)
    before: set[int] = set()
    for fraction, count in [(0.01, 1), (0.05, 2), (0.1, 4), (0.5, 20), (1.0, 40)]:
        view = dataset.labelled(fraction)
        assert len(view) == len(view.success) == count
        assert before <= set(view.attempts)
        before = set(view.attempts)
        for k, number in enumerate(view.attempts):
            assert view.success[k] == rows[number].outcome.success
            assert np.array_equal(view.images_before[k].transpose(1, 2, 0), rows[number].image_before)
            assert np.array_equal(view.commands[view.offsets[k] : view.offsets[k + 1]], rows[number].commands)
    assert set(dataset.labelled(0.1, seed=1).attempts) != set(dataset.labelled(0.1, seed=0).attempts)
    for fraction in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match="label fraction"):
            dataset.labelled(fraction)


def test_attempts_added_later_keep_the_order_of_the_earlier_labels(tmp_path):
    orders = []
    for count in (20, 40):
        write(tmp_path, count, REAL, per_shard=10)
        dataset = open_dataset(tmp_path)
        order: list[int] = []
        for k in range(1, count + 1):
            order += sorted(set(dataset.labelled(k / count).attempts) - set(order))
        orders.append(order)
    assert orders[0] == [number for number in orders[1] if number < 20]


def test_views_hold_no_more_than_was_asked_for(sim, real):
    for folder, _ in (sim, real):
        unlabelled = open_dataset(folder).unlabelled()
        for name in ("success", "masks", "masks_before"):
            assert not hasattr(unlabelled, name)
        labelled = open_dataset(folder).labelled(0.1)
        assert not hasattr(labelled, "masks")
        assert {len(labelled.success), len(labelled.images_before), len(labelled.attempts)} == {4}
        assert unlabelled.provenance()["labels"] == unlabelled.provenance()["masks"] == 0
        assert labelled.provenance()["labels"] == 4
    assert open_dataset(sim[0]).simulated().provenance()["masks"] == 40


def test_unlabelled_arrays_dont_depend_on_labels(tmp_path):
    rows = [attempt(k, masks=False) for k in range(4)]
    flipped = [replace(row, outcome=GraspOutcome(not row.outcome.success)) for row in rows]
    views = []
    for name, data in (("a", rows), ("b", flipped)):
        write_shard(tmp_path / name, 0, data)
        finish(tmp_path / name, {}, REAL, 1)
        views.append(vars(open_dataset(tmp_path / name).unlabelled()))
    for name, array in views[0].items():
        if name != "source":
            assert np.array_equal(array, views[1][name])


def test_no_scene_is_on_both_sides_of_a_split(real):
    dataset = open_dataset(real[0])
    rest, held = dataset.split_by_scene(0.25)
    assert len(set(held.scenes)) == 2
    assert len(rest) + len(held) == len(dataset)
    assert not set(rest.scenes) & set(held.scenes)
    assert not set(rest.unlabelled().attempts) & set(held.unlabelled().attempts)
    assert set(rest.labelled(0.2).attempts) <= set(rest.unlabelled().attempts)
    assert rest.labelled(0.2).provenance()["parts"] == [
        "without 0.25 of the scenes, seed 0",
        "0.2 of the labels, seed 0",
    ]
    assert [len(set(part.scenes)) for part in dataset.split_by_scene(0.001)] == [7, 1]
    with pytest.raises(UserError, match="between 0 and 1"):
        dataset.split_by_scene(1.0)
    with pytest.raises(UserError, match="at least 2"):
        held.limit(1).split_by_scene(0.5)


def test_limits_are_nested(real):
    dataset = open_dataset(real[0])
    assert set(dataset.limit(5).rows) < set(dataset.limit(9).rows)
    assert len(dataset.limit(1000)) == 40
    with pytest.raises(UserError, match="at least 1"):
        dataset.limit(0)


def test_reality_and_pictures_are_refused_as_simulation(real, tmp_path):
    with pytest.raises(UserError, match="counts as reality"):
        open_dataset(real[0]).simulated()
    dataset = open_dataset(unlabelled_pictures(tmp_path / "pictures"))
    with pytest.raises(UserError, match="has no labels"):
        dataset.labelled(0.5)
    assert dataset.unlabelled().poses is None
    write_shard(tmp_path / "bare", 0, [attempt(0, masks=False)])
    finish(tmp_path / "bare", {}, replace(SIM, has_masks=False), 1)
    with pytest.raises(UserError, match="given as --sim, has no masks"):
        open_dataset(tmp_path / "bare").simulated()


def test_what_is_no_dataset_is_refused(tmp_path, sim):
    with pytest.raises(UserError, match="is no folder"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(UserError, match=r"has no meta.json; make one of it by .graspgap import"):
        open_dataset(tmp_path)
    write_shard(tmp_path, 0, [attempt(0)])
    with pytest.raises(UserError, match="unfinished"):
        open_dataset(tmp_path)
    meta = finish(tmp_path, {}, SIM, 1)
    (tmp_path / "meta.json").write_text(json.dumps(meta | {"version": 99}))
    with pytest.raises(UserError, match="format version 99"):
        open_dataset(tmp_path)
    (tmp_path / "meta.json").write_text("[]")
    with pytest.raises(UserError, match="not a graspgap dataset"):
        open_dataset(tmp_path)
    with pytest.raises(UserError, match="16 pixels, expected 64"):
        open_dataset(sim[0]).require_image_size(64)
    open_dataset(sim[0]).require_image_size(SIZE)


def test_a_file_in_place_of_a_folder_is_said_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"can't write .*file/run/config\.json: Not a directory"):
        write_json(tmp_path / "file/run/config.json", {})
