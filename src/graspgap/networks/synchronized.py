"""Batch normalization over a batch whose samples are shared out among several processes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from graspgap import processes


def synchronized_batch_norm(
    x: Float[Tensor, "b c *size"],
    running_mean: Float[Tensor, "c"],
    running_var: Float[Tensor, "c"],
    weight: Float[Tensor, "c"],
    bias: Float[Tensor, "c"],
    momentum: float,
    eps: float,
) -> Float[Tensor, "b c *size"]:
    """`torch.nn.functional.batch_norm` in training, with the statistics of the whole batch; the running ones are moved
    in place, alike in every process. torch's own `SyncBatchNorm` works on GPUs alone."""
    axes, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
    count = processes.count() * x.numel() // x.shape[1]
    with torch.autocast(x.device.type, enabled=False):
        mean = processes.total(x.float().sum(axes)) / count
        centred = x.float() - mean.view(shape)
        var = processes.total(centred.square().sum(axes)) / count
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(var * (count / (count - 1)), momentum)
        scale = weight * (var + eps).rsqrt()
        return (centred * scale.view(shape) + bias.view(shape)).to(x.dtype)
