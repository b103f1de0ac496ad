"""Deep CORAL (Sun & Saenko 2016): features of both worlds with the same covariance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from graspgap.adaptation.feature.aligned import LAYERS, width
from graspgap.adaptation.feature.base import FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.networks import GraspNet
from graspgap.processes import whole


def coral_loss(sim: Float[Tensor, "b d"], real: Float[Tensor, "c d"]) -> Float[Tensor, ""]:
    """||C_sim - C_real||^2 / (4 d^2), C the unbiased covariances (equation 1 of the paper)."""
    return (torch.cov(sim.T) - torch.cov(real.T)).square().sum() / (4 * sim.shape[1] ** 2)


@dataclass(frozen=True)
class CoralConfig(FeatureConfig):
    """Settings of CORAL."""

    layer: str = "trunk"
    """Features that are made alike: `trunk` or `head`. The paper's is the last layer; as for `mmd`, ours taught little
    about digits."""
    weight: float = 100.0
    """Weight of the loss. The paper sets it so that at the end both losses are about the same; the 4 d^2 makes the
    loss small."""

    def build(self, net: GraspNet) -> Coral:
        """As `FeatureConfig.build`."""
        return Coral(self, net)


class Coral(FeatureMethod):
    """Equal covariances."""

    divisible = True

    def __init__(self, config: CoralConfig, net: GraspNet) -> None:
        super().__init__()
        self.config = config
        width(net, config.layer)  # refuses an unknown layer

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """`coral_loss` of both batches."""
        assert sim is not None
        ours, theirs = map(whole, LAYERS[self.config.layer](net, sim, real))
        return {"coral": self.config.weight * coral_loss(ours, theirs)}
