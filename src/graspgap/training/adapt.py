"""Train a pixel-level adapter from simulated pictures and unlabelled real ones, and adapt pictures with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from graspgap.adaptation.augment import DRAWS
from graspgap.adaptation.pixel.graspgan import AdapterBatch, GraspGan, GraspGanConfig
from graspgap.config import from_json
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.files import atomic
from graspgap.progress import progress
from graspgap.runs import read_run
from graspgap.seeding import generator
from graspgap.tensors import load_checkpoint, load_module, save_checkpoint, save_module
from graspgap.training.batches import stacked_pairs, to_float, to_uint8
from graspgap.training.log import TrainingLog

ADAPTER = "adapter.safetensors"
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class AdapterTrainingConfig:
    """How an adapter is trained."""

    method: GraspGanConfig = field(default_factory=GraspGanConfig)
    steps: int = 1500
    """Steps, each one of the critics and one of the generator."""
    batch: int = 16
    """Simulated and real pairs per step."""
    checkpoint_seconds: float = 60.0
    """Interval of the checkpoints."""
    seed: int = 0


class AdapterTrainer:
    """One step of the game between generator and critics."""

    def __init__(
        self, config: AdapterTrainingConfig, sim: SimulatedView, real: UnlabelledView, device: torch.device
    ) -> None:
        self.config, self.sim, self.real, self.device = config, sim, real, device
        torch.manual_seed(int(generator(config.seed, "weights").integers(2**31)))
        self.method = GraspGan(config.method).to(device).train()
        self.optimizers = self.method.optimizers()

    def batch(self, step: int) -> AdapterBatch:
        """Unpaired simulated and real servo steps, drawn from (seed, step) alone."""
        rng, sim, size = generator(self.config.seed, "adapt", step), self.sim, self.config.batch
        frames, real = rng.integers(len(sim.images), size=size), rng.integers(len(self.real.images), size=size)
        masks = np.stack([sim.masks_before[sim.owner[frames]], sim.masks[frames]], axis=1)
        assert sim.poses is not None
        assert sim.commands is not None
        pictures = to_float(stacked_pairs(sim, frames), self.device)

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

        return AdapterBatch(
            pictures=pictures,
            masks=tensor(masks).long(),
            poses=tensor(sim.poses[frames]),
            commands=tensor(sim.commands[frames])[:, None],
            success=tensor(sim.success[sim.owner[frames]].astype(np.float32))[:, None],
            real=to_float(stacked_pairs(self.real, real), self.device),
            noise=noise_like(rng, pictures, self.config.method.generator.noise),
            draws=tensor(rng.random((2, size, DRAWS), dtype=np.float32)),
        )

    def step(self, step: int) -> dict[str, float]:
        """One step of the critics, then one of the generator; returns all losses."""
        batch = self.batch(step)
        made, mask_logits = self.method.generator(batch.pictures, batch.noise)
        critic = self.method.critic_losses(batch, made.detach())
        self._descend("critics", critic)
        losses = self.method.generator_losses(batch, made, mask_logits)
        self._descend("generator", losses)
        return {name: float(loss.detach()) for name, loss in (critic | losses).items()}

    def _descend(self, side: str, losses: dict[str, torch.Tensor]) -> None:
        self.method.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        self.optimizers[side].step()


def noise_like(rng: np.random.Generator, pictures: torch.Tensor, channels: int) -> torch.Tensor:
    """N(0, 1) of the pictures' size with `channels` channels."""
    shape = (len(pictures), channels, *pictures.shape[-2:])
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(pictures.device)


def train_adapter(
    out: Path, config: AdapterTrainingConfig, sim: SimulatedView, real: UnlabelledView, device: torch.device
) -> GraspGan:
    """Train, writing `log.jsonl`, `checkpoint.safetensors` and at last `adapter.safetensors` to `out`; resumes."""
    trainer = AdapterTrainer(config, sim, real, device)
    modules = {"method": trainer.method}
    done = load_checkpoint(out / CHECKPOINT, modules, trainer.optimizers)
    log = TrainingLog(out / "log.jsonl", done)
    saved = time.monotonic()
    with progress("adapt", config.steps, done) as advance:
        for step in range(done, config.steps):
            losses = trainer.step(step)
            log.write(step, losses)
            advance(1, f"D {losses['critic']:.3f} G {losses['adversarial']:.3f}")
            if time.monotonic() - saved >= config.checkpoint_seconds:
                save_checkpoint(out / CHECKPOINT, step + 1, modules, trainer.optimizers)
                saved = time.monotonic()
    save_checkpoint(out / CHECKPOINT, config.steps, modules, trainer.optimizers)
    save_module(out / ADAPTER, trainer.method)
    (out / CHECKPOINT).unlink()
    return trainer.method.eval()


def adapt_pairs(
    method: GraspGan, pairs: UInt8[np.ndarray, "f 6 h w"], seed: int, device: torch.device
) -> UInt8[np.ndarray, "f 6 h w"]:
    """Adapted pictures of simulated pairs; the noise of chunk i depends on (seed, i)."""
    return np.concatenate(list(_adapted_chunks(method, pairs, seed, device)))


def _adapted_chunks(
    method: GraspGan, pairs: UInt8[np.ndarray, "f 6 h w"], seed: int, device: torch.device, size: int = 64
) -> Iterator[UInt8[np.ndarray, "c 6 h w"]]:
    for index, start in enumerate(range(0, len(pairs), size)):
        pictures = to_float(pairs[start : start + size], device)
        noise = noise_like(generator(seed, "adapted", index), pictures, method.config.generator.noise)
        yield to_uint8(method.adapt(pictures, noise))


def adapted_view(
    folder: Path, method: GraspGan, view: SimulatedView, name: str, device: torch.device
) -> UInt8[np.ndarray, "f 6 h w"]:
    """Adapted pictures of every servo step of a view, kept in `folder/adapted-<name>.npy` for the next run."""
    path = folder / f"adapted-{name}.npy"
    if not path.exists():
        chunks, total = [], len(view.images)
        with progress("adapt pictures", total, unit="pairs") as advance:
            for chunk in _adapted_chunks(method, stacked_pairs(view, np.arange(total)), 0, device):
                chunks.append(chunk)
                advance(len(chunk))
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.save(file, np.concatenate(chunks), allow_pickle=False)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def load_adapter(run: Path, device: torch.device) -> GraspGan:
    """The adapter of a finished `graspgap adapt` run.

    Raises:
        UserError: if the folder is not an adapter run, or its training has not finished.
    """
    config = from_json(AdapterTrainingConfig, read_run(run, "adapter")["config"])
    method = GraspGan(config.method)
    load_module(run / ADAPTER, method, f"the adapter of {run}")
    return method.to(device).eval()
