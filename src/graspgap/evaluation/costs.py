"""How long the stages of a study take: measured where stages of their kind have finished, else as `rates.json` says.

`python -m graspgap.evaluation.costs STUDY...` prints the rates of finished studies as that file holds them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from graspgap.files import read_json

FILE = Path(__file__).parent / "rates.json"
"""Seconds on one core for one unit of each kind of work (an attempt, a training step, a run that is scored), measured
while another stage ran on the other core."""
USUAL = 64
"""Pixels of a side of the pictures of all other rates."""
UNKNOWN = 0.3
"""Seconds of a unit of what was never measured."""


@cache
def known_rates() -> Mapping[str, float]:
    """Those of `rates.json`."""
    return read_json(FILE, "graspgap")["seconds"]


def rate_of(kind: str, measured: Mapping[str, float]) -> float:
    """Seconds of a unit of this kind of work: measured, or known; else those of the next more general kind, which has
    a word less at its end. Work on pictures that aren't 64 pixels wide begins with their width, such as `472 train`;
    where nothing is known of it, it takes as much longer as they have more pixels."""
    size, _, work = kind.partition(" ")
    words = kind.split()
    for end in range(len(words), int(size.isdigit()), -1):
        general = " ".join(words[:end])
        for rates in (measured, known_rates()):
            if general in rates:
                return rates[general]
    return (int(size) / USUAL) ** 2 * rate_of(work, measured) if size.isdigit() else UNKNOWN


def measured_rates(work: Sequence[tuple[str, float, float]]) -> dict[str, float]:
    """Seconds of a unit by kind, from (kind, units, seconds) of finished stages."""
    units: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for kind, amount, took in work:
        units[kind] = units.get(kind, 0.0) + amount
        seconds[kind] = seconds.get(kind, 0.0) + took
    return {kind: seconds[kind] / units[kind] for kind in sorted(units) if units[kind]}


def used_seconds(record: Path) -> float | None:
    """Processor time that a finished stage took [s], or wall time where that isn't known; None if there is no record,
    or an earlier process had done a part of it.

    Processor time stays what it is while something else keeps the machine busy.
    """
    if not record.exists():
        return None
    found = read_json(record, "a study")
    return None if found.get("resumed") else float(found.get("cpu_seconds") or found["seconds"])


def recorded(study: Path) -> list[tuple[str, float, float]]:
    """(kind, units, seconds) of a study's finished stages."""
    found = []
    for path in sorted((study / "stages").glob("*.json")):
        work, seconds = read_json(path, "a study").get("work"), used_seconds(path)
        if work and seconds:
            found.append((str(work[0]), float(work[1]), seconds))
    return found


if __name__ == "__main__":
    everything = [item for name in sys.argv[1:] for item in recorded(Path(name))]
    print(
        json.dumps({"seconds": {kind: round(rate, 4) for kind, rate in measured_rates(everything).items()}}, indent=2)
    )
