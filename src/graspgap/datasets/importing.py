"""What all importers share: one loop over a recording, one way to resume, one report.

A recording is a list of units (episodes, files), each read from its start. After each shard, OUT/import.json says up to
where the recording has been read and what was skipped; a killed import reads the unit that it was in again, passes over
what is in the shards already, and goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from graspgap.config import to_json
from graspgap.contract import GraspAttempt
from graspgap.datasets.schema import Attempt
from graspgap.datasets.writer import ImportedSpec, config_hash, finish, shard_done, write_shard
from graspgap.errors import UserError
from graspgap.files import read_json, write_json
from graspgap.progress import progress
from graspgap.runs import begin_run
from graspgap.settings import check_table

ROWS = 256
"""Of a shard."""
BYTES = 1_000_000_000
"""Of a shard's pictures, unpacked: from 2**31 on, Arrow can't read a column of lists."""
REPORT = "import.json"
NAMES = 1000
"""At most so many names of what was skipped are kept for each reason; all are counted."""


@dataclass(frozen=True)
class Unit:
    """A part of a recording that is read from its start: an episode, a file. Its attempts share a scene."""

    name: str
    size: int = 1
    """What it adds to the progress bar."""
    scene: int | None = None
    """Its scene, where the recording tells it; None: one of its own."""


@dataclass(frozen=True)
class Skip:
    """Something of a unit that becomes no row."""

    why: str
    name: str


Advance = Callable[[int], None]
"""Tells the progress bar how much of a unit has been read; in all, its size."""


@runtime_checkable
class Recording(Protocol):
    """A kind of recording. All of it that can be wrong with the source as a whole is refused when it is opened."""

    kind: str
    """Name of the world in the dataset."""
    counted: str
    """What the sizes of units count."""
    units: list[Unit]
    nothing: str
    """What is said where no row comes of it."""

    def read(self, unit: int, advance: Advance) -> Iterator[Attempt | Skip]:
        """Rows and what was skipped, the same each time. The loop numbers attempts and scenes.

        Raises:
            UserError: if the unit is damaged, or is not as the mapping says.
        """
        ...

    def notes(self, report: Report) -> dict[str, Any]:
        """Facts for meta.json."""
        ...


@dataclass
class Reason:
    """How much was skipped for one reason."""

    count: int = 0
    names: list[str] = field(default_factory=list)
    """The first of them."""


@dataclass
class Report:
    """Content of OUT/import.json: what was taken and skipped, and where to go on."""

    kind: str
    source: str
    source_hash: str
    """Of the names and sizes of all units."""
    units: int
    unit: int = 0
    """The unit to go on with."""
    items: int = 0
    """Rows and skips of it that are dealt with."""
    shards: int = 0
    rows: int = 0
    pictures: int = 0
    successes: int | None = None
    """None: unlabelled."""
    skipped: dict[str, Reason] = field(default_factory=dict)
    finished: bool = False

    @property
    def skips(self) -> int:
        """How much was skipped for any reason."""
        return sum(reason.count for reason in self.skipped.values())

    def add(self, item: Attempt | Skip) -> None:
        """Count a row or a skip."""
        self.items += 1
        if isinstance(item, Skip):
            reason = self.skipped.setdefault(item.why, Reason())
            reason.count += 1
            if len(reason.names) < NAMES:
                reason.names.append(item.name)
            return
        self.rows += 1
        self.pictures += len(item.images)
        if isinstance(item, GraspAttempt):
            self.successes = (self.successes or 0) + bool(item.outcome.success)


def run_import(
    out: Path, source: Path, recording: Recording, config: Any, image_size: int, per_shard: int = 0
) -> dict[str, Any]:
    """Write a recording as the dataset `out`; returns its meta. Resumes.

    `config` is the mapping, a dataclass with `frames_per_attempt`. `per_shard`: rows of a shard; 0: `ROWS`, or as many
    as have no more than `BYTES` of pictures. What was taken, what was skipped and why is in OUT/import.json.

    Raises:
        UserError: if `out` holds something else, the source has changed since an import of it was killed, a unit is
            damaged, or no row comes of the source.
    """
    row = (config.frames_per_attempt + 1) * 3 * image_size**2
    per_shard = per_shard or max(1, min(ROWS, BYTES // row))
    begin_run(out, "dataset", config, {"source": str(source)})
    settings = config_hash(to_json(config))
    report = _report(out, source, recording, settings, per_shard)
    sizes = [unit.size for unit in recording.units]
    with progress("import", sum(sizes), sum(sizes[: report.unit]), recording.counted) as advance:
        rows = _rows(recording, report, advance)
        while part := list(islice(rows, per_shard)):
            write_shard(out, report.shards, part, settings)
            report.shards += 1
            write_json(out / REPORT, asdict(report))
    report.finished = True
    write_json(out / REPORT, asdict(report))
    if report.shards == 0:
        raise UserError(recording.nothing)
    spec = ImportedSpec(recording.kind, image_size)
    return finish(out, asdict(config), spec, report.shards, recording.notes(report))


def read_report(out: Path) -> Report:
    """The report of an import.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    values = read_json(out / REPORT, "an imported dataset")
    try:
        check_table(Report, dict(values), f"{out / REPORT}")
        report = Report(**values | {"skipped": {why: Reason(**reason) for why, reason in values["skipped"].items()}})
        if not 0 <= report.unit <= report.units or min(report.items, report.shards, report.rows) < 0:
            raise ValueError
    except (TypeError, ValueError, KeyError, AttributeError, UserError):
        raise UserError(f"{out / REPORT} is damaged: delete it and run the same command again") from None
    return report


def _report(out: Path, source: Path, recording: Recording, settings: str, per_shard: int) -> Report:
    """The report of a killed import whose shards are all there, or a new one."""
    listing = "\n".join(f"{unit.name} {unit.size}" for unit in recording.units)
    digest = hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()
    new = Report(recording.kind, str(source), digest, len(recording.units))
    if not (out / REPORT).exists():
        return new
    old = read_report(out)
    if old.source_hash != digest or old.units != new.units:
        raise UserError(f"{source} has changed since its import to {out} began: import it to another folder")
    shards = -(-old.rows // per_shard)  # which may be any number, if the report is damaged: none are listed
    if shards == old.shards and all(
        shard_done(out, k, min(per_shard, old.rows - k * per_shard), settings) for k in range(shards)
    ):
        return old
    return new


def _rows(recording: Recording, report: Report, advance: Callable[..., None]) -> Iterator[Attempt]:
    """The rows that no shard holds yet. When one is given out, the report is as after it."""
    for unit in range(report.unit, report.units):
        read, scene = 0, recording.units[unit].scene

        def step(count: int) -> None:
            nonlocal read
            read += count
            advance(count)

        for item in islice(recording.read(unit, step), report.items, None):
            attempt = report.rows
            report.add(item)
            if not isinstance(item, Skip):
                yield replace(item, attempt=attempt, scene=unit if scene is None else scene)
        if read < recording.units[unit].size:
            step(recording.units[unit].size - read)
        report.unit, report.items = unit + 1, 0
