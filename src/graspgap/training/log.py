"""Training logs: one JSON object per line, one line per some steps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graspgap.errors import UserError
from graspgap.files import write_text
from graspgap.settings import entry

LOG = "log.jsonl"


def check_finite(step: int, losses: Mapping[str, float]) -> None:
    """Raises UserError if a loss is not finite: the run has diverged."""
    for name, value in losses.items():
        if not math.isfinite(value):
            raise UserError(f"loss '{name}' is {value} at step {step}: lower the learning rate, or check the data")


class TrainingLog:
    """Means of the losses over every `every` steps, each over those that had it, and how healthy the training is,
    appended to a JSONL file."""

    def __init__(self, path: Path, done: int, state: Mapping[str, Any] | None = None, every: int = 25) -> None:
        """A log that resumes after `done` steps from the `state` of that time; lines of later steps, from before a
        crash, are dropped.

        Raises:
            UserError: if a line is of something else.
        """
        self.path, self.every = path, every
        self.sums: dict[str, float] = dict(state["sums"]) if state else {}
        self.counts: dict[str, int] = dict(state["counts"]) if state else {}
        self.entries: list[dict[str, Any]] = []
        """What was kept of an earlier run."""
        if path.exists():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):  # also numbers with thousands of digits
                    break
                where, fix = f"line {number} of {path}", "delete the file and run again"
                if entry(row, "step", int, where, fix) > done:
                    break
                if "health" in row:
                    entry(row, "health", dict[str, float], where, fix)
                self.entries.append(row)
        write_text(path, "".join(json.dumps(row) + "\n" for row in self.entries))

    def state(self) -> dict[str, Any]:
        """The sums of the steps since the last line and in how many each loss was, which a checkpoint keeps."""
        return {"sums": self.sums, "counts": self.counts}

    def due(self, step: int) -> bool:
        """Whether a line follows this step."""
        return (step + 1) % self.every == 0

    def add(self, losses: Mapping[str, float]) -> None:
        """Add the losses of one step."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def write(self, step: int, health: Mapping[str, float], warnings: Sequence[str]) -> dict[str, float]:
        """Write the line after `step`; returns its numbers by name."""
        means = {name: round(total / self.counts[name], 5) for name, total in self.sums.items()}
        finite = {name: float(f"{value:.4g}") for name, value in health.items() if math.isfinite(value)}
        row: dict[str, Any] = {"step": step + 1} | means
        row |= {"health": finite} if finite else {}
        row |= {"warnings": list(warnings)} if warnings else {}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.sums, self.counts = {}, {}
        return means | {f"health/{name}": value for name, value in finite.items()}


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a training log, each with its `step`; torn and foreign ones are left out."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            found.append(row)
    return found


def read_warnings(path: Path) -> list[str]:
    """What a training log warns of, each with its step."""
    told = [row for row in read_entries(path) if isinstance(row.get("warnings"), list)]
    return [f"step {row['step']}: {warning}" for row in told for warning in row["warnings"]]
