"""`graspgap import images FOLDER OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.importing import checked, show
from graspgap.datasets.import_images import ImportImagesConfig, import_images


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """Folder of pictures (.png, .jpg), searched with its sub-folders."""
    out: Positional[Path]
    """Dataset folder to write."""
    mapping: Path | None = None
    """TOML file with the options below; an option that is given here wins."""
    options: OmitArgPrefixes[ImportImagesConfig] = field(default_factory=ImportImagesConfig)


def run(config: Config) -> None:
    """Import, and say what was taken and skipped."""
    options = checked(config.options)
    show(config.out, import_images(config.folder, config.out, options))
