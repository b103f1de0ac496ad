"""The readers of recordings and of datasets, with valid ones for them."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mcap.reader import make_reader
from tfrecord import example_pb2

from fuzzing import Reader
from graspgap.contract import Camera, GraspAttempt, GraspOutcome, Layers, Workspace, WorldSpec
from graspgap.datasets import open_dataset
from graspgap.datasets.check import verify
from graspgap.datasets.import_google_grasping import GoogleGraspingMapping, import_google_grasping
from graspgap.datasets.import_images import ImportImagesConfig, import_images
from graspgap.datasets.import_lerobot import LerobotMapping, import_lerobot
from graspgap.datasets.import_rlds import RldsMapping, import_rlds
from graspgap.datasets.import_rosbag import RosbagMapping, import_rosbag
from graspgap.datasets.import_video import ImportVideoConfig, import_video
from graspgap.datasets.poses import FrameConfig
from graspgap.datasets.schema import PictureRow
from graspgap.datasets.writer import finish, write_rows
from graspgap.files import sha256
from mutations import Rng, framed, of_bytes, pick
from recordings import MCAP, compressed, png, pose_stamped, raw, shade, write_lerobot, write_mcap, write_video
from test_import_google_grasping import record, write

SIZE = 16
XYZW = FrameConfig(rotation="quat-xyzw", fingers="x")
LEROBOT = (
    LerobotMapping(images=("observation.images.wrist",), image_size=SIZE),
    LerobotMapping(images=("observation.images.top",), image_size=SIZE, frames_per_attempt=2, attempts_per_episode=2),
    LerobotMapping(
        images=("observation.images.top", "observation.images.wrist"),
        pose="observation.state",
        pose_index=(0, 1, 2, 3, 4, 5, 6),
        frame=XYZW,
        target="action",
        success="next.success",
        grasp="gripper",
        gripper="observation.state",
        gripper_index=7,
        image_size=SIZE,
    ),
    LerobotMapping(
        images=("observation.images.wrist",),
        pose="action",
        pose_index=(0, 1, 2, 3, 4, 5, 6),
        frame=XYZW,
        success="grasp",
        grasp="last-frame",
        image_size=SIZE,
    ),
)
RLDS = (
    RldsMapping(image_size=SIZE),
    RldsMapping(pose="steps/observation/state", image_size=SIZE, attempts_per_episode=2),
)
GOOGLE = (GoogleGraspingMapping(image_size=SIZE), GoogleGraspingMapping(label="gripper-status", image_size=SIZE))
VIDEO = (ImportVideoConfig(image_size=SIZE), ImportVideoConfig(every=0, image_size=SIZE))
ROSBAG = (
    RosbagMapping(image="/raw", every=0, image_size=SIZE),
    RosbagMapping(image="/jpg", pose="/pose", every=0, image_size=SIZE, apart=0.5),
    RosbagMapping(image="/jpg", pose="/pose", clock="log", every=0.1, image_size=SIZE, apart=1),
)
IMAGES = (
    ImportImagesConfig(image_size=SIZE),
    ImportImagesConfig(image_size=SIZE, by_folder=False, frames_per_attempt=2),
)


def _importer(run: Callable[[Path, Path, Any], Any], mappings: tuple[Any, ...]) -> Callable[[Path, Path, Rng], object]:
    return lambda source, out, rng: run(source, out, pick(rng, mappings))


def _rlds(root: Path) -> None:
    payloads = []
    for episode, length in enumerate((4, 3)):
        example = example_pb2.Example()
        feature = example.features.feature
        feature["steps/observation/image_0"].bytes_list.value.extend(
            [_jpeg(40 * episode + k) if episode else png(shade(k)) for k in range(length)]
        )
        feature["steps/observation/state"].float_list.value.extend(
            [v for k in range(length) for v in (0.5, 0.1, 0.2 + 0.01 * k, 0, 0, 0.1, 1)]
        )
        feature["steps/is_last"].int64_list.value.extend([int(k == length - 1) for k in range(length)])
        payloads.append(example.SerializeToString())
    (root / "toy-train.tfrecord-00000-of-00001").write_bytes(framed(payloads))


def _jpeg(value: int) -> bytes:
    return cv2.imencode(".jpg", shade(value, 20, 24))[1].tobytes()


def _google(root: Path) -> None:
    write(root / "a.tfrecord-00000-of-00002", [record(0), record(1, steps=3, success=0.0, status=0.0)])
    write(root / "a.tfrecord-00001-of-00002", [record(2, success=0.0)])


def _videos(root: Path) -> None:
    for name, codec in (("a.mp4", "libx264rgb"), ("b.mkv", "ffv1"), ("c.avi", "ffv1")):
        write_video(root / name, [shade(10 * k) for k in range(6)], codec)


def _bags(root: Path) -> None:
    kinds = {
        "/raw": "sensor_msgs/msg/Image",
        "/jpg": "sensor_msgs/msg/CompressedImage",
        "/pose": "geometry_msgs/msg/PoseStamped",
    }
    rows = []
    for k in range(5):
        time = 100 + k / 10
        rows += [("/raw", time, raw(shade(10 * k), "bgr8", time)), ("/jpg", time, compressed(shade(10 * k), time))]
        rows += [("/pose", time, pose_stamped([0.5, 0.1, 0.3, 1.0, 0.0, 0.0, 0.0], time))]
    write_mcap(root / "a.mcap", kinds, rows, use_chunking=False)
    write_mcap(root / "b.mcap", kinds, rows[:6], compression=MCAP.CompressionType.LZ4)


def _of_mcap(data: bytes, rng: Rng) -> bytes:
    """A message of an MCAP file changed, or its topic or type, with checksums made right."""
    rows = [
        (schema.name if schema else "", channel.topic, message.log_time / 1e9, message.data)
        for schema, channel, message in make_reader(io.BytesIO(data)).iter_messages(log_time_order=False)
    ]
    kinds = {topic: kind for kind, topic, _, _ in rows}
    at, how = int(rng.integers(len(rows))), int(rng.integers(6))
    if how == 0:
        kinds[pick(rng, sorted(kinds))] = pick(
            rng, ("sensor_msgs/msg/Image", "geometry_msgs/msg/Pose", "std_msgs/msg/Bool")
        )
    elif how == 1:
        rows = [row for row in rows if row[1] != rows[at][1]]
    else:
        kind, topic, time, body = rows[at]
        rows[at] = (kind, topic, pick(rng, (time, 0.0, 1e9)), of_bytes(body, rng))
    with tempfile.TemporaryDirectory() as folder:
        path = write_mcap(
            Path(folder) / "a.mcap", kinds, [row[1:] for row in rows], use_chunking=bool(rng.random() < 0.5)
        )
        return path.read_bytes()


def _pictures(root: Path) -> None:
    for name, data in {
        "a/1.png": png(shade(1)),
        "a/2.jpg": _jpeg(2),
        "a/10.png": png(shade(3)),
        "b/1.jpeg": _jpeg(4),
        "b/2.png": cv2.imencode(".png", np.full((20, 20, 4), 99, np.uint16))[1].tobytes(),
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)


def _attempt(k: int, masks: bool) -> GraspAttempt:
    rng = np.random.default_rng(k)
    steps = 2
    images = list(rng.integers(0, 256, (steps, SIZE, SIZE, 3), dtype=np.uint8))
    kinds = list(rng.integers(0, 4, (steps + 1, SIZE, SIZE), dtype=np.uint8))
    layers = [Layers(kinds[s], np.full((SIZE, SIZE), 0.7, np.float32)) for s in range(steps + 1)]
    poses = rng.uniform(0.1, 0.5, (steps + 1, 4)).astype(np.float32)
    made = GraspAttempt(
        k,
        0,
        k // 2,
        images[0],
        images,
        poses[:-1],
        poses[-1],
        GraspOutcome(k % 2 == 0, "cube"),
        "sim",
        "random",
        ["cube"],
        {},
    )
    if not masks:
        return made
    return replace(
        made, mask_before=kinds[0], masks=kinds[1:], layers_before=layers[0], layers=layers[1:], predicted=[0.1, 0.2]
    )


def _dataset(root: Path, masks: bool = True) -> None:
    write_rows(root, [_attempt(k, masks) for k in range(6)], 4)
    spec = WorldSpec("sim", SIZE, Workspace(), Camera(), has_masks=masks, has_state=True, is_reality=not masks)
    finish(root, {}, spec, 2)


def _unlabelled(root: Path) -> None:
    rows = [PictureRow(k, k, shade(k, SIZE, SIZE), [shade(k, SIZE, SIZE)] * 2, "sim") for k in range(4)]
    write_rows(root, rows, 4)
    finish(
        root, {}, WorldSpec("sim", SIZE, Workspace(), Camera(), has_masks=False, has_state=False, is_reality=True), 1
    )


def _mend_dataset(root: Path) -> None:
    """Sizes and checksums of the shards as they are now, two times in three."""
    path = root / "meta.json"
    try:
        meta = json.loads(path.read_bytes())
        if len(path.read_bytes()) % 3:
            for entry in meta["shards"]:
                shard = root / entry["file"]
                entry |= {"bytes": shard.stat().st_size, "sha256": sha256(shard)}
            path.write_text(json.dumps(meta))
    except (ValueError, KeyError, TypeError, OSError, AttributeError):
        return


def _dataset_reader(*ways: str) -> Callable[[Path, Path, Rng], None]:
    def read(source: Path, out: Path, rng: Rng) -> None:
        way = pick(rng, ways)
        if way == "verify":
            verify(source)
            return
        data = open_dataset(source)
        data.require_image_size(SIZE)
        if way == "split":
            data.verify()
            data.split_by_scene(0.3)[0].unlabelled()
        elif way == "labelled":
            data.labelled(0.5)
        elif way == "simulated":
            data.simulated()
        else:
            data.unlabelled()

    return read


def _report(root: Path) -> None:
    """An import that was killed before its end."""
    (root / "pictures").mkdir()
    _pictures(root / "pictures")
    with chdir(root.parent):
        import_images(Path("in/pictures"), Path("in/out"), IMAGES[0])
    for name in ("meta.json", "README.md"):
        (root / "out" / name).unlink()


def _read_report(source: Path, out: Path, rng: Rng) -> None:
    """It goes on, whatever has become of its files."""
    if (source / "out").exists():
        shutil.copytree(source / "out", out)
    with chdir(source.parent):
        import_images(Path("in/pictures"), Path("out"), IMAGES[0])
    verify(out)


LABELS = ("unlabelled", "labelled", "split", "verify")
RECORDINGS = (
    *(
        Reader(
            f"import lerobot {version}",
            lambda root, version=version: write_lerobot(root / "d", version, [6, 8, 7][: int(version[1])]),
            lambda source, out, rng: import_lerobot(source / "d", out, pick(rng, LEROBOT)),
            slow=True,
            whole=True,
        )
        for version in ("v3.0", "v2.1")
    ),
    Reader("import rlds", _rlds, _importer(import_rlds, RLDS), slow=True, whole=True),
    Reader("import google-grasping", _google, _importer(import_google_grasping, GOOGLE), slow=True, whole=True),
    Reader("import video", _videos, _importer(import_video, VIDEO), slow=True, whole=True),
    Reader("import rosbag", _bags, _importer(import_rosbag, ROSBAG), changes={"mcap": _of_mcap}, slow=True, whole=True),
    Reader("import images", _pictures, _importer(import_images, IMAGES), slow=True, whole=True),
    Reader("resumed import", _report, _read_report, slow=True),
    Reader("dataset, simulated", _dataset, _dataset_reader("simulated", *LABELS), _mend_dataset, slow=True),
    Reader("dataset, labelled", lambda root: _dataset(root, False), _dataset_reader(*LABELS), _mend_dataset, slow=True),
    Reader(
        "dataset, unlabelled",
        _unlabelled,
        _dataset_reader("unlabelled", "split", "verify"),
        _mend_dataset,
        slow=True,
    ),
)
