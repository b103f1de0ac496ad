"""`graspgap import images FOLDER OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.checks import at_least
from graspgap.datasets.import_images import ImportImagesConfig, import_images


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """Folder of pictures (.png, .jpg), searched with its sub-folders."""
    out: Positional[Path]
    """Dataset folder to write."""
    options: OmitArgPrefixes[ImportImagesConfig] = field(default_factory=ImportImagesConfig)


def run(config: Config) -> None:
    """Import, and say what was taken and skipped."""
    at_least("--image-size", config.options.image_size, 16)
    at_least("--frames-per-attempt", config.options.frames_per_attempt, 1)
    meta = import_images(config.folder, config.out, config.options)
    print(f"{config.out}: {meta['frames']} pictures in {meta['attempts']} rows, unlabelled; {meta['notes']}")
