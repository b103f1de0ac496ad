"""Trained policies and adapters that come with graspgap: `zoo:NAME` stands for the folder of one.

Each entry is the run's own folder without what only training needed, with a model card (README.md) and `entry.json`:
where it is from, and its success as the study measured it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graspgap.config import from_json
from graspgap.errors import choose
from graspgap.files import read_json
from graspgap.runs import CONFIG

PREFIX = "zoo:"
MODELS = Path(__file__).parent / "models"
ENTRY = "entry.json"


@dataclass(frozen=True)
class Entry:
    """What `entry.json` tells of a run."""

    name: str
    about: str
    """In a sentence."""
    command: str
    """Of the study that made it."""
    run: str = ""
    """Name of its run in that study."""
    world: str = ""
    """Where its success was measured; empty for adapters."""
    attempts: int = 0
    successes: int = 0
    evaluation_seed: int = 0
    real_labels: int = 0
    """Labelled real attempts that its training was given, a tenth of them held out."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of its files."""

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return MODELS / self.name

    @property
    def kind(self) -> str:
        """`policy` or `adapter`."""
        return str(read_json(self.folder / CONFIG, "the zoo")["kind"])

    @property
    def adapter(self) -> str:
        """Name of the run of the adapter that a policy was trained with; empty: none."""
        return str(read_json(self.folder / CONFIG, "the zoo")["inputs"].get("adapter") or "")

    @property
    def size(self) -> int:
        """Of its files [bytes]."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def entries() -> list[Entry]:
    """All there are, by name."""
    found: list[dict[str, Any]] = [read_json(path, "the zoo") for path in sorted(MODELS.glob(f"*/{ENTRY}"))]
    return [from_json(Entry, values) for values in found]


def trained_with(adapter: Entry) -> list[Entry]:
    """The zoo's policies that were trained with an adapter of the zoo, in the same study; none of a policy."""
    if adapter.kind != "adapter":
        return []
    policies = [entry for entry in entries() if entry.kind == "policy"]
    return [entry for entry in policies if (entry.command, entry.adapter) == (adapter.command, adapter.run)]


def adapter_of(policy: Path) -> Path | None:
    """The folder of the zoo's adapter that a policy of the zoo, given by its folder, was trained with, if there is."""
    found = (entry for entry in entries() if policy.name in (each.name for each in trained_with(entry)))
    return next((entry.folder for entry in found), None)


def resolved(run: Path) -> Path:
    """The folder that `zoo:NAME` stands for; any other path as it is.

    Raises:
        UserError: if there is no such entry.
    """
    text = str(run)
    if not text.startswith(PREFIX):
        return run
    names = [entry.name for entry in entries()]
    return MODELS / choose("model of the zoo", text.removeprefix(PREFIX), names)
