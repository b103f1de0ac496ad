"""The one loop of all trainings: resume, steps, checkpoints, log, early looks, trackers, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import nn
from torch.optim import Optimizer

from graspgap import processes
from graspgap.progress import progress
from graspgap.tensors import load_checkpoint, save_checkpoint
from graspgap.training.engine import Engine
from graspgap.training.health import HealthWatch
from graspgap.training.log import LOG, TrainingLog, check_finite
from graspgap.training.trackers import tracking

CHECKPOINT = "checkpoint.safetensors"


@runtime_checkable
class Trainer(Protocol):
    """What is trained, and all that a step depends on besides its number."""

    engine: Engine
    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    config: Any
    """A dataclass."""

    def step(self, step: int) -> dict[str, float]:
        """Do step number `step`; returns its losses."""

    def health(self) -> dict[str, float]:
        """Signs of health of the step just done, by the names that `HealthWatch` knows."""

    def look(self) -> nn.Module:
        """What a run would write if it ended now, for pictures; in eval mode."""


@dataclass(frozen=True)
class Watch:
    """What is shown of a training while it runs. Nothing here changes what is learned."""

    look_every: int = 0
    """Steps between two pictures in `looks/`; 0: none."""
    draw: Callable[[Path, Any], None] | None = None
    """Writes such a picture, a PNG, of what `Trainer.look` returns."""
    trackers: tuple[str, ...] = ()
    """From `chosen_trackers`."""


def run_steps(
    out: Path,
    what: str,
    trainer: Trainer,
    steps: int,
    checkpoint_seconds: float,
    watch: Watch,
    after: Callable[[int], None] | None = None,
) -> None:
    """Do all steps that an earlier run has not done. A checkpoint of the last one remains in `out`, which the caller
    removes when the result is written. Of several processes the first alone writes, and calls `after` with the number
    of steps done.

    Raises:
        UserError: if a loss is not finite, or a file can't be read or written.
    """
    done, notes = load_checkpoint(out / CHECKPOINT, trainer.modules, trainer.optimizers)
    trainer.engine.restore(notes.get("engine", {}))
    processes.wait()  # nobody writes before everybody has read
    if not processes.is_main():
        for step in range(done, steps):
            check_finite(step, trainer.step(step))
        return
    log = TrainingLog(out / LOG, done, notes.get("log"))
    health = HealthWatch(log.entries)

    def save(step: int) -> None:
        notes = {"log": log.state(), "engine": trainer.engine.state()}
        save_checkpoint(out / CHECKPOINT, step, trainer.modules, trainer.optimizers, notes)

    saved = time.monotonic()
    with tracking(watch.trackers, out, done, trainer.config) as track, progress(what, steps, done) as advance:
        for step in range(done, steps):
            trainer.engine.measure(log.due(step))
            losses = trainer.step(step)
            check_finite(step, losses)
            log.add(losses)
            advance(1, " ".join(f"{name} {value:.3f}" for name, value in losses.items()))
            with processes.alone():
                if log.due(step):
                    measured = trainer.health()
                    warnings = health.warnings(measured)
                    track(step + 1, log.write(step, measured, warnings))
                    for warning in warnings:
                        print(f"{what}: warning at step {step + 1}: {warning}", file=sys.stderr)
                if watch.draw and watch.look_every and (step + 1) % watch.look_every == 0:
                    watch.draw(out / "looks" / f"{step + 1:06d}.png", trainer.look())
                if after:
                    after(step + 1)
            if time.monotonic() - saved >= checkpoint_seconds:
                save(step + 1)
                saved = time.monotonic()
    save(steps)
