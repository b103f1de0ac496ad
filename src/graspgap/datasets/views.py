"""What training may hold: arrays of the attempts it was given, with labels and masks only where it was given them.

Attempts differ in length, so pictures are kept flat, one row per servo step (f = all steps together, n = attempts):
step k of attempt i is row `offsets[i] + k`. Training sample f is
(images_before[owner[f]], images[f], poses[f], commands[f], success[owner[f]]).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt16

from graspgap.contract import DEPTH_UNIT


@dataclass(frozen=True)
class UnlabelledView:
    """Pictures, poses and commands. It has neither `success` nor masks: nothing here can leak them."""

    images_before: UInt8[np.ndarray, "n 3 size size"]
    """I0 of each attempt, RGB."""
    images: UInt8[np.ndarray, "f 3 size size"]
    """It of each servo step, RGB."""
    owner: Int64[np.ndarray, "f"]
    """Row of the attempt that each servo step belongs to."""
    offsets: Int64[np.ndarray, "bounds"]
    """First servo step of each attempt; the last value is f."""
    poses: Float32[np.ndarray, "f 4"] | None
    """Gripper pose x, y, z [m], yaw [rad]; None for bare pictures."""
    commands: Float32[np.ndarray, "f 5"] | None
    """Motor command dx, dy, dz [m], sin dyaw, cos dyaw to the final grasp pose; None for bare pictures."""
    scenes: Int64[np.ndarray, "n"]
    """Number of the scene of each attempt, from 0, within the whole dataset: equal scenes began alike."""
    attempts: Int64[np.ndarray, "n"]
    """Attempt numbers as collected."""
    source: dict[str, Any]
    """Where the data came from and how much of it was read; see `provenance`."""
    shown: UInt8[np.ndarray, "f 6 size size"] | None = field(default=None, kw_only=True)
    """What a front end makes of each pair, where one stands before the policy; `pairs` gives it in place of the
    camera's pictures."""

    def __len__(self) -> int:
        """Number of attempts."""
        return len(self.attempts)

    def pairs(self, frames: Int64[np.ndarray, "b"]) -> UInt8[np.ndarray, "b 6 size size"]:
        """The pictures (I0, It) of servo steps, stacked."""
        if self.shown is not None:
            return self.shown[frames]
        return np.concatenate([self.images_before[self.owner[frames]], self.images[frames]], axis=1)

    def provenance(self) -> dict[str, Any]:
        """JSON-able facts for a run's record: path, sha256 of meta.json, world, split, numbers of attempts, labels and
        masks used."""
        return dict(self.source)


@dataclass(frozen=True)
class LabelledView(UnlabelledView):
    """As `UnlabelledView`, and how each attempt ended. It holds no attempt beyond the labels that were asked for."""

    success: Bool[np.ndarray, "n"]


@dataclass(frozen=True)
class SimulatedView(LabelledView):
    """As `LabelledView`, with the semantic masks that only simulation has (values of `SemanticClass`)."""

    masks_before: UInt8[np.ndarray, "n size size"]
    masks: UInt8[np.ndarray, "f size size"]
    canonical_before: UInt8[np.ndarray, "n 3 size size"] | None = field(default=None, kw_only=True)
    """I0 in the canonical look; None where the dataset has none (`collect --canonical`), as for the next ones."""
    canonicals: UInt8[np.ndarray, "f 3 size size"] | None = field(default=None, kw_only=True)
    depth_before: UInt16[np.ndarray, "n size size"] | None = field(default=None, kw_only=True)
    """In units of `DEPTH_UNIT`; None where the dataset has no layers."""
    depths: UInt16[np.ndarray, "f size size"] | None = field(default=None, kw_only=True)

    def mask_pairs(self, frames: Int64[np.ndarray, "b"]) -> UInt8[np.ndarray, "b 2 size size"]:
        """The semantic masks of (I0, It) of servo steps, stacked."""
        return np.stack([self.masks_before[self.owner[frames]], self.masks[frames]], axis=1)

    def canonical_pairs(self, frames: Int64[np.ndarray, "b"]) -> UInt8[np.ndarray, "b 6 size size"] | None:
        """The same instants in the canonical look, stacked as `pairs`; None where there are none."""
        if self.canonical_before is None or self.canonicals is None:
            return None
        return np.concatenate([self.canonical_before[self.owner[frames]], self.canonicals[frames]], axis=1)

    def depth_pairs(self, frames: Int64[np.ndarray, "b"]) -> Float32[np.ndarray, "b 2 size size"] | None:
        """Depth of (I0, It) along the camera's axis [m], 0 where nothing is hit; None where it isn't known."""
        if self.depth_before is None or self.depths is None:
            return None
        units = np.stack([self.depth_before[self.owner[frames]], self.depths[frames]], axis=1)
        return units * np.float32(DEPTH_UNIT)
