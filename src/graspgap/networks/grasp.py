"""The grasp-success network C(I0, It, v) of Levine et al. 2016, sized by its config.

The trunk sees both pictures once; only the head runs for each motor command, so a servo scores many commands cheaply.
Trunk and head are chosen by name: small ones of this project, or those of the published Grasping44.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from graspgap.contract import Camera, SemanticClass
from graspgap.errors import choose
from graspgap.networks.heads import HEADS
from graspgap.networks.layers import channels_last
from graspgap.networks.normalization import Domain, DomainBatchNorm
from graspgap.networks.projection import Projection
from graspgap.networks.trunks import TRUNKS


@dataclass(frozen=True)
class GraspNetConfig:
    """Size and shape of the grasp network."""

    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    trunk: str = "small"
    """What makes a feature map of the pictures: `small`, or the first half of the published `grasping44`."""
    join: str = "project"
    """How the motor command meets the picture: `add` broadcasts its embedding onto the whole feature map (the
    published way), and so does `grasping44`, the second half of the published network; `project` reads the features
    where the command's target is seen by the nominal camera."""
    width: int = 64
    """`grasping44`: channels of the trunk."""
    fine: int = 16
    """`small`: channels of the feature map at half resolution."""
    coarse: int = 32
    """`small`: channels of the feature map at quarter resolution."""
    blocks: int = 2
    """`small`: 3x3 convolutions at quarter resolution."""
    head: int = 40
    """Channels of the command head."""
    lateral: int = 24
    """`project`: channels that the crop reads, mixed from both maps."""
    crop_cells: int = 9
    """`project`: the crop has crop_cells x crop_cells cells."""
    crop_size: float = 0.12
    """`project`: side of the crop [m], on the horizontal plane through the target, aligned with the target's yaw."""
    camera: Camera = field(default_factory=Camera)
    """`project`: the nominal camera."""
    own_affine: bool = False
    """Each domain has a scale and shift of its own in batch normalization, not only statistics. Refused where nothing
    would train reality's: without real labels and losses on real pictures."""

    @property
    def cells_left(self) -> int:
        """`project`: cells a side that the head's two convolutions leave of the crop."""
        return (self.crop_cells - 3) // 2 + 1 - 2

    @property
    def least_batch(self) -> int:
        """Samples that batch statistics need: one value has none, and only `project` may keep several of a command."""
        return 1 if self.join == "project" and self.cells_left > 1 else 2

    def fitted(self, image_size: int, camera: Camera | None) -> GraspNetConfig:
        """These settings for pictures of `image_size` pixels, seen by this nominal camera, or by its own.

        Raises:
            UserError: if the trunk or head is unknown, or the pictures are too small for the head.
        """
        fitted = replace(self, image_size=image_size, camera=camera or self.camera)
        with torch.device("meta"):
            GraspNet(fitted)
        return fitted


