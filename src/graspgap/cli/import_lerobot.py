"""`graspgap import lerobot FOLDER OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.importing import checked, show
from graspgap.datasets.import_lerobot import LerobotMapping, import_lerobot


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """Folder of a LeRobotDataset, v3.0 or v2.1: the one with `meta` in it."""
    out: Positional[Path]
    """Dataset folder to write."""
    mapping: Path | None = None
    """TOML file with the options below; an option that is given here wins."""
    options: OmitArgPrefixes[LerobotMapping] = field(default_factory=LerobotMapping)


def run(config: Config) -> None:
    """Import, and say what was taken and skipped."""
    options = checked(config.options)
    show(config.out, import_lerobot(config.folder, config.out, options))
