"""TFRecord files with a tf.train.Example per record, without TensorFlow."""

from __future__ import annotations

import difflib
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32, Int64

from graspgap.errors import UserError, choose

Fields = dict[str, list[bytes] | Float32[np.ndarray, "v"] | Int64[np.ndarray, "v"]]
"""Name of a field to its values; numbers are flat."""

_HEAD, _TAIL = 12, 4
"""Bytes around the data of a record: its length and the length's checksum, and its own checksum."""


def find_files(source: Path) -> list[Path]:
    """The TFRecord files below a folder, or the one that `source` is."""
    found = [source] if source.is_file() else source.rglob("*.tfrecord*")
    return sorted(path for path in found if path.is_file())


def record_offsets(path: Path) -> list[tuple[int, int]]:
    """(offset, bytes with frame) of each record of a file, of which only the frames are read.

    Raises:
        UserError: if the file breaks off inside a record, or a length's checksum is wrong.
    """
    found, start, size = [], 0, path.stat().st_size
    with open(path, "rb") as file:
        while start < size:
            file.seek(start)
            end = start + _HEAD + _length(path, file) + _TAIL
            if end > size:
                raise _damaged(path, start)
            found.append((start, end - start))
            start = end
    return found


def read_record(path: Path, offset: int) -> Fields:
    """The fields of the record at an offset; its checksums are verified.

    A SequenceExample gives its context, which is encoded alike.

    Raises:
        UserError: if the record is truncated, changed, or no tf.train.Example.
    """
    from google.protobuf.message import DecodeError
    from tfrecord import example_pb2  # here, because it imports torch, which takes seconds
    from tfrecord.writer import TFRecordWriter

    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(_length(path, file))
        if file.read(_TAIL) != TFRecordWriter.masked_crc(data):
            raise _damaged(path, offset)
    example = example_pb2.Example()
    try:
        example.ParseFromString(data)
    except DecodeError:
        raise UserError(f"{path} holds records that are no tf.train.Example: map another kind of file") from None
    return {name: _values(feature) for name, feature in example.features.feature.items()}


def require_fields(fields: Fields, names: Iterable[str], path: Path) -> None:
    """Refuse fields that a record doesn't have.

    Raises:
        UserError: names the fields that there are, the nearest first.
    """
    for name in names:
        if name not in fields:
            near = sorted(fields, key=lambda field: -difflib.SequenceMatcher(None, name, field).ratio())
            choose(f"field of {path.name}", name, near)


def _length(path: Path, file: BinaryIO) -> int:
    from tfrecord.writer import TFRecordWriter

    offset, head = file.tell(), file.read(_HEAD)
    if len(head) < _HEAD or head[8:] != TFRecordWriter.masked_crc(head[:8]):
        raise _damaged(path, offset)
    return int(struct.unpack("<Q", head[:8])[0])


def _damaged(path: Path, offset: int) -> UserError:
    return UserError(f"{path} is damaged after byte {offset}: a checksum is wrong; download it again")


def _values(feature: Any) -> list[bytes] | np.ndarray:
    if feature.HasField("float_list"):
        return np.array(feature.float_list.value, dtype=np.float32)
    if feature.HasField("int64_list"):
        return np.array(feature.int64_list.value, dtype=np.int64)
    return list(feature.bytes_list.value)
