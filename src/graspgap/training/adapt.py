"""Train a pixel-level adapter from simulated pictures and unlabelled real ones, and adapt pictures with it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from graspgap import processes
from graspgap.adaptation.augment import DRAWS
from graspgap.adaptation.pixel import AdapterBatch, Losses, PixelConfig, PixelMethod, build_method
from graspgap.adaptation.pixel.graspgan import GraspGanConfig
from graspgap.config import LATER
from graspgap.datasets import SimulatedView, UnlabelledView, mapped
from graspgap.deployment.front_end import FrontEnd
from graspgap.errors import UserError
from graspgap.files import atomic, sha256, write_json
from graspgap.progress import progress
from graspgap.runs import CONFIG, read_run
from graspgap.seeding import generator
from graspgap.tensors import load_module, save_module
from graspgap.training.batches import to_float, to_uint8
from graspgap.training.engine import Engine
from graspgap.training.health import picture_health, verdict_health
from graspgap.training.loop import CHECKPOINT, Watch, run_steps

ADAPTER = "adapter.safetensors"
SNAPSHOTS = "snapshots"
"""Folder of a run with its adapters of earlier steps."""
CHUNK = 64
"""Pairs that are adapted at once."""
ViewT = TypeVar("ViewT", bound=UnlabelledView)


@dataclass(frozen=True)
class AdapterTrainingConfig:
    """How an adapter is trained."""

    method: str = "graspgan"
    """Name in `adaptation.pixel.METHODS`."""
    options: PixelConfig = field(default_factory=GraspGanConfig)
    """Settings of that method."""
    steps: int = 1500
    """Steps, in each of which every side of the method has its turn."""
    batch: int = 16
    """Simulated and real pairs per step, of all processes together."""
    ema: float = 0.0
    """Decay of the averaged weights that the adapter is made of; 0: the last weights themselves, as in the papers of
    these methods. Running statistics (`pixelda` has some) are the last ones all the same."""
    precision: str = "fp32"
    """`fp32`, `bf16` or `fp16`, from `choose_precision`."""
    checkpoint_seconds: float = 60.0
    """Interval of the checkpoints."""
    keep_every: int = 0
    """Steps between the adapters that are kept in `snapshots`, to choose among; 0: the last one alone."""
    seed: int = 0
    image_size: int = field(default=64, metadata=LATER)
    """Pixels of a side of the pictures that it learns from."""


class AdapterTrainer:
    """One step of a method: a batch, and the turns of its sides."""

    def __init__(
        self, config: AdapterTrainingConfig, sim: SimulatedView, real: UnlabelledView, device: torch.device
    ) -> None:
        config.options.check(sim)
        self.config, self.sim, self.real, self.device = config, sim, real, device
        self.engine = Engine(device, config.precision)
        self.share = processes.share(config.batch, "--batch")
        torch.manual_seed(int(generator(config.seed, "weights").integers(2**31)))
        self.method = config.options.build()
        if config.batch < self.method.least_batch:
            raise UserError(
                f"--batch {config.batch} is too few for --method {config.method}, whose batch normalization needs more "
                f"than one: give {self.method.least_batch} or more"
            )
        self.method.prepare(sim, real, config.seed)
        self.method.to(device).train()
        self.optimizers = self.method.optimizers()
        if self.optimizers and not self.method.divisible:
            processes.require_one(f"--method {config.method} with these settings")
        self.modules: dict[str, torch.nn.Module] = {"method": self.method}
        self.average = None
        if config.ema:
            self.average = AveragedModel(self.method, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
            self.modules["average"] = self.average

    def batch(self, step: int) -> AdapterBatch:
        """Unpaired simulated and real servo steps, drawn from (seed, step) alone: this process's share of them."""
        rng, sim, size = generator(self.config.seed, "adapt", step), self.sim, self.config.batch
        frames, real = rng.integers(len(sim.images), size=size), rng.integers(len(self.real.images), size=size)
        noise = pixel_noise(rng, size, self.method.noise_channels, sim)[self.share]
        draws = rng.random((2, size, DRAWS), dtype=np.float32)[:, self.share]
        frames, real = frames[self.share], real[self.share]
        assert sim.poses is not None
        assert sim.commands is not None

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

        canonical = depth = None
        if self.config.options.needs_canonical:
            canonical, depth = sim.canonical_pairs(frames), sim.depth_pairs(frames)
        return AdapterBatch(
            pictures=to_float(sim.pairs(frames), self.device),
            masks=tensor(sim.mask_pairs(frames)).long(),
            poses=tensor(sim.poses[frames]),
            commands=tensor(sim.commands[frames])[:, None],
            success=tensor(sim.success[sim.owner[frames]].astype(np.float32))[:, None],
            real=to_float(self.real.pairs(real), self.device),
            noise=tensor(noise),
            draws=tensor(draws),
            canonical=None if canonical is None else to_float(canonical, self.device),
            depth=None if depth is None else tensor(depth),
        )

    def step(self, step: int) -> dict[str, float]:
        """Every side's turn, in order; returns all losses."""
        torch.manual_seed(int(generator(self.config.seed, "step", step).integers(2**31)))
        self.method.train()
        losses: Losses = {}
        self.seen = self.batch(step)
        turns = self.method.turns(self.seen, step / self.config.steps)
        while turn := self._next(turns):
            side, parts = turn
            self.engine.descend(side, parts, self.optimizers[side])
            losses |= parts
        if self.average:
            self.average.update_parameters(self.method)
        return self.engine.means(losses)

    def _next(self, turns: Iterator[tuple[str, Losses]]) -> tuple[str, Losses] | None:
        with self.engine.autocast():
            return next(turns, None)

    @torch.no_grad()
    def health(self) -> dict[str, float]:
        """As `Trainer.health`: gradients, verdicts of the discriminators, and what the pictures are like."""
        found = {f"gradient_{side}": norm for side, norm in self.engine.norms.items()}
        batch, method = self.seen, self.method.eval()
        made, wanted = method.adapt(batch.pictures, batch.masks, batch.noise), method.wanted(batch)
        found |= verdict_health(method.verdicts(wanted), method.verdicts(made))
        return found | picture_health(made, batch.pictures, wanted)

    def look(self) -> PixelMethod:
        """As `Trainer.look`."""
        return self.finished()

    def finished(self) -> PixelMethod:
        """The method with its averaged weights, if there are any; torch keeps its buffers alike."""
        if self.average is None:
            return self.method.eval()
        method = self.average.module
        assert isinstance(method, PixelMethod)
        return method.eval()


