"""`Camera.project` for tensors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.contract import Camera


class Projection(nn.Module):
    """Projects points of the robot base frame [m] to image coordinates (u right, v down) in [-1, 1]."""

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self.eye: Tensor
        self.rotation: Tensor
        self.register_buffer("eye", torch.zeros(3), persistent=False)
        self.register_buffer("rotation", torch.zeros(3, 3), persistent=False)
        self.aim(camera)

    def aim(self, camera: Camera) -> None:
        """Project through another camera."""
        self.eye.copy_(torch.tensor(camera.position))
        self.rotation.copy_(torch.from_numpy(camera.projection()))

    def forward(self, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 2"]:
        seen = (points - self.eye) @ self.rotation.T
        return seen[..., :2] / seen[..., 2:]
