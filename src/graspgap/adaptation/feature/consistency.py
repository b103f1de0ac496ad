"""The consistency loss: two pictures of one real attempt must imply the same absolute target.

No label is needed. An attempt's commands are known, so the place where the network sees the gripper in picture t, plus
the command from there, must lead to one and the same point of the image for every t. Where the robot's nominal camera
is wrong, all of them are wrong by the same offset, which is thereby measured, and the grasp network looks there.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def location_loss(located: Float[Tensor, "b 2"], projected: Float[Tensor, "b 2"]) -> Float[Tensor, ""]:
    """Simulation, where the camera is known: the gripper must be located where it projects. Units: half pictures."""
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
