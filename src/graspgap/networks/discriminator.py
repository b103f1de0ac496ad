"""Patch discriminators at several scales, on the stacked pair (I0, It)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.errors import UserError
from graspgap.networks.layers import Halve, InstanceNorm, channels_last


@dataclass(frozen=True)
class DiscriminatorsConfig:
    """Size of the discriminators."""

    scales: int = 3
    """Pictures at full, half, quarter... resolution, each with a discriminator of its own (472/236/118 pixels in the
    paper)."""
    widths: tuple[int, ...] = (24, 48, 96)
    """Channels of the 4x4 convolutions. With the settings here each verdict is on a patch of 30 pixels: half of a
    64-pixel picture, where the paper's 70 pixels would be all of it."""
    halvings: int = 2
    """How many of them, from the first, have stride 2."""
    last: int = 3
    """Side of the last convolution's kernel, which gives the verdict (4 in the paper's 70 x 70 patches)."""

    def check(self, image_size: int) -> None:
        """Raises UserError if the coarsest discriminator is left with fewer than 2 x 2 patches to normalize, or fewer
        than its last convolution takes."""
        ones = len(self.widths) - self.halvings  # convolutions of stride 1, which take one row and column each
        left = max(2, self.last - 2)  # which padding makes two more
        smallest = ((left + ones) << self.halvings) << (self.scales - 1)
        if image_size < smallest:
            raise UserError(
                f"--image-size {image_size} is too small for {self.scales} scales of discriminators: give "
                f"{smallest} or more, fewer scales or smaller kernels"
            )


class _PatchDiscriminator(nn.Module):
    def __init__(self, config: DiscriminatorsConfig) -> None:
        super().__init__()
        widths = config.widths
        layers: list[nn.Module] = [nn.Conv2d(6, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for index, (inputs, outputs) in enumerate(itertools.pairwise(widths), 1):
            stride = 2 if index < config.halvings else 1
            layers += [nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False)]
            layers += [InstanceNorm(outputs), nn.LeakyReLU(0.2, inplace=True)]
        layers.append(nn.Conv2d(widths[-1], 1, config.last, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 1 hp wp"]:
        return self.layers(pictures)


class Discriminators(nn.Module):
    """One patch discriminator per scale. They see I0 and It of one attempt together, so that a realistic pair must
    show the same bin twice."""

    def __init__(self, config: DiscriminatorsConfig) -> None:
        super().__init__()
        self.config = config
        self.halve = Halve()
        self.scales = nn.ModuleList(_PatchDiscriminator(config) for _ in range(config.scales))
        channels_last(self)

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b 1 _ _"]]:
        """Scores of every patch at every scale; LSGAN's targets are 1 for real and 0 for made pictures, no sigmoid."""
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        scores = []
        for index, discriminator in enumerate(self.scales):
            if index:
                pictures = self.halve(pictures)
            scores.append(discriminator(pictures))
        return scores
