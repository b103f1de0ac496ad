"""How feature-level methods use their losses: the grasp network and a method's own networks each descend what the paper
says, and what should become alike does. The losses by themselves are in `test_feature_methods` and `test_losses`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conftest import SIM
from graspgap.adaptation.batch import GraspBatch
from graspgap.adaptation.feature import FRAMES, FeatureConfig, Losses, Seen
from graspgap.adaptation.feature.adda import AddaConfig
from graspgap.adaptation.feature.confusion import ConfusionConfig
from graspgap.adaptation.feature.consistency import ConsistencyConfig
from graspgap.adaptation.feature.coral import CoralConfig
from graspgap.adaptation.feature.dann import DannConfig
from graspgap.adaptation.feature.dsn import DsnConfig
from graspgap.adaptation.feature.mmd import MmdConfig
from graspgap.adaptation.feature.statistics import AdaBnConfig, DbnConfig, recalibrate
from graspgap.datasets import SimulatedView, UnlabelledView, open_dataset
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain
from graspgap.training.grasp import GraspData, GraspTrainer, policy_domain
from trainers import CPU, NETWORK, TRAINING

TINY = replace(NETWORK, fine=2, coarse=2, head=6)
PROGRESS = 0.7
"""In the second phase of ADDA."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def views(sim_data: Path, real_data: Path) -> GraspData:
    real = open_dataset(real_data)
    return GraspData(open_dataset(sim_data).simulated(), real=real.labelled(1.0), unlabelled=real.unlabelled())


@pytest.fixture
def net() -> GraspNet:
    torch.manual_seed(0)
    return GraspNet(TINY).double()


def built(config: FeatureConfig, net: GraspNet) -> Any:
    torch.manual_seed(1)
    return config.build(net).double()


def batch(seed: int, domain: Domain, size: int = 12) -> GraspBatch:
    """Noise that is brighter and has more contrast in reality; poses in the workspace, two commands in simulation."""
    draw = torch.Generator().manual_seed(10 * seed + domain)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(size, *shape, generator=draw, dtype=torch.float64)

    low, high = torch.tensor(SIM.workspace.low), torch.tensor(SIM.workspace.high)
    poses = torch.cat([low + uniform(3) * (high - low), 3 * uniform(1)], dim=1)
    commands = 0.1 * uniform(2 - domain, 5)
    unknown = torch.full((size, 2 - domain), torch.nan, dtype=torch.float64)
    pictures = (0.4, 0.9)[domain] * (uniform(6, 32, 32) - 0.5) + (-0.2, 0.2)[domain]
    return GraspBatch(pictures, poses, commands, unknown, 0.1 * uniform(2))


def looked(net: GraspNet, seed: int, apart: bool) -> tuple[Seen, Seen]:
    """Both worlds as the network's trunk sees them, normalized apart or together."""
    sim, real = (batch(seed, domain) for domain in Domain)
    if apart:
        return tuple(Seen(b, net.encode(b.pictures, d), d) for b, d in zip((sim, real), Domain, strict=True))  # type: ignore[return-value]
    ours, theirs = net.encode(torch.cat([sim.pictures, real.pictures])).chunk(2)
    return Seen(sim, ours, Domain.SIMULATION), Seen(real, theirs, Domain.SIMULATION)


def leaves(net: GraspNet, apart: bool) -> tuple[Seen, Seen]:
    """As `looked`, but the features are variables of their own."""
    sim, real = looked(net, 0, apart)
    return tuple(replace(seen, features=seen.features.detach().requires_grad_()) for seen in (sim, real))  # type: ignore[return-value]


def total(losses: Losses) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def gradients(value: Tensor, variables: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, variables, retain_graph=True, allow_unused=True, materialize_grads=True)


# The papers' objectives, written plainly: what the grasp network descends, and what the method's own networks descend.


