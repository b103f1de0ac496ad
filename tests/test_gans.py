"""CycleGAN, perception consistency, CUT and FastCUT: their losses by definition, and their games on the paper world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from graspgap.adaptation.augment import recoloured
from graspgap.adaptation.losses import mask_disagreement, patch_nce
from graspgap.adaptation.pixel import METHODS, PixelConfig
from graspgap.adaptation.pixel.cut import Cut, CutConfig, FastCutConfig
from graspgap.adaptation.pixel.cyclegan import CycleGan, CycleGanConfig
from graspgap.adaptation.pixel.frozen import frozen
from graspgap.adaptation.pixel.perceptual import Perceptual, PerceptualConfig, perception_loss
from graspgap.contract import Camera, SemanticClass
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.networks import DiscriminatorsConfig, GeneratorConfig, SegmenterConfig, Translator
from graspgap.training.adapt import AdapterTrainer, AdapterTrainingConfig, adapt_frames, train_adapter
from graspgap.training.batches import stacked_pairs
from test_training import Stopped, stop_after

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


def test_patch_nce_is_the_loop_over_places() -> None:
    made, source, temperature = random(3, 5, 4).double(), random(3, 5, 4, seed=1).double(), 0.2
    losses = []
    for m, s in zip(made, source, strict=True):
        for place in range(5):
            likeness = [float(m[place] @ other / (m[place].norm() * other.norm())) / temperature for other in s]
            losses.append(-likeness[place] + np.log(np.sum(np.exp(likeness))))
    assert patch_nce(made, source, temperature).item() == pytest.approx(np.mean(losses), rel=1e-10)


def test_patch_nce_as_its_authors_arrange_it() -> None:
    """Own similarity in a first column; among the others, it is blotted out by -10 before the division."""
    made, source = random(2, 6, 4), random(2, 6, 4, seed=1)
    q, k = (nn.functional.normalize(x, dim=-1) for x in (made, source))
    others = (q @ k.transpose(1, 2)).masked_fill(torch.eye(6, dtype=torch.bool), -10.0)
    columns = torch.cat([(q * k).sum(-1, keepdim=True), others], dim=-1) / 0.07
    expected = -columns.log_softmax(dim=-1)[..., 0].mean()
    torch.testing.assert_close(patch_nce(made, source, 0.07), expected)


def test_patch_nce_looks_at_one_picture_at_a_time_and_teaches_the_made_side_alone() -> None:
    made, source = random(2, 5, 4).requires_grad_(), random(2, 5, 4, seed=1).requires_grad_()
    patch_nce(made, source, 0.07).backward()
    assert source.grad is None
    assert made.grad is not None
    first = 2 * patch_nce(made, source, 0.07) - patch_nce(made[1:], source[1:], 0.07)
    torch.testing.assert_close(first, patch_nce(made[:1], source[:1], 0.07))
    alike = torch.ones(2, 5, 4)
    assert patch_nce(alike, alike, 0.07).item() == pytest.approx(np.log(5), rel=1e-5)


def logits(masks: torch.Tensor) -> torch.Tensor:
    """Sure of the given classes."""
    return 50 * nn.functional.one_hot(masks, len(SemanticClass)).movedim(-1, -3).float()


def test_mask_disagreement_of_hard_masks_is_one_less_dice() -> None:
    one, other = torch.randint(0, 4, (2, 3, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    dice = []
    for a, b in zip(one.flatten(0, 1), other.flatten(0, 1), strict=True):
        for kind in range(4):
            here, there = set(np.flatnonzero(a == kind)), set(np.flatnonzero(b == kind))
            dice.append(2 * len(here & there) / (len(here) + len(there)))
    for pair in ((one, other), (other, one)):
        assert mask_disagreement(*map(logits, pair)).item() == pytest.approx(1 - np.mean(dice), rel=1e-5)
    assert mask_disagreement(logits(one), logits(one)).item() == 0


@pytest.mark.parametrize("side", [2, 6])
def test_a_small_object_that_vanishes_counts_as_much_as_a_large_one(side: int) -> None:
    seen = torch.full((1, 2, 16, 16), int(SemanticClass.BIN))
    lost = seen.clone()
    seen[:, :, :side, :side] = SemanticClass.OBJECT
    bin_area = 16 * 16 - side * side
    bin_loss = 1 - 2 * bin_area / (bin_area + 16 * 16)
    assert mask_disagreement(logits(seen), logits(lost)).item() == pytest.approx((1 + bin_loss) / 4, rel=1e-4)


def test_a_class_that_neither_sees_adds_nothing() -> None:
    sure = logits(torch.zeros(1, 2, 4, 4, dtype=torch.long))
    less = (sure * 0.5).requires_grad_()
    loss = mask_disagreement(sure, less)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert less.grad is not None
    assert less.grad.isfinite().all()


def test_cycled_pairs_count_half() -> None:
    right = logits(torch.zeros(1, 2, 4, 4, dtype=torch.long))
    wrong = logits(torch.ones(1, 2, 4, 4, dtype=torch.long))
    apart = mask_disagreement(right, wrong).item()
    assert apart == pytest.approx(0.5)
    assert perception_loss(right, right, wrong).item() == pytest.approx(apart * (0.5 + 0.5))
    assert perception_loss(right, wrong, right).item() == pytest.approx(apart * (1 + 0.5))
    assert perception_loss(wrong, right, right).item() == pytest.approx(apart * (1 + 0.5))


def test_recoloured_classes_get_any_colour_the_same_in_both_pictures() -> None:
    torch.manual_seed(0)
    masks = torch.full((200, 2, 16, 16), int(SemanticClass.BIN))
    masks[:, :, 4:12, 4:12] = SemanticClass.OBJECT
    pairs = torch.where(masks == SemanticClass.OBJECT, 0.3, -0.3).repeat_interleave(3, dim=1)
    made = recoloured(pairs, masks)
    assert made.abs().max() <= 1
    before, now = made.split(3, 1)
    inside, outside = before[:, :, 5:11, 5:11].mean((2, 3)), before[:, :, :3].mean((2, 3))
    inside_now = now[:, :, 5:11, 5:11].mean((2, 3))
    assert (inside - inside_now).abs().mean() < 0.2 < (inside[:100] - inside[100:]).abs().mean()
    brighter = (inside > outside).float().mean(dim=0)
    assert (brighter > 0.5).all()  # contrast is kept in part
    assert (brighter < 0.9).all()


def test_frozen_networks_pass_a_gradient_on_and_keep_none() -> None:
    net, fixed = nn.Linear(3, 2), nn.Linear(2, 1).requires_grad_(False)
    x = torch.ones(1, 3, requires_grad=True)
    with frozen(net, fixed):
        out = fixed(net(x)).sum()
    out.backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in net.parameters())
    with pytest.raises(ValueError, match="stop"), frozen(net, fixed):
        raise ValueError("stop")
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(parameter.requires_grad for parameter in fixed.parameters())


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
            torch.stack(list(losses.values())).sum().backward()
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
    pairs, target = (stacked_pairs(view, np.arange(40)).astype(float) for view in (sim, real))
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
    negative = -torch.from_numpy(stacked_pairs(view, np.arange(40))).float().div(127.5).sub(1)
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
