"""Pairs of pictures per second that GraspGAN trains on, beside the same step with the networks of CUT, on two threads.

    pip install -e . -c constraints.txt
    python benchmarks/gan_step.py

The pictures are random pixels of 64 x 64. All rows run in `AdapterTrainer`, with the same batches, and take turns; the
ratio is the median over the repeats of a row's time in units of GraspGAN's in the same turn, its interval the least and
the greatest. Rows:

- GraspGAN: the whole step with the default networks, that is with the grasp network, masks, content and three scales;
- CUT's networks in GraspGAN's step: generator and discriminator replaced by those of `cut_networks.py` as CUT's public
  code builds them (9 or 6 residual blocks, sampling without aliasing), everything else equal;
- CycleGAN's in the same step: the same networks with convolutions of stride 2;
- CycleGAN's in our layout and with our instance norm, which is faster than what their authors' code runs;
- CycleGAN's networks alone: LSGAN without anything else, less than what it trains. GraspGAN's step does more than this;
- CUT's in its own step (PatchNCE of four maps and of the input, and its identity), and CycleGAN's in its own
  (two generators and two discriminators, cycle and identity): what these methods train for the same pairs of pictures.

Widths are equal where networks begin: as many channels after the first convolution of the generator (16) and of
the discriminator (24) as ours. Then each keeps its own plan: CUT's grow to 64 and 192, ours to 96 and 96. Numbers of
parameters and multiply-adds of one forward pass stand beside the rates.

The convolution rate is that of the step's own convolutions alone, with the same shapes and layout (channels last), on
random tensors: forward, and the gradients that the step needs. `convolution_share` is the time that these take, in
units of the step's. Nothing else should run meanwhile.
"""

from __future__ import annotations

from common import CORES, begin, save, table

# isort: split
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch
import tyro
from torch import Tensor, nn

from cut_networks import ChannelsLast, PatchGan, ResnetGenerator, ResnetTranslator
from graspgap.adaptation.losses import lsgan_discriminator, lsgan_generator
from graspgap.adaptation.pixel import AdapterBatch, Losses, PixelConfig
from graspgap.adaptation.pixel.cut import Cut, CutConfig, Projections
from graspgap.adaptation.pixel.cyclegan import CycleGan, CycleGanConfig
from graspgap.adaptation.pixel.graspgan import GraspGan, GraspGanConfig
from graspgap.networks.measure import measured
from graspgap.training.adapt import AdapterTrainer, AdapterTrainingConfig
from random_data import random_views

OURS = "GraspGAN"


@dataclass(frozen=True)
class Config:
    """What is measured."""

    steps: int = 10
    """Steps in a repeat."""
    repeats: int = 7
    """Repeats, of which the median counts."""
    batch: int = 16
    """Simulated and real pairs per step."""
    threads: int = 2


@dataclass(frozen=True)
class ReplacedConfig(PixelConfig):
    """GraspGAN's step with the networks of CycleGAN, or of CUT (`blurred`)."""

    blocks: int = 9
    blurred: bool = False
    alone: bool = False
    """LSGAN and nothing else."""
    layout: bool = False
    """With our layout and norm."""
    graspgan: GraspGanConfig = field(default_factory=GraspGanConfig)

    def build(self) -> GraspGan:
        """As `PixelConfig.build`."""
        return Replaced(self)


class Replaced(GraspGan):
    """GraspGAN with other networks, or LSGAN alone."""

    def __init__(self, config: ReplacedConfig) -> None:
        super().__init__(config.graspgan)
        sizes = config.graspgan
        self.alone = config.alone
        self.generator = ResnetGenerator(
            sizes.generator.widths[0], config.blocks, sizes.generator.noise, config.blurred
        )
        self.discriminators = PatchGan(sizes.discriminators.widths[0], config.blurred)
        if config.layout:
            self.generator = ChannelsLast(self.generator)
            self.discriminators = ChannelsLast(self.discriminators)

    def generator_losses(self, batch: AdapterBatch, made: Tensor, mask_logits: Tensor) -> Losses:
        """As `GraspGan.generator_losses`."""
        if self.alone:
            return {"adversarial": lsgan_generator(self.discriminators(made))}
        return super().generator_losses(batch, made, mask_logits)

    def critic_losses(self, batch: AdapterBatch, made: Tensor) -> Losses:
        """As `GraspGan.critic_losses`."""
        if self.alone:
            return {"critic": lsgan_discriminator(self.discriminators(batch.real), self.discriminators(made))}
        return super().critic_losses(batch, made)


