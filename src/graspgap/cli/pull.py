"""`graspgap pull REPO OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.sharing.pull import PullConfig, pull, words


@dataclass(frozen=True)
class Config:
    repo: Positional[str]
    """Repository of the Hugging Face Hub, USER/NAME."""
    out: Positional[Path]
    """Folder to write; a command that was stopped resumes."""
    options: OmitArgPrefixes[PullConfig] = field(default_factory=PullConfig)


def run(config: Config) -> None:
    """Pull, verify, and say so."""
    print(f"{config.out}: {words(pull(config.repo, config.out, config.options))}")
