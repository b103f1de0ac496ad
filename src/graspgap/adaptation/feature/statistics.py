"""Batch statistics kept apart per domain: while training (`dbn`), and taken from reality after training (`adabn`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch

from graspgap.adaptation.batch import GraspBatch
from graspgap.adaptation.feature.base import FeatureConfig, FeatureMethod
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain


class Statistics(FeatureMethod):
    """No loss: whose statistics normalize a batch is all there is."""

    divisible = True
    looks = False
    needs_simulation = False


@dataclass(frozen=True)
class DbnConfig(FeatureConfig):
    """Domain-specific batch normalization (Bousmalis et al. 2017): simulated and real batches are normalized apart,
    where they are otherwise one batch. Nothing to set; with `--training.network.own-affine`, scale and shift are each
    domain's own too (Chang et al. 2019)."""

    separate: ClassVar[bool] = True

    def build(self, net: GraspNet) -> Statistics:
        """As `FeatureConfig.build`."""
        return Statistics()


@dataclass(frozen=True)
class AdaBnConfig(FeatureConfig):
    """AdaBN (Li et al. 2016): after training, batch statistics are taken from pictures of the target domain. Nothing to
    set."""

    recalibrate: ClassVar[bool] = True

    def build(self, net: GraspNet) -> Statistics:
        """As `FeatureConfig.build`."""
        return Statistics()


@torch.no_grad()
def recalibrate(net: GraspNet, batches: Iterable[GraspBatch], domain: Domain) -> None:
    """Replace one domain's batch statistics by their plain average over these batches, whose labels are not read."""
    norms = net.norms()
    momenta = [norm.momentum for norm in norms]
    net.train()
    for index, batch in enumerate(batches):
        for norm in norms:
            norm.momentum = 1 / (index + 1)
        net.score(net.encode(batch.pictures, domain), batch.poses, batch.commands[:, :1], domain, batch.shift)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()
