"""`graspgap zoo [NAME]`"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
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
    table = Table("name", "kind", "success", "95% interval", "real labels", "size", "what it is")
    for entry in found.values():
        rate = wilson_interval(entry.successes, entry.attempts)
        scores = (f"{rate.value:.1%} of {entry.attempts}", f"{rate.low:.1%} to {rate.high:.1%}")
        if not entry.attempts:
            scores = ("", "")
        size = f"{entry.size / 1e6:.1f} MB"
        table.add_row(f"zoo:{entry.name}", entry.kind, *scores, f"{entry.real_labels:,}", size, entry.about)
    Console().print(table)
