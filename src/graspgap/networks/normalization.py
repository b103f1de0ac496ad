"""Batch normalization with statistics of its own for each domain."""

from __future__ import annotations

from enum import IntEnum

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Domain(IntEnum):
    """Where a batch comes from; the index of its batch statistics."""

    SIMULATION = 0
    REALITY = 1


class DomainBatchNorm(nn.Module):
    """Batch normalization whose running mean and variance are kept apart per domain; scale and shift are shared.

    Bousmalis et al. 2017 keep the statistics of simulated and real batches apart; whether they share the affine
    part is not known. Sharing it is the choice here: without real labels nothing would train a real one.
    """

    def __init__(self, channels: int, momentum: float = 0.05, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        """Weight of the newest batch in the running statistics."""
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(len(Domain), channels))
        self.register_buffer("running_var", torch.ones(len(Domain), channels))

    def forward(self, x: Float[Tensor, "b c *size"], domain: Domain) -> Float[Tensor, "b c *size"]:
        """Normalize a batch of one domain; in training mode, only that domain's running statistics move."""
        return nn.functional.batch_norm(
            x,
            self.running_mean[domain],
            self.running_var[domain],
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
