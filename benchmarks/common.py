"""What the benchmarks share: one core, repeats in turn, medians, results with their provenance.

Import this before numpy and torch: both read the number of threads once, when they are loaded.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graspgap.files import write_json
from graspgap.provenance import hardware, package_version, versions

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""Those of this process before it keeps to one of them."""
if CORES:  # the path tracer has threads of its own, which no variable limits
    os.sched_setaffinity(0, {max(CORES)})

RESULTS = Path(__file__).parent / "results"
BUSY = 0.5
"""Load average above which a measurement is not to be trusted."""


def begin() -> float:
    """The machine's load average [processes] before the benchmark adds its own; a warning if it is busy."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > BUSY:
        print(f"warning: other processes are running (load {load:.1f}): times are too long", file=sys.stderr)
    return load


def save(
    name: str,
    settings: dict[str, Any],
    rows: list[dict[str, Any]],
    load: float,
    facts: dict[str, Any] | None = None,
    path: Path | None = None,
    cores: int = 1,
) -> Path:
    """Write what was measured, how, with which software and on which machine to `path`, or else to
    `benchmarks/results/NAME.json`. `facts` are figures that follow from the rows."""
    path = path or RESULTS / f"{name}.json"
    report = {
        "benchmark": name,
        "date": datetime.now(UTC).date().isoformat(),
        "settings": settings,
        **(facts or {}),
        "rows": rows,
        "load_before": round(load, 2),
        "versions": versions() | {"pybullet": package_version("pybullet") or "absent"},
        "hardware": hardware() | {"cores": os.cpu_count(), "cores_used": cores},
    }
    write_json(path, report)
    return path


def table(rows: list[dict[str, Any]]) -> str:
    """Rows with the same keys as aligned text."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
