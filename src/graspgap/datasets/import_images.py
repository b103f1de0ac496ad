"""A folder of .png and .jpg pictures as an unlabelled dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graspgap.contract import MAX_SERVO_STEPS, Image
from graspgap.datasets.frames import chunks, natural
from graspgap.datasets.importing import Advance, Report, Skip, Unit, run_import
from graspgap.datasets.pictures import decode_whole_picture, square
from graspgap.datasets.schema import PictureRow
from graspgap.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ImportImagesConfig:
    """How pictures become rows. Pictures are cut to their central square and resized by area."""

    image_size: int = 64
    """Pictures become image_size x image_size pixels."""
    by_folder: bool = True
    """Each sub-folder is an episode of its own: its first picture is the `image_before` of the others. Otherwise the
    first picture of all is."""
    frames_per_attempt: int = MAX_SERVO_STEPS
    """Consecutive pictures in one row, at most."""


def import_images(source: Path, out: Path, config: ImportImagesConfig | None = None) -> dict[str, Any]:
    """Import the pictures below `source`, in the order of their names (numbers by value), to the dataset `out`.

    Unreadable files are skipped; their number and names are in the meta that is returned, under "notes". Resumes.

    Raises:
        UserError: if `source` has no readable picture, or `out` holds something else.
    """
    config = config or ImportImagesConfig()
    return run_import(out, source, _Pictures(source, config), config, config.image_size)


class _Pictures:
    kind, counted = "pictures", "pictures"

    def __init__(self, source: Path, config: ImportImagesConfig) -> None:
        if not source.is_dir():
            raise UserError(f"{source} is no folder: expected one with {', '.join(ENDINGS)} pictures")
        found = (path for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
        files = sorted(found, key=lambda path: (natural(path), str(path)))
        if not files:
            raise UserError(f"{source} has no pictures: expected {', '.join(ENDINGS)} files in it or below it")
        groups: dict[Path, list[Path]] = {}  # of a folder with sub-folders: their files lie among its own
        for path in files:
            groups.setdefault(path.parent if config.by_folder else source, []).append(path)
        self.source, self.config, self.groups = source, config, list(groups.items())
        self.units = [Unit(str(folder.relative_to(source)), len(group)) for folder, group in self.groups]
        self.nothing = (
            f"{source} has {len(files)} pictures, and none of them can be read: expected whole PNG or JPEG files"
        )

    def read(self, unit: int, advance: Advance) -> Iterator[PictureRow | Skip]:
        skipped: list[Skip] = []
        pictures = self._pictures(self.groups[unit][1], skipped, advance)
        before = next(pictures, None)
        if before is not None:
            for images in chunks(pictures, self.config.frames_per_attempt, otherwise=before):
                yield from skipped
                skipped.clear()
                yield PictureRow(0, 0, before, images, self.kind)
        yield from skipped

    def notes(self, report: Report) -> dict[str, Any]:
        names = [name for reason in report.skipped.values() for name in reason.names]
        pictures = sum(unit.size for unit in self.units)
        return {"source": str(self.source), "pictures": pictures, "skipped": report.skips, "skipped_files": names}

    def _pictures(self, files: list[Path], skipped: list[Skip], advance: Advance) -> Iterator[Image]:
        for path in files:
            try:
                yield square(decode_whole_picture(path.read_bytes()), self.config.image_size)
            except (UserError, OSError):
                skipped.append(Skip("not a whole PNG or JPEG picture", str(path.relative_to(self.source))))
            advance(1)
