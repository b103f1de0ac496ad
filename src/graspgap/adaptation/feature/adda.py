"""ADDA (Tzeng et al. 2017): a copy of the trained trunk learns to see reality as the trunk sees simulation.

First the grasp network learns from simulation's labels. Then what it learned is kept as the source encoder, and the
network's own trunk becomes the target encoder: it goes on from the same weights, sees real pictures alone, and learns
to make features that a discriminator takes for the source's. The command head stays as it is, and the policy is the
target encoder with that head.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.feature.aligned import DomainClassifier, domain_loss, pooled, width
from graspgap.adaptation.feature.base import FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.adaptation.frozen import frozen
from graspgap.errors import UserError
from graspgap.networks import GraspNet


@dataclass(frozen=True)
class AddaConfig(FeatureConfig):
    """Settings of ADDA."""

    separate: ClassVar[bool] = True

    source: float = 0.6
    """Share of the steps that learn from labels, before the adaptation begins."""
    rate: float = 0.1
    """Learning rate of the target encoder, as a share of the first phase's, which falls to 0 over both. A weight would
    not slow it: with Adam, a loss that is alone moves as far at any weight. Public code adapts at 1e-4; at a share of
    1 the encoder ran away from the head that it feeds (`benchmarks/digits.py`)."""
    hidden: int = 512
    """Hidden units of the discriminator (500 in the paper, for digits)."""

    def build(self, net: GraspNet) -> Adda:
        """As `FeatureConfig.build`.

        Raises:
            UserError: if one of the two phases would have no steps.
        """
        if not 0 < self.source < 1:
            raise UserError(
                f"--methods.adda.source {self.source:g} leaves no steps {'before' if self.source <= 0 else 'for'} the "
                "adaptation: give a share above 0 and below 1"
            )
        return Adda(self, net)


class Adda(FeatureMethod):
    """A discriminator, and the source encoder once there is one. Real pictures have batch statistics of their own."""

    divisible = True

    def __init__(self, config: AddaConfig, net: GraspNet) -> None:
        super().__init__()
        self.config = config
        self.discriminator = DomainClassifier(width(net, "trunk"), config.hidden, "--methods.adda.hidden")
        self.source = copy.deepcopy(net).requires_grad_(False)
        self.begun: Tensor
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def supervised(self, progress: float) -> bool:
        """Labels are for the first phase."""
        return progress < self.config.source

    def reads_simulation(self, progress: float) -> bool:
        """Until there is a source encoder, which then looks at simulation's pictures itself. The second phase's first
        step reads too: its batch statistics are the last that the source encoder takes over."""
        return not self.begun

    def rate(self, progress: float) -> float:
        """The target encoder moves slowly, its discriminator at full speed."""
        return 1.0 if self.supervised(progress) else self.config.rate

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """Of the second phase: the discriminator's, and the target encoder's with inverted labels."""
        assert sim is not None
        if self.supervised(progress):
            return {}
        if not self.begun:
            self.source.load_state_dict(net.state_dict())
            self.begun.fill_(True)
        with torch.no_grad():
            source = pooled(self.source.eval().encode(sim.batch.pictures, sim.domain))
        target = pooled(real.features)
        with frozen(self.discriminator):
            fooled = functional.softplus(self.discriminator(target)).mean()  # real ones towards "simulated"
        return {
            "adda_discriminator": domain_loss(self.discriminator(source), self.discriminator(target.detach())),
            "adda": fooled,
        }
