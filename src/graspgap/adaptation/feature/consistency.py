"""The consistency loss: two pictures of one real attempt must imply the same absolute target.

No label is needed. An attempt's commands are known, so the place where the network sees the gripper in picture t, plus
the command from there, must lead to one and the same point of the image for every t. Where the robot's nominal camera
is wrong, all of them are wrong by the same offset, which is thereby measured, and the grasp network looks there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.feature.base import FRAMES, FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.networks import GraspNet
from graspgap.processes import whole


@dataclass(frozen=True)
class ConsistencyConfig(FeatureConfig):
    """Weights of the consistency loss."""

    weight: float = 2.0
    """Weight of the consistency loss on real pictures."""
    location: float = 1.0
    """Weight of locating the gripper in simulation, which the consistency loss rests on."""
    agreement: float = 0.0
    """Weight of the pictures of a real attempt agreeing on its success."""
    momentum: float = 0.02
    """Weight of the newest batch in the measured image offset of reality's camera (kept with `dbn` or `adda` only)."""

    def build(self, net: GraspNet) -> Consistency:
        """As `FeatureConfig.build`."""
        return Consistency(self)


class Consistency(FeatureMethod):
    """Learns in simulation where the gripper is seen, and in reality that one attempt has one target."""

    divisible = True

    def __init__(self, config: ConsistencyConfig) -> None:
        super().__init__()
        self.config = config

    def losses(self, net: GraspNet, sim: Seen | None, real: Seen, progress: float) -> Losses:
        """As `FeatureMethod.losses`; with batch statistics of its own, reality's image offset is measured too."""
        assert sim is not None
        config, batch = self.config, real.batch
        where = net.project(sim.batch.poses[:, :3]) + sim.batch.shift
        losses = {"location": config.location * location_loss(net.locate(sim.features), where)}
        groups = (-1, FRAMES)
        located = net.locate(real.features).unflatten(0, groups)
        projected = (net.project(batch.poses[:, :3]) + batch.shift).unflatten(0, groups)
        losses["consistency"] = config.weight * consistency_loss(located, projected)
        if real.domain != sim.domain:
            update_offset(net.offset[real.domain], whole(located), whole(projected), config.momentum)
        if config.agreement:
            logits = net.score(real.features, batch.poses, batch.commands, real.domain, batch.shift)
            losses["agreement"] = config.agreement * agreement_loss(logits.reshape(groups))
        return losses


def location_loss(located: Float[Tensor, "b 2"], projected: Float[Tensor, "b 2"]) -> Float[Tensor, ""]:
    """Simulation: the gripper must be located where the nominal camera shows it. Units: half pictures. A randomized
    camera moves it by a few pixels around that, which the network can't know either."""
    return functional.smooth_l1_loss(located, projected, beta=0.05)


def implied_offsets(located: Float[Tensor, "a t 2"], projected: Float[Tensor, "a t 2"]) -> Float[Tensor, "a t 2"]:
    """By how much each picture says that the nominal camera is off, in units of half a picture.

    The implied target of picture t is located_t + (projected_T - projected_t); taking away projected_T, which all
    pictures of an attempt share, leaves located_t - projected_t.
    """
    return located - projected


def consistency_loss(located: Float[Tensor, "a t 2"], projected: Float[Tensor, "a t 2"]) -> Float[Tensor, ""]:
    """Disagreement of the implied targets within each attempt (smooth L1 around their mean), averaged.

    `located`: where the network sees the gripper; `projected`: where the nominal camera would show the reported pose.
    """
    offsets = implied_offsets(located, projected)
    mean = offsets.mean(dim=1, keepdim=True)
    return functional.smooth_l1_loss(offsets, mean.expand_as(offsets), beta=0.05)


def agreement_loss(logits: Float[Tensor, "a t"]) -> Float[Tensor, ""]:
    """Disagreement of the predicted success within each attempt: all its pictures and commands mean the same grasp.

    The variance over t of the logits, each picture pulled towards the attempt's mean, which is not moved itself.
    """
    return (logits - logits.mean(dim=1, keepdim=True).detach()).square().mean()


@torch.no_grad()
def update_offset(
    offset: Float[Tensor, "2"],
    located: Float[Tensor, "a t 2"],
    projected: Float[Tensor, "a t 2"],
    momentum: float,
) -> None:
    """Move the running estimate of a domain's image offset, in place, towards this batch's mean."""
    offset.lerp_(implied_offsets(located, projected).mean(dim=(0, 1)), momentum)
