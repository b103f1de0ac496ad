"""Video files as an unlabelled dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graspgap.contract import MAX_SERVO_STEPS, Image
from graspgap.datasets.frames import chunks, natural
from graspgap.datasets.importing import Advance, Report, Skip, Unit, run_import
from graspgap.datasets.pictures import square
from graspgap.datasets.schema import PictureRow
from graspgap.datasets.video_frames import duration, frames_every
from graspgap.errors import UserError

ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")


@dataclass(frozen=True)
class ImportVideoConfig:
    """How frames become rows. They are cut to their central square and resized by area."""

    every: float = 0.5
    """Seconds between the frames that are taken; 0: all frames."""
    image_size: int = 64
    """Pictures become image_size x image_size pixels."""
    frames_per_attempt: int = MAX_SERVO_STEPS
    """Consecutive frames in one row, at most."""


def import_video(source: Path, out: Path, config: ImportVideoConfig | None = None) -> dict[str, Any]:
    """Import the videos below `source` (or one file) to the dataset `out`; a file is a scene. Resumes.

    The first frame of a file is the `image_before` of its rows.

    Raises:
        UserError: if there are no videos, one is damaged or cut short, PyAV is missing, or `out` holds something else.
    """
    config = config or ImportVideoConfig()
    if not 0 <= config.every < math.inf:
        raise UserError(f"--every {config.every} must be a number of seconds from 0")
    return run_import(out, source, _Videos(source, config), config, config.image_size)


class _Videos:
    kind, counted = "video", "seconds"

    def __init__(self, source: Path, config: ImportVideoConfig) -> None:
        found = [source] if source.is_file() else source.rglob("*")
        self.files = sorted((path for path in found if path.suffix.lower() in ENDINGS), key=natural)
        if not self.files:
            raise UserError(f"{source} has no videos: expected {', '.join(ENDINGS)} files")
        self.source, self.config = source, config
        self.units = [Unit(f"{path.name}, {path.stat().st_size} bytes", _seconds(path)) for path in self.files]
        self.nothing = f"{source} has videos without frames: expected pictures in them"

    def read(self, unit: int, advance: Advance) -> Iterator[PictureRow | Skip]:
        pictures = self._pictures(unit, advance)
        before = next(pictures, None)
        if before is None:
            yield Skip("video without frames", self.units[unit].name)
            return
        for images in chunks(pictures, self.config.frames_per_attempt, otherwise=before):
            yield PictureRow(0, 0, before, images, self.kind)

    def notes(self, report: Report) -> dict[str, Any]:
        return {"source": report.source, "videos": report.units, "skipped": report.skips}

    def _pictures(self, unit: int, advance: Advance) -> Iterator[Image]:
        shown = 0
        for time, picture in frames_every(self.files[unit], self.config.every):
            yield square(picture, self.config.image_size)
            seconds = min(int(time), self.units[unit].size)
            if seconds > shown:
                advance(seconds - shown)
                shown = seconds


def _seconds(path: Path) -> int:
    return max(1, math.ceil(duration(path)))
