"""Batches from dataset views. What a step sees depends on (seed, step) alone, so training resumes exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64, UInt8
from torch import Tensor

from graspgap.adaptation.batch import GraspBatch
from graspgap.contract import apply_command, command_between
from graspgap.datasets import LabelledView, SimulatedView, UnlabelledView
from graspgap.tensors import levels

CLEAR_Z = 0.12
"""Above this height [m] the gripper has touched nothing yet: the bin is as image_before shows it."""


def to_float(pictures: UInt8[np.ndarray, "b c h w"], device: torch.device) -> Float[Tensor, "b c h w"]:
    """uint8 to [-1, 1]."""
    return torch.from_numpy(pictures).to(device).float().div_(127.5).sub_(1)


def to_uint8(pictures: Float[Tensor, "b c h w"]) -> UInt8[np.ndarray, "b c h w"]:
    """[-1, 1] to uint8."""
    return levels(pictures).to(torch.uint8).cpu().numpy()


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of the grasp network's pictures, the same for every arm of a study."""

    shift: int = 4
    """Largest shift of a pair [pixels]; the command's projection moves with it."""
    contrast: float = 0.2
    """Contrast is scaled by 1 +- this."""
    tint: float = 0.3
    """Each colour channel is scaled by 1 +- this."""
    brightness: float = 0.15
    """Brightness changes by +- this, on a scale where black is -1 and white 1."""


