"""How far apart two sets of pictures, or of features, are."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from graspgap.adaptation.feature.mmd import unbiased_mmd

BINS = 8
"""Of each colour channel in `colour_distance`."""
LEAST_SPREAD = 1e-3
"""Of features, as a share of their mean size."""


def kernel_distance(one: Float[Tensor, "b d"], other: Float[Tensor, "c d"]) -> float:
    """The unbiased MMD^2 with the kernel (x.y / d + 1)^3, over all pairs of samples (KID, Binkowski et al. 2018,
    section 4; they average over blocks, and use an Inception network's features). 0 on average for equal
    distributions, and then below 0 as often as above."""
    both = torch.cat([one, other]).double()
    kernel = (both @ both.T / both.shape[1] + 1) ** 3
    return float(unbiased_mmd(kernel, len(one)))


def scaled(features: Float[Tensor, "b d"], reference: Float[Tensor, "c d"]) -> Float[Tensor, "b d"]:
    """Features less the mean of `reference`, over one number, the root mean variance of its features: what the kernel's
    constant 1 is to be compared with. Features keep their sizes relative to each other. A spread of less than
    `LEAST_SPREAD` of the features' size is taken as that much, so that rounding isn't blown up where all are equal."""
    least = LEAST_SPREAD * float(reference.abs().mean()) + 1e-12
    return (features - reference.mean(dim=0)) / reference.var(dim=0).mean().sqrt().clamp(min=least)


def colour_distance(one: UInt8[np.ndarray, "b 6 h w"], other: UInt8[np.ndarray, "c 6 h w"]) -> float:
    """1 less the intersection of the colour histograms (Swain and Ballard 1991) of all pixels of two sets of pairs, in
    8 x 8 x 8 bins of RGB: 0 for equal colours, 1 for none in common. What a trivial method can see."""
    return float(np.abs(_histogram(one) - _histogram(other)).sum() / 2)


def _histogram(pairs: UInt8[np.ndarray, "b 6 h w"]) -> Float[np.ndarray, "bins"]:
    red, green, blue = pairs.reshape(-1, 3, *pairs.shape[2:]).swapaxes(0, 1).astype(np.int64) * BINS // 256
    counts = np.bincount(((red * BINS + green) * BINS + blue).ravel(), minlength=BINS**3)
    return counts / counts.sum()
