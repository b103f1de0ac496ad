"""Robot episodes in the RLDS form (TFRecord files of TensorFlow Datasets) as an unlabelled dataset, without TensorFlow.

An episode is one record; its field `steps/...` holds the values of all its steps one after the other.
"""

from __future__ import annotations

import difflib
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from graspgap.contract import MAX_SERVO_STEPS, Image
from graspgap.datasets.pictures import decode_whole_picture, square
from graspgap.datasets.schema import PictureRow
from graspgap.datasets.writer import ImportedSpec, config_hash, finish, write_rows
from graspgap.errors import UserError, choose
from graspgap.progress import progress
from graspgap.runs import begin_run

Episode = dict[str, list[bytes] | Float32[np.ndarray, "v"] | Int64[np.ndarray, "v"]]
"""Field name to its values; numbers are flat."""


@dataclass(frozen=True)
class RldsMapping:
    """Which fields of an episode are read. Pictures are cut to their central square and resized by area."""

    images: tuple[str, ...] = ("steps/observation/image_0",)
    """Fields with encoded pictures (PNG, JPEG), one per step; each field, a camera, makes rows of its own."""
    pose: str | None = None
    """Field with the gripper pose of each step, in metres and radians in the frame of the robot's base; none: pictures
    alone."""
    pose_index: tuple[int, int, int, int] = (0, 1, 2, 5)
    """Where x, y, z and yaw are among the values of `pose`."""
    image_size: int = 64
    """Pictures become image_size x image_size pixels."""
    frames_per_attempt: int = MAX_SERVO_STEPS
    """Pictures per row, spread evenly over the episode."""
    attempts_per_episode: int = 1
    """Rows per episode and camera; their pictures interleave."""


def import_rlds(source: Path, out: Path, mapping: RldsMapping | None = None) -> dict[str, Any]:
    """Import the episodes of all TFRecord files below `source` to the dataset `out`; an episode is a scene.

    `image_before` is the first picture of the episode. Cameras that show nothing (one colour) or can't be decoded are
    skipped; their number is in the meta that is returned, under "notes".

    Raises:
        UserError: if there are no TFRecord files, one is damaged, a field of the mapping doesn't exist or is of
            another kind, no picture is left, or `out` holds something else.
    """
    mapping = mapping or RldsMapping()
    files = sorted(path for path in source.rglob("*.tfrecord*") if path.is_file())
    if not files:
        raise UserError(
            f"{source} has no TFRecord files: expected a folder of TensorFlow Datasets (name-train.tfrecord-...)"
        )
    first = next(_episodes(files[0]), None)
    if first is None:
        raise UserError(f"{files[0]} is empty: expected RLDS episodes; download it again")
    _check_fields(first, mapping, files[0])
    begin_run(out, "dataset", mapping, {"source": str(source)})
    notes = {"source": str(source), "episodes": 0, "skipped": 0}
    with progress("import", sum(path.stat().st_size for path in files), unit="bytes") as advance:
        shards = write_rows(out, _rows(files, mapping, notes, advance), settings=config_hash(asdict(mapping)))
    if shards == 0:
        raise UserError(f"{source} has no picture in {', '.join(mapping.images)} that shows anything: map other fields")
    return finish(out, asdict(mapping), ImportedSpec("rlds", mapping.image_size), shards, notes)


def _rows(
    files: list[Path], mapping: RldsMapping, notes: dict[str, Any], advance: Callable[..., None]
) -> Iterator[PictureRow]:
    attempt = 0
    for path in files:
        for episode in _episodes(path):
            _check_fields(episode, mapping, path)
            poses = None if mapping.pose is None else _poses(episode, mapping, path)
            for camera in mapping.images:
                for before, images, steps in _attempts(episode, camera, mapping, notes):
                    yield PictureRow(
                        attempt, notes["episodes"], before, images, "rlds", None if poses is None else poses[steps]
                    )
                    attempt += 1
            notes["episodes"] += 1
        advance(path.stat().st_size)


def _attempts(
    episode: Episode, camera: str, mapping: RldsMapping, notes: dict[str, Any]
) -> Iterator[tuple[Image, list[Image], Int64[np.ndarray, "t"]]]:
    """(image_before, images, their steps) of each row that one camera of an episode gives."""
    data = episode[camera]
    steps = _spread(len(data), mapping.frames_per_attempt * mapping.attempts_per_episode)
    try:
        before, *pictures = [square(decode_whole_picture(data[k]), mapping.image_size) for k in (0, *steps)]
    except (UserError, IndexError):
        notes["skipped"] += 1
        return
    if all(np.ptp(picture) == 0 for picture in pictures):
        notes["skipped"] += 1
        return
    for first in range(min(mapping.attempts_per_episode, len(steps))):
        every = slice(first, None, mapping.attempts_per_episode)
        yield before, pictures[every], steps[every]


def _spread(steps: int, count: int) -> Int64[np.ndarray, "t"]:
    """Up to `count` different steps spread evenly over an episode, without its first where there are others."""
    return np.unique(np.linspace(min(1, steps - 1), steps - 1, min(count, max(steps - 1, 1))).round().astype(np.int64))


def _poses(episode: Episode, mapping: RldsMapping, path: Path) -> Float32[np.ndarray, "steps 4"]:
    steps = len(episode[mapping.images[0]])
    values = np.asarray(episode[mapping.pose or ""])
    if values.dtype != np.float32 or len(values) % steps or len(values) // steps <= max(mapping.pose_index):
        raise UserError(
            f"{path} has {len(values)} values of '{mapping.pose}' in an episode of {steps} steps: "
            f"expected numbers, at least {max(mapping.pose_index) + 1} a step; map another field or pose index"
        )
    return values.reshape(steps, -1)[:, list(mapping.pose_index)]


def _check_fields(episode: Episode, mapping: RldsMapping, path: Path) -> None:
    for name in (*mapping.images, *([mapping.pose] if mapping.pose else [])):
        if name not in episode:
            near = sorted(episode, key=lambda field: -difflib.SequenceMatcher(None, name, field).ratio())
            choose(f"field of {path.name}", name, near)
    for name in mapping.images:
        if not isinstance(episode[name], list):
            raise UserError(
                f"field '{name}' of {path.name} holds numbers, expected encoded pictures: map another field"
            )


def _episodes(path: Path) -> Iterator[Episode]:
    """The records of a TFRecord file; its checksums are verified.

    Raises:
        UserError: if the file is truncated or changed.
    """
    from google.protobuf.message import DecodeError
    from tfrecord import example_pb2  # here, because it imports torch, which takes seconds
    from tfrecord.writer import TFRecordWriter

    with open(path, "rb") as file:
        while head := file.read(12):
            data = file.read(struct.unpack("<Q", head[:8])[0]) if len(head) == 12 else b""
            checksums = head[8:] + file.read(4)
            if checksums != TFRecordWriter.masked_crc(head[:8]) + TFRecordWriter.masked_crc(data):
                raise UserError(f"{path} is damaged after byte {file.tell()}: a checksum is wrong; download it again")
            example = example_pb2.Example()
            try:
                example.ParseFromString(data)
            except DecodeError:
                raise UserError(f"{path} holds records that are no tf.train.Example: expected RLDS episodes") from None
            yield {name: _values(feature) for name, feature in example.features.feature.items()}


def _values(feature: Any) -> list[bytes] | np.ndarray:
    if feature.HasField("float_list"):
        return np.array(feature.float_list.value, dtype=np.float32)
    if feature.HasField("int64_list"):
        return np.array(feature.int64_list.value, dtype=np.int64)
    return list(feature.bytes_list.value)
