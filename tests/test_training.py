"""Both training loops on the paper world: they learn, they resume exactly, and they see only what they are given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import REAL, SIM, PaperWorld
from graspgap.adaptation.feature import FEATURES, FeatureConfig
from graspgap.adaptation.feature.statistics import recalibrate
from graspgap.adaptation.pixel.graspgan import GraspGan
from graspgap.contract import SemanticClass, command_between
from graspgap.datasets import open_dataset
from graspgap.deployment.predictor import NetworkPredictor
from graspgap.errors import UserError
from graspgap.evaluation.held_out import held_out_metrics, predicted_success
from graspgap.evaluation.pictures import adaptation_rows
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy, ServoPolicy
from graspgap.networks.normalization import Domain
from graspgap.runs import begin_run
from graspgap.seeding import generator
from graspgap.tensors import load_checkpoint, save_checkpoint
from graspgap.training.adapt import AdapterTrainer, adapt_frames, load_adapter, train_adapter
from graspgap.training.batches import AttemptFrames, AugmentConfig, GraspSamples, augment
from graspgap.training.grasp import GraspData, GraspTrainer, GraspTrainingConfig, bounded_steps, train_grasp
from trainers import ADAPTER, CPU, GRASPGAN, TRAINING, Stopped, stop_after


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def data(sim: Path | None = None, real: Path | None = None, labels: float = 0.0, unlabelled: bool = False) -> GraspData:
    return GraspData(
        sim=open_dataset(sim).simulated() if sim else None,
        real=open_dataset(real).labelled(labels) if real and labels else None,
        unlabelled=open_dataset(real).unlabelled() if real and unlabelled else None,
    )


def chosen(*features: str) -> dict[str, FeatureConfig]:
    return {name: FEATURES[name]() for name in features}


def gan(trainer: AdapterTrainer) -> GraspGan:
    assert isinstance(trainer.method, GraspGan)
    return trainer.method


def test_augmentation_moves_both_pictures_of_a_pair_alike_and_tells_the_shift() -> None:
    pictures = np.zeros((64, 6, 16, 16), np.uint8)
    pictures[:, :, 8, 8] = 255
    config = AugmentConfig(shift=3, contrast=0, brightness=0)
    moved, shift = augment(pictures, generator(0), config)
    for image, (u, v) in zip(moved, shift, strict=True):
        for channel in image:
            row, column = np.unravel_index(channel.argmax(), channel.shape)
            assert (column - 8, row - 8) == (u * 8, v * 8)
    assert len(np.unique(shift, axis=0)) > 20


def test_scene_mates_give_true_commands_and_labels_while_the_gripper_is_clear(sim_data: Path) -> None:
    view = open_dataset(sim_data).simulated()
    samples = GraspSamples(view, commands=3)
    batch = samples.batch(generator(0), 64, CPU)
    known = ~batch.success.isnan()
    assert known[:, 0].all()
    assert 0.2 < known[:, 1].float().mean() < 0.9
    assert not known[batch.poses[:, 2] < 0.12][:, 1:].any()
    own = batch.commands[:, :1].expand_as(batch.commands)
    torch.testing.assert_close(batch.commands[~known], own[~known])  # what has no label is like what has one
    for pose, commands, success in zip(batch.poses, batch.commands, batch.success, strict=True):
        for command, label in zip(commands.numpy(), success.numpy(), strict=True):
            if np.isnan(label):
                continue
            expected = command_between(pose.numpy(), samples.targets)
            match = np.abs(expected - command).max(axis=1) < 1e-5
            assert label in view.success[match]


def test_real_data_has_one_command_per_picture(real_data: Path) -> None:
    with pytest.raises(ValueError, match="simulation only"):
        GraspSamples(open_dataset(real_data).labelled(1.0), commands=2)


def test_frames_of_one_attempt_lead_to_one_target(real_data: Path) -> None:
    frames = AttemptFrames(open_dataset(real_data).unlabelled())
    batch = frames.batch(generator(0), 5, CPU)
    poses = batch.poses
    targets = (poses[:, :3] + batch.commands[:, 0, :3]).unflatten(0, (5, 3))
    torch.testing.assert_close(targets, targets[:, :1].expand_as(targets), atol=1e-6, rtol=0)
    assert not torch.equal(poses[0], poses[1])


def trained(out: Path, config: GraspTrainingConfig, views: GraspData) -> dict[str, torch.Tensor]:
    train_grasp(out, config, views, CPU)
    return load_file(out / "policy.safetensors")


@pytest.mark.parametrize("features", [(), ("consistency", "dbn")])
def test_a_resumed_training_equals_an_uninterrupted_one(
    tmp_path: Path, sim_data: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch, features: tuple[str, ...]
) -> None:
    config = replace(TRAINING, methods=chosen(*features), checkpoint_seconds=0.0)
    views = data(sim_data, real_data, unlabelled=bool(features))
    whole = trained(tmp_path / "whole", config, views)
    with monkeypatch.context() as patch:
        stop_after(patch, GraspTrainer, 5)
        with pytest.raises(Stopped):
            trained(tmp_path / "stopped", config, views)
    resumed = trained(tmp_path / "stopped", config, views)
    assert whole.keys() == resumed.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


def test_a_resumed_adapter_equals_an_uninterrupted_one(
    tmp_path: Path, sim_data: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(ADAPTER, checkpoint_seconds=0.0)
    sim, real = open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()
    train_adapter(tmp_path / "whole", config, sim, real, CPU)
    with monkeypatch.context() as patch:
        stop_after(patch, AdapterTrainer, 3)
        with pytest.raises(Stopped):
            train_adapter(tmp_path / "stopped", config, sim, real, CPU)
    train_adapter(tmp_path / "stopped", config, sim, real, CPU)
    whole, resumed = (load_file(tmp_path / name / "adapter.safetensors") for name in ("whole", "stopped"))
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    save_checkpoint(path, 3, {"net": net}, {"adam": optimizer})
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(path, {"net": net}, {"adam": optimizer})


def test_training_without_a_label_is_refused(real_data: Path) -> None:
    with pytest.raises(UserError, match="no labels"):
        GraspTrainer(TRAINING, data(real=real_data, unlabelled=True), CPU)


@pytest.mark.parametrize("features", [("consistency",), ("adabn",)])
def test_features_without_reality_are_refused(sim_data: Path, features: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="unlabelled reality"):
        GraspTrainer(replace(TRAINING, methods=chosen(*features)), data(sim_data), CPU)


def test_few_real_labels_beside_simulation_count_no_more_often_than_asked(sim_data: Path, real_data: Path) -> None:
    views = data(sim_data, real_data, labels=1.0)
    config = replace(TRAINING, steps=1000, real_passes=6.0)
    frames = len(open_dataset(real_data).labelled(1.0).images)

    def loss(config: GraspTrainingConfig, views: GraspData) -> float:
        return GraspTrainer(config, views, CPU).losses(0)["real"].item()

    whole = loss(replace(config, real_passes=1e9), views)
    share = 6.0 * frames / (config.steps * config.batch)
    assert share < 1
    assert loss(config, views) == pytest.approx(share * whole, rel=1e-4)
    alone = replace(views, sim=None)
    assert loss(config, alone) == pytest.approx(loss(replace(config, real_passes=1e9), alone), rel=1e-6)


def test_few_real_labels_alone_end_training_early(sim_data: Path, real_data: Path) -> None:
    real = data(real=real_data, labels=1.0)
    frames = len(open_dataset(real_data).labelled(1.0).images)
    config = replace(TRAINING, steps=1000, real_passes=6.0, fewest_steps=1)
    assert bounded_steps(config, real) == round(6.0 * frames / config.batch) < 1000
    assert bounded_steps(replace(config, fewest_steps=300), real) == 300
    assert bounded_steps(replace(config, steps=7), real) == 7
    assert bounded_steps(config, data(sim_data, real_data, labels=1.0)) == 1000


def test_simulated_batches_never_touch_the_statistics_of_reality(sim_data: Path, real_data: Path) -> None:
    config = replace(TRAINING, methods=chosen("dbn"))
    trainer = GraspTrainer(config, data(sim_data, real_data, unlabelled=True), CPU)
    trainer.step(0)
    norm = trainer.net.trunk.stem_norm
    assert norm.running_mean[Domain.SIMULATION].abs().max() > 0
    assert norm.running_mean[Domain.REALITY].abs().max() == 0


def test_recalibration_gives_the_statistics_of_the_given_pictures(sim_data: Path) -> None:
    trainer = GraspTrainer(TRAINING, data(sim_data), CPU)
    assert trainer.sim is not None
    batch = trainer.sim.batch(generator(0), 32, CPU)
    recalibrate(trainer.net, [batch, batch], Domain.REALITY)
    expected = trainer.net.trunk.stem(batch.pictures).mean(dim=(0, 2, 3))
    torch.testing.assert_close(trainer.net.trunk.stem_norm.running_mean[Domain.REALITY], expected)
    assert trainer.net.trunk.stem_norm.running_mean[Domain.SIMULATION].abs().max() == 0


def test_statistics_are_taken_from_no_more_batches_than_there_were_steps(
    sim_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = GraspTrainer(replace(TRAINING, steps=3, recalibration=40), data(sim_data), CPU)
    taken: list[int] = []
    monkeypatch.setattr(
        "graspgap.training.grasp.recalibrate", lambda net, batches, domain: taken.append(len(list(batches)))
    )
    trainer.finished()
    assert taken == [3]


def test_the_learning_rate_warms_up_and_falls_to_zero(sim_data: Path) -> None:
    trainer = GraspTrainer(replace(TRAINING, steps=100), data(sim_data), CPU)
    rates = [trainer.learning_rate(step) for step in range(100)]
    assert rates[0] < rates[4] <= TRAINING.learning_rate
    assert rates[-1] < 1e-3 * TRAINING.learning_rate


def test_what_is_learned_in_simulation_grasps_there(tmp_path: Path, sim_data: Path) -> None:
    """The whole straight line on the paper world: learn, predict held-out outcomes, servo, succeed."""
    config = replace(TRAINING, steps=150, batch=32)
    train, held = open_dataset(sim_data).split_by_scene(0.2)
    net = train_grasp(tmp_path, config, GraspData(sim=train.simulated()), CPU)
    view = held.labelled(1.0)
    assert held_out_metrics(predicted_success(net, view, CPU), view)["auc"] > 0.8
    policy = ServoPolicy(NetworkPredictor(net, Domain.SIMULATION), 4)
    world = PaperWorld()
    served = np.mean([run_attempt(world, policy, 99, k).outcome.success for k in range(25)])
    tried = np.mean([run_attempt(world, RandomPolicy(4), 99, k).outcome.success for k in range(25)])
    assert served > tried + 0.3
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [25, 50, 75, 100, 125, 150]
    assert log[-1]["sim"] < log[0]["sim"]


def test_the_gan_learns_the_colours_of_reality(tmp_path: Path, sim_data: Path) -> None:
    sim, real = open_dataset(sim_data).simulated(), open_dataset(sim_data).unlabelled()
    real = replace(real, images=255 - real.images, images_before=255 - real.images_before)  # a negative of simulation
    config = replace(ADAPTER, steps=120, batch=8)
    method = train_adapter(tmp_path, config, sim, real, CPU)
    pairs, target = (view.pairs(np.arange(40)).astype(float) for view in (sim, real))
    made = adapt_frames(method, sim, np.arange(40), 0, CPU).astype(float)
    assert abs(made.mean() - target.mean()) < 0.6 * abs(pairs.mean() - target.mean())


def test_critics_and_generator_have_losses_of_their_own(sim_data: Path, real_data: Path) -> None:
    sim, real = open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()
    trainer = AdapterTrainer(ADAPTER, sim, real, CPU)
    batch = trainer.batch(0)
    made, masks = gan(trainer).generator(batch.pictures, batch.noise)
    critic = gan(trainer).critic_losses(batch, made.detach())
    torch.stack(list(critic.values())).sum().backward()
    assert all(parameter.grad is None for parameter in gan(trainer).generator.parameters())
    losses = gan(trainer).generator_losses(batch, made, masks)
    assert set(losses) == {"adversarial", "content", "masks", "task", "features"}
    torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in gan(trainer).generator.parameters())


def test_graspgan_keeps_what_its_settings_say(sim_data: Path, real_data: Path) -> None:
    """A brighter background costs content with `everywhere` alone, and other features by where they are."""
    sim, real = open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()
    found = {}
    for name, change in (("plain", {}), ("everywhere", {"everywhere": True}), ("head", {"match_head": True})):
        trainer = AdapterTrainer(replace(ADAPTER, options=replace(GRASPGAN, **change)), sim, real, CPU)
        batch, method = trainer.batch(0), gan(trainer)
        background = (batch.masks < SemanticClass.ARM).repeat_interleave(3, dim=1)
        made = batch.pictures + 0.5 * background
        found[name] = method.generator_losses(batch, made, method.generator(batch.pictures, batch.noise)[1])
    assert found["plain"]["content"].item() == pytest.approx(0, abs=1e-5)
    assert found["everywhere"]["content"].item() > 0.1
    assert found["head"]["features"].item() != pytest.approx(found["plain"]["features"].item(), rel=1e-3)


def test_augmented_critics_see_real_and_made_pictures_changed(sim_data: Path, real_data: Path) -> None:
    sim, real = open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()
    options = replace(GRASPGAN, augment=True)
    trainer = AdapterTrainer(replace(ADAPTER, options=options), sim, real, CPU)
    batch = trainer.batch(0)
    for pictures, draws in ((batch.real, batch.draws[0]), (batch.pictures, batch.draws[1])):
        plain, changed = gan(trainer).discriminators(pictures), gan(trainer).judged(pictures, draws)
        assert all((one != other).any() for one, other in zip(plain, changed, strict=True))
    assert set(trainer.step(0)) >= {"critic", "adversarial"}


def test_adapters_load_only_from_adapter_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_adapter(tmp_path / "nowhere", CPU, 64)


def test_an_adapter_of_pictures_of_another_size_is_refused(tmp_path: Path) -> None:
    begin_run(tmp_path / "adapter", "adapter", replace(ADAPTER, image_size=48))
    with pytest.raises(UserError, match="pictures of 48 pixels, and these have 32"):
        load_adapter(tmp_path / "adapter", CPU, 32)


@pytest.mark.parametrize(("world", "label"), [("standin", "stand-in"), ("images", "reality")])
def test_a_grid_calls_the_stand_in_a_stand_in(sim_data: Path, real_data: Path, world: str, label: str) -> None:
    real = open_dataset(real_data).unlabelled()
    real = replace(real, source=real.source | {"world": world})
    rows = adaptation_rows(GraspGan(GRASPGAN), open_dataset(sim_data).simulated(), real, CPU, pairs=2)
    assert list(rows) == ["simulation", "masks", "adapted", label]
    assert all(len(pictures) == 4 for pictures in rows.values())


def test_noise_makes_adapted_pictures_replay(sim_data: Path) -> None:
    torch.manual_seed(0)
    method = GraspGan(GRASPGAN).eval()
    view = open_dataset(sim_data).simulated()
    once, again, other = (adapt_frames(method, view, np.arange(5), seed, CPU) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_the_two_worlds_of_these_tests_differ_as_they_should() -> None:
    assert REAL.is_reality
    assert not SIM.is_reality
