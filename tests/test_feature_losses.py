"""How feature-level methods use their losses: the grasp network and a method's own networks each descend what the paper
says, and what should become alike does. The losses by themselves are in `test_feature_methods` and `test_losses`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

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
def net() -> Iterator[GraspNet]:
    """In 64 bits, as everything beside it."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield GraspNet(TINY)
    torch.set_default_dtype(torch.float32)


def built(config: FeatureConfig, net: GraspNet) -> Any:
    torch.manual_seed(1)
    return config.build(net)


def batch(seed: int, domain: Domain) -> GraspBatch:
    """Noise that is brighter and has more contrast in reality; poses in the workspace, two commands in simulation."""
    size = (8, 6)[domain]
    draw = torch.Generator().manual_seed(10 * seed + domain)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(size, *shape, generator=draw)

    low, high = torch.tensor(SIM.workspace.low), torch.tensor(SIM.workspace.high)
    poses = torch.cat([low + uniform(3) * (high - low), 3 * uniform(1)], dim=1)
    commands = 0.1 * uniform(2 - domain, 5)
    unknown = torch.full((size, 2 - domain), torch.nan)
    pictures = (0.4, 0.9)[domain] * (uniform(6, 32, 32) - 0.5) + (-0.2, 0.2)[domain]
    return GraspBatch(pictures, poses, commands, unknown, 0.1 * uniform(2))


def looked(net: GraspNet, seed: int, apart: bool) -> tuple[Seen, Seen]:
    """Both worlds as the network's trunk sees them, normalized apart or together."""
    sim, real = (batch(seed, domain) for domain in Domain)
    if apart:
        ours, theirs = net.encode(sim.pictures, Domain.SIMULATION), net.encode(real.pictures, Domain.REALITY)
        return Seen(sim, ours, Domain.SIMULATION), Seen(real, theirs, Domain.REALITY)
    both, n = net.encode(torch.cat([sim.pictures, real.pictures])), len(sim.pictures)
    return Seen(sim, both[:n], Domain.SIMULATION), Seen(real, both[n:], Domain.SIMULATION)


def leaves(net: GraspNet, apart: bool) -> tuple[Seen, Seen]:
    """As `looked`, but the features are variables of their own."""
    looks = looked(net, 0, apart)
    sim, real = (replace(seen, features=seen.features.detach().requires_grad_()) for seen in looks)
    return sim, real


def shaken(net: GraspNet) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def total(losses: Losses) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def gradients(value: Tensor, variables: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, variables, retain_graph=True, allow_unused=True, materialize_grads=True)


def descend(variables: Sequence[Tensor], losses: Callable[[int], Losses], steps: int) -> None:
    optimizer = torch.optim.Adam(variables, 0.03)
    for step in range(steps):
        for variable, gradient in zip(variables, gradients(total(losses(step)), variables), strict=True):
            variable.grad = gradient
        optimizer.step()


# The papers' objectives, written plainly: what the grasp network descends, and what the method's own networks descend.


def cells(maps: Tensor, side: int) -> Tensor:
    b, c, height, width = maps.shape
    return maps.reshape(b, c, side, height // side, side, width // side).mean(dim=(3, 5))


def read(net: GraspNet, layer: str, sim: Seen, real: Seen) -> tuple[Tensor, Tensor]:
    if layer == "trunk":
        return cells(sim.features, 4).flatten(1), cells(real.features, 4).flatten(1)
    given = [(x.features, x.batch.poses, x.batch.commands[:, :1], x.batch.shift) for x in (sim, real)]
    if sim.domain != real.domain:
        ours, theirs = (net.embed(*one[:3], domain, one[3])[:, 0] for one, domain in zip(given, Domain, strict=True))
        return ours, theirs
    maps, poses, commands, shift = (torch.cat(pair) for pair in zip(*given, strict=True))
    both = net.embed(maps, poses, commands, Domain.SIMULATION, shift)[:, 0]
    return both[: len(sim.features)], both[len(sim.features) :]


def called_real(classifier: nn.Module, features: Tensor) -> Tensor:
    return torch.sigmoid(classifier(features))


def cross_entropy(classifier: nn.Module, ours: Tensor, theirs: Tensor) -> Tensor:
    return -((1 - called_real(classifier, ours)).log().mean() + called_real(classifier, theirs).log().mean()) / 2


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
    n, m = len(ours), len(theirs)
    others = kernel * (1 - torch.eye(n + m))
    within = others[:n, :n].sum() / (n * (n - 1)) + others[n:, n:].sum() / (m * (m - 1))
    return within - 2 * kernel[:n, n:].mean()


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
    source = cells(method.source.eval().encode(sim.batch.pictures), 4).flatten(1)
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
    nominal: Tensor = net.project(seen.batch.poses[:, :3]) + seen.batch.shift
    return net.locate(seen.features) - nominal


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
    method.losses(net, sim, real, PROGRESS)
    shaken(net)  # from now on ADDA's source encoder is another one
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
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)


