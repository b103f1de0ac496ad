"""Pixel-level methods: each loss and rule against an independent one, each method through the real loop."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from graspgap.adaptation.feature import FEATURES
from graspgap.adaptation.losses import gan_discriminator, gan_generator
from graspgap.adaptation.pixel import METHODS, PixelConfig
from graspgap.adaptation.pixel.composite import CompositeConfig, composite_alpha
from graspgap.adaptation.pixel.cut import CutConfig, FastCutConfig
from graspgap.adaptation.pixel.cyclegan import CycleGanConfig
from graspgap.adaptation.pixel.fourier import FourierConfig, swap_low_frequencies
from graspgap.adaptation.pixel.graspgan import GraspGanConfig
from graspgap.adaptation.pixel.histogram import HistogramConfig, match_histograms
from graspgap.adaptation.pixel.history import History
from graspgap.adaptation.pixel.perceptual import PerceptualConfig
from graspgap.adaptation.pixel.pixelda import PixelDaConfig
from graspgap.adaptation.pixel.rcan import RcanConfig
from graspgap.adaptation.pixel.simgan import SimGan, SimGanConfig, local_loss
from graspgap.datasets import SimulatedView, UnlabelledView, open_dataset
from graspgap.deployment.front_end import FrontEnd
from graspgap.errors import UserError
from graspgap.networks import DiscriminatorsConfig, GeneratorConfig, SegmenterConfig
from graspgap.training.adapt import AdapterTrainer, AdapterTrainingConfig, adapt_frames, train_adapter
from graspgap.training.grasp import GraspData, GraspTrainer
from trainers import CPU, GRASPGAN, NETWORK, TRAINING, Stopped, stop_after, with_canonical

GENERATOR = GeneratorConfig(widths=(4, 6, 8), noise=0)
CRITICS = DiscriminatorsConfig(scales=2, widths=(4, 6))
TINY: dict[str, PixelConfig] = {
    "graspgan": GRASPGAN,
    "pixelda": PixelDaConfig(width=4, blocks=1, critic_widths=(4, 6, 8), grasp=NETWORK),
    "simgan": SimGanConfig(width=4, blocks=1, critic_widths=(6, 6, 6, 6), history=6, refiner_only=0.2, critic_only=0.2),
    "cyclegan": CycleGanConfig(GENERATOR, CRITICS, identity=1.0, history=6),
    "cut": CutConfig(GENERATOR, CRITICS, patches=20, width=8),
    "fastcut": FastCutConfig(GENERATOR, CRITICS, patches=20, width=8),
    "perceptual": PerceptualConfig(GENERATOR, CRITICS, history=6, judge=SegmenterConfig((4, 6)), judge_share=0.3),
    "rcan": RcanConfig(GENERATOR, CRITICS),
    "histogram": HistogramConfig(references=5),
    "fourier": FourierConfig(references=5),
    "composite": CompositeConfig(backgrounds=5),
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def sim(sim_data: Path) -> SimulatedView:
    return with_canonical(open_dataset(sim_data).simulated())


@pytest.fixture
def real(real_data: Path) -> UnlabelledView:
    return open_dataset(real_data).unlabelled()


def training(name: str, steps: int = 10) -> AdapterTrainingConfig:
    return AdapterTrainingConfig(name, TINY[name].fitted(32, NETWORK.camera), steps=steps, batch=4)


def test_every_method_is_tried_here() -> None:
    assert TINY.keys() == METHODS.keys()


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_method_equals_an_uninterrupted_one(
    tmp_path: Path, sim: SimulatedView, real: UnlabelledView, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config = replace(training(name), checkpoint_seconds=0.0)
    method = train_adapter(tmp_path / "whole", config, sim, real, CPU)
    if method.optimizers():
        with monkeypatch.context() as patch:
            stop_after(patch, AdapterTrainer, 7)
            with pytest.raises(Stopped):
                train_adapter(tmp_path / "stopped", config, sim, real, CPU)
    again = train_adapter(tmp_path / "stopped", config, sim, real, CPU)
    whole, resumed = (load_file(tmp_path / folder / "adapter.safetensors") for folder in ("whole", "stopped"))
    for key, tensor in whole.items():
        torch.testing.assert_close(resumed[key], tensor, rtol=0, atol=0, msg=key)
    made, same = (adapt_frames(one, sim, np.arange(6), 0, CPU) for one in (method, again))
    np.testing.assert_array_equal(made, same)
    assert (made != sim.pairs(np.arange(6))).any()


@pytest.mark.parametrize("name", METHODS)
def test_every_adapter_goes_with_every_feature_and_with_labels(sim: SimulatedView, real_data: Path, name: str) -> None:
    data = open_dataset(real_data)
    method = AdapterTrainer(training(name), sim, data.unlabelled(), CPU).finished()
    adapted = adapt_frames(method, sim, np.arange(len(sim.images)), 0, CPU)
    views = GraspData(sim, adapted, data.labelled(0.5), data.unlabelled())
    if method.front_end:
        views = views.shown_through(FrontEnd(method), CPU)
    for feature, kind in FEATURES.items():
        trainer = GraspTrainer(replace(TRAINING, methods={feature: kind()}, steps=2), views, CPU)
        for step in range(2):
            losses = trainer.step(step)
            assert all(math.isfinite(value) for value in losses.values()), (feature, losses)
        trainer.finished()


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("histogram", "fourier", "composite")])
def test_a_side_is_moved_in_its_own_turns_alone(sim: SimulatedView, real: UnlabelledView, name: str) -> None:
    trainer = AdapterTrainer(training(name), sim, real, CPU)
    sides = {
        side: [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for side, optimizer in trainer.optimizers.items()
    }
    owned = [id(parameter) for parameters in sides.values() for parameter in parameters]
    assert len(owned) == len(set(owned)) == len(list(trainer.method.parameters()))
    for step in (0, 1, 9):
        before = {side: [parameter.clone() for parameter in own] for side, own in sides.items()}
        turns = {
            side
            for side, _ in AdapterTrainer(training(name), sim, real, CPU).method.turns(trainer.batch(step), step / 10)
        }
        trainer.step(step)
        for side, own in sides.items():
            moved = any((new != old).any() for new, old in zip(own, before[side], strict=True))
            assert moved == (side in turns), (side, step)


def test_the_history_of_simgan_mixes_half_of_each_batch() -> None:
    torch.manual_seed(0)
    history = History(40, (6, 1, 1))
    numbered = torch.arange(2040.0).view(-1, 1, 1, 1).expand(-1, 6, 1, 1)
    for start in range(0, 40, 8):
        batch = numbered[start : start + 8]
        assert (history.mix(batch) == batch).all()
    ages, stays = [], []
    for start in range(40, 2040, 8):
        before = set(history.pictures[:, 0, 0, 0].tolist())
        batch = numbered[start : start + 8]
        out = history.mix(batch)
        assert (out[:4] == batch[:4]).all()
        assert set(out[4:, 0, 0, 0].tolist()) <= before
        stays.append(len(before & set(history.pictures[:, 0, 0, 0].tolist())))
        ages += (start - out[4:, 0, 0, 0]).tolist()
    assert set(stays) == {36}
    assert 60 < np.mean(ages) < 100  # a tenth of the entries leaves at each batch of 8


def test_sigmoid_gan_losses() -> None:
    real, made = torch.tensor([[0.3], [2.0]]), torch.tensor([[-1.0], [0.5]])
    sigmoid = torch.nn.functional.binary_cross_entropy_with_logits
    expected = sigmoid(real, torch.ones(2, 1)) + sigmoid(made, torch.zeros(2, 1))
    torch.testing.assert_close(gan_discriminator(real, made), expected)
    torch.testing.assert_close(gan_generator(made), sigmoid(made, torch.ones(2, 1)))
    with torch.autocast("cpu", torch.bfloat16):
        assert gan_generator(made.bfloat16()).dtype == torch.float32


def test_the_local_loss_is_an_average_over_places() -> None:
    logits = torch.zeros(2, 2, 3, 3)
    assert float(local_loss(logits, 0)) == pytest.approx(math.log(2))
    logits[:, 1] = 50  # certain of "refined" everywhere
    assert float(local_loss(logits, 1)) == pytest.approx(0, abs=1e-6)
    assert float(local_loss(logits, 0)) == pytest.approx(50)


def test_simgan_shows_its_discriminator_the_past(sim: SimulatedView, real: UnlabelledView) -> None:
    trainer = AdapterTrainer(training("simgan"), sim, real, CPU)
    assert isinstance(trainer.method, SimGan)
    for step in range(10):
        trainer.step(step)
    assert int(trainer.method.history.count) == 6
    assert trainer.method.history.pictures.std() > 0


def test_matched_histograms_are_equal_and_keep_the_order() -> None:
    torch.manual_seed(0)
    pictures, references = torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    matched = match_histograms(pictures, references)
    torch.testing.assert_close(matched.flatten(2).sort(2).values, references.flatten(2).sort(2).values)
    for made, source in zip(matched.flatten(0, 1), pictures.flatten(0, 1), strict=True):
        assert (made.flatten().argsort() == source.flatten().argsort()).all()


def test_pixelda_normalizes_over_a_batch_of_more_than_one(sim: SimulatedView, real: UnlabelledView) -> None:
    with pytest.raises(UserError, match="--batch 1 is too few for --method pixelda"):
        AdapterTrainer(replace(training("pixelda"), batch=1), sim, real, CPU)
    AdapterTrainer(replace(training("cyclegan"), batch=1), sim, real, CPU).step(0)


@pytest.mark.parametrize(("join", "cells", "fine"), [("project", 9, True), ("project", 8, False), ("add", 9, False)])
def test_graspgan_takes_a_batch_of_one_where_its_grasp_network_can(
    sim: SimulatedView, real: UnlabelledView, join: str, cells: int, fine: bool
) -> None:
    whole = training("graspgan")
    assert isinstance(whole.options, GraspGanConfig)
    options = replace(whole.options, grasp=replace(whole.options.grasp, join=join, crop_cells=cells))
    one = replace(whole, options=options, batch=1)
    if fine:
        AdapterTrainer(one, sim, real, CPU).step(0)
        return
    with pytest.raises(UserError, match="--batch 1 is too few for --method graspgan"):
        AdapterTrainer(one, sim, real, CPU)


def test_both_pictures_of_a_pair_are_matched_together(sim: SimulatedView, real: UnlabelledView) -> None:
    """Where I0 and It show the same colour, the matched ones do too, up to ties."""
    trainer = AdapterTrainer(training("histogram"), sim, real, CPU)
    pictures = torch.rand(3, 3, 32, 32).repeat(1, 2, 1, 1)
    torch.manual_seed(0)
    made = trainer.method.adapt(pictures, torch.zeros(3, 2, 32, 32, dtype=torch.long), pictures[:, :0])
    assert (made[:, :3] - made[:, 3:]).abs().mean() < 0.02


def test_slow_changes_come_from_the_reference_and_phases_stay() -> None:
    torch.manual_seed(0)
    pictures, references = (2 * torch.rand(1, 2, 16, 16) - 1 for _ in range(2))
    made = swap_low_frequencies(pictures, references, 2)
    ours, theirs, result = (torch.fft.fft2(x + 1) for x in (pictures, references, made))  # amplitudes above black
    window = torch.zeros(16, 16, dtype=torch.bool)
    for row in range(-2, 3):
        for column in range(-2, 3):
            window[row, column] = True
    torch.testing.assert_close(result.abs()[..., window], theirs.abs()[..., window], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(result.abs()[..., ~window], ours.abs()[..., ~window], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(result / result.abs(), ours / ours.abs(), atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(swap_low_frequencies(pictures, pictures, 5), pictures, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("own", "reference"), [(-0.4, 0.5), (0.4, -0.5), (-0.4, -0.5)])
def test_the_mean_comes_from_the_reference_with_its_sign(own: float, reference: float) -> None:
    pictures, references = torch.full((1, 6, 8, 8), own), torch.full((1, 6, 8, 8), reference)
    torch.testing.assert_close(swap_low_frequencies(pictures, references, 0), references)


def test_a_composite_has_a_simulated_foreground_and_a_real_background(sim: SimulatedView, real: UnlabelledView) -> None:
    config = replace(training("composite"), options=CompositeConfig(backgrounds=1, soft=1).fitted(32, NETWORK.camera))
    trainer = AdapterTrainer(config, sim, real, CPU)
    batch = trainer.batch(0)
    made = trainer.method.adapt(batch.pictures, batch.masks, batch.noise)
    foreground = (batch.masks >= 2).repeat_interleave(3, dim=1)
    torch.testing.assert_close(made[foreground], batch.pictures[foreground])
    background = trainer.method.drawn(4)  # type: ignore[operator]
    torch.testing.assert_close(made[~foreground], background[~foreground])
    for soft in (0, 4):
        with pytest.raises(UserError, match=f"composite.soft must be odd and at least 1, not {soft}"):
            CompositeConfig(soft=soft).fitted(32, NETWORK.camera)


def test_the_edge_of_a_composite_is_soft() -> None:
    mask = torch.zeros(1, 2, 5, 5, dtype=torch.bool)
    mask[..., :2] = True
    assert composite_alpha(mask, 3)[0, 0, 2].tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0, 0])
    assert composite_alpha(mask, 1)[0, 0, 2].tolist() == [1, 1, 0, 0, 0]
