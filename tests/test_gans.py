"""CycleGAN, perception consistency, CUT and FastCUT: their games on the paper world."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from graspgap.adaptation.pixel import METHODS, PixelConfig
from graspgap.adaptation.pixel.cut import Cut, CutConfig, FastCutConfig
from graspgap.adaptation.pixel.cyclegan import CycleGan, CycleGanConfig
from graspgap.adaptation.pixel.perceptual import Perceptual, PerceptualConfig
from graspgap.config import from_json
from graspgap.contract import Camera, SemanticClass
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.networks import DiscriminatorsConfig, GeneratorConfig, SegmenterConfig, Translator
from graspgap.tensors import load_module, save_module
from graspgap.training.adapt import ADAPTER, AdapterTrainer, AdapterTrainingConfig, adapt_frames, train_adapter
from trainers import Stopped, stop_after

CPU = torch.device("cpu")
GENERATOR = GeneratorConfig(widths=(4, 6, 8), noise=0)
DISCRIMINATORS = DiscriminatorsConfig(scales=2, widths=(4, 6))
OPTIONS: dict[str, PixelConfig] = {
    "cyclegan": CycleGanConfig(GENERATOR, DISCRIMINATORS, history=6, image_size=32),
    "perceptual": PerceptualConfig(
        GENERATOR, DISCRIMINATORS, history=6, image_size=32, judge=SegmenterConfig((4, 6)), judge_share=0.4
    ),
    "cut": CutConfig(GENERATOR, DISCRIMINATORS, patches=20, width=8),
    "fastcut": FastCutConfig(GENERATOR, DISCRIMINATORS, patches=20, width=8),
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def trainer(sim: Path, real: Path, name: str, **changes: object) -> AdapterTrainer:
    config = AdapterTrainingConfig(name, replace(OPTIONS[name], **changes), steps=6, batch=4)
    return AdapterTrainer(config, open_dataset(sim).simulated(), open_dataset(real).unlabelled(), CPU)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_encoder_runs_without_the_decoder() -> None:
    net, pictures, noise = Translator(GENERATOR), random(2, 6, 32, 32), random(2, 0, 32, 32)
    levels = net.encode(pictures, noise)
    assert [tuple(level.shape[1:]) for level in levels] == [(4, 32, 32), (6, 16, 16), (8, 8, 8)]
    assert torch.equal(net.decode(levels, pictures), net(pictures, noise))
    net.up[0].conv.weight.data.fill_(float("nan"))
    assert all(level.isfinite().all() for level in net.encode(pictures, noise))


@pytest.mark.parametrize("name", OPTIONS)
def test_each_turn_gives_gradients_to_its_own_side_alone(sim_data: Path, real_data: Path, name: str) -> None:
    game = trainer(sim_data, real_data, name)
    method, sides = game.method, set()
    for progress in (0.0, 0.9):
        for side, losses in method.turns(game.batch(0), progress):
            method.zero_grad(set_to_none=True)
            game.engine.descend(side, losses, game.optimizers[side])
            taught = {id(parameter) for parameter in method.parameters() if parameter.grad is not None}
            own = [p for group in game.optimizers[side].param_groups for p in group["params"]]
            assert taught == {id(parameter) for parameter in own}
            sides.add(side)
    assert sides == set(game.optimizers)
    owned = [p for one in game.optimizers.values() for group in one.param_groups for p in group["params"]]
    assert len(owned) == len(list(method.parameters()))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("stop", [2, 4])
def test_a_resumed_game_equals_an_uninterrupted_one(
    tmp_path: Path, sim_data: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch, name: str, stop: int
) -> None:
    config = AdapterTrainingConfig(name, OPTIONS[name], steps=6, batch=4, checkpoint_seconds=0.0)
    sim, real = open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()
    train_adapter(tmp_path / "whole", config, sim, real, CPU)
    with monkeypatch.context() as patch:
        stop_after(patch, AdapterTrainer, stop)
        with pytest.raises(Stopped):
            train_adapter(tmp_path / "stopped", config, sim, real, CPU)
    train_adapter(tmp_path / "stopped", config, sim, real, CPU)
    whole, resumed = (load_file(tmp_path / run / "adapter.safetensors") for run in ("whole", "stopped"))
    assert whole.keys() == resumed.keys()
    for key, tensor in whole.items():
        torch.testing.assert_close(resumed[key], tensor, rtol=0, atol=0, msg=key)


@pytest.mark.parametrize("name", ["cyclegan", "cut"])
def test_it_learns_the_colours_of_reality(tmp_path: Path, sim_data: Path, name: str) -> None:
    sim, real = open_dataset(sim_data).simulated(), open_dataset(sim_data).unlabelled()
    real = replace(real, images=255 - real.images, images_before=255 - real.images_before)  # a negative of simulation
    config = AdapterTrainingConfig(name, replace(OPTIONS[name], learning_rate=4e-3), steps=60, batch=4)
    method = train_adapter(tmp_path, config, sim, real, CPU)
    pairs, target = (view.pairs(np.arange(40)).astype(float) for view in (sim, real))
    made = adapt_frames(method, sim, np.arange(40), 0, CPU).astype(float)
    assert abs(made.mean() - target.mean()) < 0.6 * abs(pairs.mean() - target.mean())


def blank(net: Translator) -> None:
    """A generator that makes tanh(skip x) of x."""
    nn.init.zeros_(net.picture.weight)
    assert net.picture.bias is not None
    nn.init.zeros_(net.picture.bias)


def test_cyclegans_losses_by_definition(sim_data: Path, real_data: Path) -> None:
    game = trainer(sim_data, real_data, "cyclegan")
    method, batch = game.method, game.batch(0)
    assert isinstance(method, CycleGan)
    blank(method.to_real)
    blank(method.to_sim)
    method.to_sim.config = replace(GENERATOR, skip=1.5)  # tells the two generators apart
    losses = method.generator_losses(batch, method.cycled(batch))
    x, y = batch.pictures.numpy(), batch.real.numpy()

    def to_real(pictures: np.ndarray) -> np.ndarray:
        return np.tanh(0.5 * pictures)

    def to_sim(pictures: np.ndarray) -> np.ndarray:
        return np.tanh(1.5 * pictures)

    cycle = np.abs(to_sim(to_real(x)) - x).mean() + np.abs(to_real(to_sim(y)) - y).mean()
    identity = np.abs(to_real(y) - y).mean() + np.abs(to_sim(x) - x).mean()
    assert losses["cycle"].item() == pytest.approx(10 * cycle, rel=1e-5)
    assert losses["identity"].item() == pytest.approx(5 * identity, rel=1e-5)
    for loss, critic, made in (
        ("adversarial", method.critic_real, to_real(x)),
        ("adversarial_back", method.critic_sim, to_sim(y)),
    ):
        scores = critic(torch.from_numpy(made))
        expected = np.mean([((score - 1) ** 2).mean().item() for score in scores])
        assert losses[loss].item() == pytest.approx(expected, rel=1e-4)


def test_cyclegans_critics_see_their_own_domain_and_the_pools(sim_data: Path, real_data: Path) -> None:
    game = trainer(sim_data, real_data, "cyclegan")
    method = game.method
    assert isinstance(method, CycleGan)
    with torch.no_grad():
        cycle = method.cycled(game.batch(0))
    game.step(0)
    torch.testing.assert_close(method.made.pictures[:4], cycle.made)
    torch.testing.assert_close(method.simulated.pictures[:4], cycle.simulated)
    seen: dict[str, list[torch.Tensor]] = {"real": [], "sim": []}
    for name, critic in (("real", method.critic_real), ("sim", method.critic_sim)):
        critic.register_forward_pre_hook(lambda _, given, name=name: seen[name].append(given[0].detach().clone()))
    for pool, old in ((method.made, 0.25), (method.simulated, -0.25)):
        pool.pictures.fill_(old)
        pool.count.fill_(6)
    for step in (1, 2):
        game.step(step)
    for name, old in (("real", 0.25), ("sim", -0.25)):
        for step, shown in ((1, seen[name][1]), (2, seen[name][4])):  # the turn of the generators comes first
            batch = game.batch(step)
            assert torch.equal(shown, batch.real if name == "real" else batch.pictures)
        drawn = torch.cat([seen[name][2], seen[name][5]]) == old
        assert 0 < drawn.flatten(1).all(dim=1).sum() < 8


def test_the_judge_learns_first_alone_and_then_stays_as_it_is(sim_data: Path, real_data: Path) -> None:
    game = trainer(sim_data, real_data, "perceptual")
    assert isinstance(game.method, Perceptual)
    logged = []
    for step in range(6):
        before = {name: value.clone() for name, value in game.method.state_dict().items()}
        logged.append(set(game.step(step)))
        now = game.method.state_dict()
        changed = {name.split(".")[0] for name, value in before.items() if (value != now[name]).any()}
        assert changed - {"made", "simulated"} == (
            {"judge"} if step < 3 else {"to_real", "to_sim", "critic_real", "critic_sim"}
        )
    assert logged[:3] == [{"judge"}] * 3
    assert all("perception" in names and "judge" not in names for names in logged[3:])


def test_the_judge_reads_masks_in_other_colours(tmp_path: Path, sim_data: Path, real_data: Path) -> None:
    view = open_dataset(sim_data).simulated()
    options = replace(OPTIONS["perceptual"], judge=SegmenterConfig((16, 24)), judge_share=1.0, judge_rate=1e-2)
    config = AdapterTrainingConfig("perceptual", options, steps=100, batch=8)
    method = train_adapter(tmp_path, config, view, open_dataset(real_data).unlabelled(), CPU)
    assert isinstance(method, Perceptual)
    negative = -torch.from_numpy(view.pairs(np.arange(40))).float().div(127.5).sub(1)
    truth = torch.from_numpy(view.masks[:40, ::2, ::2])
    with torch.no_grad():
        found = method.judge(negative)[:, 1].argmax(dim=1)
    here, there = found >= SemanticClass.ARM, truth >= SemanticClass.ARM  # both are squares in this world
    assert (here & there).sum() > 0.3 * (here | there).sum()


def test_fastcuts_defaults_differ_from_cuts_as_published() -> None:
    cut, fast = CutConfig(), FastCutConfig()
    assert (cut.contrast, cut.identity, cut.flip) == (1.0, True, False)
    assert (fast.contrast, fast.identity, fast.flip) == (10.0, False, True)
    assert replace(fast, contrast=1.0, identity=True, flip=False) == FastCutConfig(**vars(cut))


def test_cut_averages_contrast_and_identity(sim_data: Path, real_data: Path) -> None:
    game = trainer(sim_data, real_data, "cut", patches=10**6)
    method, batch = game.method, game.batch(0)
    assert isinstance(method, Cut)
    losses = dict(method.turns(batch, 0.0))["generator"]
    for name, pictures in (("contrast", batch.pictures), ("identity", batch.real)):
        torch.testing.assert_close(losses[name], 0.5 * method.translated(pictures, batch.noise)[1])
    assert set(dict(trainer(sim_data, real_data, "fastcut").method.turns(batch, 0.0))["generator"]) == {
        "adversarial",
        "contrast",
    }


def test_contrast_is_low_where_places_match_and_high_where_they_moved() -> None:
    torch.manual_seed(0)
    method = Cut(CutConfig(GENERATOR, DISCRIMINATORS, width=8))
    maps = [random(2, channels, 16, 16) for channels in (6, 4, 6, 8)]
    moved = [features.roll(3, dims=-1) for features in maps]
    assert method.compared(maps, maps).item() < 0.7 * method.compared(maps, moved).item()


def test_contrast_compares_the_same_places_and_at_most_so_many() -> None:
    method = Cut(CutConfig(GENERATOR, DISCRIMINATORS, patches=20, width=8))
    seen: list[torch.Tensor] = []
    method.projections.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    places = torch.arange(64.0).reshape(1, 1, 8, 8)
    maps = [places.expand(2, channels, 8, 8) for channels in (6, 4, 6, 8)]
    method.compared(maps, maps)
    keys, queries = seen
    assert keys.shape == (2, 20, 6)
    assert torch.equal(keys, queries)
    assert len(keys[0, :, 0].unique()) == 20


def test_a_mirrored_step_is_the_plain_one_for_networks_that_know_no_left_or_right() -> None:
    """All that `mirror` does is undone by itself, if every convolution is symmetric."""
    method = Cut(FastCutConfig(GENERATOR, DISCRIMINATORS, patches=10**6, width=8)).double()
    pictures, noise = random(2, 6, 32, 32).double(), random(2, 0, 32, 32).double()
    plain, mirrored = (method.translated(pictures, noise, mirror) for mirror in (False, True))
    assert not torch.allclose(plain[1], mirrored[1], rtol=1e-6)
    for module in method.generator.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = (module.weight.data + module.weight.data.flip(-1)) / 2
    plain, mirrored = (method.translated(pictures, noise, mirror) for mirror in (False, True))
    for one, other in zip(plain, mirrored, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OPTIONS)
def test_pictures_too_small_for_the_critics_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="--image-size 32 is too small"):
        METHODS[name]().fitted(32, Camera())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PerceptualConfig(judge_share=0.0), "judge-share is 0.0, expected more than 0"),
        (PerceptualConfig(judge_share=1.0), "judge-share is 1.0, expected more than 0"),
        (CycleGanConfig(history=-1), "history is -1, expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(config: PixelConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        config.fitted(64, Camera())


@pytest.mark.parametrize("name", OPTIONS)
def test_an_adapter_is_read_back_from_its_settings(tmp_path: Path, name: str) -> None:
    method = OPTIONS[name].build()
    save_module(tmp_path / ADAPTER, method)
    read = from_json(METHODS[name], json.loads(json.dumps(asdict(OPTIONS[name])))).build()
    load_module(tmp_path / ADAPTER, read, "the adapter")
    pictures, masks, noise = random(1, 6, 32, 32), torch.zeros(1, 2, 32, 32, dtype=torch.long), random(1, 0, 32, 32)
    assert torch.equal(read.adapt(pictures, masks, noise), method.adapt(pictures, masks, noise))
