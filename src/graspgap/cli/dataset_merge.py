"""`graspgap dataset merge OUT A B ...`"""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from graspgap.cli.place import Place
from graspgap.datasets.recombine import merge


@dataclass(frozen=True)
class Config:
    out: Positional[Place]
    """Dataset folder to write; a command that was stopped resumes."""
    sources: Positional[tuple[Place, ...]]
    """Datasets of one world, with other seeds or other attempts; they stay as they are."""


def run(config: Config) -> None:
    """Merge, and say what came of it."""
    meta = merge(config.out, config.sources)
    print(f"{config.out}: {meta['attempts']} attempts in {meta['scenes']} scenes, of {len(config.sources)} datasets")