def pixel_noise(
    rng: np.random.Generator, count: int, channels: int, view: SimulatedView
) -> Float32[np.ndarray, "count channels h w"]:
    """N(0, 1) for `count` pairs of the view's size."""
    return rng.standard_normal((count, channels, *view.images.shape[-2:]), dtype=np.float32)


def train_adapter(
    out: Path,
    config: AdapterTrainingConfig,
    sim: SimulatedView,
    real: UnlabelledView,
    device: torch.device,
    watch: Watch | None = None,
) -> PixelMethod:
    """Train, writing `log.jsonl`, `checkpoint.safetensors` and at last `adapter.safetensors` to `out`; resumes. A
    method without anything to train is done once it has looked at the data."""
    trainer = AdapterTrainer(config, sim, real, device)
    steps = config.steps if trainer.optimizers else 0

    def keep(step: int) -> None:
        if config.keep_every and step % config.keep_every == 0:
            save_snapshot(out, step, trainer.finished())

    run_steps(out, "adapt", trainer, steps, config.checkpoint_seconds, watch or Watch(), keep)
    method = trainer.finished()
    if processes.is_main():
        save_module(out / ADAPTER, method)
        (out / CHECKPOINT).unlink()
    return method


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
) -> Iterator[UInt8[np.ndarray, "c 6 h w"]]:
    for index, start in enumerate(range(0, len(frames), CHUNK)):
        chosen, rng = frames[start : start + CHUNK], generator(seed, "adapted", index)
        pictures = to_float(view.pairs(chosen), device)
        masks = torch.from_numpy(view.mask_pairs(chosen)).to(device).long()
        noise = torch.from_numpy(pixel_noise(rng, len(chosen), method.noise_channels, view)).to(device)
        torch.manual_seed(int(rng.integers(2**31)))
        yield to_uint8(method.adapt(pictures, masks, noise))


