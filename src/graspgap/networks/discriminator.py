"""Patch discriminators at several scales, on the stacked pair (I0, It)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from graspgap.errors import UserError


@dataclass(frozen=True)
class DiscriminatorsConfig:
    """Size of the discriminators."""

    scales: int = 3
    """Pictures at full, half, quarter... resolution, each with a discriminator of its own (472/236/118 pixels in the
    paper)."""
    widths: tuple[int, ...] = (24, 48, 96)
    """Channels of the stride-2 convolutions. Three of them see patches of 22 pixels: a third of a 64-pixel picture,
    where the paper's 70 pixels would see all of it."""

    def check(self, image_size: int) -> None:
        """Raises UserError if the coarsest discriminator is left with fewer than 2 x 2 patches to normalize."""
        smallest = 4 * len(self.widths) << (self.scales - 1)
        if image_size < smallest:
            raise UserError(
                f"--image-size {image_size} is too small for {self.scales} scales of discriminators: give "
                f"{smallest} or more, or fewer scales"
            )


class _PatchDiscriminator(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(6, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            stride = 2 if index == 0 else 1
            layers += [nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False)]
            layers += [nn.InstanceNorm2d(outputs, affine=True), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 1 hp wp"]:
        return self.layers(pictures)


class Discriminators(nn.Module):
    """One patch discriminator per scale. They see I0 and It of one attempt together, so that a realistic pair must
    show the same bin twice."""

    def __init__(self, config: DiscriminatorsConfig) -> None:
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(_PatchDiscriminator(config.widths) for _ in range(config.scales))

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b 1 _ _"]]:
        """Scores of every patch at every scale; LSGAN's targets are 1 for real and 0 for made pictures, no sigmoid."""
        scores = []
        for index, discriminator in enumerate(self.scales):
            if index:
                pictures = nn.functional.avg_pool2d(pictures, 2)
            scores.append(discriminator(pictures))
        return scores
