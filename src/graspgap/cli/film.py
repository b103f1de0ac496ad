"""`graspgap film OUT`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from graspgap.cli.checks import at_least
from graspgap.evaluation.filming import film_evaluation


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Folder of an evaluation; the films go into its `films`, and `graspgap report` shows them."""
    attempts: tuple[int, ...] = ()
    """Numbers of the attempts to film. Default: the first successes and the first failures."""
    each: int = 3
    """How many successes, and failures, where no attempts are named."""
    policy: str = ""
    """Folder of the policy, if it isn't where it was any more."""


def run(config: Config) -> None:
    """Make the films, and tell each in a line."""
    at_least("--each", config.each, 1)
    for film in film_evaluation(config.out, config.attempts, config.each, config.policy):
        print(f"{film.path}: {film.facts.words}")
