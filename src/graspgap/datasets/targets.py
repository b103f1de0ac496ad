"""The grasp pose that the motor commands of an attempt lead to: shards hold commands, other formats ask for it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from graspgap.contract import Pose, wrap_yaw


def target_of(poses: Float32[np.ndarray, "t 4"], commands: Float32[np.ndarray, "t 5"]) -> Pose:
    """The pose from which `command_between` makes each of these commands again, bit for bit, yaw in [-pi/2, pi/2).

    A command is a difference rounded to 32 bits, so each step leaves an interval for the target; the target is a
    number of 32 bits inside all of them. Where commands don't lead to one pose, one near to all of them.
    """
    start = poses.astype(np.float64)
    low, high = _rounded_from(commands[:, :3])
    place = (((start[:, :3] + low).max(axis=0) + (start[:, :3] + high).min(axis=0)) / 2).astype(np.float32)
    for near in (np.nextafter(place, np.float32(end)) for end in (-np.inf, np.inf)):  # an end may round to even
        wrong = ((place - start[:, :3]).astype(np.float32) != commands[:, :3]).any(axis=0)
        right = ((near - start[:, :3]).astype(np.float32) == commands[:, :3]).all(axis=0)
        place = np.where(wrong & right, near, place)
    low, high = _turns(commands[:, 3], commands[:, 4])
    ends = start[:, 3] + (low + high) / 2
    whole = start[:, 3] + np.round((ends[0] - ends) / np.pi) * np.pi  # yaw and yaw + pi are the same grasp
    yaw = ((whole + low).max() + (whole + high).min()) / 2
    return np.array([*place, wrap_yaw(yaw)], dtype=np.float32)


def _rounded_from(
    values: Float32[np.ndarray, "*shape"],
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """The interval of numbers that round to each value of 32 bits."""
    exact = values.astype(np.float64)
    below, above = (np.nextafter(values, np.float32(end)).astype(np.float64) for end in (-np.inf, np.inf))
    return (exact + below) / 2, (exact + above) / 2


def _turns(
    sin: Float32[np.ndarray, "t"], cos: Float32[np.ndarray, "t"]
) -> tuple[Float[np.ndarray, "t"], Float[np.ndarray, "t"]]:
    """The interval of angles in [-pi/2, pi/2] with this sine and cosine: near 0 the sine tells more, near pi/2 the
    cosine."""
    low, high = (np.arcsin(np.clip(end, -1, 1)) for end in _rounded_from(sin))
    widest, narrowest = (np.arccos(np.clip(end, -1, 1)) for end in _rounded_from(cos))
    low = np.maximum(low, np.where(sin > 0, narrowest, -widest))
    high = np.minimum(high, np.where(sin < 0, -narrowest, widest))
    return low, high
