"""From the bytes of a request to an observation, with everything checked that a stranger may get wrong."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from graspgap.contract import Image, Observation, Pose
from graspgap.datasets.pictures import decode_picture
from graspgap.deployment.wire import WireError, unpack
from graspgap.errors import UserError
from graspgap.settings import is_number

PNG = b"\x89PNG\r\n\x1a\n"
KEYS = ("image_before", "image_now", "pose", "step")
"""`step` may be absent."""


@dataclass(frozen=True)
class Request:
    """What a client asks the policy."""

    observation: Observation
    step: int | None
    """Servo step of the attempt, from 0; None: one in the middle of an attempt of any length."""


def from_wire(data: bytes, image_size: int, steps: int) -> Request:
    """The request in a MessagePack message; pictures are uint8 arrays [image_size, image_size, 3].

    Raises:
        UserError: if it isn't one.
    """
    try:
        fields = unpack(data)
    except WireError as error:
        raise UserError(str(error)) from None
    return _request(fields, image_size, steps)


def from_json(data: bytes, image_size: int, steps: int) -> Request:
    """The request in a JSON document; pictures are nested lists of numbers 0 to 255, or PNG files in base64.

    Raises:
        UserError: if it isn't one.
    """
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise UserError("the request is no JSON document") from None
    if isinstance(fields, dict):
        for key in ("image_before", "image_now"):
            if isinstance(fields.get(key), str):
                fields[key] = _png(fields[key], key, image_size)
            elif isinstance(fields.get(key), list):
                fields[key] = _nested(fields[key], key, image_size)
    return _request(fields, image_size, steps)


def _request(fields: Any, image_size: int, steps: int) -> Request:
    if not isinstance(fields, dict):
        raise UserError(f"the observation is no map of {', '.join(KEYS)}")
    missing = [key for key in KEYS[:3] if key not in fields]
    if missing:
        raise UserError(f"the observation has no {missing[0]}: expected {', '.join(KEYS[:3])}, and step if you like")
    unknown = [str(key)[:40] for key in fields if key not in KEYS]
    if unknown:
        raise UserError(f"the observation has the unknown key '{unknown[0]}': expected {', '.join(KEYS)}")
    before, now = (_picture(fields[key], key, image_size) for key in KEYS[:2])
    step = fields.get("step")
    if step is not None:
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step < steps:
            raise UserError(f"step is no whole number from 0 to {steps - 1}: leave it out if there is no limit")
        step = int(step)
    return Request(Observation(before, now, _pose(fields["pose"])), step)


def _picture(value: Any, key: str, size: int) -> Image:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.shape != (size, size, 3):
        found = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise UserError(f"{key} is {found}, expected uint8 [{size}, {size}, 3], RGB")
    return value


def _pose(value: Any) -> Pose:
    if isinstance(value, list):  # before NumPy pads texts, or lists of unequal length, to something huge
        fine = len(value) == 4 and all(isinstance(each, float | np.number) or is_number(each) for each in value)
        value = np.array(value, dtype=np.float64) if fine else None
    if not isinstance(value, np.ndarray) or value.shape != (4,) or value.dtype.kind not in "iuf":
        raise UserError("pose is no list of 4 numbers: x, y, z [m], yaw [rad]")
    pose = value
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is refused
        pose = pose.astype(np.float32)
    if not np.isfinite(pose).all():
        raise UserError("pose holds a value that is not finite")
    return pose


def _png(text: str, key: str, size: int) -> Image:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UserError(f"{key} is no base64") from None
    sides = [int.from_bytes(data[start : start + 4], "big") for start in (16, 20)]
    if not data.startswith(PNG) or sides != [size, size]:  # before decoding: a small file may hold a huge picture
        raise UserError(f"{key} is no PNG file of {size} x {size} pixels")
    return decode_picture(data)


def _nested(value: list[Any], key: str, size: int) -> Image:
    """A picture of whole numbers, each looked at before NumPy sees it, for the same reason as a pose's."""

    def are_lists(items: list[Any], length: int) -> bool:
        return all(isinstance(item, list) and len(item) == length for item in items)

    fine = are_lists([value], size) and are_lists(value, size) and all(are_lists(row, 3) for row in value)
    if not fine or not all(type(n) is int and 0 <= n <= 255 for row in value for pixel in row for n in pixel):
        raise UserError(f"{key} is no nested list [{size}, {size}, 3] of whole numbers from 0 to 255")
    return np.array(value, dtype=np.uint8)
