"""Damage that readers once answered with a traceback, a huge string or a wrong value: found by `benchmarks/fuzz.py`."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from tfrecord import example_pb2

pytest.importorskip("mcap", reason="extra recordings")
pytest.importorskip("av", reason="extra recordings")

from fuzz_recordings import GOOGLE, IMAGES, LEROBOT, RLDS, _dataset, _rlds
from graspgap.cli.main import main
from graspgap.collection.policies import make_policy
from graspgap.contract import Camera
from graspgap.datasets import open_dataset
from graspgap.datasets.check import verify
from graspgap.datasets.import_google_grasping import import_google_grasping
from graspgap.datasets.import_images import import_images
from graspgap.datasets.import_lerobot import import_lerobot
from graspgap.datasets.import_rlds import import_rlds
from graspgap.datasets.import_rosbag import RosbagMapping, import_rosbag
from graspgap.datasets.importing import REPORT, Reason, Report, read_report
from graspgap.datasets.pictures import decode_whole_picture
from graspgap.datasets.summary import summary
from graspgap.deployment.align.points import read_points
from graspgap.deployment.calibration import load_calibration
from graspgap.deployment.load import open_predictor
from graspgap.deployment.onnx_predictor import CHECK
from graspgap.deployment.predictor import POLICY
from graspgap.errors import LONGEST, UserError
from graspgap.evaluation.film import FilmFacts, saved_films
from graspgap.evaluation.results import AttemptRecord, EvaluationResult, load, save
from graspgap.evaluation.stages import Stage, finished_seconds, record_path
from graspgap.evaluation.study_file import FOLDER, read_study
from graspgap.evaluation.trials import Arm, TrialSettings, evaluate
from graspgap.files import read_json, sha256, write_json
from graspgap.networks import Segmenter, SegmenterConfig
from graspgap.runs import begin_run, read_run
from graspgap.selection import scoring
from graspgap.selection.record import RunScores, find_scores
from graspgap.selection.samples import ScoreSettings
from graspgap.settings import read_toml
from graspgap.sharing.contents import contents
from graspgap.tensors import load_checkpoint, save_checkpoint
from graspgap.training.log import TrainingLog, read_warnings
from graspgap.worlds.camera_file import read_camera
from graspgap.worlds.catalog import WorldChoice
from graspgap.worlds.limits import read_safety
from graspgap.worlds.randomization import ranges_of
from mutations import framed, unframed
from recordings import compressed, png, shade, write_lerobot, write_mcap
from serving import write_policy
from test_import import put
from test_import_google_grasping import record, write
from trainers import NETWORK


def refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        call()
    assert len(str(caught.value)) <= LONGEST + 10


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    _dataset(tmp_path / "data")
    return tmp_path / "data"


def meta(folder: Path, **changes: Any) -> None:
    path = folder / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


ENTRY = {"file": "data/shard-00000.parquet", "rows": 4, "bytes": 1, "sha256": ""}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"has_poses": None}, "'has_poses' in it is None, expected true or false"),
        ({"image_size": 2**40}, "expected 1 to"),
        ({"image_size": "16"}, "'image_size' in it is '16', expected whole number"),
        ({"shards": []}, "no shards"),
        ({"shards": [ENTRY | {"file": "../shard-00000.parquet"}]}, "expected a file in the folder"),
        ({"shards": [ENTRY | {"rows": 0}]}, "0 rows"),
        ({"shards": ["data/shard-00000.parquet"]}, "a shard is no table"),
        ({"camera": {"position": [0, 1]}}, "camera has no 'target'|expected a list of 3"),
        ({"policies": 3}, "'policies' is no table"),
        ({"policies": {"x": 3}}, "policy 'x' is no table"),
        ({"policies": {"x": {"attempts": 6}}}, "policy 'x' has no 'successes'"),
        ({"config": {"made_from": 3}}, "'made_from' is no list"),
        ({"config": {"made_from": [3]}}, "an entry of 'made_from' is no table"),
        ({"config": {"made_from": [{"path": "x"}]}}, "has no 'config'"),
        ({"config": {"made_from": [{"path": "x", "config": {"made_from": [3]}}]}}, "'made_from' is no table"),
    ],
)
def test_a_dataset_with_damaged_facts(dataset: Path, changes: dict[str, Any], words: str) -> None:
    meta(dataset, **changes)
    refused(lambda: open_dataset(dataset), words)


def test_a_camera_that_a_later_version_says_more_of(dataset: Path) -> None:
    before = open_dataset(dataset).camera
    meta(dataset, camera={**asdict(Camera()), "shutter": 0.01})
    assert open_dataset(dataset).camera == before == Camera()


def test_numbers_and_tables_without_bounds(tmp_path: Path) -> None:
    deep, huge = tmp_path / "deep.toml", tmp_path / "huge.json"
    deep.write_text("a = " + "[" * 5000)
    refused(lambda: read_toml(deep, "--mapping"), "is not valid TOML")
    refused(lambda: read_camera(deep), "is not valid TOML")
    huge.write_text(json.dumps({"position": [10**400, 0, 1], "target": [0.5, 0, 0], "fov": 30}))
    refused(lambda: read_camera(huge), "expected 3 finite numbers")
    deep.write_text(f"[appearance]\ncamera_position = {10**400}\n")
    refused(lambda: ranges_of(str(deep)), "expected a finite number")
    write_json(tmp_path / "config.json", {"kind": []})
    refused(lambda: contents(tmp_path), "something else")


@pytest.mark.parametrize("name", ["camera", "workspace", "config", "versions"])
def test_a_dataset_that_lacks_a_fact(dataset: Path, name: str) -> None:
    path = dataset / "meta.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != name}))
    refused(lambda: open_dataset(dataset), f"meta.json is damaged .it has no '{name}'")


def test_a_dataset_of_which_nobody_knows_the_camera(dataset: Path) -> None:
    meta(dataset, camera=None, workspace=None)
    data = open_dataset(dataset)
    assert summary(dataset)["camera"] is None
    refused(lambda: scoring._camera(data, data), "nobody has said the camera of .*data, which")
    refused(lambda: scoring._workspace(data, data), "nobody has said the workspace of")


def test_a_dataset_whose_pictures_are_smaller_than_it_says_takes_no_memory_for_them(dataset: Path) -> None:
    meta(dataset, image_size=8192)
    opened = open_dataset(dataset, memory=0)  # a view would be decoded to files of terabytes
    refused(opened.unlabelled, "picture 0 has shape")


def rewritten(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """A shard changed, with its size and checksum."""
    path = folder / "data/shard-00000.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    first, *others = json.loads((folder / "meta.json").read_text())["shards"]
    meta(folder, shards=[first | {"bytes": path.stat().st_size, "sha256": sha256(path)}, *others])


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def without_first(column: pa.ChunkedArray) -> pa.Array:
    values = column.to_pylist()
    return pa.array([values[0][1:], *values[1:]], column.type)


@pytest.mark.parametrize(
    ("change", "read", "words"),
    [
        (lambda t: t.drop_columns(["seed"]), "unlabelled", "'seed' that is missing"),
        (lambda t: with_column(t, "images", pa.array(["x"] * 4)), "unlabelled", "'images' of string"),
        (lambda t: with_column(t, "scene", pa.array([0, None, 1, 1])), "unlabelled", "'scene' is missing in 1 rows"),
        (lambda t: with_column(t, "success", pa.array([True, None, True, False])), "labelled", "labels, poses"),
        (lambda t: with_column(t, "poses", without_first(t["poses"])), "unlabelled", "labels, poses"),
        (lambda t: with_column(t, "masks", without_first(t["masks"])), "simulated", "7 pictures; expected 8"),
    ],
)
def test_a_dataset_with_a_damaged_column(
    dataset: Path, change: Callable[[pa.Table], pa.Table], read: str, words: str
) -> None:
    rewritten(dataset, change)
    ways = {
        "unlabelled": lambda: open_dataset(dataset).unlabelled(),
        "labelled": lambda: open_dataset(dataset).labelled(1.0),
        "simulated": lambda: open_dataset(dataset).simulated(),
    }
    refused(ways[read], words)


def test_a_shard_that_is_whole_passes(dataset: Path) -> None:
    rewritten(dataset, lambda table: table)
    verify(dataset)


def test_a_run_whose_config_is_no_table(tmp_path: Path) -> None:
    for text in ("[]", '{"kind": ["x"], "config": {}, "inputs": {}}', '{"kind": "dataset"}'):
        (tmp_path / "config.json").write_text(text)
        refused(lambda: begin_run(tmp_path, "dataset", Camera()), "is damaged")
        refused(lambda: read_run(tmp_path, "policy"), "is damaged")


def test_json_with_a_number_of_thousands_of_digits_or_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("1" * 5000)
    refused(lambda: read_json(tmp_path / "a.json", "a run"), "is not valid JSON")
    (tmp_path / "b.json").mkdir()
    refused(lambda: read_json(tmp_path / "b.json", "a run"), "can't read")


@pytest.mark.parametrize(
    "changes", [{"items": 1.5}, {"unit": 7}, {"rows": -1}, {"skipped": {"a": {"count": "1"}}}, {"x": 1}]
)
def test_a_report_with_other_values(tmp_path: Path, changes: dict[str, Any]) -> None:
    report = Report("images", "in", "", 3, skipped={"too dark": Reason(2, ["a", "b"])})
    (tmp_path / REPORT).write_text(json.dumps(asdict(report)))
    assert read_report(tmp_path) == report
    (tmp_path / REPORT).write_text(json.dumps(asdict(report) | changes))
    refused(lambda: read_report(tmp_path), "is damaged")


def test_a_report_of_a_million_million_rows_is_begun_anew(tmp_path: Path) -> None:
    put(tmp_path / "in/a.png", shade(1))
    put(tmp_path / "in/b.png", shade(2))
    made = import_images(tmp_path / "in", tmp_path / "out", IMAGES[0])
    path = tmp_path / "out" / REPORT
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": 10**15, "finished": False}))
    assert import_images(tmp_path / "in", tmp_path / "out", IMAGES[0])["shards"] == made["shards"]


def test_a_picture_of_more_pixels_than_a_camera_has_is_not_decoded() -> None:
    data = bytearray(png(shade(1)))
    data[16:24] = struct.pack(">II", 12_000, 12_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    refused(lambda: decode_whole_picture(bytes(data)), "exceeds limit")


WRONG = ({"seed": "0"}, {"arm": {}}, {"ingredients": 3}, {"records": [{"success": "yes"}]})


@pytest.mark.parametrize("changes", [*WRONG, {"evaluation_seed": 2**40}])  # beyond 64 bits with a scene
def test_an_evaluation_with_other_values(tmp_path: Path, changes: dict[str, Any]) -> None:
    record = AttemptRecord(0, 0, True, None, 4, None, 1.0)
    save(EvaluationResult("a", 0.0, 0, 0, 1, "sim", [record]), tmp_path)
    assert load(tmp_path).records == [record]
    values = json.loads((tmp_path / "results.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps(values | changes))
    refused(lambda: load(tmp_path), "not a complete evaluation|none can be")


@pytest.mark.parametrize("below", [[[0.1, 0.2]], [[0.1, 0.2, "0.3"]], [[0.1, 0.2, 7.0]], 3])
def test_a_calibration_with_other_values(tmp_path: Path, below: Any) -> None:
    values = {"source": "sim", "samples": 3, "scale": 1.0, "shift": 0.0, "below": [[0.1, 0.2, 0.3]]}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(values))
    assert load_calibration(path) is not None
    path.write_text(json.dumps(values | {"below": below}))
    refused(lambda: load_calibration(path), "is damaged")


def changed_info(folder: Path, **changes: Any) -> Path:
    path = write_lerobot(folder, "v2.1", [6, 6], video=False) / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chunks_size": float("inf")}, "info.json is damaged"),
        ({"fps": float("inf")}, "inf frames a second"),
        ({"data_path": "{episode_index:99999999}"}, "expected episode_chunk"),
        ({"data_path": "{episode_index!r:>99999999}"}, "expected episode_chunk"),
        ({"data_path": "a\0b"}, "outside of it"),
    ],
)
def test_a_lerobot_folder_with_damaged_facts(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    folder = changed_info(tmp_path / "in", **changes)
    refused(lambda: import_lerobot(folder, tmp_path / "out", LEROBOT[0]), words)


@pytest.mark.parametrize("length", [10**12, -1, float("inf"), "many"])
def test_a_lerobot_episode_of_an_absurd_length(tmp_path: Path, length: Any) -> None:
    folder = write_lerobot(tmp_path / "in", "v2.1", [6], video=False)
    (folder / "meta/episodes.jsonl").write_text(json.dumps({"episode_index": 0, "length": length}))
    refused(lambda: import_lerobot(folder, tmp_path / "out", LEROBOT[0]), "lists a damaged episode")


def test_a_gripper_that_has_fewer_numbers_than_the_facts_say(tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "in", "v3.0", [6, 6])
    for path in (folder / "data").rglob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(with_column(table, "observation.state", pa.array([0.5] * table.num_rows)), path)
    refused(lambda: import_lerobot(folder, tmp_path / "out", LEROBOT[2]), "has 1 numbers")


@pytest.mark.parametrize("when", [float("nan"), 1e300, "soon"])
def test_a_lerobot_video_at_an_absurd_time(tmp_path: Path, when: Any) -> None:
    folder = write_lerobot(tmp_path / "in", "v3.0", [6, 6])
    path = next((folder / "meta/episodes").rglob("*.parquet"))
    name = "videos/observation.images.top/from_timestamp"
    pq.write_table(with_column(pq.read_table(path), name, pa.array([when, when])), path)
    refused(lambda: import_lerobot(folder, tmp_path / "out", LEROBOT[1]), "times are damaged|from_timestamp of")


def test_a_bag_that_ends_inside_a_record(tmp_path: Path) -> None:
    kinds = {"/a": "sensor_msgs/msg/CompressedImage"}
    rows = [("/a", 1.0 + k, compressed(shade(k), 1.0 + k)) for k in range(3)]
    whole = write_mcap(tmp_path / "a.mcap", kinds, rows, use_chunking=False).read_bytes()
    for end in range(20, len(whole), 37):
        (tmp_path / "in.mcap").write_bytes(whole[:end])
        out = tmp_path / f"out{end}"
        refused(lambda out=out: import_rosbag(tmp_path / "in.mcap", out, RosbagMapping()), "again|topics with|no row")


def test_motion_vectors_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "in/a.tfrecord", [record(1) | {"grasp/2/params": (b"x", "byte")}])
    assert import_google_grasping(tmp_path / "in", tmp_path / "out", GOOGLE[0])["attempts"] == 1
    kept = pq.read_table(tmp_path / "out/data/shard-00000.parquet")["randomization"].to_pylist()
    assert kept == ["{}"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_rlds_poses_that_are_no_places(tmp_path: Path, value: float) -> None:
    """Warnings are errors in tests, also that of a NaN that signals."""
    _rlds(tmp_path)
    path = next(tmp_path.glob("*.tfrecord*"))
    first, second = unframed(path.read_bytes())
    example = example_pb2.Example()
    example.ParseFromString(first)
    example.features.feature["steps/observation/state"].float_list.value[8] = value
    (tmp_path / "in").mkdir()
    data = example.SerializeToString().replace(struct.pack("<f", float("nan")), b"\1\0\xa0\x7f")
    (tmp_path / "in/a.tfrecord").write_bytes(framed([data, second]))
    if value == 1e30:  # as of another unit of length
        refused(lambda: import_rlds(tmp_path / "in", tmp_path / "out", RLDS[1]), "give the unit")
        return
    meta = import_rlds(tmp_path / "in", tmp_path / "out", RLDS[1])
    assert read_report(tmp_path / "out").skipped["pose is not finite"].count == 1
    assert (meta["attempts"], meta["has_poses"]) == (3, True)


def test_a_shard_whose_lists_have_another_layout(dataset: Path) -> None:
    path = dataset / "data/shard-00000.parquet"
    path.write_bytes(path.read_bytes().replace(b"element", b"elemenT"))
    first, *others = json.loads((dataset / "meta.json").read_text())["shards"]
    meta(dataset, shards=[first | {"bytes": path.stat().st_size, "sha256": sha256(path)}, *others])
    refused(lambda: open_dataset(dataset), "laid out otherwise")


def test_an_empty_table_of_points(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("")
    refused(lambda: read_points(tmp_path / "points.csv"), "has the columns , expected picture")


@pytest.mark.parametrize("name", ["", "a" * 300, "b.png"])
def test_a_picture_whose_name_no_file_has(tmp_path: Path, name: str) -> None:
    (tmp_path / "points.csv").write_text(f"picture,u,v,x,y,z\n{name},1,1,0,0,0\n")
    refused(lambda: read_points(tmp_path / "points.csv"), "is missing")


def test_a_study_of_a_million_million_seeds(tmp_path: Path) -> None:
    text = (FOLDER / "tiny.toml").read_text()
    (tmp_path / "study.toml").write_text(f"training_seeds = {10**12}\n{text}")
    refused(lambda: read_study(str(tmp_path / "study.toml")), "at most 100")


def test_several_tables_of_limits() -> None:
    refused(lambda: read_safety([{"speed": 0.1}]), "expected one table")


def test_a_camera_kilometres_away(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"position": [1e300, 0, 1], "target": [0, 0, 0], "fov": 30}))
    refused(lambda: read_camera(path), "give metres")


def test_a_number_of_moves_is_whole() -> None:
    refused(lambda: read_safety({"moves": 2.5}), "expected a whole number")
    assert read_safety({"moves": 3}).moves == 3


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = str(UserError("begin " + "x" * 10**6 + " end"))
    assert (text[:5], text[-3:]) == ("begin", "end")
    assert len(text) < LONGEST + 10


def put_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


@pytest.mark.parametrize("found", [[], "x"])
def test_a_policy_whose_config_is_something_else(tmp_path: Path, found: Any) -> None:
    put_json(tmp_path / "config.json", found)
    refused(
        lambda: open_predictor(tmp_path), r"config.json is damaged \(.*kind|config.json is damaged \(it is no table"
    )
    assert main(["evaluate", str(tmp_path / "out"), "--policy", str(tmp_path), "--world", "sim"]) == 2


FACTS = {"network": {"image_size": 16, "camera": asdict(Camera())}, "domain": "reality"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "has no 'policy'"),
        ({"policy": 3, "sha256": ""}, "'policy' in it is 3, expected a table"),
        ({"policy": {}, "sha256": ""}, "has no 'network'"),
        ({"policy": {"network": {"image_size": "16"}}, "sha256": ""}, "expected whole number"),
        ({"policy": {"network": {"image_size": 16, "camera": {"x": 1}}}, "sha256": ""}, "'x' is unknown"),
        ({"policy": FACTS}, "has no 'sha256'"),
    ],
)
def test_an_export_with_other_facts(tmp_path: Path, inputs: dict[str, Any], words: str) -> None:
    put_json(tmp_path / CHECK, {})
    put_json(tmp_path / "config.json", {"kind": "export", "config": {}, "inputs": inputs})
    refused(lambda: open_predictor(tmp_path), f"config.json.* is damaged .*{words}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"widht": 3}}, "'widht' is unknown: did you mean 'width'"),
        ({"network": {"width": "64"}}, "'width' in it is '64', expected whole number"),
        ({"network": {"camera": None}}, "'camera' in it is None, expected a table"),
        ({"network": 3}, "'network' in it is 3, expected a table"),
        ({"domain": "mars"}, "domain in .*config.json 'mars' is unknown: .*simulation, reality"),
        ({"domain": 3}, "'domain' in it is 3, expected text"),
        ({"front_end": []}, "'front_end' in it is"),
        ({"front_end": {}}, "has no 'method'"),
        ({"front_end": {"method": "x"}}, "method in .* 'x' is unknown"),
        ({"front_end": {"method": "cut"}}, "the record of 'cut' in .* is damaged .it is no table"),
        ({"front_end": {"method": "cut", "options": {"x": 1}}}, "'x' is unknown"),
    ],
)
def test_a_policy_with_other_facts(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    run = write_policy(tmp_path / "run", NETWORK)
    assert open_predictor(run)[0].image_size == NETWORK.image_size
    values = json.loads((run / "config.json").read_text())
    put_json(run / "config.json", values | {"inputs": {"policy": values["inputs"]["policy"] | changes}})
    refused(lambda: open_predictor(run), words)


@pytest.mark.parametrize("name", ["policy", "network", "domain"])
def test_a_policy_that_lacks_a_fact(tmp_path: Path, name: str) -> None:
    run = write_policy(tmp_path / "run", NETWORK)
    values = json.loads((run / "config.json").read_text())
    inputs = {} if name == "policy" else {"policy": without(values["inputs"]["policy"], name)}
    put_json(run / "config.json", values | {"inputs": inputs})
    refused(lambda: open_predictor(run), f"config.json is damaged .it has no '{name}'.: restore it, or train again")


@pytest.mark.parametrize(("inputs", "words"), [({}, "it has no 'policy'"), ({"policy": 3}, "'policy' in it is 3")])
def test_commands_that_read_the_record_of_a_policy_first(
    tmp_path: Path, inputs: dict[str, Any], words: str, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript", reason="extra onnx")
    run = write_policy(tmp_path / "run", NETWORK)
    put_json(run / "config.json", json.loads((run / "config.json").read_text()) | {"inputs": inputs})
    for command in (
        ["export", "onnx", str(run), str(tmp_path / "onnx")],
        ["train", str(run), "--sim", str(sim_data), "--image-size", "32", "--workers", "1"],
    ):
        assert main(command) == 2
        assert f"config.json is damaged ({words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "words"),
    [(3, "it is no table"), ({}, "it has no 'frames'"), ({"frames": "16"}, "'frames' in it is '16'")],
)
def test_the_check_of_an_export_with_other_values(tmp_path: Path, found: Any, words: str) -> None:
    pytest.importorskip("onnxscript", reason="extra onnx")
    from graspgap.deployment.onnx_export import ExportConfig, export_onnx, recorded_policy

    run, out, config = write_policy(tmp_path / "run", NETWORK), tmp_path / "out", ExportConfig()
    begin_run(out, "export", config, {"policy": recorded_policy(run), "sha256": sha256(run / POLICY)})
    put_json(out / CHECK, found)
    refused(lambda: export_onnx(run, out, config), f"check.json is damaged .{words}.*: delete it and export again")


def without_camera(source: Path, data: Path) -> Path:
    shutil.copytree(source, data)
    meta(data, camera=None)
    return data


@pytest.mark.parametrize("join", ["project", "add"])
def test_an_adapter_for_pictures_of_which_nobody_knows_the_camera(
    tmp_path: Path, join: str, sim_data: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = without_camera(sim_data, tmp_path / "data")
    words = ["adapt", str(tmp_path / "run"), "--sim", str(data), "--real", str(real_data), "--image-size", "32"]
    words += ["--steps", "1", "--batch", "2", "--workers", "1", "--methods.graspgan.discriminators.scales", "1"]
    code = main([*words, "--methods.graspgan.grasp.join", join])
    err = capsys.readouterr().err
    if join == "add":  # nothing looks through the camera
        assert code == 0
        return
    assert code == 2
    assert f"nobody has said the camera of {data}, through which the grasp network of 'graspgan' sees" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("join", "given"), [("project", False), ("project", True), ("add", False)])
def test_a_policy_for_pictures_of_which_nobody_knows_the_camera(
    tmp_path: Path, join: str, given: bool, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = without_camera(real_data, tmp_path / "data")
    words = ["train", str(tmp_path / "run"), "--real", str(data), "--real-labels", "1", "--image-size", "32"]
    words += ["--steps", "1", "--training.batch", "2", "--workers", "1", "--training.network.join", join]
    (tmp_path / "camera.toml").write_text("position = [0.3, 0.5, 0.7]\ntarget = [0.5, 0.0, 0.0]\nfov = 22.0\n")
    words += ["--camera", str(tmp_path / "camera.toml")] if given else []
    if join == "add" or given:
        assert main(words) == 0
        return
    assert main(words) == 2
    err = capsys.readouterr().err
    assert f"nobody has said the camera of {data}, through which the network sees: give --camera FILE, or" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("part", "name", "words"),
    [
        ("config", "steps", "it has no 'steps'"),
        ("inputs", "sim", "it has no 'sim'"),
        ("config", "seed", "it has no 'seed'"),
        ("config", "method", "it has no 'method'"),
        ("config", "options", "it is no table"),
    ],
)
def test_scores_of_an_adapter_that_lacks_a_fact(
    tmp_path: Path, part: str, name: str, words: str, sim_data: Path, real_data: Path
) -> None:
    run = tmp_path / "run"
    words_of_run = ["adapt", str(run), "--sim", str(sim_data), "--real", str(real_data), "--image-size", "32"]
    assert main([*words_of_run, "--workers", "1", "--method", "histogram"]) == 0
    values = json.loads((run / "config.json").read_text())
    put_json(run / "config.json", values | {part: without(values[part], name)})

    def score() -> None:
        settings = ScoreSettings(pictures=32, classifier_steps=1)
        sim, real = open_dataset(sim_data), open_dataset(real_data)
        judge = Segmenter(SegmenterConfig())
        scorer = scoring.Scorer(sim, real, 0.2, settings, torch.device("cpu"), judge)
        for path in scoring.with_snapshots(run):
            scorer.score(scoring.Candidate("adapter", path))

    refused(score, f"config.json is damaged .{words}.: restore it, or train again")


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("config", {"seed": None}, "'seed' in it is None, expected whole number"),
        ("config", {"methods": []}, r"'methods' in it is \[\], expected a table"),
        ("inputs", {"sim": 3}, "'sim' in it is 3, expected a table"),
        ("inputs", {"adapter": 3}, "'adapter' in it is 3, expected text"),
    ],
)
def test_scores_of_a_policy_with_other_facts(
    tmp_path: Path, part: str, changes: dict[str, Any], words: str, sim_data: Path, real_data: Path
) -> None:
    run = write_policy(tmp_path / "run", NETWORK)
    values = json.loads((run / "config.json").read_text())
    put_json(run / "config.json", values | {part: values[part] | changes})
    scorer = scoring.Scorer(open_dataset(sim_data), open_dataset(real_data), 0.2, ScoreSettings(), torch.device("cpu"))
    refused(lambda: scorer.score(scoring.Candidate("policy", run)), f"config.json is damaged .{words}")


@pytest.mark.parametrize("found", [[], [1], {}, {"kind": "study"}, {"kind": "study", "config": {"seed": 0}}])
def test_a_report_of_a_damaged_study(tmp_path: Path, found: Any, capsys: pytest.CaptureFixture[str]) -> None:
    put_json(tmp_path / "config.json", found)
    assert main(["report", str(tmp_path)]) == 2
    assert "config.json is damaged" in capsys.readouterr().err
    put_json(tmp_path / "config.json", {"kind": "study", "config": {"preset": "tiny"}})
    assert main(["report", str(tmp_path)]) == 2
    assert "has no 'seed'" in capsys.readouterr().err


RECORD = asdict(AttemptRecord(0, 0, True, None, 4, None, 1.0))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "it has no 'records'"),
        (3, "it is no table"),
        ([{}], "has no 'attempt'"),
        ({"records": [RECORD]}, "it has no 'objects'"),
        ({"records": [RECORD | {"x": 1}], "objects": {}}, "'x' is unknown"),
        ({"records": [RECORD | {"success": "yes"}], "objects": {}}, "expected true or false"),
        ({"records": [RECORD], "objects": {"0": "mug"}}, "'objects' in it is"),
    ],
)
def test_a_piece_of_an_evaluation_with_other_values(tmp_path: Path, found: Any, words: str) -> None:
    settings = TrialSettings(WorldChoice("sim", split="test", image_size=32))
    policy = make_policy(settings.policy, settings.steps_per_attempt)
    begin_run(tmp_path, "evaluation", settings, {"policy": policy.identity})
    path = put_json(tmp_path / "pieces/000000-000001.json", [RECORD])  # as version 0.1.0 wrote it
    assert evaluate(tmp_path, settings, 1, Arm(), 1).records == [AttemptRecord(**RECORD)]
    put_json(path, found)
    refused(lambda: evaluate(tmp_path, settings, 1, Arm(), 1), f"000001.json is damaged .*{words}")


STAGE = Stage("data/a", ("collect", "out/data/a"))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "it is no table"),
        ({}, "it has no 'arguments'"),
        ({"arguments": ["collect", 3], "seconds": 1.0}, "'arguments' in it is .*expected a list of texts"),
        ({"arguments": ["collect", "out/data/a"]}, "it has no 'seconds'"),
        ({"arguments": ["collect", "out/data/a"], "seconds": "x"}, "'seconds' in it is 'x', expected number"),
        ({"arguments": ["collect", "out/data/a"], "seconds": 1, "cpu_seconds": "x"}, "'cpu_seconds' in it is 'x'"),
    ],
)
def test_a_stage_with_another_record(tmp_path: Path, found: Any, words: str) -> None:
    path = put_json(record_path(tmp_path, STAGE), {"arguments": list(STAGE.arguments), "seconds": 2})
    assert finished_seconds(tmp_path, STAGE) == 2.0
    put_json(path, found)
    refused(lambda: finished_seconds(tmp_path, STAGE), f"data-a.json is damaged .*{words}")


def test_the_plan_of_a_study_with_a_damaged_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_json(tmp_path / "stages/data-sim.json", [])
    assert main(["study", str(tmp_path), "--preset", "tiny", "--plan"]) == 2
    assert "data-sim.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "found",
    [[], {}, {"x": 1}, asdict(FilmFacts(0, 0, True, None)) | {"predicted": 3}],
)
def test_a_film_with_other_facts(tmp_path: Path, found: Any) -> None:
    facts = FilmFacts(0, 0, True, None, (0.5, 1.0))
    path = put_json(tmp_path / "films/000000.json", asdict(facts))
    assert saved_films(tmp_path)[0].facts == facts
    put_json(path, found)
    refused(lambda: saved_films(tmp_path), "000000.json is damaged .*: delete it and film the attempt again")


KEPT = RunScores("a", "adapter", "", "", "none", ["dann"], 0, 0, {"sim": 1}, {"x": None, "y": 0.5})


@pytest.mark.parametrize("found", [[], {}, asdict(KEPT) | {"x": 1}, asdict(KEPT) | {"features": "dann"}])
def test_kept_scores_with_other_values(tmp_path: Path, found: Any) -> None:
    path = put_json(tmp_path / "runs/adapter-a.json", asdict(KEPT))
    scorer = object.__new__(scoring.Scorer)  # not asked: the weights are the same
    runs = [scoring.Candidate("adapter", tmp_path / "a")]
    assert scoring.score_runs(tmp_path, runs, scorer) == [KEPT]
    put_json(path, found)
    refused(lambda: scoring.score_runs(tmp_path, runs, scorer), "adapter-a.json is damaged .*: delete it and score")


@pytest.mark.parametrize("runs", [None, {}, [3], [asdict(KEPT) | {"values": None}], [asdict(KEPT) | {"kind": 3}]])
def test_scores_with_other_values(tmp_path: Path, runs: Any) -> None:
    put_json(tmp_path / "scores.json", {"format": 1, "kind": "scores", "runs": runs})
    refused(lambda: find_scores(tmp_path), "scores.json.* is damaged .*: score again")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{}", "it has no 'step'"),
        ("[]", "it is no table"),
        ('{"step": "x"}', "'step' in it is 'x', expected whole number"),
        ('{"step": 2, "health": 3}', "'health' in it is 3, expected a table of numbers"),
    ],
)
def test_a_training_log_of_something_else(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n' + line + "\n")
    refused(lambda: TrainingLog(path, 5), f"line 2 of .*log.jsonl is damaged .*{words}")


def test_a_training_log_that_ends_in_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n\xff\xfe\n')
    assert TrainingLog(path, 5).entries == [{"step": 1}]
    path.write_text('{"step": 1, "warnings": 3}\n' + "1" * 5000)
    assert read_warnings(path) == []
    assert TrainingLog(path, 5).entries == [{"step": 1, "warnings": 3}]


def parts(*sizes: int) -> tuple[dict[str, torch.nn.Module], dict[str, torch.optim.Optimizer]]:
    """Layers after one step."""
    net = torch.nn.Sequential(*(torch.nn.Linear(2, size, bias=False) for size in sizes))
    optimizer = torch.optim.Adam(net.parameters())
    for weight in net.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    return {"net": net}, {"adam": optimizer}


@pytest.mark.parametrize("sizes", [(3,), (2, 2)])
def test_a_checkpoint_of_another_network(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    path = tmp_path / "checkpoint.safetensors"
    modules, optimizers = parts(2)
    save_checkpoint(path, 3, *parts(*sizes))
    refused(lambda: load_checkpoint(path, modules, optimizers), "is of another network .*again")
    save_checkpoint(path, 3, modules, parts(*sizes)[1])
    refused(lambda: load_checkpoint(path, modules, optimizers), "is of another optimizer .*again")


@pytest.mark.parametrize(
    "metadata", [{"step": "x"}, {"step": "-1"}, {"step": "1", "notes": "[]"}, {"step": "1", "notes": "{"}]
)
def test_a_checkpoint_with_other_notes(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, 3, *parts(2), {"a": 1})
    assert load_checkpoint(path, *parts(2)) == (3, {"a": 1})
    save_file(load_file(path), path, metadata)
    refused(lambda: load_checkpoint(path, *parts(2)), "is damaged .*training starts anew")


@pytest.mark.parametrize("key", ["optimizer/adam/x/step", "optimizer/adam/7/step", "optimizer/adam/-1/step"])
def test_a_checkpoint_with_the_state_of_no_parameter(tmp_path: Path, key: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, 3, *parts(2))
    save_file(load_file(path) | {key: torch.tensor(1.0)}, path, {"step": "3"})
    refused(lambda: load_checkpoint(path, *parts(2)), "is of another optimizer .*again")