def adapted_view(
    folder: Path, method: PixelMethod, view: SimulatedView, name: str, device: torch.device
) -> UInt8[np.ndarray, "f 6 h w"]:
    """Adapted pictures of every servo step of a view, kept in `folder/adapted-<name>.npy` for the next run; what that
    took stands in a JSON file beside it."""
    path = folder / f"adapted-{name}.npy"
    if not path.exists():
        begun = time.process_time()
        total, size = len(view.images), view.images.shape[-1]
        header = {"descr": "|u1", "fortran_order": False, "shape": (total, 6, size, size)}
        work = progress("adapt pictures", total, unit="pairs")
        with work as advance, atomic(path) as temporary, open(temporary, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for chunk in _adapted_chunks(method, view, np.arange(total), 0, device):
                file.write(chunk.tobytes())
                advance(len(chunk))
        spent = round(time.process_time() - begun, 1)
        write_json(path.with_suffix(".json"), {"sim": view.provenance().get("path", ""), "cpu_seconds": spent})
    return np.load(path, mmap_mode="r", allow_pickle=False)


@torch.no_grad()
def shown_pairs(
    front_end: FrontEnd | None, pairs: UInt8[np.ndarray, "f 6 h w"], device: torch.device
) -> UInt8[np.ndarray, "f 6 h w"]:
    """Pairs as a policy sees them: what its front end makes of them, or as they are where it has none."""
    if front_end is None:
        return pairs
    chunks = range(0, len(pairs), CHUNK)
    return np.concatenate([to_uint8(front_end(to_float(pairs[i : i + CHUNK], device))) for i in chunks])


def shown_through(front_end: FrontEnd, view: ViewT, device: torch.device) -> ViewT:
    """The view with every pair as the front end shows it to the policy. As in `Dataset`, pictures that are more than
    memory holds are mapped files of the cache."""
    total, size = len(view.images), view.images.shape[-1]
    shapes: mapped.Shapes = {"shown": ((total, 6, size, size), np.uint8)}

    def fill(arrays: mapped.Arrays) -> None:
        with progress("front end", total, unit="pairs") as advance:
            for frames in np.array_split(np.arange(total), range(CHUNK, total, CHUNK)):
                arrays["shown"][frames] = shown_pairs(front_end, view.pairs(frames), device)
                advance(len(frames))

    if mapped.size(shapes) > mapped.most_in_memory():
        key = f"{front_end.fingerprint()} {json.dumps(view.provenance(), sort_keys=True)}"
        return replace(view, shown=mapped.mapped(shapes, key, fill)["shown"])
    arrays = mapped.in_memory(shapes)
    fill(arrays)
    return replace(view, shown=arrays["shown"])


def adapter_choice(run: Path) -> dict[str, Any]:
    """`method` and `options` of an adapter run, as `build_method` takes them.

    Raises:
        UserError: if the folder is not an adapter run.
    """
    config = read_run(run, "adapter")["config"]
    return {name: config[name] for name in ("method", "options")}


def adapter_identity(run: Path) -> str:
    """What tells an adapter from another one in its place: the SHA-256 of its settings and weights; empty if they are
    not there."""
    if not (run / ADAPTER).exists():
        return ""
    settings = json.dumps(read_run(run, "adapter")["config"], sort_keys=True)
    return hashlib.sha256(f"{settings} {sha256(run / ADAPTER)}".encode()).hexdigest()


def adapter_image_size(run: Path) -> int:
    """Pixels of a side of the pictures that an adapter run learned from.

    Raises:
        UserError: if the folder is not an adapter run.
    """
    return _learned_size(read_run(run, "adapter")["config"])


def _learned_size(config: dict[str, Any]) -> int:
    return int(config.get("image_size", AdapterTrainingConfig.image_size))


def load_adapter(run: Path, device: torch.device, image_size: int) -> PixelMethod:
    """The adapter of a finished `graspgap adapt` run, for pictures of `image_size` pixels a side.

    Raises:
        UserError: if the folder is not an adapter run, is damaged, its training has not finished, or its pictures had
            another size.
    """
    config = read_run(run, "adapter")["config"]
    learned = _learned_size(config)
    if learned != image_size:
        raise UserError(
            f"{run} has learned from pictures of {learned} pixels, and these have {image_size}: give an adapter of "
            "pictures of this size"
        )
    method = build_method(config, run / CONFIG)
    load_module(run / ADAPTER, method, f"the adapter of {run}")
    return method.to(device).eval()
