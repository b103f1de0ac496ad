"""Ways in which a motor command meets the picture's features. Only this part runs for every command."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.errors import UserError
from graspgap.networks.layers import initialize
from graspgap.networks.normalization import Domain, DomainBatchNorm
from graspgap.networks.projection import Projection
from graspgap.networks.trunks import GRASPING44_EPS, Trunk

if TYPE_CHECKING:
    from graspgap.networks.grasp import GraspNetConfig

LENGTH_UNIT = 0.1
"""Lengths enter the networks in units of 10 cm, so that inputs are of order one."""


class ProjectHead(nn.Module):
    """Reads the features where the nominal camera sees the command's absolute target.

    The target, pose + command, is known from the robot's own kinematics. A square of `crop_size` metres on the
    horizontal plane through it, turned by its yaw, is sampled from the feature map; the command is embedded and added.
    Yaw enters as (sin 2a, cos 2a), since a two-finger gripper is symmetric.
    """

    def __init__(self, config: GraspNetConfig, trunk: Trunk) -> None:
        super().__init__()
        self.reach = trunk.side(config.image_size) * trunk.stride / config.image_size
        """Side of the feature map in pictures; its last cells may reach beyond the picture."""
        self.lateral = nn.Conv2d(trunk.channels, config.lateral, 1)
        self.embed = nn.Linear(6, config.head)
        self.conv1 = nn.Conv2d(config.lateral, config.head, 3, stride=2, bias=False)
        self.norm1 = DomainBatchNorm(config.head)
        self.conv2 = nn.Conv2d(config.head, config.head, 3, bias=False)
        self.norm2 = DomainBatchNorm(config.head)
        self.hidden = nn.Linear(config.head * config.cells_left**2, config.head)
        side = (torch.arange(config.crop_cells) + 0.5) / config.crop_cells - 0.5
        self.grid: Tensor
        self.register_buffer(
            "grid", config.crop_size * torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1), persistent=False
        )
        self.project = Projection(config.camera)

    def forward(
        self,
        features: Float[Tensor, "b c h w"],
        poses: Float[Tensor, "b 4"],
        commands: Float[Tensor, "b n 5"],
        domain: Domain,
        offset: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b n d"]:
        """Last hidden layer; `offset` moves the crops in the picture."""
        b, n, _ = commands.shape
        cells = self.grid.shape[0]
        target = poses[:, None, :3] + commands[..., :3]
        yaw = poses[:, None, 3] + torch.atan2(commands[..., 3], commands[..., 4])
        sin, cos = yaw.sin()[..., None, None], yaw.cos()[..., None, None]
        x = target[..., 0, None, None] + cos * self.grid[..., 0] - sin * self.grid[..., 1]
        y = target[..., 1, None, None] + sin * self.grid[..., 0] + cos * self.grid[..., 1]
        z = target[..., 2, None, None].expand_as(x)
        where = self.project(torch.stack([x, y, z], dim=-1)) + offset[:, None, None, None]  # (b, n, cells, cells, 2)
        if self.reach != 1:
            where = (where + 1) / self.reach - 1
        crop = nn.functional.grid_sample(
            self.lateral(features), where.reshape(b, n * cells, cells, 2), align_corners=False
        )
        crop = crop.reshape(b, -1, n, cells, cells).transpose(1, 2).reshape(b * n, -1, cells, cells)
        facts = [commands[..., :3] / LENGTH_UNIT, target[..., 2:] / LENGTH_UNIT]
        turn = torch.stack([(2 * yaw).sin(), (2 * yaw).cos()], dim=-1)
        command = self.embed(torch.cat([*facts, turn], dim=-1)).reshape(b * n, -1, 1, 1)
        x = torch.relu(self.norm1(self.conv1(crop) + command, domain))
        x = torch.relu(self.norm2(self.conv2(x), domain))
        return torch.relu(self.hidden(x.flatten(1))).unflatten(0, (b, n))


class CommandEmbedding(nn.Module):
    """Linear to 256, then to the feature map's channels, each normalized, as published. Lengths enter in units of
    `LENGTH_UNIT`, where the published network takes metres."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.wide = nn.Linear(5, 256, bias=False)
        self.wide_norm = DomainBatchNorm(256, eps=eps)
        self.narrow = nn.Linear(256, channels, bias=False)
        self.narrow_norm = DomainBatchNorm(channels, eps=eps)

    def forward(self, commands: Float[Tensor, "bn 5"], domain: Domain) -> Float[Tensor, "bn c"]:
        scale = torch.tensor([1 / LENGTH_UNIT] * 3 + [1.0, 1.0], device=commands.device)
        embedded = torch.relu(self.wide_norm(self.wide(commands * scale), domain))
        return torch.relu(self.narrow_norm(self.narrow(embedded), domain))


