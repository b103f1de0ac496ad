"""A small network that draws semantic masks of a pair."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from graspgap.contract import SemanticClass
from graspgap.networks.generator import UNet
from graspgap.networks.layers import Halve


@dataclass(frozen=True)
class SegmenterConfig:
    """Size of the segmenter."""

    widths: tuple[int, ...] = (16, 32, 48)
    """Channels from half resolution to the bottleneck; each step halves the resolution."""


class Segmenter(nn.Module):
    """The generator's U-Net at half resolution, which is what masks teach the grasp network too. Instance norm keeps no
    statistics of the domain it learned in, and takes away the colour of a whole picture."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.halve = Halve()
        self.body = UNet(6, config.widths)
        self.mask = nn.Conv2d(config.widths[0], 2 * len(SemanticClass), 1)

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 2 classes h2 w2"]:
        """Logits of the semantic classes of (I0, It), values in [-1, 1]."""
        features = self.body.climb(self.body.down_maps(self.halve(pictures)))
        return self.mask(features).unflatten(1, (2, len(SemanticClass)))
