"""`graspgap dataset verify PATH`"""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from graspgap.cli.place import Place
from graspgap.datasets.check import verify


@dataclass(frozen=True)
class Config:
    path: Positional[Place]
    """Dataset folder."""


def run(config: Config) -> None:
    """Check everything, and say so."""
    meta = verify(config.path)
    print(f"{config.path}: {meta['attempts']} attempts and {len(meta['shards'])} shards, all whole")