class GraspNet(nn.Module):
    """C(I0, It, v): logit of the success of the motor command v."""

    def __init__(self, config: GraspNetConfig) -> None:
        super().__init__()
        choose("trunk", config.trunk, TRUNKS)
        choose("join", config.join, HEADS)
        self.config = config
        self.trunk = TRUNKS[config.trunk](config)
        self.head = HEADS[config.join](config, self.trunk)
        self.logit = nn.Linear(config.head, 1)
        self.project = Projection(config.camera)
        self.locator = nn.Conv2d(self.channels, 1, 3, padding=1)
        self.segmenter = nn.Conv2d(self.channels, 2 * len(SemanticClass), 1)
        self.offset: Tensor
        self.register_buffer("offset", torch.zeros(len(Domain), 2))
        if config.own_affine:
            for norm in self.norms():
                norm.separate_affine()
        channels_last(self)

    def norms(self) -> list[DomainBatchNorm]:
        """Every batch normalization of the network."""
        return [module for module in self.modules() if isinstance(module, DomainBatchNorm)]

    def aim(self, camera: Camera) -> None:
        """Project through the nominal camera of the world at hand, if it is another one than in training."""
        for module in self.modules():
            if isinstance(module, Projection):
                module.aim(camera)

    @property
    def channels(self) -> int:
        """Channels of the feature map."""
        return self.trunk.channels

    def encode(
        self, pictures: Float[Tensor, "b 6 h w"], domain: Domain = Domain.SIMULATION
    ) -> Float[Tensor, "b c h2 w2"]:
        """Feature map of the stacked pictures (I0, It), values in [-1, 1]; at the trunk's stride."""
        pictures = pictures.contiguous(memory_format=torch.channels_last)  # 1.3 times faster on a CPU
        return self.trunk(pictures, domain)

    def score(
        self,
        features: Float[Tensor, "b c h2 w2"],
        poses: Float[Tensor, "b 4"],
        commands: Float[Tensor, "b n 5"],
        domain: Domain = Domain.SIMULATION,
        shift: Float[Tensor, "b 2"] | None = None,
    ) -> Float[Tensor, "b n"]:
        """Logits of n commands for each feature map; arguments as for `embed`."""
        return self.success(self.embed(features, poses, commands, domain, shift))

    def embed(
        self,
        features: Float[Tensor, "b c h2 w2"],
        poses: Float[Tensor, "b 4"],
        commands: Float[Tensor, "b n 5"],
        domain: Domain = Domain.SIMULATION,
        shift: Float[Tensor, "b 2"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """The last hidden layer for n commands on each feature map.

        `poses` are the gripper poses that the commands start from; `shift` says by how much the pictures were moved
        (u, v as in `Camera.project`), for augmentation.
        """
        offset = self.offset[domain].expand(len(features), 2)
        return self.head(features, poses, commands, domain, offset if shift is None else offset + shift)

    def success(self, hidden: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
        """Logits of success, of what `embed` gives."""
        return self.logit(hidden)[..., 0]

    def forward(
        self,
        pictures: Float[Tensor, "b 6 h w"],
        poses: Float[Tensor, "b 4"],
        commands: Float[Tensor, "b n 5"],
        domain: Domain = Domain.SIMULATION,
    ) -> Float[Tensor, "b n"]:
        """`encode`, then `score`."""
        return self.score(self.encode(pictures, domain), poses, commands, domain)

    def segment(self, features: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b 2 classes h2 w2"]:
        """Logits of the semantic classes of both pictures, for each cell: what masks teach the trunk."""
        return self.segmenter(features).unflatten(1, (2, len(SemanticClass)))

    def thinned(self, masks: Int[Tensor, "b k h2 w2"]) -> Int[Tensor, "b k h w"]:
        """Masks at half resolution at the centres of the feature map's cells, as `segment` predicts them. Classes
        can't be averaged; resizing the logits instead would cost a map of half resolution per class."""
        step = self.trunk.stride // 2
        if step == 1:
            return masks
        side = self.trunk.side(self.config.image_size)
        centres = (torch.arange(side, device=masks.device) * step + step // 2).clamp(max=masks.shape[-1] - 1)
        return masks[..., centres[:, None], centres]

    def locate(self, features: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b 2"]:
        """Where the picture shows the grasp point between the fingertips: (u, v) as `Camera.project` gives them,
        by a spatial soft-argmax (Levine et al. 2016b, end-to-end visuomotor policies)."""
        heat = self.locator(features).flatten(1).softmax(dim=1)
        height, width = features.shape[-2:]
        cell, size = self.trunk.stride, self.config.image_size
        v = (torch.arange(height, device=heat.device) + 0.5) * (2 * cell) / size - 1
        u = (torch.arange(width, device=heat.device) + 0.5) * (2 * cell) / size - 1
        grid = torch.stack(torch.meshgrid(u, v, indexing="xy"), dim=-1).reshape(-1, 2)
        return heat @ grid
