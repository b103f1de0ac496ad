"""DANN (Ganin et al. 2016): features from which a classifier can't tell simulation from reality.

The classifier is trained on features whose gradient is turned round on the way to the grasp network, which so learns
what confuses it. The strength of the reversed gradient grows along the paper's schedule; the classifier itself always
learns at full strength, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from graspgap.adaptation.feature.aligned import (
    LAYERS,
    DomainClassifier,
    domain_loss,
    ganin_schedule,
    reverse_gradient,
    width,
)
from graspgap.adaptation.feature.base import FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.networks import GraspNet


@dataclass(frozen=True)
class DannConfig(FeatureConfig):
    """Settings of DANN."""

    layer: str = "trunk"
    """Features that are confused: `trunk` or `head`. Bousmalis et al. 2017 don't say where the layer sits."""
    strength: float = 0.1
    """Largest strength of the reversed gradient. The paper has 1, for a network that has learned from 60,000 pictures:
    here the domains differ in the share of successes too, which a strong one would also make alike."""
    hidden: int = 100
    """Hidden units of the domain classifier (the paper's, for digits)."""

    def build(self, net: GraspNet) -> Dann:
        """As `FeatureConfig.build`."""
        return Dann(self, net)


class Dann(FeatureMethod):
    """A domain classifier behind a gradient reversal."""

    divisible = True
    reversed = "dann"

    def __init__(self, config: DannConfig, net: GraspNet) -> None:
        super().__init__()
        self.config = config
        self.classifier = DomainClassifier(width(net, config.layer), config.hidden, "--methods.dann.hidden")

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """The classifier's loss; the grasp network gets its reversed gradient."""
        assert sim is not None
        strength = self.config.strength * ganin_schedule(progress)
        both = LAYERS[self.config.layer](net, sim, real)
        logits = [self.classifier(reverse_gradient(features, strength)) for features in both]
        return {"dann": domain_loss(*logits)}
