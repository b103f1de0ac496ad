"""Losses as pure functions of tensors. Every one returns a scalar, the mean over the batch.

Under `torch.autocast` they are computed in 32 bits all the same: 16 can't hold sums over a picture's pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from graspgap.processes import whole


def full_precision(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`loss` without autocast, its 16-bit arguments made 32-bit ones."""

    @wraps(loss)
    def precise(*args: Any, **more: Any) -> Tensor:
        first = args[0] if isinstance(args[0], Tensor) else args[0][0]
        kind = first.device.type
        if not torch.is_autocast_enabled(kind):
            return loss(*args, **more)
        with torch.autocast(kind, enabled=False):
            return loss(*map(_raised, args), **more)

    return precise


def _raised(value: Any) -> Any:
    if isinstance(value, list):
        return [_raised(item) for item in value]
    sixteen = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if sixteen else value


@full_precision
def pmse(made: Float[Tensor, "b *n"], source: Float[Tensor, "b *n"]) -> Float[Tensor, ""]:
    """Pairwise mean squared error (Eigen et al. 2014; Bousmalis et al. 2017): the mean over all unordered pairs (i, j)
    of elements of ((d_i - d_j)^2), d = made - source, which is twice the unbiased variance of d.

    It ignores one shift of all pixels and channels together, and nothing else. The papers' own formula divides by n
    where this divides by n - 1, and is half of this; TensorFlow's sums over the batch where this takes the mean.
    """
    return 2 * (made - source).flatten(1).var(dim=1, unbiased=True).mean()


@full_precision
def masked_pmse(
    made: Float[Tensor, "b c h w"], source: Float[Tensor, "b c h w"], mask: Bool[Tensor, "b h w"]
) -> Float[Tensor, ""]:
    """`pmse` over the pixels inside the mask alone: a truly masked variance, free of any shift inside the mask.

    PixelDA's code multiplies both pictures by the mask and keeps counting the pixels outside, which forbids the shift
    when the mask is small. A picture with less than two values inside the mask adds 0.
    """
    inside = mask[:, None].expand_as(made).flatten(1).to(made.dtype)
    difference = (made - source).flatten(1) * inside
    count = inside.sum(dim=1)
    mean = difference.sum(dim=1) / count.clamp(min=1)
    deviation = ((difference - mean[:, None]) * inside).square().sum(dim=1)
    return (2 * deviation / (count - 1).clamp(min=1)).mean()


def pair_pmse(
    made: Float[Tensor, "b 6 h w"], source: Float[Tensor, "b 6 h w"], masks: Bool[Tensor, "b 2 h w"]
) -> Float[Tensor, ""]:
    """`masked_pmse` of I0 and of It, each inside its own mask, averaged."""
    parts = zip(made.split(3, 1), source.split(3, 1), masks.unbind(1), strict=True)
    return torch.stack([masked_pmse(*part) for part in parts]).mean()


@full_precision
def lsgan_discriminator(
    real: list[Float[Tensor, "b 1 _ _"]], made: list[Float[Tensor, "b 1 _ _"]]
) -> Float[Tensor, ""]:
    """Least-squares GAN, the discriminators' side (Mao et al. 2017): real patches towards 1, made ones towards 0,
    halved, averaged over scales."""
    losses = [((r - 1).square().mean() + m.square().mean()) / 2 for r, m in zip(real, made, strict=True)]
    return torch.stack(losses).mean()


@full_precision
def lsgan_generator(made: list[Float[Tensor, "b 1 _ _"]]) -> Float[Tensor, ""]:
    """Least-squares GAN, the generator's side: made patches towards 1, not halved, averaged over scales."""
    return torch.stack([(m - 1).square().mean() for m in made]).mean()


@full_precision
def gan_discriminator(real: Float[Tensor, "b *n"], made: Float[Tensor, "b *n"]) -> Float[Tensor, ""]:
    """Sigmoid cross-entropy GAN, the discriminator's side: real verdicts (logits) towards 1, made ones towards 0
    (Goodfellow et al. 2014)."""
    return functional.softplus(-real).mean() + functional.softplus(made).mean()


@full_precision
def gan_generator(made: Float[Tensor, "b *n"]) -> Float[Tensor, ""]:
    """Sigmoid cross-entropy GAN, the generator's side in its non-saturating form: made verdicts towards 1."""
    return functional.softplus(-made).mean()


def mask_loss(logits: Float[Tensor, "b k c h w"], masks: Int[Tensor, "b k h w"]) -> Float[Tensor, ""]:
    """Cross-entropy of predicted semantic masks; k pictures per sample, c classes."""
    return functional.cross_entropy(logits.flatten(0, 1), masks.flatten(0, 1).long())


@full_precision
def mask_distance(logits: Float[Tensor, "b k c h w"], masks: Int[Tensor, "b k h w"]) -> Float[Tensor, ""]:
    """Mean squared distance of predicted class probabilities from the semantic masks, 0 to 2 (a Brier score)."""
    wanted = functional.one_hot(masks.long(), logits.shape[2]).movedim(-1, 2)
    return (logits.softmax(dim=2) - wanted).square().sum(dim=2).mean()


@full_precision
def grasp_loss(logits: Float[Tensor, "b n"], success: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of grasp success; `success` is 0 or 1, or NaN where a command has no label. The mean is over
    the labels of all processes, which may have unequal numbers of them."""
    logits, success = whole(logits), whole(success)
    known = ~success.isnan()
    return functional.binary_cross_entropy_with_logits(logits[known], success[known])


@full_precision
def feature_matching(made: Float[Tensor, "b *n"], source: Float[Tensor, "b *n"]) -> Float[Tensor, ""]:
    """Mean squared difference between the grasp network's features of a made picture and of its source."""
    return (made - source.detach()).square().mean()


@full_precision
def patch_nce(made: Float[Tensor, "b p d"], source: Float[Tensor, "b p d"], temperature: float) -> Float[Tensor, ""]:
    """PatchNCE (Park et al. 2020): each of p places of a made picture must find itself among the p places of its own
    source, by the cosine of their features. Other pictures of the batch are not looked at; `source` is a target and
    gets no gradient. log(p) where all places look alike.

    The authors' code puts a place's own similarity in an extra column and blots it out among the others by -10 before
    it divides by the temperature: at 0.07 that leaves exp(-143) of it, so the sum is this one.
    """
    made, source = functional.normalize(made, dim=-1), functional.normalize(source.detach(), dim=-1)
    similar = made @ source.transpose(1, 2) / temperature
    own = torch.arange(similar.shape[1], device=made.device).repeat(len(made))
    return functional.cross_entropy(similar.flatten(0, 1), own)


@full_precision
def mask_disagreement(one: Float[Tensor, "b *k c h w"], other: Float[Tensor, "b *k c h w"]) -> Float[Tensor, ""]:
    """How far two soft segmentations, given as logits, are apart: 1 less their Dice overlap 2pq / (p^2 + q^2), class by
    class and picture by picture, averaged. 0 if they are equal, nearly 1 if they share nothing.

    Areas cancel, so an object of 20 pixels weighs as much as the bin; it is the same both ways, since neither
    prediction is the truth; and it is bounded, so that a judge who is confidently wrong can't drown other losses, as
    cross-entropy could. A class that neither sees (less than a pixel in all) adds nothing.
    """
    p, q = one.softmax(dim=-3), other.softmax(dim=-3)
    apart = (p - q).square().sum(dim=(-2, -1))
    return (apart / (p.square() + q.square()).sum(dim=(-2, -1)).clamp(min=1)).mean()