ADVERSARIES: list[tuple[FeatureConfig, tuple[float, float]]] = [
    (DannConfig(), (1.0, 0.0)),
    (DsnConfig(reconstruction=0.0, difference=0.0), (1.0, 0.0)),
    (ConfusionConfig(pairs=0.0), (0.5, 0.5)),
    (AddaConfig(), (0.0, 0.0)),
]
"""What a classifier is led to take simulation and reality for; 1: real."""


@pytest.mark.parametrize(("config", "led"), ADVERSARIES, ids=[type(config).__name__ for config, _ in ADVERSARIES])
def test_the_classifier_learns_to_tell_worlds_apart_and_features_learn_to_mislead_it(
    net: GraspNet, config: FeatureConfig, led: tuple[float, float]
) -> None:
    net.eval()
    method = built(config, net)
    sim, real = leaves(net, False)
    real = replace(real, features=(sim.features[: len(real.features)] + 0.3).detach().requires_grad_())
    classifier = method.discriminator if isinstance(config, AddaConfig) else method.classifier

    def verdicts() -> Tensor:
        with torch.no_grad():
            return torch.stack([called_real(classifier, cells(x.features, 4).flatten(1)).mean() for x in (sim, real)])

    def losses(_: int) -> Losses:
        found: Losses = method.losses(net, sim, real, PROGRESS)
        return found

    descend(list(classifier.parameters()), losses, 20)
    torch.testing.assert_close(verdicts(), torch.tensor([0.0, 1.0]), atol=0.1, rtol=0)
    descend([real.features] if isinstance(config, AddaConfig) else [sim.features, real.features], losses, 40)
    torch.testing.assert_close(verdicts(), torch.tensor(led), atol=0.1, rtol=0)


def features(net: GraspNet, method: Any, sim: Seen, real: Seen) -> tuple[Tensor, Tensor]:
    return read(net, getattr(method.config, "layer", "trunk"), sim, real)


def length(x: Tensor) -> Tensor:
    return x.square().sum().sqrt()


def unequal_covariances(net: GraspNet, method: Any, sim: Seen, real: Seen) -> Tensor:
    ours, theirs = (covariance(x) for x in features(net, method, sim, real))
    return length(ours - theirs) / (length(ours) + length(theirs))


def energy_distance(net: GraspNet, method: Any, sim: Seen, real: Seen) -> Tensor:
    ours, theirs = features(net, method, sim, real)
    across, within, others = (torch.cdist(*pair).mean() for pair in ((ours, theirs), (ours, ours), (theirs, theirs)))
    return (2 * across - within - others) / across


def far_from_the_nearest_pose(net: GraspNet, method: Any, sim: Seen, real: Seen) -> Tensor:
    ours, theirs = features(net, method, sim, real)
    nearest = torch.cdist(real.batch.poses[:, :3], sim.batch.poses[:, :3]).argmin(dim=1)
    return length(ours[nearest] - theirs)


def gripper_off_in_simulation(net: GraspNet, method: Any, sim: Seen, real: Seen) -> Tensor:
    return length(off_by(net, sim))