WIDTHS = GraspGanConfig()
BLOCKS = 9


@dataclass(frozen=True)
class OwnCutConfig(CutConfig):
    """CUT with its own networks, as narrow as GraspGAN's begin, and its own width of projections."""

    width: int = 256

    def build(self) -> Cut:
        """As `PixelConfig.build`."""
        method = Cut(self)
        method.generator = ResnetTranslator(WIDTHS.generator.widths[0], BLOCKS, blurred=True)
        method.discriminators = PatchGan(WIDTHS.discriminators.widths[0], blurred=True)
        method.projections = Projections((6, *method.generator.channels), self.width)
        return method


@dataclass(frozen=True)
class OwnCycleGanConfig(CycleGanConfig):
    """CycleGAN with its own networks, as narrow as GraspGAN's begin."""

    def build(self) -> CycleGan:
        """As `PixelConfig.build`."""
        method = CycleGan(self)
        method.to_real, method.to_sim = (ResnetTranslator(WIDTHS.generator.widths[0], BLOCKS) for _ in range(2))
        method.critic_real, method.critic_sim = (PatchGan(WIDTHS.discriminators.widths[0]) for _ in range(2))
        return method


CONTENDERS: dict[str, PixelConfig] = {
    OURS: GraspGanConfig(),
    "CUT's networks, 9 blocks, in GraspGAN's step": ReplacedConfig(BLOCKS, blurred=True),
    "CUT's networks, 6 blocks, in GraspGAN's step": ReplacedConfig(6, blurred=True),
    "CycleGAN's networks, 9 blocks, in GraspGAN's step": ReplacedConfig(BLOCKS),
    "CycleGAN's networks, 6 blocks, in GraspGAN's step": ReplacedConfig(6),
    "CycleGAN's networks, 9 blocks, in GraspGAN's step, our layout and norm": ReplacedConfig(BLOCKS, layout=True),
    "CycleGAN's networks, 9 blocks, LSGAN alone": ReplacedConfig(BLOCKS, alone=True),
    "CUT's networks, 9 blocks, in CUT's own step": OwnCutConfig(),
    "CycleGAN's networks, 9 blocks, in CycleGAN's own step": OwnCycleGanConfig(),
}

Shape = tuple[torch.Size, torch.Size, int, int, bool, bool]
"""Input, weight, stride, padding, whether the input's gradient is needed, and the weight's."""


