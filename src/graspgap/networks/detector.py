"""A small network that finds a point in the second picture of a pair."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from graspgap.networks.generator import UNet
from graspgap.networks.layers import Halve


@dataclass(frozen=True)
class PointDetectorConfig:
    """Size of the detector."""

    widths: tuple[int, ...] = (16, 32, 48, 64)
    """Channels from half resolution to the bottleneck; each step halves the resolution."""


class PointDetector(nn.Module):
    """The generator's U-Net at half resolution, as the segmenter's, with one map in place of masks."""

    def __init__(self, config: PointDetectorConfig) -> None:
        super().__init__()
        self.halve = Halve()
        self.body = UNet(6, config.widths)
        self.point = nn.Conv2d(config.widths[0], 1, 1)

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b h2 w2"]:
        """Logits of the cells in which the point may be, from (I0, It), values in [-1, 1]."""
        return self.point(self.body.climb(self.body.down_maps(self.halve(pictures))))[:, 0]
