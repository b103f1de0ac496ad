"""What the commands `graspgap import KIND SRC OUT` share: checks, the mapping file, what is printed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from graspgap.cli.checks import at_least
from graspgap.datasets.importing import REPORT, read_report
from graspgap.datasets.mapping import read_mapping

T = TypeVar("T")
LEAST = {"image_size": 16, "frames_per_attempt": 1, "attempts_per_episode": 1}
"""The smallest values of options that importers have in common."""


def checked(options: T, mapping: Path | None) -> T:
    """The options, over those of the mapping file if there is one.

    Raises:
        UserError: if the file is wrong, or a size or number is too small.
    """
    found: Any = options if mapping is None else read_mapping(mapping, options)
    for option in fields(found):
        if option.name in LEAST:
            at_least(f"--{option.name.replace('_', '-')}", getattr(found, option.name), LEAST[option.name])
    return found


def show(out: Path, meta: dict[str, Any]) -> None:
    """Print what was taken, and what was skipped and why."""
    labels = f"{meta['successes']} successes" if meta["has_labels"] else "unlabelled"
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    table.add_row(str(meta["attempts"]), f"rows taken, {meta['frames']} pictures, {labels}")
    for why, reason in read_report(out).skipped.items():
        more = ", ..." if reason.count > 3 else ""
        table.add_row(str(reason.count), f"skipped: {why} ({', '.join(reason.names[:3])}{more})")
    console = Console()
    console.print(f"{out} (all of it in {REPORT}):", highlight=False, soft_wrap=True, markup=False)
    console.print(table, highlight=False, markup=False)