def cells(maps: Tensor, side: int) -> Tensor:
    b, c, height, width = maps.shape
    return maps.reshape(b, c, side, height // side, side, width // side).mean(dim=(3, 5))


def read(net: GraspNet, layer: str, sim: Seen, real: Seen) -> tuple[Tensor, Tensor]:
    if layer == "trunk":
        return cells(sim.features, 4).flatten(1), cells(real.features, 4).flatten(1)
    features, poses, commands, shift = (
        [sim.features, real.features],
        [sim.batch.poses, real.batch.poses],
        [sim.batch.commands[:, :1], real.batch.commands],
        [sim.batch.shift, real.batch.shift],
    )
    if sim.domain != real.domain:
        ours, theirs = (net.embed(*one)[:, 0] for one in zip(features, poses, commands, Domain, shift, strict=True))
    else:
        together = (torch.cat(features), torch.cat(poses), torch.cat(commands), Domain.SIMULATION, torch.cat(shift))
        ours, theirs = net.embed(*together)[:, 0].chunk(2)
    return ours, theirs


def called_real(classifier: nn.Module, features: Tensor) -> Tensor:
    return 1 / (1 + (-classifier(features)).exp())


def cross_entropy(classifier: nn.Module, ours: Tensor, theirs: Tensor) -> Tensor:
    right = torch.cat([1 - called_real(classifier, ours), called_real(classifier, theirs)])  # as many of each
    return -right.log().mean()


def reversal(strength: float) -> float:
    return -strength * (2 / (1 + math.exp(-10 * PROGRESS)) - 1)


def smooth(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 0.05, x.square() / 0.1, x.abs() - 0.025).mean()


def covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(dim=0)
    return centred.T @ centred / (len(x) - 1)


def discrepancy(ours: Tensor, theirs: Tensor) -> Tensor:
    both = torch.cat([ours, theirs])
    squares = (both[:, None] - both).square().sum(dim=2)
    every = squares.detach()[torch.ones_like(squares).triu(1) > 0].sort().values
    median = every[(len(every) - 1) // 2]
    kernel = torch.stack([(-squares / (2 * scale * median)).exp() for scale in (0.25, 0.5, 1, 2, 4)]).mean(dim=0)
    n = len(ours)
    other = 1 - torch.eye(n)
    return ((kernel[:n, :n] + kernel[n:, n:]) * other).sum() / (n * (n - 1)) - 2 * kernel[:n, n:].mean()


def dann(method: Any, net: GraspNet, sim: Seen, real: Seen) -> tuple[Tensor, Tensor | None]:
    loss = cross_entropy(method.classifier, *read(net, method.config.layer, sim, real))
    return reversal(method.config.strength) * loss, loss


def dsn(method: Any, net: GraspNet, sim: Seen, real: Seen) -> tuple[Tensor, Tensor | None]:
    config, rest = method.config, []
    for encoder, seen in zip(method.private, (sim, real), strict=True):
        private = encoder(seen.batch.pictures)
        rebuilt = method.decoder(method.shrink(cells(seen.features, 8)) + private)
        off = (rebuilt - cells(seen.batch.pictures, 8)).flatten(1)
        n = off.shape[1]
        rest.append(config.reconstruction * (off[:, :, None] - off[:, None]).square().sum() / (n * (n - 1)) / len(off))
        shared, own = (cells(x, 4).flatten(1) for x in (seen.features, private))
        shared, own = (x - x.mean(dim=0) for x in (shared, own))
        shared, own = (x / x.square().sum(dim=1, keepdim=True).sqrt() for x in (shared, own))
        rest.append(config.difference * (shared.T @ own).square().mean())
    ours, theirs = read(net, "trunk", sim, real)
    if config.similarity == "mmd":
        loss = sum(rest, config.similar * discrepancy(ours, theirs))
        return loss, loss
    loss = cross_entropy(method.classifier, ours, theirs)
    return sum(rest, reversal(config.similar) * loss), sum(rest, loss)


def adda(method: Any, net: GraspNet, sim: Seen, real: Seen) -> tuple[Tensor, Tensor | None]:
    source = cells(method.before.eval().encode(sim.batch.pictures), 4).flatten(1)
    target = cells(real.features, 4).flatten(1)
    called_simulated = 1 - called_real(method.discriminator, target)
    return -called_simulated.log().mean(), cross_entropy(method.discriminator, source, target)


def confusion(method: Any, net: GraspNet, sim: Seen, real: Seen) -> tuple[Tensor, Tensor | None]:
    config = method.config
    ours, theirs = read(net, config.layer, sim, real)
    verdict = called_real(method.classifier, torch.cat([ours, theirs]))
    undecided = -(verdict.log() / 2 + (1 - verdict).log() / 2).mean()

    def place(pose: Tensor) -> Tensor:
        return torch.stack([*(pose[:3] / 0.1), (2 * pose[3]).sin(), (2 * pose[3]).cos()])

    pairs = []
    for pose, feature in zip(real.batch.poses, theirs, strict=True):
        apart = torch.stack([(place(pose) - place(other)).square().sum() for other in sim.batch.poses])
        weight = (-apart.min() / (2 * config.reach**2)).exp()
        pairs.append(weight * (ours[apart.argmin()] - feature).square().mean())
    own = cross_entropy(method.classifier, ours, theirs)
    return config.weight * undecided + config.pairs * torch.stack(pairs).mean(), own


def coral(method: Any, net: GraspNet, sim: Seen, real: Seen) -> tuple[Tensor, Tensor | None]:
    ours, theirs = read(net, method.config.layer, sim, real)
    squares = (covariance(ours) - covariance(theirs)).square().sum()
    return method.config.weight * squares / (4 * ours.shape[1] ** 2), None


def mmd(method: Any, net: GraspNet, sim: Seen, real: Seen) -> tuple[Tensor, Tensor | None]:
    return method.config.weight * discrepancy(*read(net, method.config.layer, sim, real)), None


def consistency(method: Any, net: GraspNet, sim: Seen, real: Seen) -> tuple[Tensor, Tensor | None]:
    config, (ours, theirs) = method.config, (off_by(net, seen) for seen in (sim, real))
    attempts = theirs.reshape(-1, FRAMES, 2)
    logits = net.score(real.features, real.batch.poses, real.batch.commands, real.domain, real.batch.shift)
    logits = logits.reshape(-1, FRAMES)
    loss = config.location * smooth(ours)
    loss = loss + config.weight * smooth(attempts - attempts.mean(dim=1, keepdim=True))
    return loss + config.agreement * (logits - logits.detach().mean(dim=1, keepdim=True)).square().mean(), None


def off_by(net: GraspNet, seen: Seen) -> Tensor:
    """By how much the gripper is seen elsewhere than the nominal camera would show it."""
    return net.locate(seen.features) - net.project(seen.batch.poses[:, :3]) - seen.batch.shift


Objectives = Callable[[Any, GraspNet, Seen, Seen], tuple[Tensor, Tensor | None]]
CASES: list[tuple[FeatureConfig, Objectives]] = [
    *((DannConfig(layer, strength=0.3, hidden=5), dann) for layer in ("trunk", "head")),
    *((DsnConfig(similarity, 0.3, 0.2, 0.7, private=2), dsn) for similarity in ("dann", "mmd")),
    (AddaConfig(hidden=5), adda),
    *((ConfusionConfig(layer, 0.3, 0.2, reach=2.0, hidden=5), confusion) for layer in ("trunk", "head")),
    *((CoralConfig(layer, 3.0), coral) for layer in ("trunk", "head")),
    *((MmdConfig(layer, 0.3), mmd) for layer in ("trunk", "head")),
    (ConsistencyConfig(weight=0.7, location=0.3, agreement=0.2), consistency),
]


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize(
    ("config", "objectives"), CASES, ids=["-".join(str(v) for v in (c.__name__, *vars(o).values())) for o, c in CASES]
)
def test_each_side_descends_what_the_paper_says(
    net: GraspNet, config: FeatureConfig, objectives: Objectives, apart: bool
) -> None:
    method = built(config, net)
    sim, real = leaves(net, apart)
    method.__dict__["before"] = copy.deepcopy(net)  # ADDA's source encoder
    method.losses(net, sim, real, PROGRESS)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    loss = total(method.losses(net, sim, real, PROGRESS))
    encoder, own = objectives(method, net, sim, real)
    seen = [sim.features, real.features, *net.parameters()]
    networks = [parameter for parameter in method.parameters() if parameter.requires_grad]
    assert bool(networks) == (own is not None)
    for side, expected in ((seen, encoder), (networks, own)):
        if expected is None:
            continue
        found = gradients(loss, side)
        assert max(float(one.abs().max()) for one in found) > 1e-5
        for one, other in zip(found, gradients(expected, side), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-10)