class AddHead(nn.Module):
    """Adds the embedded command to every cell of the halved feature map (after Levine et al. 2016), then two
    convolutions."""

    def __init__(self, config: GraspNetConfig, trunk: Trunk) -> None:
        super().__init__()
        self.embed = CommandEmbedding(trunk.channels)
        self.pool = nn.MaxPool2d(2)
        self.conv1 = nn.Conv2d(trunk.channels, config.head, 3, stride=2, padding=1, bias=False)
        self.norm1 = DomainBatchNorm(config.head)
        self.conv2 = nn.Conv2d(config.head, config.head, 3, stride=2, padding=1, bias=False)
        self.norm2 = DomainBatchNorm(config.head)
        cells = -(-(trunk.side(config.image_size) // 2) // 4)
        self.hidden = nn.Linear(config.head * cells * cells, config.head)

    def forward(
        self,
        features: Float[Tensor, "b c h w"],
        poses: Float[Tensor, "b 4"],
        commands: Float[Tensor, "b n 5"],
        domain: Domain,
        offset: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b n d"]:
        """Last hidden layer; pose and offset are not used: the published network sees the relative command alone."""
        b, n, _ = commands.shape
        embedded = self.embed(commands.flatten(0, 1), domain)
        x = self.pool(features).repeat_interleave(n, dim=0) + embedded[..., None, None]
        x = torch.relu(self.norm1(self.conv1(x), domain))
        x = torch.relu(self.norm2(self.conv2(x), domain))
        return torch.relu(self.hidden(x.flatten(1))).unflatten(0, (b, n))


class Grasping44Head(nn.Module):
    """The second half of Grasping44: the embedded command is added to every cell of the feature map; six 3x3
    convolutions, pooling, three 3x3 convolutions without padding, two linear layers, each normalized.

    The first convolution is linear, so it runs once for the picture and once, on 3 x 3 cells, for each command: a
    constant map's convolution has only nine different cells, those at the corners, at the edges, and inside.
    """

    def __init__(self, config: GraspNetConfig, trunk: Trunk, padded: int = 6, bare: int = 3) -> None:
        super().__init__()
        width, side = config.head, trunk.side(config.image_size)
        needed = 4 * bare + 1  # halved, rounding up, and two cells less for each convolution without padding
        if side < needed:
            smallest = next(size for size in itertools.count(1) if trunk.side(size) >= needed)
            raise UserError(
                f"pictures of {config.image_size} pixels are too small for the head 'grasping44' on the trunk "
                f"'{config.trunk}': give --image-size {smallest} or more (472 in the original)"
            )
        self.embed = CommandEmbedding(trunk.channels, GRASPING44_EPS)
        channels = [trunk.channels] + [width] * (padded + bare)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=int(index < padded), bias=False)
            for index, (a, b) in enumerate(itertools.pairwise(channels))
        )
        self.norms = nn.ModuleList(DomainBatchNorm(width, eps=GRASPING44_EPS) for _ in self.convs)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.padded = padded
        cells = -(-side // 2) - 2 * bare
        self.hidden = nn.ModuleList(nn.Linear(a, width, bias=False) for a in (width * cells * cells, width))
        self.hidden_norms = nn.ModuleList(DomainBatchNorm(width, eps=GRASPING44_EPS) for _ in self.hidden)
        initialize(self.modules())

    def forward(
        self,
        features: Float[Tensor, "b c h w"],
        poses: Float[Tensor, "b 4"],
        commands: Float[Tensor, "b n 5"],
        domain: Domain,
        offset: Float[Tensor, "b 2"],
    ) -> Float[Tensor, "b n d"]:
        """Last hidden layer; pose and offset are not used, as in `AddHead`."""
        b, n, _ = commands.shape
        x = self.joined(features, self.embed(commands.flatten(0, 1), domain))
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = torch.relu(norm(conv(x) if index else x, domain))
            if index == self.padded - 1:
                x = self.pool(x)
        x = x.flatten(1)
        for linear, norm in zip(self.hidden, self.hidden_norms, strict=True):
            x = torch.relu(norm(linear(x), domain))
        return x.unflatten(0, (b, n))

    def joined(self, features: Float[Tensor, "b c h w"], embedded: Float[Tensor, "bn c"]) -> Float[Tensor, "bn d h w"]:
        """The first convolution of every picture's feature map plus each of its commands."""
        rows, columns = (torch.tensor([0] + [1] * (side - 2) + [2]) for side in features.shape[-2:])
        constant = self.convs[0](embedded[..., None, None].expand(-1, -1, 3, 3))
        picture = self.convs[0](features).repeat_interleave(embedded.shape[0] // features.shape[0], dim=0)
        x = picture + constant[:, :, rows[:, None], columns]
        return x.contiguous(memory_format=torch.channels_last)


HEADS: dict[str, type[ProjectHead] | type[AddHead] | type[Grasping44Head]] = {
    "add": AddHead,
    "project": ProjectHead,
    "grasping44": Grasping44Head,
}
"""Names of the ways to join the command."""
