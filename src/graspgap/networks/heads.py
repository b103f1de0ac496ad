"""Two ways in which a motor command meets the picture's features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.networks.normalization import Domain, DomainBatchNorm
from graspgap.networks.projection import Projection

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

    def __init__(self, config: GraspNetConfig) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(config.fine + config.coarse, config.lateral, 1)
        self.embed = nn.Linear(6, config.head)
        self.conv1 = nn.Conv2d(config.lateral, config.head, 3, stride=2, bias=False)
        self.norm1 = DomainBatchNorm(config.head)
        self.conv2 = nn.Conv2d(config.head, config.head, 3, bias=False)
        self.norm2 = DomainBatchNorm(config.head)
        cells = (config.crop_cells - 3) // 2 + 1 - 2
        self.hidden = nn.Linear(config.head * cells * cells, config.head)
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


class AddHead(nn.Module):
    """Adds the embedded command to every cell of the feature map (Grasping44 of QT-Opt; Levine et al. 2016).

    The command embedding is Linear(256), then Linear to the map's channels, each normalized, as published.
    """

    def __init__(self, config: GraspNetConfig) -> None:
        super().__init__()
        channels = config.fine + config.coarse
        self.embed1 = nn.Linear(5, 256, bias=False)
        self.embed_norm1 = DomainBatchNorm(256)
        self.embed2 = nn.Linear(256, channels, bias=False)
        self.embed_norm2 = DomainBatchNorm(channels)
        self.conv1 = nn.Conv2d(channels, config.head, 3, stride=2, padding=1, bias=False)
        self.norm1 = DomainBatchNorm(config.head)
        self.conv2 = nn.Conv2d(config.head, config.head, 3, stride=2, padding=1, bias=False)
        self.norm2 = DomainBatchNorm(config.head)
        cells = -(-config.image_size // 16)  # the map is at half resolution; pooling and two strides follow
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
        scale = torch.tensor([1 / LENGTH_UNIT] * 3 + [1.0, 1.0], device=commands.device)
        embedded = torch.relu(self.embed_norm1(self.embed1(commands.reshape(b * n, 5) * scale), domain))
        embedded = torch.relu(self.embed_norm2(self.embed2(embedded), domain))
        pooled = nn.functional.max_pool2d(features, 2)
        x = pooled.repeat_interleave(n, dim=0) + embedded[..., None, None]
        x = torch.relu(self.norm1(self.conv1(x), domain))
        x = torch.relu(self.norm2(self.conv2(x), domain))
        return torch.relu(self.hidden(x.flatten(1))).unflatten(0, (b, n))


HEADS: dict[str, type[ProjectHead] | type[AddHead]] = {"add": AddHead, "project": ProjectHead}
"""Names of the ways to join the command."""
