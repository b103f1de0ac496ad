"""Messages of ROS 2 in MCAP files (the `mcap` library, extra `recordings`): pictures and gripper poses, without ROS.

CDR is the OMG's Common Data Representation as ROS 2 writes it: a header of 4 bytes, then values aligned to their size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from graspgap.contract import Image
from graspgap.datasets.pictures import decode_whole_picture
from graspgap.errors import UserError

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
PICTURES = (RAW, COMPRESSED)
STAMPED, UNSTAMPED = "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/Pose"
POSES = (STAMPED, UNSTAMPED)
CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2, 3), "bgra8": (2, 1, 0, 3), "mono8": (0, 0, 0)}
"""Where red, green, blue (and alpha, which is dropped) are in a pixel of an encoding."""


class Broken(Exception):
    """A message that can't be read."""


@dataclass(frozen=True)
class Message:
    """A message."""

    topic: str
    kind: str
    """Name of its type."""
    logged: float
    """When it was recorded [s]."""
    data: bytes


def topics(path: Path) -> dict[str, str]:
    """Topic to the name of its type.

    Raises:
        UserError: if the `mcap` library is missing, or the file is damaged or no MCAP.
    """
    with _opened(path) as file:
        from mcap.reader import SeekingReader
        from mcap.records import Channel, Schema
        from mcap.stream_reader import StreamReader

        limit = path.stat().st_size
        summary = SeekingReader(file, record_size_limit=limit).get_summary()
        if summary is not None and summary.channels:
            schemas, channels = summary.schemas, summary.channels
        else:  # written without a summary
            file.seek(0)
            schemas, channels = {}, {}
            for record in StreamReader(file, record_size_limit=limit).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
        names = {key: schema.name for key, schema in schemas.items()}
        return {one.topic: names.get(one.schema_id, "") for one in channels.values() if one.message_encoding == "cdr"}


def messages(path: Path, topic: str) -> Iterator[tuple[Message, int]]:
    """The messages of a topic in the order of the file, and how many bytes of it have been read.

    Raises:
        UserError: as `topics`; a checksum that is there is verified.
    """
    with _opened(path) as file:
        from mcap.reader import NonSeekingReader

        reader = NonSeekingReader(file, validate_crcs=True, record_size_limit=path.stat().st_size)
        for schema, _, message in reader.iter_messages([topic], log_time_order=False):
            yield Message(topic, schema.name if schema else "", message.log_time / 1e9, message.data), file.tell()


def stamp(message: Message) -> float:
    """Time [s] in the header of a message of one of `PICTURES` or of `STAMPED`.

    Raises:
        Broken: if it is cut short.
    """
    return _Cdr(message.data).header()


def picture(message: Message) -> Image:
    """RGB picture of a message of one of `PICTURES`.

    Raises:
        Broken: if it is cut short, its picture is, or its encoding isn't one of `CHANNELS`.
    """
    reader = _Cdr(message.data)
    reader.header()
    if message.kind == COMPRESSED:
        reader.text()
        try:
            return decode_whole_picture(reader.sequence())
        except UserError as error:
            raise Broken(str(error)) from None
    height, width = reader.number("I"), reader.number("I")
    encoding = reader.text()
    reader.number("B")
    step, data = reader.number("I"), reader.sequence()
    if encoding not in CHANNELS:
        raise Broken(f"encoding '{encoding}' is none of {', '.join(CHANNELS)}")
    size = 1 if encoding == "mono8" else len(CHANNELS[encoding])
    if not height or not width or step < width * size or len(data) != height * step:
        raise Broken(f"{len(data)} bytes are not {height} rows of {step}")
    pixels = np.frombuffer(data, np.uint8).reshape(height, step)[:, : width * size].reshape(height, width, size)
    return np.ascontiguousarray(pixels[..., CHANNELS[encoding][:3]])


def pose(message: Message) -> Float64[np.ndarray, "7"]:
    """x, y, z, quaternion x, y, z, w of a message of one of `POSES`.

    Raises:
        Broken: if it is cut short.
    """
    reader = _Cdr(message.data)
    if message.kind == STAMPED:
        reader.header()
    return np.array([reader.number("d") for _ in range(7)])


class _Cdr:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 4 or data[0] != 0 or data[1] not in (0, 1):
            raise Broken("not plain CDR")
        self.order, self.data, self.place = "><"[data[1]], data[4:], 0

    def number(self, kind: str) -> Any:
        size = struct.calcsize(kind)
        self.place += -self.place % size
        return struct.unpack(self.order + kind, self._take(size))[0]

    def sequence(self) -> bytes:
        return self._take(self.number("I"))

    def text(self) -> str:
        return self.sequence().rstrip(b"\0").decode(errors="replace")

    def header(self) -> float:
        """The stamp [s] of a std_msgs/Header."""
        stamp = self.number("i") + self.number("I") / 1e9
        self.text()
        return float(stamp)

    def _take(self, size: int) -> bytes:
        part = self.data[self.place : self.place + size]
        if len(part) < size:
            raise Broken("cut short")
        self.place += size
        return part


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file; what the `mcap` library says about a damaged one becomes our error."""
    try:
        import lz4.frame  # noqa: F401, the mcap library goes on without them, and fails later
        import zstandard
        from mcap.exceptions import EndOfFile, McapError
    except ImportError as error:
        raise UserError(f"reading MCAP files needs {error.name}: pip install 'graspgap[recordings]'") from None
    library = (McapError, EndOfFile, zstandard.ZstdError)
    damage = (*library, ValueError, KeyError, RuntimeError, struct.error, MemoryError, EOFError)
    try:
        with open(path, "rb") as file:
            yield file
    except damage as error:
        why = str(error) or type(error).__name__
        raise UserError(f"{path} is damaged or no MCAP ({why}): copy it again, or mend it by 'mcap recover'") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error}): copy it again") from None
