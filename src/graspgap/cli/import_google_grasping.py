"""`graspgap import google-grasping FOLDER OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.importing import checked, show
from graspgap.datasets.import_google_grasping import GoogleGraspingMapping, import_google_grasping


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """Folder with the dataset's TFRecord files, searched with its sub-folders; or one file."""
    out: Positional[Path]
    """Dataset folder to write."""
    mapping: Path | None = None
    """TOML file with the options below; an option that is given here wins."""
    options: OmitArgPrefixes[GoogleGraspingMapping] = field(default_factory=GoogleGraspingMapping)


def run(config: Config) -> None:
    """Import, and say what was taken and skipped."""
    options = checked(config.options)
    show(config.out, import_google_grasping(config.folder, config.out, options))
