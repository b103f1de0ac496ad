"""Can a classifier tell two sets apart? Its error on samples that it hasn't learned from says how alike they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graspgap.adaptation.feature.aligned import DomainClassifier, domain_loss
from graspgap.seeding import generator

RATE = 2e-3
"""Adam's learning rate."""
DECAY = 1e-2
"""Its decoupled weight decay."""
HIDDEN = 32
"""Units of the hidden layer for features."""

BuildClassifier = Callable[[], nn.Module]
"""A new network that gives a logit [b, 1] of being of the second set."""


class PictureClassifier(nn.Sequential):
    """Tells pairs (I0, It) of two worlds apart by small patches: the mean over the picture of what four convolutions
    see. Without normalization, so that colours count."""

    def __init__(self) -> None:
        widths, layers = (6, 16, 32, 48), list[nn.Module]()
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 48, 1), nn.LeakyReLU(0.2), _Mean(), nn.Linear(48, 1))


class _Mean(nn.Module):
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        return x.mean(dim=(2, 3))


def feature_classifier(width: int) -> BuildClassifier:
    """Classifiers of features of this length."""
    return lambda: DomainClassifier(width, HIDDEN)


def domain_error(
    build: BuildClassifier,
    one: Float[Tensor, "b *n"],
    other: Float[Tensor, "c *n"],
    folds: tuple[Bool[np.ndarray, "b"], Bool[np.ndarray, "c"]],
    steps: int,
    batch: int,
    seed: int,
) -> float:
    """Error rate in [0, 1] of telling one set from the other, both weighing the same: 0.5 for sets that can't be told
    apart, 0 for separable ones. The proxy A-distance of Ben-David et al. 2007 is
    2 (1 - 2 error).

    Two classifiers learn, one from each fold (`folds` says which samples are in the second), and are tested on the
    other: every sample is tested once, by a classifier that hasn't seen it.
    """
    errors = []
    for fold in (False, True):
        train, test = ([torch.from_numpy(part == same) for part in folds] for same in (fold, not fold))
        torch.manual_seed(int(generator(seed, "classifier", int(fold)).integers(2**31)))
        classifier = build().to(one.device)
        _learn(classifier, one[train[0]], other[train[1]], steps, batch, generator(seed, "domains", int(fold)))
        with torch.no_grad():
            logits = [classifier(x[chosen])[:, 0] for x, chosen in ((one, test[0]), (other, test[1]))]
        errors += [_share_above(logits[0]), 1 - _share_above(logits[1])]
    return float(np.mean(errors))


def _share_above(logits: Float[Tensor, "b"]) -> float:
    """Share of logits above 0; those at 0 count half."""
    return float((logits > 0).double().mean() + (logits == 0).double().mean() / 2)


def _learn(
    classifier: nn.Module,
    one: Float[Tensor, "b *n"],
    other: Float[Tensor, "c *n"],
    steps: int,
    batch: int,
    rng: np.random.Generator,
) -> None:
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=RATE, weight_decay=DECAY)
    for _ in range(steps):
        draws = [x[torch.from_numpy(rng.integers(len(x), size=batch))] for x in (one, other)]
        loss = domain_loss(*(classifier(x) for x in draws))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
