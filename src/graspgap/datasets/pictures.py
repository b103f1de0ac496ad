"""Pictures and masks to PNG bytes and back, and user pictures to the contract's square ones."""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
import PIL.Image
from jaxtyping import UInt8, UInt16

from graspgap.contract import Image, Mask
from graspgap.errors import UserError

_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 0, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]
"""Filtered but not deflated: the shard's zstd compresses several pictures of one bin together, which is both smaller
and ten times faster than deflating each."""


def encode_png(picture: UInt8[np.ndarray, "h w *c"] | UInt16[np.ndarray, "h w"], small: bool = False) -> bytes:
    """Lossless PNG of an RGB picture [h, w, 3], a mask [h, w] or a depth picture [h, w]; equal pictures give equal
    bytes.

    `small`: deflate it, for a file that stands alone.
    """
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", picture, [] if small else _FAST)[1].tobytes()


def decode_picture(data: bytes | memoryview) -> Image:
    """RGB picture of PNG or JPEG bytes; grey becomes RGB, 16 bits become 8, alpha is dropped.

    Raises:
        UserError: if the bytes are no picture.
    """
    return _decode(data, cv2.IMREAD_COLOR_RGB)


def decode_whole_picture(data: bytes) -> Image:
    """As `decode_picture`, for pictures of unknown origin: one that breaks off halfway is refused too, and one of more
    pixels than any camera has, before it is decoded (89 million, the limit of Pillow).

    Raises:
        UserError: if the bytes are no picture, or not all of one.
    """
    bombs = (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
                picture.load()
    except (OSError, SyntaxError, ValueError, *bombs) as error:
        raise UserError(f"{len(data)} bytes are not a whole picture ({error})") from None
    return decode_picture(data)


def decode_mask(data: bytes | memoryview) -> Mask:
    """Mask of single-channel PNG bytes.

    Raises:
        UserError: if the bytes are no picture.
    """
    return _decode(data, cv2.IMREAD_GRAYSCALE)


def decode_depth(data: bytes | memoryview) -> UInt16[np.ndarray, "h w"]:
    """Depth, in units of `DEPTH_UNIT`, of 16-bit PNG bytes.

    Raises:
        UserError: if the bytes are no picture of 16 bits.
    """
    picture = _decode(data, cv2.IMREAD_UNCHANGED)
    if picture.dtype != np.uint16:
        raise UserError(
            f"depth is a picture of {picture.dtype}, expected uint16: the file is damaged or of another kind"
        )
    return picture


def _decode(data: bytes | memoryview, flag: int) -> np.ndarray:
    try:
        picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flag) if data else None
    except cv2.error:
        picture = None
    if picture is None:
        raise UserError(f"{len(data)} bytes are not a PNG or JPEG picture: the file is damaged or of another kind")
    return np.asarray(picture)


def square(picture: Image, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The largest centred square of `picture`, resized to size x size (by area where it shrinks)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = np.ascontiguousarray(picture[top : top + side, left : left + side])
    if side == size:
        return crop
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, (size, size), interpolation=how))
