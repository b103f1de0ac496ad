"""The networks that CUT and CycleGAN (Zhu et al. 2017; Park et al. 2020) train, as their papers describe them, for
pairs of pictures: what `gan_step.py` compares with. No code is theirs.

Generator: 7x7 convolution, two convolutions of stride 2, residual blocks of two 3x3 convolutions, two transposed
convolutions, 7x7 convolution; instance norm, ReLU, reflection padding. Discriminator: 4x4 convolutions of strides
2, 2, 2, 1, 1 (`n_layers=3`), instance norm. These are CycleGAN's. CUT's public code samples without aliasing unless
told otherwise (Zhang 2019): each convolution of stride 2 has stride 1 and a blur of stride 2 after it ([1, 2, 1] both
ways), and a blurred enlargement ([1, 3, 3, 1]) with a 3x3 convolution stands for each transposed one.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graspgap.networks.generator import CLASSES
from graspgap.networks.layers import InstanceNorm, channels_last


def _layer(conv: nn.Module, channels: int) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(channels), nn.ReLU()]


class _Blur(nn.Module):
    """Half the side, or twice the side (`up`), each channel blurred by itself."""

    filter: Tensor

    def __init__(self, channels: int, up: bool = False) -> None:
        super().__init__()
        self.channels, self.up = channels, up
        row = torch.tensor([1.0, 3.0, 3.0, 1.0] if up else [1.0, 2.0, 1.0])
        blur = torch.outer(row, row) / row.sum() ** 2 * (4 if up else 1)
        self.register_buffer("filter", blur.expand(channels, 1, -1, -1).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            x = F.pad(x, (1, 1, 1, 1), mode="replicate")
            return F.conv_transpose2d(x, self.filter, stride=2, padding=3, groups=self.channels)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filter, stride=2, groups=self.channels)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        convs = [nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect") for _ in range(2)]
        self.layers = nn.Sequential(*_layer(convs[0], channels), convs[1], nn.InstanceNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResnetGenerator(nn.Module):
    """Called like `Generator`: the masks that GraspGAN asks for come from the last map by a 1x1 convolution."""

    def __init__(self, width: int, blocks: int, noise: int, blurred: bool = False) -> None:
        super().__init__()
        first = nn.Conv2d(6 + noise, width, 7, padding=3, padding_mode="reflect")
        layers = _layer(first, width)
        for a in (width, 2 * width):
            conv = nn.Conv2d(a, 2 * a, 3, stride=1 if blurred else 2, padding=1)
            layers += [*_layer(conv, 2 * a), *([_Blur(2 * a)] if blurred else [])]
        layers += [_Residual(4 * width) for _ in range(blocks)]
        for a in (4 * width, 2 * width):
            if blurred:
                layers += [_Blur(a, up=True), *_layer(nn.Conv2d(a, a // 2, 3, padding=1), a // 2)]
            else:
                layers += _layer(nn.ConvTranspose2d(a, a // 2, 3, 2, padding=1, output_padding=1), a // 2)
        self.body = nn.Sequential(*layers)
        self.picture = nn.Conv2d(width, 6, 7, padding=3, padding_mode="reflect")
        self.mask = nn.Conv2d(width, 2 * CLASSES, 1)

    def forward(self, pictures: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(torch.cat([pictures, noise], dim=1))
        return torch.tanh(self.picture(x)), self.mask(x).unflatten(1, (2, CLASSES))


class ResnetTranslator(nn.Module):
    """Called like `Translator`: pictures alone, and the maps that CUT's PatchNCE compares."""

    def __init__(self, width: int, blocks: int, blurred: bool = False) -> None:
        super().__init__()
        self.net = ResnetGenerator(width, blocks, 0, blurred)
        kept = [(place, layer) for place, layer in enumerate(self.net.body) if isinstance(layer, nn.Conv2d | _Residual)]
        places = [place for place, _ in kept]
        self.compared = [places[1], places[2], places[3], places[min(7, 2 + blocks)]]
        """Both convolutions that double the channels, the first and the fifth residual block."""
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

    def __init__(self, width: int, blurred: bool = False) -> None:
        super().__init__()
        widths = [6, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for (a, b), stride in zip(itertools.pairwise(widths), (2, 2, 2, 1), strict=True):
            layers.append(nn.Conv2d(a, b, 4, stride=1 if blurred else stride, padding=1))
            layers += [nn.InstanceNorm2d(b)] if a > 6 else []
            layers += [nn.LeakyReLU(0.2), *([_Blur(b)] if blurred and stride == 2 else [])]
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
