"""Train a pixel-level adapter from simulated pictures and unlabelled real ones, and adapt pictures with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from graspgap.adaptation.augment import DRAWS
from graspgap.adaptation.pixel import METHODS, AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.graspgan import GraspGanConfig
from graspgap.config import from_json
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.errors import choose
from graspgap.files import atomic, write_json
from graspgap.progress import progress
from graspgap.runs import CONFIG, read_run
from graspgap.seeding import generator
from graspgap.tensors import load_checkpoint, load_module, save_checkpoint, save_module
from graspgap.training.batches import to_float, to_uint8
from graspgap.training.log import TrainingLog

ADAPTER = "adapter.safetensors"
CHECKPOINT = "checkpoint.safetensors"
SNAPSHOTS = "snapshots"
"""Folder of a run with its adapters of earlier steps."""


@dataclass(frozen=True)
class AdapterTrainingConfig:
    """How an adapter is trained."""

    method: str = "graspgan"
    """Name in `METHODS`."""
    options: PixelConfig = field(default_factory=GraspGanConfig)
    """Settings of that method."""
    steps: int = 1500
    """Steps, in each of which every side of the method has its turn."""
    batch: int = 16
    """Simulated and real pairs per step."""
    checkpoint_seconds: float = 60.0
    """Interval of the checkpoints."""
    keep_every: int = 0
    """Steps between the adapters that are kept in `snapshots`, to choose among; 0: the last one alone."""
    seed: int = 0


class AdapterTrainer:
    """One step of a method: a batch, and the turns of its sides."""

    def __init__(
        self, config: AdapterTrainingConfig, sim: SimulatedView, real: UnlabelledView, device: torch.device
    ) -> None:
        self.config, self.sim, self.real, self.device = config, sim, real, device
        torch.manual_seed(int(generator(config.seed, "weights").integers(2**31)))
        self.method = config.options.build()
        self.method.prepare(sim, real, config.seed)
        self.method.to(device).train()
        self.optimizers = self.method.optimizers()

    def batch(self, step: int) -> AdapterBatch:
        """Unpaired simulated and real servo steps, drawn from (seed, step) alone."""
        rng, sim, size = generator(self.config.seed, "adapt", step), self.sim, self.config.batch
        frames, real = rng.integers(len(sim.images), size=size), rng.integers(len(self.real.images), size=size)
        assert sim.poses is not None
        assert sim.commands is not None
        pictures = to_float(sim.pairs(frames), self.device)

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

        return AdapterBatch(
            pictures=pictures,
            masks=tensor(sim.mask_pairs(frames)).long(),
            poses=tensor(sim.poses[frames]),
            commands=tensor(sim.commands[frames])[:, None],
            success=tensor(sim.success[sim.owner[frames]].astype(np.float32))[:, None],
            real=to_float(self.real.pairs(real), self.device),
            noise=noise_like(rng, pictures, self.method.noise_channels),
            draws=tensor(rng.random((2, size, DRAWS), dtype=np.float32)),
        )

    def step(self, step: int) -> dict[str, float]:
        """Every side's turn, in order; returns all losses."""
        torch.manual_seed(int(generator(self.config.seed, "step", step).integers(2**31)))
        losses: Losses = {}
        for side, parts in self.method.turns(self.batch(step), step / self.config.steps):
            optimizer = self.optimizers[side]
            optimizer.zero_grad(set_to_none=True)
            own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.stack(list(parts.values())).sum().backward(inputs=own)  # nobody else's gradients are worked out
            optimizer.step()
            losses |= parts
        return {name: float(loss.detach()) for name, loss in losses.items()}


def noise_like(rng: np.random.Generator, pictures: torch.Tensor, channels: int) -> torch.Tensor:
    """N(0, 1) of the pictures' size with `channels` channels."""
    shape = (len(pictures), channels, *pictures.shape[-2:])
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(pictures.device)


