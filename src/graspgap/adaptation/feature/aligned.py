"""Which features a method brings together, and the small parts that adversarial methods share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from graspgap.adaptation.feature.base import Seen, seen_as_one
from graspgap.errors import choose
from graspgap.networks import GraspNet
from graspgap.settings import Bounds, in_range

Both = tuple[Float[Tensor, "b d"], Float[Tensor, "c d"]]
"""Features of simulation and of reality."""

TRUNK_CELLS = 4
"""`trunk`: the feature map is averaged to this many cells a side, so that a method sees what is where, roughly."""


def pooled(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
    """A feature map averaged over 4 x 4 cells."""
    return functional.adaptive_avg_pool2d(features, TRUNK_CELLS).flatten(1)


def trunk_features(net: GraspNet, sim: Seen, real: Seen) -> Both:
    """The trunk's feature maps, `pooled`."""
    return pooled(sim.features), pooled(real.features)


def head_features(net: GraspNet, sim: Seen, real: Seen) -> Both:
    """The last hidden layer, for the command that was given at each picture; where both share batch statistics, from
    one pass, so that both are normalized together."""
    if sim.domain != real.domain:
        return _hidden(net, sim), _hidden(net, real)
    ours, theirs = _hidden(net, seen_as_one([sim, real])).split([len(sim.features), len(real.features)])
    return ours, theirs


def _hidden(net: GraspNet, seen: Seen) -> Tensor:
    batch = seen.batch
    return net.embed(seen.features, batch.poses, batch.commands[:, :1], seen.domain, batch.shift)[:, 0]


LAYERS: dict[str, Callable[[GraspNet, Seen, Seen], Both]] = {"trunk": trunk_features, "head": head_features}
"""Names of the features that a method can bring together; each function gives simulation's and reality's."""


def width(net: GraspNet, layer: str) -> int:
    """Length of the features of a layer.

    Raises:
        UserError: if the layer is unknown.
    """
    choose("layer", layer, LAYERS)
    return net.channels * TRUNK_CELLS**2 if layer == "trunk" else net.config.head


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None  # type: ignore[attr-defined]


def reverse_gradient(x: Float[Tensor, "*n"], strength: float) -> Float[Tensor, "*n"]:
    """x itself; its gradient is multiplied by -strength on the way back (Ganin et al. 2016, section 4.2)."""
    return _Reverse.apply(x, strength)


def ganin_schedule(progress: float) -> float:
    """From 0 to 1 while training: 2 / (1 + exp(-10 p)) - 1, p in [0, 1] (Ganin et al. 2016, section 5.2.2)."""
    return 2 / (1 + math.exp(-10 * min(max(progress, 0.0), 1.0))) - 1


class DomainClassifier(nn.Sequential):
    """Tells simulation from reality by features: one hidden layer, and logits of being real.

    Raises:
        UserError: if the hidden layer would have no unit; names `option`, which sets its width.
    """

    def __init__(self, inputs: int, hidden: int, option: str = "hidden") -> None:
        in_range(option, hidden, Bounds(1))
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))


def domain_loss(sim: Float[Tensor, "b 1"], real: Float[Tensor, "c 1"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of the domain: simulation is 0, reality 1; both weigh the same, whatever their numbers."""
    return (functional.softplus(sim).mean() + functional.softplus(-real).mean()) / 2
