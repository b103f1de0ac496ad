"""Training logs: one JSON object per line, one line per some steps."""

from __future__ import annotations

import json
import math
from pathlib import Path

from graspgap.errors import UserError
from graspgap.files import write_text


class TrainingLog:
    """Means of the losses over every `every` steps, appended to a JSONL file."""

    def __init__(self, path: Path, done: int, every: int = 25) -> None:
        """A log that resumes after `done` steps; lines of later steps, from before a crash, are dropped."""
        self.path, self.every = path, every
        self.sums: dict[str, float] = {}
        self.count = 0
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    break
                if entry["step"] > done:
                    break
                kept.append(line)
        write_text(path, "".join(line + "\n" for line in kept))

    def write(self, step: int, losses: dict[str, float]) -> None:
        """Add one step.

        Raises:
            UserError: if a loss is not finite: the run has diverged.
        """
        for name, value in losses.items():
            if not math.isfinite(value):
                raise UserError(f"loss '{name}' is {value} at step {step}: lower the learning rate, or check the data")
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1
        if (step + 1) % self.every == 0:
            means = {name: round(total / self.count, 5) for name, total in self.sums.items()}
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step + 1} | means) + "\n")
            self.sums, self.count = {}, 0
