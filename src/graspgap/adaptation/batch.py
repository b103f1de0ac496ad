"""What grasp networks learn from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

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
