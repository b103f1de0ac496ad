"""Domain separation networks (Bousmalis et al. 2016): what both worlds share, apart from what each has for itself.

The grasp network's trunk is the shared encoder. Each world has a private encoder, and one decoder must rebuild the
picture from shared and private features together. Shared and private features are pushed to be orthogonal, and shared
features of both worlds to be alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from graspgap.adaptation.feature.aligned import (
    DomainClassifier,
    domain_loss,
    ganin_schedule,
    pooled,
    reverse_gradient,
    width,
)
from graspgap.adaptation.feature.base import FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.adaptation.feature.mmd import median_variances, mmd_loss
from graspgap.adaptation.losses import pmse
from graspgap.errors import choose
from graspgap.networks import GraspNet
from graspgap.processes import whole

SIMILARITIES = ("dann", "mmd")
"""Ways to make shared features alike."""


def difference_loss(shared: Float[Tensor, "b d"], private: Float[Tensor, "b e"]) -> Float[Tensor, ""]:
    """Mean squared entry of S^T P, its columns centred over the batch and its rows then of length 1: soft
    orthogonality of both subspaces (equation 5 of the paper; the centring, and the mean in place of the sum, are its
    authors' code)."""
    shared, private = (functional.normalize(x - x.mean(dim=0), dim=1) for x in (shared, private))
    return (shared.T @ private).square().mean()


@dataclass(frozen=True)
class DsnConfig(FeatureConfig):
    """Settings of DSN."""

    similarity: str = "dann"
    """Loss that makes shared features alike: `dann` or `mmd`."""
    similar: float = 0.1
    """Weight of that: for `dann` the largest strength of the reversed gradient."""
    reconstruction: float = 0.1
    """Weight of rebuilding the pictures at a quarter of their resolution (pairwise mean squared error)."""
    difference: float = 0.05
    """Weight of shared and private features being orthogonal (the paper: 0.05 to 0.075)."""
    private: int = 16
    """Channels of the private encoders."""

    def build(self, net: GraspNet) -> Dsn:
        """As `FeatureConfig.build`."""
        return Dsn(self, net)


def _private_encoder(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(6, channels, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        nn.ReLU(),
    )


class Dsn(FeatureMethod):
    """Private encoders, the decoder, and a domain classifier for shared features."""

    divisible = True

    def __init__(self, config: DsnConfig, net: GraspNet) -> None:
        super().__init__()
        choose("similarity", config.similarity, SIMILARITIES)
        self.config = config
        self.private = nn.ModuleList(_private_encoder(config.private) for _ in range(2))
        self.shrink = nn.Conv2d(net.channels, config.private, 1)
        self.decoder = nn.Sequential(
            nn.Conv2d(config.private, 2 * config.private, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * config.private, 6, 3, padding=1),
        )
        self.classifier = DomainClassifier(width(net, "trunk"), 100)
        self.reversed = "similarity" if config.similarity == "dann" else None

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """Reconstruction and difference of both worlds, and the similarity of what they share."""
        assert sim is not None
        config = self.config
        reconstruction, difference = [], []
        for encoder, seen in zip(self.private, (sim, real), strict=True):
            private = encoder(seen.batch.pictures)
            cells = private.shape[-2:]
            shared = functional.adaptive_avg_pool2d(seen.features, cells)
            rebuilt = self.decoder(self.shrink(shared) + private)  # the sum, as in the paper
            reconstruction.append(pmse(rebuilt, functional.adaptive_avg_pool2d(seen.batch.pictures, cells)))
            difference.append(difference_loss(whole(pooled(seen.features)), whole(pooled(private))))
        return {
            "reconstruction": config.reconstruction * torch.stack(reconstruction).sum(),
            "difference": config.difference * torch.stack(difference).sum(),
            "similarity": self._similarity(pooled(sim.features), pooled(real.features), progress),
        }

    def _similarity(self, sim: Tensor, real: Tensor, progress: float) -> Tensor:
        if self.config.similarity == "mmd":
            sim, real = whole(sim), whole(real)
            return self.config.similar * mmd_loss(sim, real, median_variances(sim, real))
        strength = self.config.similar * ganin_schedule(progress)
        return domain_loss(*(self.classifier(reverse_gradient(x, strength)) for x in (sim, real)))
