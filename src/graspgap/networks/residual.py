"""Generators at full resolution, made of residual blocks (Bousmalis et al. 2017a; Shrivastava et al. 2017)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class _Residual(nn.Module):
    def __init__(self, width: int, normalize: bool) -> None:
        super().__init__()

        def norm() -> nn.Module:
            return nn.BatchNorm2d(width) if normalize else nn.Identity()

        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            norm(),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            norm(),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.layers(x)


class ResidualGenerator(nn.Module):
    """3x3 convolution, residual blocks of two 3x3 convolutions each, 1x1 convolution; no layer changes the size."""

    def __init__(self, inputs: int, width: int, blocks: int, normalize: bool, skip: float) -> None:
        """`skip`: the output is tanh(net + skip x), x the pair of pictures."""
        super().__init__()
        self.skip = skip
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.blocks = nn.Sequential(*(_Residual(width, normalize) for _ in range(blocks)))
        self.last = nn.Conv2d(width, 6, 1)

    def forward(
        self, pictures: Float[Tensor, "b 6 h w"], extra: Float[Tensor, "b k h w"] | None = None
    ) -> Float[Tensor, "b 6 h w"]:
        """Pairs (I0, It) in [-1, 1] from pairs and further input channels."""
        x = pictures if extra is None else torch.cat([pictures, extra], dim=1)
        return torch.tanh(self.last(self.blocks(torch.relu(self.first(x)))) + self.skip * pictures)
