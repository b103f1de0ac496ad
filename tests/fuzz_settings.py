"""The readers of settings and of requests to the server, with valid ones for them."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fuzzing import Reader
from graspgap.cli.importing import checked
from graspgap.config import to_json
from graspgap.contract import Camera, Workspace
from graspgap.datasets.import_google_grasping import GoogleGraspingMapping
from graspgap.datasets.import_lerobot import LerobotMapping
from graspgap.datasets.import_rlds import RldsMapping
from graspgap.datasets.import_rosbag import RosbagMapping
from graspgap.datasets.mapping import read_mapping
from graspgap.deployment import requests
from graspgap.deployment.align.fit import fit_camera
from graspgap.deployment.align.points import Board, read_boards, read_points
from graspgap.deployment.calibration import load_calibration
from graspgap.deployment.wire import WireError, pack, unpack
from graspgap.evaluation.results import AttemptRecord, EvaluationResult, find_results, save
from graspgap.evaluation.study import plan
from graspgap.evaluation.study_file import FOLDER, read_study, study_of
from graspgap.evaluation.tables import pool, results_markdown
from graspgap.runs import begin_run, read_run
from graspgap.worlds.camera_file import read_camera, require_sight
from graspgap.worlds.installed import read_settings
from graspgap.worlds.limits import read_safety, safe_box
from graspgap.worlds.randomization import read_randomization
from mutations import Rng, of_bytes, of_csv, of_json, of_png, pick
from recordings import png, shade

SIZE = 16
MAPPINGS = {
    "lerobot": LerobotMapping,
    "rlds": RldsMapping,
    "google-grasping": GoogleGraspingMapping,
    "rosbag": RosbagMapping,
}
MAPPING_TOML = {
    "lerobot": (
        'images = ["a"]\npose = "s"\npose_index = [0, 1, 2, 3]\nsuccess = "x"\ngrasp = "gripper"\nthreshold = 0.5\n'
        'image_size = 64\n[frame]\nrotation = "rpy"\naxes = ["x", "y", "z"]\ntool = 0.1\norigin = [0, 0, 1.5]'
    ),
    "rlds": 'images = ["a", "b"]\npose = "s"\npose_index = [0, 1, 2, 5]\nimage_size = 64\nframes_per_attempt = 3',
    "google-grasping": 'label = "gripper-status"\nbefore = ["a"]\nimage_size = 32\n[frame]\nfingers = "y"',
    "rosbag": 'image = "/a"\npose = "/p"\nclock = "log"\napart = 0.1\nevery = 0\n[frame]\nlength = "mm"',
}
SAFETY_TOML = (
    "port = 7300\n[safety]\nlow = [0.46, -0.09, 0.01]\nhigh = [0.64, 0.09, 0.24]\nspeed = 0.2\nmoves = 9\n"
    'stop_file = "a"\ndry_run = false\nstep = 0.1\n[arm]\naside = [0.2, 0.4, 0.3, 0.0]'
)
RANGES_TOML = (
    "[appearance]\nenabled = true\ncamera_position = 0.03\nlight_height = [0.6, 2.0]\nlight_count = [1, 3]\n"
    "jpeg = [40, 90]\ntextured = 0.7\n[dynamics]\nenabled = true\nmass = [0.5, 2.0]\nlatency = [0.0, 0.1]"
)
CALIBRATION = {
    "source": "sim",
    "samples": 100,
    "scale": 1.1,
    "shift": -0.2,
    "below": [[0.1, 0.05, 0.2], [0.4, 0.2, 0.5]],
}
OPENCV = {
    "K": [[600.0, 0, 320.0], [0, 600.0, 240.0], [0, 0, 1]],
    "width": 640,
    "height": 480,
    "distortion": [0, 0, 0],
    "T_base_camera": [[0, -1, 0, 0.5], [-1, 0, 0, 0.0], [0, 0, -1, 0.8], [0, 0, 0, 1]],
}


def _mappings(root: Path) -> None:
    for name, text in MAPPING_TOML.items():
        (root / f"{name}.toml").write_text(text)


def _read_mappings(source: Path, out: Path, rng: Rng) -> None:
    for name, kind in MAPPINGS.items():
        checked(read_mapping(source / f"{name}.toml", kind))


def _cameras(root: Path) -> None:
    (root / "ours.json").write_text(json.dumps(asdict(Camera())))
    (root / "opencv.json").write_text(json.dumps(OPENCV))
    (root / "ours.toml").write_text("position = [0.3, 0.5, 0.7]\ntarget = [0.55, 0.0, 0.0]\nfov = 30\nroll = 1.5")


def _read_cameras(source: Path, out: Path, rng: Rng) -> None:
    for name in rng.permutation(["ours.json", "opencv.json", "ours.toml"]).tolist():
        found = read_camera(source / name)
        require_sight(found.camera, Workspace(), "--camera")
        assert np.isfinite(found.camera.project(np.array([0.55, 0.0, 0.0]))).all()


def _read_settings(source: Path, out: Path, rng: Rng) -> None:
    safe_box(Workspace(), read_safety(json.loads(read_settings(source / "robot.toml")).get("safety", {})))


def _read_calibration(source: Path, out: Path, rng: Rng) -> None:
    found = load_calibration(source / "calibration.json")
    if found:
        values = [found.success(value) for value in (0.0, 0.5, 1.0)] + [found.threshold(0.1)]
        assert all(0 <= value <= 1 for value in values), values


def _points(root: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [["picture", "u", "v", "x", "y", "z", "yaw"]]
    for place in rng.uniform(Workspace().low, Workspace().high, (8, 3)):
        rows.append(["a.png", *((Camera().project(place) + 1) * 32).round(2), *place.round(4), 0.1])
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (root / "points.csv").write_text(text.getvalue())
    (root / "a.png").write_bytes(png(shade(3, 64, 64)))
    (root / "board.png").write_bytes(png(Board().picture(24)))
    (root / "boards.csv").write_text("picture,x,y,z,yaw\nboard.png,0.5,0.1,0.0,0.3\n")


def _read_points(source: Path, out: Path, rng: Rng) -> None:
    if rng.random() < 0.3:
        read_boards(source / "boards.csv", Board())
        return
    if rng.random() < 0.8:  # what follows takes a hundred times longer
        read_points(source / "points.csv")
        return
    points = [point for point in read_points(source / "points.csv") if point.pixel is not None]
    fit = fit_camera(
        np.array([one.pixel for one in points]).reshape(-1, 2), np.array([one.place for one in points]), 64, 64
    )
    out.mkdir()
    (out / "camera.json").write_text(json.dumps(fit.as_file()))
    read_camera(out / "camera.json")


OBSERVATION = {
    "image_before": np.zeros((SIZE, SIZE, 3), np.uint8),
    "image_now": np.full((SIZE, SIZE, 3), 7, np.uint8),
    "pose": np.array([0.5, 0.0, 0.1, 0.2], np.float32),
    "step": 1,
}


def _frames(root: Path) -> None:
    (root / "a.msgpack").write_bytes(pack(OBSERVATION))
    (root / "b.msgpack").write_bytes(pack(OBSERVATION | {"pose": [0.5, 0.0, 0.1, 0.2], "step": np.int64(2)}))


def _bodies(root: Path) -> None:
    pictures = {name: OBSERVATION[name] for name in ("image_before", "image_now")}
    coded = {name: base64.b64encode(png(picture)).decode() for name, picture in pictures.items()}
    (root / "png.json").write_text(json.dumps(coded | {"pose": [0.5, 0.0, 0.1, 0.2], "step": 0}))
    nested = {name: picture.tolist() for name, picture in pictures.items()}
    (root / "nested.json").write_text(json.dumps(nested | {"pose": [0.5, 0.0, 0.1, 0.2]}))


def _of_body(data: bytes, rng: Rng) -> bytes:
    """A JSON request with a value changed; or the picture inside its base64."""
    body = json.loads(data)
    if isinstance(body.get("image_now"), str) and rng.random() < 0.5:
        inside = pick(rng, (of_png, of_bytes))(base64.b64decode(body["image_now"]), rng)
        return json.dumps(body | {"image_now": base64.b64encode(inside).decode()}).encode()
    return of_json(data, rng)


def _answer(decode: Callable[[bytes, int, int], requests.Request]) -> Callable[[Path, Path, Rng], None]:
    def read(source: Path, out: Path, rng: Rng) -> None:
        for path in sorted(source.iterdir()):
            request = decode(path.read_bytes(), SIZE, 4)
            seen = request.observation
            assert seen.image_before.shape == seen.image_now.shape == (SIZE, SIZE, 3)
            assert seen.image_now.dtype == np.uint8
            assert np.isfinite(seen.pose).all()
            assert request.step is None or 0 <= request.step < 4

    return read


def _unpack(source: Path, out: Path, rng: Rng) -> None:
    for path in sorted(source.iterdir()):
        value = unpack(path.read_bytes())
        try:
            pack(value)
        except WireError:
            continue


def _results(root: Path) -> None:
    records = [AttemptRecord(k, k // 3, k % 2 == 0, "cup" if k % 2 == 0 else None, 4, 0.5, 1.0) for k in range(4)]
    save(EvaluationResult("sim-only", 0.0, 0, 0, 1600, "standin", records, ["simulation"]), root)


def _read_results(source: Path, out: Path, rng: Rng) -> None:
    results = find_results(source)
    if results:
        markdown = results_markdown(pool(results))
        assert len(markdown.splitlines()) == 3


def _run_config(root: Path) -> None:
    begin_run(root / "run", "policy", Camera(), {"sim": {"world": "sim"}})


SETTINGS = (
    Reader(
        "study file",
        lambda root: (root / "study.toml").write_bytes((FOLDER / "tiny.toml").read_bytes()),
        lambda source, out, rng: read_study(str(source / "study.toml")),
    ),
    Reader(
        "study.json",
        lambda root: (root / "study.json").write_text(json.dumps(to_json(read_study("tiny")))),
        lambda source, out, rng: plan(study_of(source), out, 0),
    ),
    Reader("results.json", _results, _read_results),
    Reader("config.json of a run", _run_config, lambda source, out, rng: read_run(source / "run", "policy")),
    Reader("mapping files", _mappings, _read_mappings),
    Reader("robot settings", lambda root: (root / "robot.toml").write_text(SAFETY_TOML), _read_settings),
    Reader(
        "randomization file",
        lambda root: (root / "ranges.toml").write_text(RANGES_TOML),
        lambda source, out, rng: read_randomization(source / "ranges.toml"),
    ),
    Reader("camera files", _cameras, _read_cameras),
    Reader(
        "calibration.json",
        lambda root: (root / "calibration.json").write_text(json.dumps(CALIBRATION)),
        _read_calibration,
    ),
    Reader("points to align with", _points, _read_points, changes={"csv": of_csv}, slow=True),
    Reader("wire, any value", _frames, _unpack, refusals=(WireError,)),
    Reader("server, MessagePack", _frames, _answer(requests.from_wire)),
    Reader("server, JSON", _bodies, _answer(requests.from_json), changes={"json": _of_body}),
)