def targets_that_disagree(net: GraspNet, method: Any, sim: Seen, real: Seen) -> Tensor:
    return off_by(net, real).reshape(-1, FRAMES, 2).var(dim=1).sum().sqrt()


Measure = Callable[[GraspNet, Any, Seen, Seen], Tensor]
ALIKE: list[tuple[FeatureConfig, Measure]] = [
    (CoralConfig(), unequal_covariances),
    (MmdConfig(), energy_distance),
    (DsnConfig("mmd", reconstruction=0.0, difference=0.0), energy_distance),
    (ConfusionConfig(weight=0.0, pairs=1.0, reach=2.0), far_from_the_nearest_pose),
]


def named(value: Any) -> str:
    return getattr(value, "__name__", type(value).__name__)


@pytest.mark.parametrize(("config", "measure"), ALIKE, ids=named)
def test_worlds_become_alike_in_pictures_that_the_network_never_saw(
    net: GraspNet, config: FeatureConfig, measure: Measure
) -> None:
    method = built(config, net)

    def measured() -> float:
        return float(measure(net, method, *looked(net, 1000, False)).detach())

    before = measured()
    variables = [*net.parameters(), *method.parameters()]
    descend(variables, lambda step: method.losses(net, *looked(net, step, False), PROGRESS), 25)
    assert measured() < 0.9 * before


@pytest.mark.parametrize(
    ("config", "measure"),
    [
        (ConsistencyConfig(weight=0.0), gripper_off_in_simulation),
        (ConsistencyConfig(location=0.0), targets_that_disagree),
    ],
    ids=named,
)
def test_features_learn_where_the_gripper_is(net: GraspNet, config: FeatureConfig, measure: Measure) -> None:
    method = built(config, net)
    sim, real = leaves(net, False)
    before = float(measure(net, method, sim, real).detach())
    descend([sim.features, real.features], lambda _: method.losses(net, sim, real, PROGRESS), 25)
    assert measure(net, method, sim, real) < 0.8 * before


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_realitys_camera_offset_is_measured_where_its_statistics_are_its_own(net: GraspNet, apart: bool) -> None:
    sim, real = leaves(net, apart)
    expected = torch.zeros(2, 2)
    if apart:
        expected[Domain.REALITY] = 0.3 * off_by(net, real).mean(dim=0).detach()
    built(ConsistencyConfig(momentum=0.3), net).losses(net, sim, real, PROGRESS)
    torch.testing.assert_close(net.offset, expected)


def test_addas_source_encoder_stays_as_the_first_phase_left_it(net: GraspNet) -> None:
    method = built(AddaConfig(source=0.5), net)
    shaken(net)
    sim, real = leaves(net, True)
    assert not method.losses(net, sim, real, 0.49)
    left = {name: value.clone() for name, value in net.state_dict().items()}
    for progress in (0.5, 0.8):
        method.losses(net, sim, real, progress)
        shaken(net)
        net.encode(real.batch.pictures)  # moves the batch statistics
    torch.testing.assert_close(dict(method.source.state_dict()), left, rtol=0, atol=0)


def mislabelled(view: SimulatedView) -> SimulatedView:
    return replace(view, success=~view.success, masks=3 - view.masks, masks_before=3 - view.masks_before)


@pytest.mark.parametrize(("steps", "moved"), [((0, 1), True), ((4, 5), False)], ids=["first phase", "second phase"])
def test_labels_move_the_network_in_addas_first_phase_alone(
    views: GraspData, steps: tuple[int, int], moved: bool
) -> None:
    config = replace(TRAINING, network=TINY, methods={"adda": AddaConfig(source=0.5)})
    assert views.sim is not None
    weights = []
    for sim in (views.sim, mislabelled(views.sim)):
        trainer = GraspTrainer(config, replace(views, sim=sim), CPU)
        for step in steps:
            trainer.step(step)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in trainer.net.parameters()]))
    assert torch.equal(*weights) == (not moved)


View = TypeVar("View", bound=UnlabelledView)


