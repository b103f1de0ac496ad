"""`graspgap zoo [NAME]`"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from graspgap.errors import choose
from graspgap.evaluation.statistics import wilson_interval
from graspgap.zoo import entries


@dataclass(frozen=True)
class Config:
    name: Positional[str] = ""
    """Whose card to print; none: list all."""


def run(config: Config) -> None:
    """List what there is, or print a card."""
    found = {entry.name: entry for entry in entries()}
    if config.name:
        entry = found[choose("model of the zoo", config.name.removeprefix("zoo:"), found)]
        print((entry.folder / "README.md").read_text(encoding="utf-8"))
        return
    columns = ("kind", "success [%], 95% interval", "real labels", "MB", "what it is")
    table = Table(Column("zoo:NAME", no_wrap=True), *columns)
    for entry in found.values():
        rate = wilson_interval(entry.successes, entry.attempts)
        score = f"{100 * rate.value:.1f} ({100 * rate.low:.1f} to {100 * rate.high:.1f})" if entry.attempts else ""
        labels = f"{entry.real_labels:,}" if entry.kind == "policy" else ""
        table.add_row(entry.name, entry.kind, score, labels, f"{entry.size / 1e6:.1f}", entry.about)
    Console().print(table)
