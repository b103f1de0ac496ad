"""`graspgap import rlds FOLDER OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.importing import checked, show
from graspgap.datasets.import_rlds import RldsMapping, import_rlds


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """Folder with TFRecord files, searched with its sub-folders."""
    out: Positional[Path]
    """Dataset folder to write."""
    mapping: Path | None = None
    """TOML file with the options below; an option that is given here wins."""
    options: OmitArgPrefixes[RldsMapping] = field(default_factory=RldsMapping)


def run(config: Config) -> None:
    """Import, and say what was taken and skipped."""
    options = checked(config.options)
    show(config.out, import_rlds(config.folder, config.out, options))