def convolutions(trainer: AdapterTrainer) -> Counter[Shape]:
    """The convolutions of one step of GraspGAN, with the gradients that each needs."""
    method, found = trainer.method, Counter[Shape]()
    assert isinstance(method, GraspGan)
    own = {id(module) for module in method.generator.modules()}
    turn = "critics"

    def note(module: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        learns = id(module) in own or turn == "critics"
        flags = (inputs[0].requires_grad, learns) if torch.is_grad_enabled() else (False, False)
        found[inputs[0].shape, module.weight.shape, module.stride[0], int(module.padding[0]), *flags] += 1

    original = method.turns

    def turns(batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        nonlocal turn
        for side, losses in original(batch, progress):
            yield side, losses
            turn = "generator"

    handles = [m.register_forward_hook(note) for m in method.modules() if isinstance(m, nn.Conv2d)]
    method.turns = turns  # type: ignore[method-assign]
    trainer.step(0)
    del method.turns
    for handle in handles:
        handle.remove()
    return found


def multiply_adds(shape: Shape) -> int:
    """Of one convolution, forward and backward as far as needed."""
    inputs, weight, stride, padding, *needed = shape
    side = (inputs[-1] + 2 * padding - weight[-1]) // stride + 1
    return inputs[0] * side * side * weight.numel() * (1 + sum(needed))


def plain(found: Counter[Shape]) -> Callable[[], None]:
    """Runs all of them, and nothing else."""
    jobs = []
    for (inputs, weight, stride, padding, *needed), count in found.items():
        tensors = [
            torch.randn(size).contiguous(memory_format=torch.channels_last).requires_grad_(need)
            for size, need in zip((inputs, weight), needed, strict=True)
        ]
        output = nn.functional.conv2d(*tensors, stride=stride, padding=padding)
        jobs.append((tensors, torch.randn_like(output.detach()), stride, padding, any(needed), count))

    def run() -> None:
        for tensors, gradient, stride, padding, backward, count in jobs:
            for _ in range(count):
                output = nn.functional.conv2d(*tensors, stride=stride, padding=padding)
                if backward:
                    torch.autograd.grad(output, [t for t in tensors if t.requires_grad], gradient)

    return run


def sizes(trainer: AdapterTrainer) -> dict[str, Any]:
    """Millions of parameters and of multiply-adds for one pair, of a generator and its discriminators."""
    method, batch = trainer.method, trainer.batch(0)
    if isinstance(method, CycleGan):
        generator, critics = method.to_real, method.critic_real
    else:
        assert isinstance(method, GraspGan | Cut)
        generator, critics = method.generator, method.discriminators
    made = measured(generator, lambda: generator(batch.pictures, batch.noise))
    judged = measured(critics, lambda: critics(batch.pictures))
    count = len(batch.pictures)
    return {
        "generator_parameters_millions": round(made.parameters / 1e6, 3),
        "generator_multiply_adds_millions": round(made.multiply_adds / count / 1e6, 1),
        "discriminators_parameters_millions": round(judged.parameters / 1e6, 3),
        "discriminators_multiply_adds_millions": round(judged.multiply_adds / count / 1e6, 1),
    }


def measure(config: Config) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row per contender, and what the convolutions alone take."""
    views = random_views(64, 64)
    trainers = {
        name: AdapterTrainer(AdapterTrainingConfig(name, options, batch=config.batch), *views, torch.device("cpu"))
        for name, options in CONTENDERS.items()
    }
    found = convolutions(trainers[OURS])
    alone = plain(found)
    seconds: dict[str, list[float]] = {name: [] for name in (*trainers, "convolutions")}
    for repeat in range(config.repeats + 1):
        for name, times in seconds.items():
            start = time.perf_counter()
            for step in range(config.steps if repeat else 1):  # the first one warms up
                alone() if name == "convolutions" else trainers[name].step(repeat * config.steps + step)
            if repeat:
                times.append((time.perf_counter() - start) / config.steps)
    rows = []
    for name, trainer in trainers.items():
        ratios = sorted(other / own for own, other in zip(seconds[OURS], seconds[name], strict=True))
        rows.append(
            {
                "what": name,
                "ms_per_step": round(1e3 * median(seconds[name]), 1),
                "pairs_per_second": round(config.batch / median(seconds[name]), 1),
                "graspgan_is_faster": round(median(ratios), 2),
                "interval": f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
            }
            | sizes(trainer)
        )
    work = 2 * sum(multiply_adds(shape) * count for shape, count in found.items())
    shares = sorted(a / b for a, b in zip(seconds["convolutions"], seconds[OURS], strict=True))
    facts = {
        "convolutions_gflop_per_step": round(work / 1e9, 2),
        "convolution_rate_gflop_per_second": round(work / 1e9 / median(seconds["convolutions"]), 1),
        "step_rate_gflop_per_second": round(work / 1e9 / median(seconds[OURS]), 1),
        "convolution_share": round(median(shares), 3),
        "convolution_share_interval": [round(shares[0], 3), round(shares[-1], 3)],
    }
    return rows, facts


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    if CORES:
        os.sched_setaffinity(0, CORES)
    torch.set_num_threads(config.threads)
    rows, facts = measure(config)
    print(table(rows))
    print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n")
    print(save("gan_step", asdict(config), rows, load, facts, cores=config.threads))


if __name__ == "__main__":
    main()