def augment(
    pictures: UInt8[np.ndarray, "b c h w"], rng: np.random.Generator, config: AugmentConfig
) -> tuple[Float32[np.ndarray, "b c h w"], Float32[np.ndarray, "b 2"]]:
    """Shifted and re-lit pictures in [-1, 1], and the shifts in half pictures (u, v). Both pictures of a pair get the
    same draw, every pair another one."""
    count, channels, height, width = pictures.shape
    moves = rng.integers(-config.shift, config.shift + 1, size=(count, 2))  # (right, down) in pixels
    moved = shifted(pictures, moves)
    gain = rng.uniform(1 - config.contrast, 1 + config.contrast, (count, 1, 1, 1))
    tint = np.tile(rng.uniform(1 - config.tint, 1 + config.tint, (count, 3)), channels // 3)[:, :, None, None]
    lift = rng.uniform(-config.brightness, config.brightness, (count, 1, 1, 1))
    lit = np.multiply(moved, (2 / 255 * tint).astype(np.float32))
    lit -= 1
    lit *= gain.astype(np.float32)
    lit += lift.astype(np.float32)
    np.clip(lit, -1, 1, out=lit)
    shift = moves / (width / 2, height / 2)
    return lit, shift.astype(np.float32)


def shifted(pictures: UInt8[np.ndarray, "b c h w"], moves: Int64[np.ndarray, "b 2"]) -> UInt8[np.ndarray, "b c h w"]:
    """Pictures moved by whole pixels (right, down), their borders repeated."""
    height, width = pictures.shape[-2:]
    most = int(np.abs(moves).max(initial=0))
    wide = np.pad(pictures, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    moved = np.empty_like(pictures)
    for picture, out, (right, down) in zip(wide, moved, moves.tolist(), strict=True):
        out[:] = picture[:, most - down : most - down + height, most - right : most - right + width]
    return moved


class GraspSamples:
    """Labelled samples (I0, It, v, success) of a view.

    In simulation each scene is restored to the same settled objects for several attempts. While the gripper is still
    clear of them, a picture of one attempt is therefore also a true picture for the targets of its scene-mates:
    `commands` > 1 adds their commands and labels. No real cell can do that, and real data is refused.
    """

    def __init__(
        self,
        view: LabelledView,
        commands: int = 1,
        pairs: UInt8[np.ndarray, "f 6 h w"] | None = None,
        augment_config: AugmentConfig | None = None,
    ) -> None:
        """`pairs` replaces the view's pictures by adapted ones, one per servo step."""
        if view.poses is None or view.commands is None:
            raise ValueError("samples need poses and commands")
        if commands > 1 and not isinstance(view, SimulatedView):
            raise ValueError("several commands per picture exist in simulation only")
        self.view, self.commands, self.pairs = view, commands, pairs
        self.augment_config = augment_config or AugmentConfig()
        self.poses = view.poses
        last = view.offsets[1:] - 1
        self.targets = apply_command(view.poses[last], view.commands[last])
        order = np.argsort(view.scenes, kind="stable")
        starts = np.flatnonzero(np.diff(view.scenes[order], prepend=-1))
        self._mates = dict(zip(view.scenes[order][starts].tolist(), np.split(order, starts[1:]), strict=True))

    def __len__(self) -> int:
        """Number of servo steps."""
        return len(self.view.images)

    def raw_pairs(self, frames: Int64[np.ndarray, "b"]) -> UInt8[np.ndarray, "b 6 h w"]:
        """Pictures of servo steps, without augmentation."""
        return self.view.pairs(frames) if self.pairs is None else self.pairs[frames]

    def batch(self, rng: np.random.Generator, size: int, device: torch.device) -> GraspBatch:
        """An augmented batch of servo steps drawn by `rng`."""
        frames = rng.integers(len(self), size=size)
        pictures, shift = augment(self.raw_pairs(frames), rng, self.augment_config)
        owners = np.full((size, self.commands), -1)
        owners[:, 0] = self.view.owner[frames]
        for row in np.flatnonzero(self.poses[frames, 2] >= CLEAR_Z) if self.commands > 1 else ():
            mates = self._mates[int(self.view.scenes[owners[row, 0]])]
            mates = rng.permutation(mates[mates != owners[row, 0]])[: self.commands - 1]
            owners[row, 1 : 1 + len(mates)] = mates
        aimed = np.where(owners >= 0, owners, owners[:, :1])  # the head's batch statistics see the unlabelled ones too
        commands = command_between(self.poses[frames][:, None], self.targets[aimed])
        success = np.where(owners >= 0, self.view.success[owners], np.nan).astype(np.float32)
        poses = self.poses[frames]
        poses[:, 3] += np.pi * rng.integers(2, size=size)  # the same grasp, seen with the fingers exchanged

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        return GraspBatch(
            pictures=tensor(pictures),
            poses=tensor(poses),
            commands=tensor(commands),
            success=tensor(success),
            shift=tensor(shift),
            masks=self._masks(frames, shift, device),
        )

    def _masks(
        self, frames: Int64[np.ndarray, "b"], shift: Float32[np.ndarray, "b 2"], device: torch.device
    ) -> Int[Tensor, "b 2 h2 w2"] | None:
        view = self.view
        if not isinstance(view, SimulatedView):
            return None
        masks = view.mask_pairs(frames)
        moves = np.rint(shift * masks.shape[-1] / 2).astype(np.int64)
        return torch.from_numpy(shifted(masks, moves)[:, :, ::2, ::2]).to(device).long()


class AttemptFrames:
    """Unlabelled attempts as groups of servo steps, for losses that compare pictures of one attempt."""

    def __init__(self, view: UnlabelledView, frames: int = 3, augment_config: AugmentConfig | None = None) -> None:
        """`frames`: pictures taken from each attempt; attempts with fewer are left out."""
        self.view, self.frames = view, frames
        self.augment_config = augment_config or AugmentConfig()
        self.usable = np.flatnonzero(np.diff(view.offsets) >= frames)

    def batch(self, rng: np.random.Generator, attempts: int, device: torch.device) -> GraspBatch:
        """Augmented pictures of `attempts` x `frames` servo steps, attempt by attempt; no labels."""
        view = self.view
        assert view.poses is not None
        assert view.commands is not None
        chosen = rng.choice(self.usable, size=attempts)
        steps = np.stack(
            [
                view.offsets[row] + rng.permutation(view.offsets[row + 1] - view.offsets[row])[: self.frames]
                for row in chosen
            ]
        ).reshape(-1)
        pictures, shift = augment(view.pairs(steps), rng, self.augment_config)
        unknown = np.full((len(steps), 1), np.nan, dtype=np.float32)
        arrays = (pictures, view.poses[steps], view.commands[steps][:, None], unknown, shift)
        return GraspBatch(*(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays))
