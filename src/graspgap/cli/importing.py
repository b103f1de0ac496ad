"""What the commands `graspgap import KIND SRC OUT` share: checks, the mapping file, what is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from rich.console import Console
from rich.table import Table

from graspgap.cli.checks import at_least
from graspgap.datasets.importing import REPORT, read_report
from graspgap.datasets.mapping import read_mapping

T = TypeVar("T")
LEAST = {"image_size": 16, "frames_per_attempt": 1, "attempts_per_episode": 1}
"""The smallest values of options that importers have in common."""


@runtime_checkable
class Mapped(Protocol):
    """The configuration of an importer."""

    @property
    def mapping(self) -> Path | None: ...

    @property
    def options(self) -> Any: ...


def parsed(parse: Callable[..., Mapped]) -> Mapped:
    """What the command line says, over what its mapping file says, if it names one. `parse`: reads the command line,
    over a configuration if there is one.

    Raises:
        UserError: if the file is wrong.
    """
    config = parse()
    if config.mapping is None:
        return config
    return parse(replace(config, options=read_mapping(config.mapping, type(config.options))))  # type: ignore[type-var]


def checked(options: T) -> T:
    """The options.

    Raises:
        UserError: if a size or number is too small.
    """
    for option in fields(options):  # type: ignore[arg-type]
        if option.name in LEAST:
            at_least(f"--{option.name.replace('_', '-')}", getattr(options, option.name), LEAST[option.name])
    return options


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
