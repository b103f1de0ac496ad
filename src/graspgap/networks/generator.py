"""The GraspGAN generator: a U-Net from a simulated pair (I0, It) to a realistic pair and its semantic masks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.contract import SemanticClass
from graspgap.networks.layers import Enlarge, Halve, InstanceNorm, channels_last

CLASSES = len(SemanticClass)


@dataclass(frozen=True)
class GeneratorConfig:
    """Size of the generator."""

    widths: tuple[int, ...] = (16, 32, 64, 96)
    """Channels from full resolution to the bottleneck; each step halves the resolution."""
    skip: float = 0.5
    """Output is tanh(net + skip x). The paper adds no input here; a weak skip keeps small objects in place at 64
    pixels, a strong one (1.2) keeps simulation's colours."""
    noise: int = 1
    """Channels of pixel noise N(0, 1) at the input, from which the grain of real surfaces can be made."""


class _Block(nn.Module):
    """3x3 convolution, instance norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = InstanceNorm(outputs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return torch.relu_(self.norm(self.conv(x)))


class UNet(nn.Module):
    """U-Net with average-pool down-sampling, bilinear up-sampling, concatenated 1x1 skips and instance norm
    (the published description of GraspGAN's generator). Before it is enlarged, a map is narrowed by a 1x1 convolution,
    which nearly halves the work. Sides need not be even at any level."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.halve, self.enlarge = Halve(), Enlarge()
        self.first = _Block(inputs, widths[0])
        self.down = nn.ModuleList(_Block(a, b) for a, b in itertools.pairwise(widths))
        self.middle = _Block(widths[-1], widths[-1])
        self.skips = nn.ModuleList(nn.Conv2d(width, width // 2, 1) for width in widths[:-1])
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(_Block(width + width // 2, width) for width in widths[:-1])
        channels_last(self)

    def down_maps(self, x: Float[Tensor, "b k h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The maps on the way down, from full resolution to the bottleneck, one per width."""
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(self.halve(levels[-1])))
        levels[-1] = self.middle(levels[-1])
        return levels

    def climb(self, levels: list[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b c h w"]:
        """The way up: the features of every pixel."""
        *levels, x = levels
        for up, narrow, skip, level in reversed(list(zip(self.up, self.narrow, self.skips, levels, strict=True))):
            x = self.enlarge(narrow(x), level.shape[-2:])
            x = up(torch.cat([x, skip(level)], dim=1))
        return x


class _Painter(UNet):
    """A U-Net that ends in a pair of pictures."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(6 + config.noise, config.widths)
        self.config = config
        self.picture = nn.Conv2d(config.widths[0], 6, 3, padding=1)

    def encode(
        self, pictures: Float[Tensor, "b 6 h w"], noise: Float[Tensor, "b k h w"]
    ) -> list[Float[Tensor, "b _ _ _"]]:
        """The encoder's maps of a pair in [-1, 1], from full resolution to the bottleneck; the decoder doesn't run."""
        both = torch.cat([pictures, noise], dim=1)
        return self.down_maps(both.contiguous(memory_format=torch.channels_last))

    def painted(self, x: Float[Tensor, "b c h w"], pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 6 h w"]:
        """Pictures in [-1, 1] from the features of their pixels and the pictures they began as."""
        return torch.tanh(self.picture(x) + self.config.skip * pictures)


class Generator(_Painter):
    """GraspGAN's generator: realistic pictures, and the masks it must still be able to draw."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.mask = nn.Conv2d(config.widths[0], 2 * CLASSES, 1)

    def forward(
        self, pictures: Float[Tensor, "b 6 h w"], noise: Float[Tensor, "b k h w"]
    ) -> tuple[Float[Tensor, "b 6 h w"], Float[Tensor, "b 2 classes h w"]]:
        """Realistic pictures (I0, It) in [-1, 1] and mask logits for both, from simulated pictures in [-1, 1].

        `noise` is N(0, 1) with `config.noise` channels, given by the caller so that runs replay.
        """
        x = self.climb(self.encode(pictures, noise))
        return self.painted(x, pictures), self.mask(x).unflatten(1, (2, CLASSES))


class CanonicalGenerator(_Painter):
    """RCAN's generator: canonical pictures, and masks and depth, which it must find in the randomized ones."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.mask = nn.Conv2d(config.widths[0], 2 * CLASSES, 1)
        self.depth = nn.Conv2d(config.widths[0], 2, 1)

    def forward(
        self, pictures: Float[Tensor, "b 6 h w"], noise: Float[Tensor, "b k h w"]
    ) -> tuple[Float[Tensor, "b 6 h w"], Float[Tensor, "b 2 classes h w"], Float[Tensor, "b 2 h w"]]:
        """Canonical pictures (I0, It) in [-1, 1], mask logits and depth [m] of both; arguments as for `Generator`."""
        x = self.climb(self.encode(pictures, noise))
        return self.painted(x, pictures), self.mask(x).unflatten(1, (2, CLASSES)), self.depth(x)


class Translator(_Painter):
    """The same without masks, for methods that don't read any."""

    def forward(self, pictures: Float[Tensor, "b 6 h w"], noise: Float[Tensor, "b k h w"]) -> Float[Tensor, "b 6 h w"]:
        """Pictures of the other domain from pictures of one, all in [-1, 1]; `noise` as for `Generator`."""
        return self.decode(self.encode(pictures, noise), pictures)

    def decode(
        self, levels: list[Float[Tensor, "b _ _ _"]], pictures: Float[Tensor, "b 6 h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """The second half of `forward`: what `encode` found in `pictures`, painted anew."""
        return self.painted(self.climb(levels), pictures)
