"""A folder of .png and .jpg pictures as an unlabelled dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from graspgap.contract import MAX_SERVO_STEPS, Image
from graspgap.datasets.pictures import decode_whole_picture, square
from graspgap.datasets.schema import PictureRow
from graspgap.datasets.writer import ImportedSpec, config_hash, finish, write_rows
from graspgap.errors import UserError
from graspgap.progress import progress
from graspgap.runs import begin_run

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

    Unreadable files are skipped; their number and names are in the meta that is returned, under "notes".

    Raises:
        UserError: if `source` has no readable picture, or `out` holds something else.
    """
    config = config or ImportImagesConfig()
    if not source.is_dir():
        raise UserError(f"{source} is no folder: expected one with {', '.join(ENDINGS)} pictures")
    files = sorted((path for path in source.rglob("*") if path.suffix.lower() in ENDINGS), key=_natural)
    if not files:
        raise UserError(f"{source} has no pictures: expected {', '.join(ENDINGS)} files in it or below it")
    begin_run(out, "dataset", config, {"source": str(source)})
    skipped: list[str] = []
    with progress("import", len(files), unit="pictures") as advance:
        shards = write_rows(out, _rows(source, files, config, skipped, advance), settings=config_hash(asdict(config)))
    if shards == 0:
        raise UserError(
            f"{source} has {len(files)} pictures, and none of them can be read: expected whole PNG or JPEG files"
        )
    notes = {"source": str(source), "pictures": len(files), "skipped": len(skipped), "skipped_files": skipped}
    return finish(out, asdict(config), ImportedSpec("pictures", config.image_size), shards, notes)


def _rows(
    source: Path, files: list[Path], config: ImportImagesConfig, skipped: list[str], advance: Callable[..., None]
) -> Iterator[PictureRow]:
    attempt = 0
    for scene, (_, group) in enumerate(groupby(files, key=lambda path: path.parent if config.by_folder else source)):
        pictures = _pictures(source, group, config.image_size, skipped, advance)
        before = next(pictures, None)
        if before is None:
            continue
        for images in _chunks(pictures, config.frames_per_attempt, otherwise=before):
            yield PictureRow(attempt, scene, before, images, "pictures")
            attempt += 1


def _pictures(
    source: Path, files: Iterator[Path], size: int, skipped: list[str], advance: Callable[..., None]
) -> Iterator[Image]:
    for path in files:
        try:
            yield square(decode_whole_picture(path.read_bytes()), size)
        except (UserError, OSError):
            skipped.append(str(path.relative_to(source)))
        advance(1)


def _chunks(pictures: Iterator[Image], length: int, otherwise: Image) -> Iterator[list[Image]]:
    """Lists of up to `length` pictures; one list of `otherwise` alone where there are none."""
    first = list(islice(pictures, length)) or [otherwise]
    yield first
    while more := list(islice(pictures, length)):
        yield more


def _natural(path: Path) -> list[list[str | int]]:
    """Sort key by which frame_2 comes before frame_10."""
    return [[int(word) if word.isdigit() else word for word in re.split(r"(\d+)", part)] for part in path.parts]
