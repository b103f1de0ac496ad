"""Feature-level methods: each loss against an independent formula, each method and pair through the real loop."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from graspgap.adaptation.batch import GraspBatch, joined
from graspgap.adaptation.feature import FEATURES, REFUSED, FeatureConfig, check_features
from graspgap.adaptation.feature.adda import Adda, AddaConfig
from graspgap.adaptation.feature.aligned import (
    DomainClassifier,
    domain_loss,
    ganin_schedule,
    head_features,
    reverse_gradient,
)
from graspgap.adaptation.feature.confusion import ConfusionConfig, confusion_loss, nearest_pose, pair_loss
from graspgap.adaptation.feature.coral import coral_loss
from graspgap.adaptation.feature.dann import DannConfig
from graspgap.adaptation.feature.dsn import DsnConfig, difference_loss
from graspgap.adaptation.feature.mmd import median_variances, mmd_loss, squared_distances
from graspgap.adaptation.frozen import frozen
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.networks.normalization import Domain
from graspgap.seeding import generator
from graspgap.training.grasp import (
    GraspData,
    GraspTrainer,
    GraspTrainingConfig,
    policy_domain,
    policy_facts,
    train_grasp,
)
from trainers import CPU, TRAINING, Stopped, stop_after

ALL = list(FEATURES)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def views(sim_data: Path, real_data: Path) -> GraspData:
    return GraspData(open_dataset(sim_data).simulated(), unlabelled=open_dataset(real_data).unlabelled())


def training(**methods: FeatureConfig) -> GraspTrainingConfig:
    return replace(TRAINING, methods=methods)


def test_gradient_reversal_turns_the_gradient_round_and_nothing_else() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    y = reverse_gradient(x, 0.3)
    torch.testing.assert_close(y, x)
    weight = torch.randn(4, 3)
    (y * weight).sum().backward()
    torch.testing.assert_close(x.grad, -0.3 * weight)


def test_the_schedule_is_ganins() -> None:
    assert ganin_schedule(0) == 0
    assert ganin_schedule(0.5) == pytest.approx((1 - math.exp(-5)) / (1 + math.exp(-5)))
    assert ganin_schedule(1) == ganin_schedule(7) == pytest.approx(0.9999, abs=1e-4)


def test_a_batch_of_one_has_nothing_to_compare(views: GraspData) -> None:
    with pytest.raises(UserError, match=r"--training.batch 1 gives feature-level methods nothing to compare"):
        GraspTrainer(replace(training(coral=FEATURES["coral"]()), batch=1), views, CPU)
    assert GraspTrainer(replace(TRAINING, batch=1), views, CPU)


def test_the_strength_slows_the_grasp_network_alone(views: GraspData) -> None:
    """Ganin's lambda is not a weight of the loss: the classifier always learns at full strength."""
    classifier, trunk = [], []
    for strength in (0.1, 0.2):
        trainer = GraspTrainer(training(dann=DannConfig(strength=strength)), views, CPU)
        trainer.losses(4)["dann"].backward()
        classifier.append(trainer.methods["dann"].classifier[0].weight.grad)  # type: ignore[index, union-attr]
        trunk.append(trainer.net.trunk.down.weight.grad)
    torch.testing.assert_close(classifier[0], classifier[1])
    torch.testing.assert_close(2 * trunk[0], trunk[1])


@pytest.mark.parametrize(
    ("options", "watched"),
    [
        (DannConfig(), {"reversed_dann": "dann"}),
        (DsnConfig(), {"reversed_similarity": "similarity"}),
        (DsnConfig(similarity="mmd"), {}),
        (ConfusionConfig(), {}),
    ],
)
def test_losses_whose_gradient_is_reversed_are_watched(
    views: GraspData, options: FeatureConfig, watched: dict[str, str]
) -> None:
    trainer = GraspTrainer(training(method=options), views, CPU)
    losses = trainer.step(4)
    found = {name: value for name, value in trainer.health().items() if not name.startswith("gradient_")}
    assert found == {name: losses[loss] for name, loss in watched.items()}


def test_the_grasp_network_confuses_the_classifier() -> None:
    """One step against the reversed gradient makes the domains harder to tell apart; the same step along it, easier."""
    torch.manual_seed(0)
    classifier = DomainClassifier(3, 8)
    sim, real = torch.randn(20, 3), torch.randn(20, 3) + 1
    for strength, harder in ((1.0, True), (-1.0, False)):
        features = torch.cat([sim, real]).requires_grad_()
        logits = classifier(reverse_gradient(features, strength))
        before = domain_loss(logits[:20], logits[20:])
        before.backward()
        logits = classifier(features - 0.1 * features.grad)
        assert bool(domain_loss(logits[:20], logits[20:]) > before) == harder


