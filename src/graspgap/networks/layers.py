"""Small layers that several networks share."""

from __future__ import annotations

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn


class Halve(nn.AvgPool2d):
    """Average over 2 x 2 cells; the last row and column of an odd map stand alone, so that nothing is left out."""

    def __init__(self) -> None:
        super().__init__(2, ceil_mode=True)


class Enlarge(nn.Module):
    """Bilinear, exactly twice, then cut to the given size: what `Halve` made of an odd map comes back to its place."""

    def forward(self, x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
        wide = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return wide[..., : size[0], : size[1]]


class InstanceNorm(nn.GroupNorm):
    """Instance normalization with scale and shift, as groups of one channel: the same within rounding as torch's own
    layer, which takes three times as long on a CPU."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)


def initialize(modules: Iterable[nn.Module]) -> None:
    """Weights of convolutions and linear layers as Grasping44's: normal, standard deviation 0.01, cut at twice that."""
    for module in modules:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
