"""`graspgap dataset split OUT REST SOURCE --fraction 0.9`"""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from graspgap.cli.checks import at_least
from graspgap.cli.place import Place
from graspgap.datasets.recombine import split


@dataclass(frozen=True)
class Config:
    out: Positional[Place]
    """Dataset folder to write, with the fraction; a command that was stopped resumes."""
    rest: Positional[Place]
    """Dataset folder to write, with all others."""
    source: Positional[Place]
    """Dataset to split; it stays as it is."""
    fraction: float = 0.9
    """Fraction of the scenes in OUT."""
    by: str = "scene"
    """What is kept whole: `scene`."""
    seed: int = 0


def run(config: Config) -> None:
    """Split, and say what came of it."""
    at_least("--seed", config.seed, 0)
    metas = split(config.out, config.rest, config.source, config.fraction, config.seed, config.by)
    for path, meta in zip((config.out, config.rest), metas, strict=True):
        print(f"{path}: {meta['attempts']} attempts in {meta['scenes']} scenes")
