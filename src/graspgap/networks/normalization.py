"""Batch normalization with statistics of its own for each domain."""

from __future__ import annotations

from enum import IntEnum

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap import processes
from graspgap.networks.synchronized import synchronized_batch_norm


class Domain(IntEnum):
    """Where a batch comes from; the index of its batch statistics."""

    SIMULATION = 0
    REALITY = 1


class DomainBatchNorm(nn.Module):
    """Batch normalization whose running mean and variance are kept apart per domain; scale and shift are shared, or
    each domain's own after `separate_affine`.

    Bousmalis et al. 2017 keep the statistics of simulated and real batches apart; whether they share the affine
    part is not known. Sharing it is the choice here: without real labels little would train a real one.
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

    def separate_affine(self) -> None:
        """Give each domain a scale and a shift of its own (Chang et al. 2019), which begin equal."""
        self.weight = nn.Parameter(self.weight.detach().expand(len(Domain), -1).clone())
        self.bias = nn.Parameter(self.bias.detach().expand(len(Domain), -1).clone())

    def forward(self, x: Float[Tensor, "b c *size"], domain: Domain) -> Float[Tensor, "b c *size"]:
        """Normalize a batch of one domain; in training mode, only that domain's running statistics move. The batch is
        that of all processes."""
        own = self.weight.ndim == 2
        weight, bias = (self.weight[domain], self.bias[domain]) if own else (self.weight, self.bias)
        statistics = self.running_mean[domain], self.running_var[domain]
        if self.training and processes.count() > 1:
            return synchronized_batch_norm(x, *statistics, weight, bias, self.momentum, self.eps)
        return nn.functional.batch_norm(
            x, *statistics, weight, bias, training=self.training, momentum=self.momentum, eps=self.eps
        )