def inverted(view: View) -> View:
    return replace(view, images=255 - view.images, images_before=255 - view.images_before)


def shown(views: GraspData, domain: Domain | None) -> GraspData:
    """With the pictures of one world inverted."""
    assert views.sim is not None
    assert views.real is not None
    assert views.unlabelled is not None
    if domain is Domain.SIMULATION:
        return replace(views, sim=inverted(views.sim))
    if domain is Domain.REALITY:
        return replace(views, real=inverted(views.real), unlabelled=inverted(views.unlabelled))
    return views


def moved_statistics(nets: Sequence[GraspNet], domain: Domain) -> set[bool]:
    """Whether two networks, of equal weights, have other running statistics in that domain: in each normalization."""
    found = set()
    for one, other in zip(*(net.norms() for net in nets), strict=True):
        found.add(not torch.equal(one.running_mean[domain], other.running_mean[domain]))
        found.add(not torch.equal(one.running_var[domain], other.running_var[domain]))
    return found


@pytest.mark.parametrize("changed", Domain)
@pytest.mark.parametrize(
    "config",
    [
        DannConfig("head"),
        ConfusionConfig("head"),
        MmdConfig("head"),
        ConsistencyConfig(agreement=1.0),
        DsnConfig(),
        DbnConfig(),
    ],
    ids=lambda config: type(config).__name__,
)
def test_with_dbn_no_picture_of_a_world_touches_the_statistics_of_the_other(
    views: GraspData, config: FeatureConfig, changed: Domain
) -> None:
    config_ = replace(TRAINING, network=TINY, methods={"dbn": DbnConfig(), "method": config})
    nets = []
    for inverse in (None, changed):
        trainer = GraspTrainer(config_, shown(views, inverse), CPU)
        trainer.step(1)
        nets.append(trainer.net)
    assert moved_statistics(nets, changed) == {True}
    assert moved_statistics(nets, Domain(1 - changed)) == {False}


@pytest.mark.parametrize("config", [DbnConfig(), AdaBnConfig()], ids=lambda config: type(config).__name__)
def test_a_policys_statistics_at_the_end_are_of_reality_alone(views: GraspData, config: FeatureConfig) -> None:
    config_ = replace(TRAINING, network=TINY, methods={"method": config})
    assert policy_domain(config_) is Domain.REALITY
    finished = {
        domain: GraspTrainer(config_, replace(shown(views, domain), real=None), CPU).finished()
        for domain in (None, *Domain)
    }
    for domain in Domain:
        assert moved_statistics([finished[None], finished[domain]], Domain.REALITY) == {domain is Domain.REALITY}


@pytest.mark.parametrize("domain", Domain)
def test_recalibrated_statistics_are_the_mean_over_all_batches(net: GraspNet, domain: Domain) -> None:
    batches = [batch(seed, world) for seed, world in enumerate((*Domain, *Domain))]
    norms, plain = net.norms(), copy.deepcopy(net).train()
    means: list[list[Tensor]] = [[] for _ in norms]
    variances: list[list[Tensor]] = [[] for _ in norms]
    for k, norm in enumerate(plain.norms()):

        def note(_: nn.Module, given: tuple[Tensor, Domain], k: int = k) -> None:
            values = given[0].transpose(0, 1).flatten(1)
            means[k].append(values.mean(dim=1))
            variances[k].append((values - values.mean(dim=1, keepdim=True)).square().sum(dim=1) / (values.shape[1] - 1))

        norm.register_forward_pre_hook(note)
    for one in batches:
        plain.score(plain.encode(one.pictures), one.poses, one.commands[:, :1], shift=one.shift)
    recalibrate(net, batches, domain)
    assert not net.training
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        torch.testing.assert_close(norm.running_mean[domain], sum(mean) / len(batches))
        torch.testing.assert_close(norm.running_var[domain], sum(variance) / len(batches))
        assert not norm.running_mean[1 - domain].any()
        assert norm.running_var[1 - domain].eq(1).all()
        assert norm.momentum == 0.05
