"""What was made faster, against the plain formulas."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.pixel.graspgan import GraspGan
from graspgap.datasets import open_dataset
from graspgap.networks import Discriminators, DiscriminatorsConfig
from graspgap.networks.layers import Enlarge, InstanceNorm
from graspgap.seeding import generator
from graspgap.training.adapt import AdapterTrainer
from graspgap.training.batches import AugmentConfig, augment, shifted
from trainers import ADAPTER, CPU, GRASPGAN

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def numbers(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(sum(shape)).normal(2, 3, shape))


def normalized(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Instance normalization as its formula."""
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * weight[:, None, None] + bias[:, None, None]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(3, 5, 7, 4), (1, 2, 8, 8), (2, 6, 1, 9)])
def test_instance_norm_is_its_formula_and_so_is_its_gradient(shape, layout):
    x = numbers(*shape).contiguous(memory_format=layout).requires_grad_()
    layer = InstanceNorm(shape[1]).double()
    with torch.no_grad():
        layer.weight.copy_(torch.rand(shape[1]) + 0.5)
        layer.bias.copy_(torch.rand(shape[1]))
    inputs, gradient = [x, layer.weight, layer.bias], numbers(*shape)
    made, plain = layer(x), normalized(*inputs)
    torch.testing.assert_close(made, plain)
    grads = [torch.autograd.grad(y, inputs, gradient, retain_graph=True) for y in (made, plain)]
    for got, expected in zip(*grads, strict=True):
        torch.testing.assert_close(got, expected)


def test_instance_norm_keeps_its_precision_where_the_mean_is_large():
    x = (numbers(2, 3, 16, 16) + 3000).contiguous(memory_format=torch.channels_last)
    layer = InstanceNorm(3)
    plain = normalized(x.float().double(), layer.weight.double(), layer.bias.double())
    torch.testing.assert_close(layer(x.float()).double(), plain, rtol=0, atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(8, 8), (7, 8), (7, 7)])
def test_enlarging_in_front_of_a_concatenation_has_the_plain_gradient(size, layout):
    x = numbers(2, 3, 4, 4).contiguous(memory_format=layout).requires_grad_()
    plain = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)[..., : size[0], : size[1]]
    beside = numbers(2, 3, *size)
    weights = numbers(2, 6, *size)
    grads = [
        torch.autograd.grad((torch.cat([wide, beside], dim=1) * weights).sum(), x)[0]
        for wide in (Enlarge()(x, size), plain)
    ]
    torch.testing.assert_close(*grads)


def test_discriminators_judge_each_pair_by_itself():
    judge = Discriminators(DiscriminatorsConfig(widths=(6, 8, 10)))
    real, made = numbers(3, 6, 32, 32).float(), numbers(2, 6, 32, 32).float()
    together = judge(torch.cat([real, made]))
    for both, one, other in zip(together, judge(real), judge(made), strict=True):
        torch.testing.assert_close(both, torch.cat([one, other]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("augmented", [False, True])
def test_the_critics_loss_is_that_of_real_and_made_pairs_judged_apart(sim_data: Path, real_data: Path, augmented):
    config = replace(ADAPTER, options=replace(GRASPGAN, augment=augmented))
    trainer = AdapterTrainer(config, open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled(), CPU)
    batch, method = trainer.batch(0), trainer.method
    assert isinstance(method, GraspGan)
    loss = method.critic_losses(batch, batch.pictures)["critic"]
    real, made = method.judged(batch.real, batch.draws[0]), method.judged(batch.pictures, batch.draws[1])
    plain = sum(((r - 1).square().mean() + m.square().mean()) / 2 for r, m in zip(real, made, strict=True)) / len(real)
    torch.testing.assert_close(loss, plain)


def slowly_shifted(pictures: np.ndarray, moves: np.ndarray) -> np.ndarray:
    height, width = pictures.shape[-2:]
    out = np.empty_like(pictures)
    for picture, moved, (right, down) in zip(pictures, out, moves, strict=True):
        for row in range(height):
            for column in range(width):
                source = min(max(row - down, 0), height - 1), min(max(column - right, 0), width - 1)
                moved[:, row, column] = picture[:, *source]
    return out


@pytest.mark.parametrize("most", [0, 3, 20])
def test_shifted_pictures_repeat_their_borders(most):
    rng = generator(0, "shifts")
    pictures = rng.integers(0, 256, (6, 2, 9, 12), dtype=np.uint8)
    moves = rng.integers(-most, most + 1, (6, 2))
    np.testing.assert_array_equal(shifted(pictures, moves), slowly_shifted(pictures, moves))


def test_augmentation_has_the_bits_of_its_formula():
    pictures, config = generator(0, "p").integers(0, 256, (5, 6, 16, 16), dtype=np.uint8), AugmentConfig()
    made, shift = augment(pictures, generator(1, "a"), config)
    rng = generator(1, "a")
    moves = rng.integers(-config.shift, config.shift + 1, (5, 2))
    gain = rng.uniform(1 - config.contrast, 1 + config.contrast, (5, 1, 1, 1)).astype(np.float32)
    tint = rng.uniform(1 - config.tint, 1 + config.tint, (5, 3))
    lift = rng.uniform(-config.brightness, config.brightness, (5, 1, 1, 1)).astype(np.float32)
    scale = (2 / 255 * np.tile(tint, 2)[:, :, None, None]).astype(np.float32)
    plain = np.clip((slowly_shifted(pictures, moves).astype(np.float32) * scale - 1) * gain + lift, -1, 1)
    np.testing.assert_array_equal(made, plain)
    np.testing.assert_array_equal(shift, (moves / 8).astype(np.float32))
