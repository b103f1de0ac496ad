"""What goes over the wire: a length, JSON, and PNG pictures behind it."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import cv2
import numpy as np

LENGTH = struct.Struct(">I")
LONGEST = 64 << 20
"""Bytes of a message or a picture; who announces more speaks another protocol."""


def send(link: socket.socket, values: dict[str, Any], pictures: tuple[np.ndarray, ...] = ()) -> None:
    """Send a message: length (4 bytes, big-endian), JSON, then for each picture its length and its PNG (RGB)."""
    text = json.dumps(values | {"pictures": len(pictures)}).encode()
    parts = [LENGTH.pack(len(text)), text]
    for picture in pictures:
        png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        parts += [LENGTH.pack(len(png)), png]
    link.sendall(b"".join(parts))


def receive(link: socket.socket) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The next message and its pictures, uint8[h, w, 3] RGB.

    Raises:
        OSError: if the other side is gone, or sends what is no message.
    """
    try:
        values = json.loads(_block(link))
        pictures = [cv2.imdecode(np.frombuffer(_block(link), np.uint8), 1) for _ in range(values["pictures"])]
        return values, [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]
    except (ValueError, KeyError, TypeError, cv2.error) as error:
        raise ConnectionError(f"no message of ours: {error}") from error


def _block(link: socket.socket) -> bytes:
    (size,) = LENGTH.unpack(_exactly(link, LENGTH.size))
    if size > LONGEST:
        raise ConnectionError(f"a block of {size} bytes is announced, expected at most {LONGEST}")
    return _exactly(link, size)


def _exactly(link: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = link.recv(size - len(found))
        if not part:
            raise ConnectionError("the other side has closed the connection")
        found += part
    return bytes(found)