def train_adapter(
    out: Path, config: AdapterTrainingConfig, sim: SimulatedView, real: UnlabelledView, device: torch.device
) -> PixelMethod:
    """Train, writing `log.jsonl`, `checkpoint.safetensors` and at last `adapter.safetensors` to `out`; resumes. A
    method without anything to train is done once it has looked at the data."""
    trainer = AdapterTrainer(config, sim, real, device)
    modules = {"method": trainer.method}
    steps = config.steps if trainer.optimizers else 0
    done = load_checkpoint(out / CHECKPOINT, modules, trainer.optimizers)
    log = TrainingLog(out / "log.jsonl", done)
    saved = time.monotonic()
    with progress("adapt", steps, done) as advance:
        for step in range(done, steps):
            losses = trainer.step(step)
            log.write(step, losses)
            advance(1, " ".join(f"{name} {value:.3f}" for name, value in losses.items()))
            if config.keep_every and (step + 1) % config.keep_every == 0:
                save_snapshot(out, step + 1, trainer.method)
            if time.monotonic() - saved >= config.checkpoint_seconds:
                save_checkpoint(out / CHECKPOINT, step + 1, modules, trainer.optimizers)
                saved = time.monotonic()
    save_checkpoint(out / CHECKPOINT, steps, modules, trainer.optimizers)
    save_module(out / ADAPTER, trainer.method)
    (out / CHECKPOINT).unlink()
    return trainer.method.eval()


def save_snapshot(out: Path, step: int, method: PixelMethod) -> None:
    """Keep the adapter as it is after `step` steps in `out/snapshots/<step>`, which is an adapter run of its own."""
    folder = out / SNAPSHOTS / f"{step:06d}"
    write_json(folder / CONFIG, read_run(out, "adapter"))
    save_module(folder / ADAPTER, method)


def adapt_frames(
    method: PixelMethod, view: SimulatedView, frames: Int64[np.ndarray, "f"], seed: int, device: torch.device
) -> UInt8[np.ndarray, "f 6 h w"]:
    """Adapted pairs (I0, It) of servo steps; the noise of chunk i depends on (seed, i)."""
    return np.concatenate(list(_adapted_chunks(method, view, frames, seed, device)))


@torch.no_grad()
def _adapted_chunks(
    method: PixelMethod,
    view: SimulatedView,
    frames: Int64[np.ndarray, "f"],
    seed: int,
    device: torch.device,
    size: int = 64,
) -> Iterator[UInt8[np.ndarray, "c 6 h w"]]:
    for index, start in enumerate(range(0, len(frames), size)):
        chosen, rng = frames[start : start + size], generator(seed, "adapted", index)
        pictures = to_float(view.pairs(chosen), device)
        masks = torch.from_numpy(view.mask_pairs(chosen)).to(device).long()
        noise = noise_like(rng, pictures, method.noise_channels)
        torch.manual_seed(int(rng.integers(2**31)))
        yield to_uint8(method.adapt(pictures, masks, noise))


def adapted_view(
    folder: Path, method: PixelMethod, view: SimulatedView, name: str, device: torch.device
) -> UInt8[np.ndarray, "f 6 h w"]:
    """Adapted pictures of every servo step of a view, kept in `folder/adapted-<name>.npy` for the next run."""
    path = folder / f"adapted-{name}.npy"
    if not path.exists():
        total, size = len(view.images), view.images.shape[-1]
        header = {"descr": "|u1", "fortran_order": False, "shape": (total, 6, size, size)}
        work = progress("adapt pictures", total, unit="pairs")
        with work as advance, atomic(path) as temporary, open(temporary, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for chunk in _adapted_chunks(method, view, np.arange(total), 0, device):
                file.write(chunk.tobytes())
                advance(len(chunk))
    return np.load(path, mmap_mode="r", allow_pickle=False)


def load_adapter(run: Path, device: torch.device) -> PixelMethod:
    """The adapter of a finished `graspgap adapt` run.

    Raises:
        UserError: if the folder is not an adapter run, or its training has not finished.
    """
    config = read_run(run, "adapter")["config"]
    method = from_json(METHODS[choose("the method of the run", config["method"], METHODS)], config["options"]).build()
    load_module(run / ADAPTER, method, f"the adapter of {run}")
    return method.to(device).eval()
