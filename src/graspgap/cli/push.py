"""`graspgap push DATA_OR_RUN REPO`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.sharing.push import PushConfig, push


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """Folder of a dataset, a LeRobot export, an adapter or policy run, or an ONNX export."""
    repo: Positional[str]
    """Repository of the Hugging Face Hub, USER/NAME; it is made where it doesn't exist."""
    options: OmitArgPrefixes[PushConfig] = field(default_factory=PushConfig)


def run(config: Config) -> None:
    """Push, and say where."""
    url = push(config.folder, config.repo, config.options)
    print(f"{config.folder} is {url}; get it with: graspgap pull {config.repo} OUT")
