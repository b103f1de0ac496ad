"""Small layers that several networks share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Halve(nn.AvgPool2d):
    """Average over 2 x 2 cells; the last row and column of an odd map stand alone, so that nothing is left out."""

    def __init__(self) -> None:
        super().__init__(2, ceil_mode=True)


class Enlarge(nn.Module):
    """Bilinear, exactly twice, then cut to the given size: what `Halve` made of an odd map comes back to its place."""

    def forward(self, x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
        wide = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        if (
            wide.requires_grad
        ):  # what comes back from a concatenation is cut out of it, for which torch is 8 times slower
            wide.register_hook(lambda g: g.contiguous(memory_format=torch.channels_last))
        return wide if wide.shape[-2:] == size else wide[..., : size[0], : size[1]]


class InstanceNorm(nn.GroupNorm):
    """Instance normalization with scale and shift, as groups of one channel: the same within rounding as torch's own
    layer, which takes three times as long on a CPU. For maps whose channels lie side by side torch's groups are slow
    there too, so those are normalized by `_ChannelsLastNorm`."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last):
            return _ChannelsLastNorm.apply(x, self.weight, self.bias, self.eps)
        return super().forward(x)


class _ChannelsLastNorm(torch.autograd.Function):
    """Instance normalization of maps in `channels_last`, and its gradient, in passes over [b, h w, c]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        cells = _cells(x)
        mean = cells.sum(1, keepdim=True) / cells.shape[1]
        out = torch.empty_like(x)
        centred = torch.sub(cells, mean, out=_cells(out))
        rstd = ((centred * centred).sum(1, keepdim=True) / cells.shape[1] + eps).rsqrt_()
        ctx.save_for_backward(x, weight, mean, rstd)
        torch.addcmul(bias, centred, rstd * weight, out=centred)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, rstd = ctx.saved_tensors
        cells, g = _cells(x), _cells(gradient)
        total = g.sum(1, keepdim=True)
        out = torch.empty_like(x)
        product = torch.mul(g, cells, out=_cells(out))
        along = (product.sum(1, keepdim=True) - mean * total) * rstd
        scale = rstd * weight
        slope = along * scale * rstd / -cells.shape[1]
        level = total * scale / -cells.shape[1] - slope * mean
        torch.addcmul(level, cells, slope, out=product).addcmul_(g, scale)
        return out, along.sum((0, 1)), total.sum((0, 1)), None


def _cells(maps: Tensor) -> Tensor:
    """[b, c, h, w] in `channels_last` as [b, h w, c], without a copy."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def channels_last(module: nn.Module) -> None:
    """Keep the weights of 2D convolutions in the order in which those of `channels_last` maps read them; else each call
    would copy them."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)


def initialize(modules: Iterable[nn.Module]) -> None:
    """Weights of convolutions and linear layers as Grasping44's: normal, standard deviation 0.01, cut at twice that."""
    for module in modules:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