def test_a_frozen_network_passes_gradients_without_keeping_any() -> None:
    classifier = DomainClassifier(3, 4)
    x = torch.randn(5, 3, requires_grad=True)
    with frozen(classifier):
        y = classifier(x)
    y.sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_coral_is_zero_for_equal_covariances_and_the_papers_formula_otherwise() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(20, 4)) @ rng.normal(size=(4, 4))
    expected = ((np.cov(a.T) - np.cov(b.T)) ** 2).sum() / (4 * 4**2)
    assert float(coral_loss(torch.tensor(a), torch.tensor(b))) == pytest.approx(expected)
    assert float(coral_loss(torch.tensor(a), torch.tensor(a + 5))) == pytest.approx(0, abs=1e-12)


def test_mmd_of_known_gaussians() -> None:
    """For N(0, 1) and N(m, 1) in one dimension and a Gaussian kernel of variance s:
    MMD^2 = 2 sqrt(s / (s + 2)) (1 - exp(-m^2 / (2 (s + 2))))."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2000, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    for mean, variance in ((0.0, 1.0), (1.0, 1.0), (2.0, 0.5)):
        expected = 2 * math.sqrt(variance / (variance + 2)) * (1 - math.exp(-(mean**2) / (2 * (variance + 2))))
        found = float(mmd_loss(a, b + mean, torch.tensor([variance], dtype=torch.float64)))
        assert found == pytest.approx(expected, abs=0.02)


def test_mmd_is_unbiased() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, 2, generator=generator)
    estimates = [float(mmd_loss(sample[:3], sample[3:], torch.tensor([1.0]))) for sample in x]
    assert abs(np.mean(estimates)) < 3 * np.std(estimates) / 20
    assert min(estimates) < 0


def test_kernel_widths_follow_the_median_distance() -> None:
    a, b = torch.randn(8, 3), torch.randn(7, 3)
    both = torch.cat([a, b])
    distances = torch.tensor([float((x - y).square().sum()) for x, y in itertools.combinations(both, 2)])
    torch.testing.assert_close(median_variances(a, b)[2], distances.median())
    torch.testing.assert_close(squared_distances(both), torch.cdist(both, both).square(), atol=1e-4, rtol=1e-4)


def test_the_difference_loss_is_zero_for_orthogonal_features() -> None:
    shared = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    private = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    assert float(difference_loss(shared, private)) == 0
    assert float(difference_loss(shared, 3 * shared)) == pytest.approx(16)  # rows of length 1: (4 x 1)^2


def test_confusion_is_least_where_the_classifier_is_undecided() -> None:
    assert float(confusion_loss(torch.zeros(3, 1))) == pytest.approx(math.log(2))
    assert float(confusion_loss(torch.tensor([[1.0]]))) == pytest.approx(float(confusion_loss(torch.tensor([[-1.0]]))))
    assert float(confusion_loss(torch.tensor([[1.0]]))) > math.log(2)


def test_weak_pairs_are_of_nearest_poses() -> None:
    sim = torch.tensor([[0.0, 0, 0, 0], [0.1, 0, 0, 0], [0.0, 0, 0, math.pi / 2]])
    real = torch.tensor([[0.09, 0.0, 0, math.pi], [0.0, 0.01, 0, -math.pi / 2]])
    nearest, distance = nearest_pose(sim, real)
    assert nearest.tolist() == [1, 2]
    torch.testing.assert_close(distance, torch.tensor([0.1, 0.1]), atol=1e-5, rtol=0)
    near, far = torch.zeros(1), torch.full((1,), 100.0)
    assert float(pair_loss(torch.ones(1, 2), torch.zeros(1, 2), near, 0.5)) == pytest.approx(1)
    assert float(pair_loss(torch.ones(1, 2), torch.zeros(1, 2), far, 0.5)) == pytest.approx(0)


def test_adda_moves_the_trunk_alone_and_keeps_the_source(views: GraspData) -> None:
    trainer = GraspTrainer(training(adda=AddaConfig(source=0.5)), views, CPU)
    method = trainer.methods["adda"]
    assert isinstance(method, Adda)
    for step in range(4):
        assert set(trainer.step(step)) == {"sim", "masks"}
    before = {name: value.clone() for name, value in trainer.net.named_parameters()}
    for step in (4, 5):
        assert set(trainer.step(step)) == {"adda_discriminator", "adda"}
    moved = {name for name, value in trainer.net.named_parameters() if (value != before[name]).any()}
    assert "trunk.stem.weight" in moved
    assert not any(name.startswith(("head.", "logit.", "segmenter.", "locator.")) for name in moved)
    source = dict(method.source.named_parameters())
    assert all((source[name] == value).all() for name, value in before.items())
    own, discriminator = (group["lr"] for group in trainer.optimizer.param_groups)
    assert own == pytest.approx(AddaConfig().rate * discriminator)


@pytest.mark.parametrize(("others", "reads"), [(("dbn",), False), (("consistency",), True)])
def test_addas_second_phase_encodes_simulation_for_others_alone_and_the_policy_is_the_same(
    views: GraspData, monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...], reads: bool
) -> None:
    config = training(adda=AddaConfig(source=0.5), **{name: FEATURES[name]() for name in others})

    def trained() -> tuple[list[bool], dict[str, torch.Tensor]]:
        trainer, simulated = GraspTrainer(config, views, CPU), []
        encode = trainer.net.encode

        def counted(pictures: torch.Tensor, domain: Domain = Domain.SIMULATION) -> torch.Tensor:
            simulated[-1] |= domain is Domain.SIMULATION
            return encode(pictures, domain)

        monkeypatch.setattr(trainer.net, "encode", counted)
        for step in range(config.steps):
            simulated.append(False)
            trainer.step(step)
        monkeypatch.undo()
        return simulated, trainer.finished().state_dict()

    found, policy = trained()
    assert found == [True] * 5 + [reads] * 3  # the second phase begins with step 4, whose statistics are the source's
    monkeypatch.setattr(Adda, "reads_simulation", lambda self, progress: True)
    _, other = trained()
    assert all(torch.equal(policy[name], value) for name, value in other.items())


@pytest.mark.parametrize("similarity", ["dann", "mmd"])
def test_dsn_rebuilds_pictures(views: GraspData, similarity: str) -> None:
    config = replace(training(dsn=DsnConfig(similarity=similarity)), steps=60)
    trainer = GraspTrainer(config, views, CPU)
    values = [trainer.step(step)["reconstruction"] for step in range(60)]
    assert np.mean(values[-10:]) < 0.6 * np.mean(values[:10])


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("dbn", "adabn")])
def test_a_resumed_method_equals_an_uninterrupted_one(
    tmp_path: Path, views: GraspData, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config = replace(training(**{name: FEATURES[name]()}), checkpoint_seconds=0.0)
    train_grasp(tmp_path / "whole", config, views, CPU)
    with monkeypatch.context() as patch:
        stop_after(patch, GraspTrainer, 6)
        with pytest.raises(Stopped):
            train_grasp(tmp_path / "stopped", config, views, CPU)
    train_grasp(tmp_path / "stopped", config, views, CPU)
    whole, resumed = (load_file(tmp_path / folder / "policy.safetensors") for folder in ("whole", "stopped"))
    for key, tensor in whole.items():
        torch.testing.assert_close(resumed[key], tensor, rtol=0, atol=0, msg=key)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (AddaConfig(source=1.0), "no steps for the adaptation"),
        (AddaConfig(source=0.0), "no steps before the adaptation"),
        (DannConfig(hidden=0), "--methods.dann.hidden 0 is too small: give 1 or more"),
        (ConfusionConfig(hidden=-1), "--methods.confusion.hidden -1 is too small: give 1 or more"),
        (AddaConfig(hidden=0), "--methods.adda.hidden 0 is too small: give 1 or more"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(views: GraspData, options: FeatureConfig, words: str) -> None:
    with pytest.raises(UserError, match=words):
        GraspTrainer(training(method=options), views, CPU)
    with pytest.raises(UserError, match=words):  # before a run begins
        policy_facts(training(method=options))


def test_whose_statistics_a_policy_has_is_known_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in FEATURES.items():
        monkeypatch.setattr(kind, "build", None)
        assert policy_domain(training(**{name: kind()})) == (name in ("adda", "dbn", "adabn"))


def test_a_feature_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match="dann 2 times"):
        check_features(["dann", "dbn", "dann"])


def test_features_want_attempts_of_three_pictures(views: GraspData) -> None:
    assert views.unlabelled is not None
    short = replace(views.unlabelled, offsets=views.unlabelled.offsets // 2)  # two steps each
    with pytest.raises(UserError, match="--steps-per-attempt 3 or more"):
        replace(views, unlabelled=short).check(["dbn"])
    replace(views, unlabelled=short).check([])


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(ALL, 2)))
def test_pairs_work_or_are_refused_with_the_reason(views: GraspData, one: str, other: str) -> None:
    reason = REFUSED.get((one, other), REFUSED.get((other, one)))
    if reason:
        with pytest.raises(UserError, match="don't go together: " + reason[:20]):
            check_features([other, one])
        return
    check_features([one, other])
    trainer = GraspTrainer(replace(training(**{name: FEATURES[name]() for name in (one, other)}), steps=3), views, CPU)
    for step in range(3):
        assert all(math.isfinite(value) for value in trainer.step(step).values())
    trainer.finished()


@pytest.mark.parametrize("own", [False, True])
def test_domains_share_neither_statistics_nor_an_affine_part_of_their_own(views: GraspData, own: bool) -> None:
    network = replace(TRAINING.network, own_affine=own)
    methods = {"dann": FEATURES["dann"](), "dbn": FEATURES["dbn"]()}
    trainer = GraspTrainer(replace(TRAINING, methods=methods, network=network), views, CPU)
    norm = trainer.net.trunk.stem_norm
    assert trainer.sim is not None
    assert trainer.frames is not None
    batches = {
        "sim": trainer.sim.batch(generator(0), 8, CPU),
        "unlabelled": trainer.frames.batch(generator(0), 3, CPU),
    }
    trainer.net.train()
    for name, domain, other in (
        ("sim", Domain.SIMULATION, Domain.REALITY),
        ("unlabelled", Domain.REALITY, Domain.SIMULATION),
    ):
        before = norm.running_mean.clone()
        trainer.net.zero_grad()
        trainer._see({name: batches[name]})[name].features.square().sum().backward()
        assert (norm.running_mean[domain] != before[domain]).any()
        torch.testing.assert_close(norm.running_mean[other], before[other], rtol=0, atol=0)
        grad = norm.weight.grad
        assert grad is not None
        if own:
            assert grad[other].abs().max() == 0 < grad[domain].abs().max()
        else:
            assert grad.shape == (norm.weight.shape[0],)


@pytest.mark.parametrize("features", ["mmd", "mmd,dbn"])
def test_one_world_moves_the_features_of_the_other_only_where_they_share_statistics(
    views: GraspData, features: str
) -> None:
    methods = {name: FEATURES[name]() for name in features.split(",")}
    trainer = GraspTrainer(training(**methods), views, CPU)
    assert trainer.sim is not None
    assert trainer.frames is not None
    sim, real = trainer.sim.batch(generator(0), 8, CPU), trainer.frames.batch(generator(0), 3, CPU)
    brighter = replace(real, pictures=real.pictures + 1)
    trainer.net.train()
    seen = [trainer._see({"sim": sim, "unlabelled": pictures}) for pictures in (real, brighter)]
    assert torch.equal(seen[0]["sim"].features, seen[1]["sim"].features) == ("dbn" in features)
    hidden = [head_features(trainer.net, seen[0]["sim"], each["unlabelled"])[0] for each in seen]
    assert torch.equal(*hidden) == ("dbn" in features)


def test_labels_of_both_worlds_are_learned_together_where_they_share_statistics(
    views: GraspData, real_data: Path
) -> None:
    labelled = replace(views, real=open_dataset(real_data).labelled(1.0), unlabelled=None)
    together, apart = (
        GraspTrainer(training(**methods), replace(labelled, unlabelled=views.unlabelled), CPU)
        for methods in ({}, {"dbn": FEATURES["dbn"]()})
    )
    losses = [trainer.losses(0) for trainer in (together, apart)]
    assert losses[0].keys() == losses[1].keys() == {"sim", "real", "masks"}
    assert all(losses[0][name] != losses[1][name] for name in losses[0])
    shared, own = (trainer.finished().trunk.stem_norm.running_mean for trainer in (together, apart))
    alone = GraspTrainer(training(), replace(labelled, real=None), CPU).finished().trunk.stem_norm.running_mean
    torch.testing.assert_close(own[Domain.SIMULATION], alone[Domain.SIMULATION])
    assert not torch.allclose(shared[Domain.SIMULATION], alone[Domain.SIMULATION], atol=1e-3)


def test_a_scale_of_realitys_own_that_nothing_trains_is_refused(views: GraspData) -> None:
    network = replace(TRAINING.network, own_affine=True)
    for name in ("adabn", "dbn"):
        with pytest.raises(UserError, match="nothing here trains"):
            GraspTrainer(replace(training(**{name: FEATURES[name]()}), network=network), views, CPU)


def test_batches_are_joined_with_as_many_commands_each() -> None:
    def batch(size: int, commands: int) -> GraspBatch:
        success = torch.ones(size, commands)
        shapes = ((size, 6, 4, 4), (size, 4), (size, commands, 5), (size, 2))
        pictures, poses, given, shift = (torch.randn(shape) for shape in shapes)
        return GraspBatch(pictures, poses, given, success, shift)

    sim, real = batch(3, 2), batch(2, 1)
    both = joined([sim, real])
    torch.testing.assert_close(both.commands[:3], sim.commands)
    torch.testing.assert_close(both.commands[3:], real.commands.expand(-1, 2, -1))
    torch.testing.assert_close(both.success[3:], torch.tensor([[1.0, torch.nan]] * 2), equal_nan=True)
    torch.testing.assert_close(both.poses, torch.cat([sim.poses, real.poses]))
