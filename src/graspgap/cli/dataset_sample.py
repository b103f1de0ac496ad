"""`graspgap dataset sample OUT SOURCE --attempts N`"""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from graspgap.cli.checks import at_least
from graspgap.cli.place import Place
from graspgap.datasets.recombine import sample


@dataclass(frozen=True)
class Config:
    out: Positional[Place]
    """Dataset folder to write; a command that was stopped resumes."""
    source: Positional[Place]
    """Dataset to draw from; it stays as it is."""
    attempts: int
    """Attempts to draw."""
    seed: int = 0


def run(config: Config) -> None:
    """Sample, and say what came of it."""
    at_least("--seed", config.seed, 0)
    at_least("--attempts", config.attempts, 1)
    meta = sample(config.out, config.source, config.attempts, config.seed)
    print(f"{config.out}: {meta['attempts']} attempts in {meta['scenes']} scenes")
