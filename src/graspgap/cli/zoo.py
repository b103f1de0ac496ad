"""`graspgap zoo [NAME]`"""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from graspgap.errors import choose
from graspgap.evaluation.findings import rate_text
from graspgap.evaluation.statistics import wilson_interval
from graspgap.worlds.standin_names import in_words
from graspgap.zoo import Entry, entries, trained_with


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
    for entry in found.values():
        facts = [entry.kind, f"{entry.size / 1e6:.1f} MB"]
        if entry.attempts:
            facts += [f"{_success(entry)} of {entry.attempts} attempts in {in_words(entry.world)} (this one training)"]
            facts += [f"{entry.real_labels:,} real labels"]
        print(f"zoo:{entry.name}: {', '.join(facts)}\n    {entry.about}")
        for policy in trained_with(entry):
            print(f"    zoo:{policy.name} was trained with it: {_success(policy)}")


def _success(entry: Entry) -> str:
    return rate_text(wilson_interval(entry.successes, entry.attempts))
