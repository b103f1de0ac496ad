"""`graspgap replay DATASET ATTEMPT`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from graspgap.collection.replay import replay, require_equal
from graspgap.datasets.view import save_png


@dataclass(frozen=True)
class Config:
    dataset: Positional[Path]
    """Dataset folder that `graspgap collect` made, or one made from such."""
    attempt: Positional[int]
    """Number of the attempt."""
    seed: int | None = None
    """Seed of the attempt, where a merged dataset has several attempts of this number."""
    out: Path | None = None
    """PNG to write: the pictures as recorded and as made again, and the masks."""


def run(config: Config) -> None:
    """Make the attempt again, and say whether it came out the same."""
    result = replay(config.dataset, config.attempt, config.seed)
    if config.out:
        save_png(result.filmstrip(), config.out)
        print(f"pictures: {config.out}")
    require_equal(result, config.dataset)
    row = result.recorded
    outcome = f"held {row['object_name'] or 'an object'}" if row["success"] else "failed"
    print(f"attempt {row['attempt']} of seed {row['seed']} in world '{row['world']}' {outcome}: equal bit for bit")
