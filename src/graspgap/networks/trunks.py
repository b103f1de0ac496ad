"""The picture's part of the grasp network, which a servo runs once per look: from (I0, It) to a feature map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.networks.layers import Enlarge, initialize
from graspgap.networks.normalization import Domain, DomainBatchNorm

if TYPE_CHECKING:
    from graspgap.networks.grasp import GraspNetConfig

GRASPING44_EPS = 1e-3
"""Added to the variance by Grasping44's batch normalization."""


class Trunk(nn.Module):
    """What every trunk tells about its feature map."""

    channels: int
    stride: int
    """Cell k of the map is taken to be centred at pixel coordinate stride (k + 1/2); the last one may reach beyond the
    picture. Convolutions and pooling shift what a cell sees from there by a constant (half a pixel in `SmallTrunk`, six
    in Grasping44), in simulation and reality alike."""

    def side(self, image_size: int) -> int:
        """Cells of a side of the feature map."""
        raise NotImplementedError

    def forward(self, pictures: Float[Tensor, "b 6 h w"], domain: Domain) -> Float[Tensor, "b c hm wm"]:
        raise NotImplementedError


class SmallTrunk(Trunk):
    """A map at half resolution, and convolutions at quarter resolution that are enlarged and put beside it."""

    stride = 2

    def __init__(self, config: GraspNetConfig) -> None:
        super().__init__()
        fine, coarse = config.fine, config.coarse
        self.channels = fine + coarse
        self.stem = nn.Conv2d(6, fine, 5, stride=2, padding=2, bias=False)
        self.stem_norm = DomainBatchNorm(fine)
        self.down = nn.Conv2d(fine, coarse, 3, stride=2, padding=1, bias=False)
        self.down_norm = DomainBatchNorm(coarse)
        self.blocks = nn.ModuleList(nn.Conv2d(coarse, coarse, 3, padding=1, bias=False) for _ in range(config.blocks))
        self.block_norms = nn.ModuleList(DomainBatchNorm(coarse) for _ in range(config.blocks))
        self.enlarge = Enlarge()

    def side(self, image_size: int) -> int:
        """As `Trunk.side`."""
        return -(-image_size // 2)

    def forward(self, pictures: Float[Tensor, "b 6 h w"], domain: Domain) -> Float[Tensor, "b c hm wm"]:
        fine = torch.relu(self.stem_norm(self.stem(pictures), domain))
        coarse = torch.relu(self.down_norm(self.down(fine), domain))
        for block, norm in zip(self.blocks, self.block_norms, strict=True):
            coarse = coarse + torch.relu(norm(block(coarse), domain))
        return torch.cat([fine, self.enlarge(coarse, fine.shape[-2:])], dim=1)


class Grasping44Trunk(Trunk):
    """The first half of Grasping44 (QT-Opt's published code; Levine et al. 2016), 27 x 27 cells for 472 pixels.

    Deviations: both pictures enter, as 6 channels, where the published code takes one; the second pooling pads at the
    far side alone, where TensorFlow pads at both (its cells lie 6 pixels further right and down); scale (gamma) in
    every batch normalization, which two lack there by an accident that its comments admit; running statistics follow
    a batch with 0.05, as all of ours, where the original's 0.0003 needs millions of steps.
    """

    stride = 18

    def __init__(self, config: GraspNetConfig, convolutions: int = 6) -> None:
        super().__init__()
        width = self.channels = config.width
        self.stem = nn.Conv2d(6, width, 6, stride=2, padding=2, bias=False)
        self.stem_norm = DomainBatchNorm(width, eps=GRASPING44_EPS)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 5, padding=2, bias=False) for _ in range(convolutions))
        self.norms = nn.ModuleList(DomainBatchNorm(width, eps=GRASPING44_EPS) for _ in range(convolutions))
        self.pool1, self.pool2 = nn.MaxPool2d(3, ceil_mode=True), nn.MaxPool2d(3, ceil_mode=True)
        initialize(self.modules())

    def side(self, image_size: int) -> int:
        """As `Trunk.side`."""
        return -(-(image_size // 2) // 9)

    def forward(self, pictures: Float[Tensor, "b 6 h w"], domain: Domain) -> Float[Tensor, "b c hm wm"]:
        x = self.pool1(torch.relu(self.stem_norm(self.stem(pictures), domain)))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x), domain))
        return self.pool2(x)


TRUNKS: dict[str, type[SmallTrunk] | type[Grasping44Trunk]] = {"small": SmallTrunk, "grasping44": Grasping44Trunk}
"""Names of the trunks."""
