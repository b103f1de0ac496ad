"""What grasp networks learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class GraspBatch:
    """Pictures with one or more labelled commands each."""

    pictures: Float[Tensor, "b 6 h w"]
    """(I0, It), values in [-1, 1]."""
    poses: Float[Tensor, "b 4"]
    commands: Float[Tensor, "b n 5"]
    success: Float[Tensor, "b n"]
    """0 or 1; NaN where a picture has fewer than n commands, or no label."""
    shift: Float[Tensor, "b 2"]
    """By how much the pictures were moved, in half pictures (u, v)."""
    masks: Int[Tensor, "b 2 h2 w2"] | None = None
    """Semantic masks of both pictures at half resolution, moved with them; of simulation only."""

    def part(self, rows: slice) -> GraspBatch:
        """Some of the samples."""
        values = [getattr(self, field.name) for field in fields(self)]
        parts: list[Any] = [None if value is None else value[rows] for value in values]
        return GraspBatch(*parts)


def joined(batches: Sequence[GraspBatch]) -> GraspBatch:
    """Samples of several sources in one batch, without masks; a single one is returned as it is. Where a source has
    fewer commands per picture than another, its first ones are repeated without a label."""
    if len(batches) == 1:
        return batches[0]
    most = max(batch.commands.shape[1] for batch in batches)
    commands, success = [], []
    for batch in batches:
        repeated = batch.commands[:, :1].expand(-1, most - batch.commands.shape[1], -1)
        commands.append(torch.cat([batch.commands, repeated], dim=1))
        success.append(torch.cat([batch.success, torch.full_like(repeated[..., 0], torch.nan)], dim=1))
    pictures, poses, shift = (torch.cat([getattr(b, name) for b in batches]) for name in ("pictures", "poses", "shift"))
    return GraspBatch(pictures, poses, torch.cat(commands), torch.cat(success), shift)
