"""The networks that CUT and CycleGAN (Zhu et al. 2017; Park et al. 2020) train, as their papers describe them, for
pairs of pictures: what `gan_step.py` compares with. No code is theirs.

Generator: 7x7 convolution, two convolutions of stride 2, residual blocks of two 3x3 convolutions, two transposed
convolutions, 7x7 convolution; instance norm, ReLU, reflection padding. Discriminator: 4x4 convolutions of strides
2, 2, 2, 1, 1 (`n_layers=3`), instance norm. CUT's own anti-aliased sampling, which is dearer, is left out.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from graspgap.networks.generator import CLASSES
from graspgap.networks.layers import InstanceNorm, channels_last


def _layer(conv: nn.Module, channels: int) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(channels), nn.ReLU()]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        convs = [nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect") for _ in range(2)]
        self.layers = nn.Sequential(*_layer(convs[0], channels), convs[1], nn.InstanceNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResnetGenerator(nn.Module):
    """Called like `Generator`: the masks that GraspGAN asks for come from the last map by a 1x1 convolution."""

    def __init__(self, width: int, blocks: int, noise: int) -> None:
        super().__init__()
        first = nn.Conv2d(6 + noise, width, 7, padding=3, padding_mode="reflect")
        down = [nn.Conv2d(width * k, 2 * width * k, 3, stride=2, padding=1) for k in (1, 2)]
        up = [nn.ConvTranspose2d(2 * width * k, width * k, 3, 2, padding=1, output_padding=1) for k in (2, 1)]
        self.body = nn.Sequential(
            *_layer(first, width),
            *itertools.chain.from_iterable(_layer(conv, conv.out_channels) for conv in down),
            *(_Residual(4 * width) for _ in range(blocks)),
            *itertools.chain.from_iterable(_layer(conv, conv.out_channels) for conv in up),
        )
        self.picture = nn.Conv2d(width, 6, 7, padding=3, padding_mode="reflect")
        self.mask = nn.Conv2d(width, 2 * CLASSES, 1)

    def forward(self, pictures: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(torch.cat([pictures, noise], dim=1))
        return torch.tanh(self.picture(x)), self.mask(x).unflatten(1, (2, CLASSES))


class ResnetTranslator(nn.Module):
    """Called like `Translator`: pictures alone, and the maps that CUT's PatchNCE compares."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.net = ResnetGenerator(width, blocks, noise=0)
        kept = [(place, layer) for place, layer in enumerate(self.net.body) if isinstance(layer, nn.Conv2d | _Residual)]
        places = [place for place, _ in kept]
        self.compared = [places[1], places[2], places[3], places[min(7, 2 + blocks)]]
        """Both convolutions of stride 2, the first and the fifth residual block."""
        self.channels = (2 * width, 4 * width, 4 * width, 4 * width)

    def encode(self, pictures: Tensor, noise: Tensor) -> list[Tensor]:
        """Maps up to the last that is compared; nothing after it is computed."""
        maps, x = [], pictures
        for place, layer in enumerate(self.net.body[: self.compared[-1] + 1]):
            x = layer(x)
            if place in self.compared:
                maps.append(x)
        return maps

    def decode(self, levels: list[Tensor], pictures: Tensor) -> Tensor:
        """Pictures from the last of these maps."""
        return torch.tanh(self.net.picture(self.net.body[self.compared[-1] + 1 :](levels[-1])))

    def forward(self, pictures: Tensor, noise: Tensor) -> Tensor:
        return self.decode(self.encode(pictures, noise), pictures)


class PatchGan(nn.Module):
    """Called like `Discriminators`; one scale, as theirs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = [nn.Conv2d(6, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for (a, b), stride in zip(itertools.pairwise(widths), (2, 2, 1), strict=True):
            layers += [nn.Conv2d(a, b, 4, stride=stride, padding=1), nn.InstanceNorm2d(b), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [self.layers(pictures)]


class ChannelsLast(nn.Module):
    """A network of these as fast as we can make it: our layout, and our instance norm (with scale and shift)."""

    def __init__(self, net: ResnetGenerator | PatchGan) -> None:
        super().__init__()
        self.net = net
        for module in [m for m in net.modules() if isinstance(m, nn.Sequential)]:
            for index, layer in enumerate(module):
                if isinstance(layer, nn.InstanceNorm2d):
                    module[index] = InstanceNorm(layer.num_features)
        channels_last(net)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor] | list[Tensor]:
        return self.net(*(x.contiguous(memory_format=torch.channels_last) for x in inputs))
