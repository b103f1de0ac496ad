"""The wire format of openpi's policy servers: MessagePack with numpy arrays, and no pickle.

An array is the map {b"__ndarray__": True, b"data": its bytes in C order, b"dtype": "<f4", b"shape": [2, 3]}, a numpy
scalar {b"__npgeneric__": True, b"data": its value, b"dtype": "<f4"} (openpi, Apache-2.0, `msgpack_numpy`); the keys are
binary. This is not the format of the package msgpack-numpy. This module and `client` need numpy and msgpack alone.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgpack
import numpy as np

DTYPE = re.compile(r"[<>|=]?[biuf][1248]|[<>|=]?[SU][1-9]\d{0,3}")
"""Truth values, integers, floats and texts. Objects, records and complex numbers are refused, as by openpi."""
MOST_DIMENSIONS = 8


class WireError(ValueError):
    """Bytes that are no message, or a value that no message can hold. The text is one line."""


def pack(value: Any) -> bytes:
    """The bytes of a value made of maps, lists, texts, bytes, numbers, None and numpy arrays.

    Raises:
        WireError: if it holds anything else.
    """
    try:
        return bytes(msgpack.packb(value, default=_encode))
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(str(error)) from None


def unpack(data: bytes) -> Any:
    """The value of a message; arrays are read-only views into it.

    Nothing is allocated beyond what the message's own length allows.

    Raises:
        WireError: if the bytes are not one whole message, or an array in it is not what it says.
    """
    try:
        return msgpack.unpackb(data, object_hook=_decode, ext_hook=_no_extension)
    except WireError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        words = str(error).splitlines() or [""]
        raise WireError(f"the message is no MessagePack ({words[0] or type(error).__name__})") from None


def _encode(value: Any) -> dict[bytes, Any]:
    if isinstance(value, np.ndarray | np.generic) and not DTYPE.fullmatch(value.dtype.str):
        raise WireError(f"an array of {value.dtype} can't be sent: give numbers, truth values or texts")
    if isinstance(value, np.ndarray):
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise WireError(f"a {type(value).__name__} can't be sent")


def _decode(entries: dict[Any, Any]) -> Any:
    if b"__ndarray__" in entries:
        dtype, data, shape = _dtype(entries), entries.get(b"data"), entries.get(b"shape")
        if not isinstance(data, bytes):
            raise WireError("an array's data are no bytes")
        if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS or not all(map(_is_length, shape)):
            raise WireError(f"an array's shape is no list of at most {MOST_DIMENSIONS} lengths")
        if math.prod(shape) * dtype.itemsize != len(data):
            raise WireError(f"an array of {dtype} of shape {shape} can't have {len(data)} bytes")
        return np.frombuffer(data, dtype).reshape(shape) if data else np.zeros(shape, dtype)
    if b"__npgeneric__" in entries:
        dtype, value = _dtype(entries), entries.get(b"data")
        if not isinstance(value, bool | int | float | str | bytes):
            raise WireError("a numpy scalar's data are no number or text")
        return dtype.type(value)
    return entries


def _dtype(entries: dict[Any, Any]) -> np.dtype[Any]:
    name = entries.get(b"dtype")
    if not isinstance(name, str) or not DTYPE.fullmatch(name):
        raise WireError("an array's dtype is none of numbers, truth values or texts")
    try:
        return np.dtype(name)
    except TypeError:
        raise WireError(f"numpy has no dtype {name}") from None


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _no_extension(code: int, data: bytes) -> Any:
    raise WireError(f"the message holds an extension type ({code})")
