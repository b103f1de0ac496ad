"""Domain confusion with weak pairwise constraints (Tzeng et al. 2015, 2016).

A domain classifier learns from detached features. The grasp network, which can't move it, wants it to be undecided
(cross-entropy against the uniform distribution, Tzeng et al. 2015, equation 4), where DANN wants it to be wrong. And
simulated and real pictures that show nearly the same gripper pose are weak pairs, which should have features nearby
(Tzeng et al. 2016, who find the pairs by what the network itself sees; here the robots report their poses).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.feature.aligned import LAYERS, DomainClassifier, domain_loss, width
from graspgap.adaptation.feature.base import FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.adaptation.frozen import frozen
from graspgap.networks import GraspNet
from graspgap.networks.heads import LENGTH_UNIT
from graspgap.processes import whole


def confusion_loss(logits: Float[Tensor, "b 1"]) -> Float[Tensor, ""]:
    """Cross-entropy of the domain classifier's verdict against one half each; ln 2 where it is undecided."""
    return (functional.softplus(logits).mean() + functional.softplus(-logits).mean()) / 2


def nearest_pose(sim: Float[Tensor, "b 4"], real: Float[Tensor, "c 4"]) -> tuple[Int[Tensor, "c"], Float[Tensor, "c"]]:
    """For each real pose the simulated one that is nearest to it, and how far that is: position in units of 10 cm,
    and yaw as (sin 2a, cos 2a), since the gripper is symmetric."""
    sim, real = (
        torch.cat([poses[:, :3] / LENGTH_UNIT, (2 * poses[:, 3:]).sin(), (2 * poses[:, 3:]).cos()], dim=1)
        for poses in (sim, real)
    )
    nearest = torch.cdist(real, sim).min(dim=1)
    return nearest.indices, nearest.values


def pair_loss(
    sim: Float[Tensor, "c d"], real: Float[Tensor, "c d"], distance: Float[Tensor, "c"], reach: float
) -> Float[Tensor, ""]:
    """Mean squared difference of paired features, pairs weighed by exp(-(distance / reach)^2 / 2)."""
    weight = (-(distance / reach).square() / 2).exp()
    return (weight * (sim - real).square().mean(dim=1)).mean()


@dataclass(frozen=True)
class ConfusionConfig(FeatureConfig):
    """Settings of domain confusion."""

    layer: str = "trunk"
    """Features that are confused and paired: `trunk` or `head`."""
    weight: float = 0.1
    """Weight of the confusion loss."""
    pairs: float = 0.01
    """Weight of the pairs; 0: confusion alone (Tzeng et al. 2015)."""
    reach: float = 0.5
    """Distance of poses at which a pair counts for 61%: 5 cm, or 14 degrees."""
    hidden: int = 100
    """Hidden units of the domain classifier."""

    def build(self, net: GraspNet) -> Confusion:
        """As `FeatureConfig.build`."""
        return Confusion(self, net)


class Confusion(FeatureMethod):
    """An undecided domain classifier, and pairs of pictures that are nearly alike."""

    divisible = True

    def __init__(self, config: ConfusionConfig, net: GraspNet) -> None:
        super().__init__()
        self.config = config
        self.classifier = DomainClassifier(width(net, config.layer), config.hidden, "--methods.confusion.hidden")

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """The classifier's own loss, and the two of the grasp network."""
        assert sim is not None
        config = self.config
        ours, theirs = LAYERS[config.layer](net, sim, real)
        with frozen(self.classifier):
            confused = confusion_loss(self.classifier(torch.cat([ours, theirs])))
        losses = {
            "confusion_classifier": domain_loss(self.classifier(ours.detach()), self.classifier(theirs.detach())),
            "confusion": config.weight * confused,
        }
        if config.pairs:
            nearest, distance = nearest_pose(whole(sim.batch.poses), real.batch.poses)
            losses["pairs"] = config.pairs * pair_loss(whole(ours)[nearest], theirs, distance, config.reach)
        return losses
