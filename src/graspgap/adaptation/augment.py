"""Augmentation of what discriminators see, and of what a judge of masks learns from.

The first is differentiable (Zhao et al. 2020, policy "color,translation"): discriminators that see few real pictures
learn them by heart. Shown real and made pictures through the same random changes, they can't, and the generator isn't
taught the changes, because made pictures go through them too.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from graspgap.contract import SemanticClass

DRAWS = 5
"""Random numbers per sample."""
SHIFT = 1 / 8
"""Largest shift, as a share of the picture's side."""


def augmented(pairs: Float[Tensor, "b 6 h w"], draws: Float[Tensor, "b 5"]) -> Float[Tensor, "b 6 h w"]:
    """The pairs (I0, It), values in [-1, 1], both pictures of a pair changed alike, differentiable in `pairs`.

    `draws` in [0, 1]: brightness (added, -0.5 to 0.5), saturation (factor 0 to 2), contrast (factor 0.5 to 1.5), and
    the shift along u and v (-1/8 to 1/8 of the side, whole pixels, 0 where nothing was). At 0.5 nothing changes.
    """
    brightness, saturation, contrast = (column[:, None, None, None, None] for column in draws[:, :3].T)
    pictures = pairs.unflatten(1, (2, 3)) + (brightness - 0.5)
    grey = pictures.mean(dim=2, keepdim=True)
    pictures = grey + (pictures - grey) * (2 * saturation)
    mean = pictures.mean(dim=(1, 2, 3, 4), keepdim=True)
    pictures = (mean + (pictures - mean) * (contrast + 0.5)).flatten(1, 2)
    height, width = pairs.shape[-2:]
    most = torch.tensor([width, height], device=pairs.device) * SHIFT
    du, dv = ((2 * draws[:, 3:] - 1) * most).round().long().T[..., None]
    rows, columns = torch.arange(height, device=pairs.device) - dv, torch.arange(width, device=pairs.device) - du
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    sample = torch.arange(len(pairs), device=pairs.device)[:, None, None]
    moved = pictures.movedim(1, -1)[sample, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]]
    return moved.movedim(-1, 1) * inside[:, None]


def recoloured(pairs: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"]) -> Float[Tensor, "b 6 h w"]:
    """Simulated pairs (I0, It) in [-1, 1] in colours that say nothing about what is what, by torch's random numbers.

    In each pair every semantic class gets contrast (0.2 to 1.2) and colour (+-0.8) of its own, alike in both pictures.
    Each picture gets smooth stains of its own over everything (a grid of 8 x 8, +-0.5; shadows, too, move with the
    arm), and grain of up to 0.1.
    """
    count, classes, device = len(pairs), len(SemanticClass), pairs.device
    contrast = 0.2 + torch.rand(count, classes, 1, device=device)
    colour = 1.6 * torch.rand(count, classes, 3, device=device) - 0.8
    sample = torch.arange(count, device=device)[:, None, None, None]
    pictures = pairs.unflatten(1, (2, 3)).movedim(2, -1)
    pictures = pictures * contrast[sample, masks] + colour[sample, masks]
    stains = functional.interpolate(torch.rand(count, 6, 8, 8, device=device) - 0.5, pairs.shape[-2:], mode="bilinear")
    grain = 0.1 * torch.rand(count, 1, 1, 1, device=device)
    painted = pictures.movedim(-1, 2).flatten(1, 2) + stains
    return (painted + grain * torch.randn_like(pairs)).clamp(-1, 1)
