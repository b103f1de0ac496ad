"""Maximum mean discrepancy (Gretton et al. 2012; Long et al. 2015): features of both worlds with the same distribution,
as far as a mixture of Gaussian kernels can tell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from graspgap.adaptation.feature.aligned import LAYERS, width
from graspgap.adaptation.feature.base import FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.networks import GraspNet
from graspgap.processes import whole

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Variances of the kernels, times the median of all squared distances (Long et al. 2015, section 5, have such a family
around the median)."""


def gaussian_kernels(squares: Float[Tensor, "b c"], variances: Float[Tensor, "k"]) -> Float[Tensor, "b c"]:
    """Mean over k of exp(-d^2 / (2 variance_k))."""
    return (-squares[..., None] / (2 * variances)).exp().mean(dim=-1)


def mmd_loss(sim: Float[Tensor, "b d"], real: Float[Tensor, "c d"], variances: Float[Tensor, "k"]) -> Float[Tensor, ""]:
    """`unbiased_mmd` by Gaussian kernels."""
    return unbiased_mmd(gaussian_kernels(squared_distances(torch.cat([sim, real])), variances), len(sim))


def unbiased_mmd(kernel: Float[Tensor, "n n"], first: int) -> Float[Tensor, ""]:
    """The unbiased estimate of MMD^2 (Gretton et al. 2012, equation 3), which may be below 0: a pair of a sample with
    itself is left out. `kernel` is that of all samples, of which the `first` ones are of one distribution, at least 2
    of each."""
    b, c = first, len(kernel) - first
    within = (kernel[:b, :b].sum() - kernel[:b, :b].trace()) / (b * (b - 1))
    within_other = (kernel[b:, b:].sum() - kernel[b:, b:].trace()) / (c * (c - 1))
    return within + within_other - 2 * kernel[:b, b:].mean()


def squared_distances(x: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """Squared Euclidean distances, at least 0."""
    norms = x.square().sum(dim=1)
    return (norms[:, None] + norms - 2 * x @ x.T).clamp(min=0)


@torch.no_grad()
def median_variances(sim: Float[Tensor, "b d"], real: Float[Tensor, "c d"]) -> Float[Tensor, "k"]:
    """`SCALES` times the median squared distance between two samples of both sets together."""
    squares = squared_distances(torch.cat([sim, real]))
    rows, columns = torch.triu_indices(len(squares), len(squares), offset=1)
    return squares[rows, columns].median().clamp(min=1e-6) * torch.tensor(SCALES, device=sim.device)


@dataclass(frozen=True)
class MmdConfig(FeatureConfig):
    """Settings of MMD."""

    layer: str = "trunk"
    """Features that are made alike: `trunk` or `head`. Long et al. 2015 take the last layers; ours mix the picture with
    a command that in reality is as random as its outcome is unknown, and alike they taught little about digits."""
    weight: float = 1.0
    """Weight of the loss (Long et al. 2015 choose 0.3 to 1 by cross-validation)."""

    def build(self, net: GraspNet) -> Mmd:
        """As `FeatureConfig.build`."""
        return Mmd(self, net)


class Mmd(FeatureMethod):
    """A small maximum mean discrepancy."""

    divisible = True

    def __init__(self, config: MmdConfig, net: GraspNet) -> None:
        super().__init__()
        self.config = config
        width(net, config.layer)  # refuses an unknown layer

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """`mmd_loss` of both batches, with kernels as wide as this batch's distances."""
        assert sim is not None
        ours, theirs = map(whole, LAYERS[self.config.layer](net, sim, real))
        return {"mmd": self.config.weight * mmd_loss(ours, theirs, median_variances(ours, theirs))}
