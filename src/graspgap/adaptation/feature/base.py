"""What every feature-level method is: losses on the grasp network's own features, beside its grasp loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.adaptation.batch import GraspBatch, joined
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain

FRAMES = 3
"""Pictures of each unlabelled attempt in a batch."""

Losses = dict[str, Tensor]
"""Weighted scalar losses by name; their sum is descended."""


@dataclass(frozen=True)
class Seen:
    """A batch, and what the grasp network's trunk makes of it."""

    batch: GraspBatch
    features: Float[Tensor, "b c h2 w2"]
    """`net.encode(batch.pictures, domain)`, with its gradient; no rows where nobody reads them."""
    domain: Domain
    """Whose batch statistics were used."""


def seen_as_one(seen: Sequence[Seen]) -> Seen:
    """What was seen with the same batch statistics, as one batch: what comes next is then normalized together too."""
    if len(seen) == 1:
        return seen[0]
    return Seen(joined([one.batch for one in seen]), torch.cat([one.features for one in seen]), seen[0].domain)


class FeatureMethod(nn.Module):
    """A feature-level method. It is trained with the grasp network, by the same optimizer; its own networks are thrown
    away afterwards. A discriminator that the grasp network plays against learns from detached features, and is shown
    to the grasp network through `adaptation.frozen`."""

    looks: bool = True
    """Whether `losses` reads reality's pictures while training."""
    needs_simulation: bool = True
    divisible: bool = False
    """Whether several processes may share out a batch: every loss is a mean over pictures or attempts, or asks for the
    features of all processes (`processes.whole`)."""

    reversed: str | None = None
    """Name in `losses` of a domain classifier's cross-entropy whose gradient reaches the grasp network reversed."""

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """Losses of a step. `sim` (labelled) is there if the method needs it; `real` is unlabelled: its pictures come
        attempt by attempt, `FRAMES` each, and its `success` is NaN. `progress` is in [0, 1)."""
        return {}

    def reads_simulation(self, progress: float) -> bool:
        """Whether `losses` reads the trunk's features of simulation at this point. Where no method does, and nothing
        is learned from labels, they aren't worked out: `sim.features` has no rows."""
        return self.needs_simulation

    def supervised(self, progress: float) -> bool:
        """Whether the grasp network learns from labels too at this point of the training."""
        return True

    def rate(self, progress: float) -> float:
        """Learning rate of the grasp network at this point, as a share of the schedule's; that of the method's own
        networks is not touched."""
        return 1.0


@dataclass(frozen=True)
class FeatureConfig:
    """Settings of a feature-level method."""

    separate: ClassVar[bool] = False
    """Whether each source of pictures is normalized by itself, and the policy by reality's batch statistics. If no
    method wants that, all sources of a step are normalized together, in one batch."""
    recalibrate: ClassVar[bool] = False
    """Whether the policy's batch statistics are those of reality's own pictures, even if training had no `separate`."""

    def build(self, net: GraspNet) -> FeatureMethod:
        """The method, with new weights, for this grasp network."""
        raise NotImplementedError
