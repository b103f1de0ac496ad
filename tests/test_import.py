import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tfrecord.writer import TFRecordWriter

from graspgap.contract import command_between
from graspgap.datasets import open_dataset
from graspgap.datasets.import_images import ImportImagesConfig, import_images
from graspgap.datasets.import_rlds import RldsMapping, import_rlds
from graspgap.datasets.view import MASK_COLOURS, colour_masks, image_grid, save_png
from graspgap.errors import UserError

SIZE = 8
IMAGES = ImportImagesConfig(image_size=SIZE, frames_per_attempt=3)
BRIDGE = Path(os.environ.get("GRASPGAP_DATA", Path(__file__).parents[2] / "shared/data")) / "real/bridge_sample"


def shade(value: int, height: int = 12, width: int = 16) -> np.ndarray:
    """Grey levels value and 200, so that a picture is told by its first pixel."""
    picture = np.full((height, width, 3), value, dtype=np.uint8)
    picture[-height // 2 :] = 200
    return picture


def put(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


def firsts(pictures: np.ndarray) -> list[int]:
    """First pixel of channel-first pictures."""
    return pictures[:, 0, 0, 0].tolist()


def test_each_folder_is_an_episode_in_the_order_of_its_numbers(tmp_path):
    for number in (1, 2, 3, 4, 5, 10):
        put(tmp_path / f"in/a/frame_{number}.png", shade(number))
    put(tmp_path / "in/b/only.PNG", shade(50))
    meta = import_images(tmp_path / "in", tmp_path / "out", IMAGES)
    view = open_dataset(tmp_path / "out").unlabelled()
    assert firsts(view.images_before) == [1, 1, 50]
    assert firsts(view.images) == [2, 3, 4, 5, 10, 50]
    assert view.offsets.tolist() == [0, 3, 5, 6]
    assert view.scenes.tolist() == [0, 0, 1]
    assert view.poses is None
    assert view.commands is None
    assert (meta["has_labels"], meta["has_masks"], meta["has_poses"], meta["is_reality"]) == (False, False, False, True)
    assert "| successes | unlabelled |" in (tmp_path / "out/README.md").read_text()


def test_an_episode_whose_folder_has_others_in_it_stays_one(tmp_path):
    """Their names lie among its pictures' in the order of names."""
    for name, value in (("before", 1), ("crops/1", 7), ("img_1", 2), ("img_2", 3)):
        put(tmp_path / f"in/ep/{name}.png", shade(value))
    for name, value in (("01/a", 20), ("01/b", 21), ("1/a", 30), ("1/b", 31), ("\u2460/a", 40)):
        put(tmp_path / f"in/{name}.png", shade(value))
    import_images(tmp_path / "in", tmp_path / "out", IMAGES)
    view = open_dataset(tmp_path / "out").unlabelled()
    assert sorted(firsts(view.images_before)) == [1, 7, 20, 30, 40]
    episodes = dict(zip(firsts(view.images_before), np.split(firsts(view.images), view.offsets[1:-1]), strict=True))
    assert {before: list(now) for before, now in episodes.items()} == {1: [2, 3], 7: [7], 20: [21], 30: [31], 40: [40]}


def test_shards_of_large_pictures_hold_fewer(tmp_path, monkeypatch):
    """From 2**31 bytes on they could not be read again."""
    row = (IMAGES.frames_per_attempt + 1) * 3 * SIZE**2
    monkeypatch.setattr("graspgap.datasets.importing.BYTES", 2 * row + row // 2)
    for number in range(16):
        put(tmp_path / f"in/{number}.png", shade(number))
    import_images(tmp_path / "in", tmp_path / "out", IMAGES)
    shards = json.loads((tmp_path / "out/meta.json").read_text())["shards"]
    assert [shard["rows"] for shard in shards] == [2, 2, 1]


def test_other_kinds_of_pictures_are_skipped(tmp_path):
    """Whatever their names say: Pillow would begin other programs for some."""
    put(tmp_path / "in/1.png", shade(1))
    (tmp_path / "in/2.png").write_bytes(cv2.imencode(".bmp", shade(2))[1].tobytes())
    assert import_images(tmp_path / "in", tmp_path / "out", IMAGES)["notes"]["skipped"] == 1


def test_without_folders_the_first_picture_of_all_is_before(tmp_path):
    for name, value in (("a/1", 1), ("b/1", 2), ("b/2", 3)):
        put(tmp_path / f"in/{name}.png", shade(value))
    import_images(tmp_path / "in", tmp_path / "out", ImportImagesConfig(image_size=SIZE, by_folder=False))
    view = open_dataset(tmp_path / "out").unlabelled()
    assert (firsts(view.images_before), firsts(view.images)) == ([1], [2, 3])


def test_pictures_are_cut_to_the_central_square_and_shrunk_by_area(tmp_path):
    wide = np.zeros((16, 32, 3), dtype=np.uint8)
    wide[:, 8:24] = np.tile([[0], [100]], (8, 16))[..., None] + np.array([0, 10, 20])
    put(tmp_path / "in/1.png", wide)
    import_images(tmp_path / "in", tmp_path / "out", IMAGES)
    picture = open_dataset(tmp_path / "out").unlabelled().images[0]
    assert (picture == np.array([50, 60, 70])[:, None, None]).all()


def test_unreadable_files_are_skipped_and_named(tmp_path):
    put(tmp_path / "in/a/1.jpg", np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    put(tmp_path / "in/a/2.png", shade(2))
    (tmp_path / "in/a/3.jpg").write_bytes((tmp_path / "in/a/1.jpg").read_bytes()[:700])
    (tmp_path / "in/a/4.png").write_bytes(b"not a picture")
    (tmp_path / "in/a/5.png").touch()
    meta = import_images(tmp_path / "in", tmp_path / "out", IMAGES)
    assert meta["notes"]["pictures"] == 5
    assert meta["notes"]["skipped"] == 3
    assert meta["notes"]["skipped_files"] == ["a/3.jpg", "a/4.png", "a/5.png"]
    assert meta["frames"] == 1


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        import_images(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="has no pictures"):
        import_images(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in/1.png").write_bytes(b"text")
    with pytest.raises(UserError, match="none of them can be read"):
        import_images(tmp_path / "in", tmp_path / "out")


def test_importing_again_gives_equal_bytes_and_never_overwrites_other_data(tmp_path):
    put(tmp_path / "in/1.png", shade(1))
    import_images(tmp_path / "in", tmp_path / "out", IMAGES)
    shard = tmp_path / "out/data/shard-00000.parquet"
    before = shard.read_bytes()
    import_images(tmp_path / "in", tmp_path / "out", IMAGES)
    assert shard.read_bytes() == before
    with pytest.raises(UserError, match="image_size"):
        import_images(tmp_path / "in", tmp_path / "out", replace(IMAGES, image_size=16))
    assert shard.read_bytes() == before


def write_episodes(folder: Path, lengths: list[int]) -> Path:
    """Episode e holds pictures of shade 20 e + step, a dark second camera, and poses."""
    folder.mkdir(parents=True)
    path = folder / "cell-train.tfrecord-00000-of-00001"
    writer = TFRecordWriter(str(path))
    for episode, steps in enumerate(lengths):
        pictures = [cv2.imencode(".png", shade(20 * episode + step))[1].tobytes() for step in range(steps)]
        dark = [cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()] * steps
        state = np.arange(steps * 7, dtype=np.float32) / 100
        writer.write(
            {
                "steps/observation/image_0": (pictures, "byte"),
                "steps/observation/image_1": (dark, "byte"),
                "steps/observation/state": (state.tolist(), "float"),
                "steps/is_first": ([1] + [0] * (steps - 1), "int"),
            }
        )
    writer.close()
    return path


def test_episodes_become_rows_with_poses(tmp_path):
    write_episodes(tmp_path / "in/1.0.0", [6, 2, 1])
    mapping = RldsMapping(pose="steps/observation/state", image_size=SIZE, frames_per_attempt=3)
    meta = import_rlds(tmp_path / "in", tmp_path / "out", mapping)
    view = open_dataset(tmp_path / "out").unlabelled()
    assert firsts(view.images_before) == [0, 20, 40]
    assert firsts(view.images) == [1, 3, 5, 21, 40]
    assert view.scenes.tolist() == [0, 1, 2]
    state = np.arange(42, dtype=np.float32).reshape(6, 7) / 100
    poses = state[[1, 3, 5]][:, [0, 1, 2, 5]]
    assert np.array_equal(view.poses[:3], poses)
    assert np.array_equal(view.commands[:3], command_between(poses, poses[-1:]))
    assert meta["notes"] == {"source": str(tmp_path / "in"), "episodes": 3, "skipped": 0}


def test_rows_of_one_episode_interleave_and_dark_cameras_are_skipped(tmp_path):
    write_episodes(tmp_path / "in", [7, 7])
    cameras = ("steps/observation/image_0", "steps/observation/image_1")
    mapping = RldsMapping(images=cameras, image_size=SIZE, frames_per_attempt=3, attempts_per_episode=2)
    meta = import_rlds(tmp_path / "in", tmp_path / "out", mapping)
    view = open_dataset(tmp_path / "out").unlabelled()
    assert firsts(view.images) == [1, 3, 5, 2, 4, 6, 21, 23, 25, 22, 24, 26]
    assert view.scenes.tolist() == [0, 0, 1, 1]
    assert view.poses is None
    assert meta["notes"]["skipped"] == 2


def test_wrong_mappings_are_refused_with_what_there_is(tmp_path):
    write_episodes(tmp_path / "in", [3])
    for mapping, words in [
        (
            RldsMapping(images=("steps/observation/imag_1",)),
            r"did you mean 'steps/observation/image_1'.*steps/is_first",
        ),
        (RldsMapping(images=("steps/observation/state",)), "holds numbers"),
        (RldsMapping(images=("steps/observation/image_1",)), "no picture in"),
        (RldsMapping(pose="steps/observation/stat"), "did you mean 'steps/observation/state'"),
        (RldsMapping(pose="steps/is_first"), "at least 6 a step"),
        (RldsMapping(pose="steps/observation/state", pose_index=(0, 1, 2, 7)), "at least 8 a step"),
    ]:
        with pytest.raises(UserError, match=words):
            import_rlds(tmp_path / "in", tmp_path / f"out-{words}", mapping)
    with pytest.raises(UserError, match="has no TFRecord files"):
        import_rlds(tmp_path / "absent", tmp_path / "out")


@pytest.mark.parametrize("how", ["truncated", "changed", "empty"])
def test_damaged_records_are_refused(tmp_path, how):
    path = write_episodes(tmp_path / "in", [3, 3])
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes({"truncated": data[: len(data) // 2], "changed": data, "empty": b""}[how])
    with pytest.raises(UserError, match="download it again"):
        import_rlds(tmp_path / "in", tmp_path / "out", RldsMapping(image_size=SIZE))
    assert not (tmp_path / "out/meta.json").exists()


@pytest.mark.skipif(not BRIDGE.exists(), reason="the BridgeData sample is not on this machine (GRASPGAP_DATA)")
def test_real_robot_episodes(tmp_path):
    mapping = RldsMapping(images=tuple(f"steps/observation/image_{k}" for k in range(4)))
    meta = import_rlds(BRIDGE, tmp_path / "out", mapping)
    assert (meta["notes"]["episodes"], meta["notes"]["skipped"]) == (25, 25)  # the fourth camera was never plugged in
    assert (meta["attempts"], meta["frames"], meta["scenes"]) == (75, 675, 25)
    view = open_dataset(tmp_path / "out").unlabelled()
    assert view.images.shape == (675, 3, 64, 64)
    red, _, blue = view.images.mean(axis=(0, 2, 3))
    assert 100 < blue < red + 20  # daylight on wood and a pale blue sink


def test_a_grid_shows_every_picture_once_enlarged(tmp_path):
    mask = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    rows = [[shade(10, 4, 4), shade(20, 4, 4)], [mask]]
    grid = image_grid(rows, ["pictures", "mask"], scale=3)
    plain = image_grid(rows, scale=3)
    assert grid.shape[1] == plain.shape[1] == 2 * 12 + 3 * 4
    assert grid.shape[0] > plain.shape[0] == 12 + 6 + 3 * 4
    assert (plain[4:10, 4:16] == 10).all()
    assert (plain[4:10, 20:32] == 20).all()
    assert tuple(plain[20, 4]) == MASK_COLOURS[0]
    assert tuple(plain[25, 9]) == MASK_COLOURS[3]
    save_png(grid, tmp_path / "grid.png")
    assert np.array_equal(cv2.imread(str(tmp_path / "grid.png"), cv2.IMREAD_COLOR_RGB), grid)
    with pytest.raises(UserError, match="1 labels for 2 rows"):
        image_grid(rows, ["one"])
    with pytest.raises(UserError, match="at least one picture"):
        image_grid([[]])
    with pytest.raises(UserError, match="value 9"):
        colour_masks(np.full((2, 2), 9, np.uint8))


def test_meta_is_json_with_the_mapping(tmp_path):
    write_episodes(tmp_path / "in", [3])
    import_rlds(tmp_path / "in", tmp_path / "out", RldsMapping(image_size=SIZE))
    meta = json.loads((tmp_path / "out/meta.json").read_text())
    assert meta["config"]["images"] == ["steps/observation/image_0"]
    assert meta["config"]["image_size"] == SIZE
