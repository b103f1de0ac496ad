"""What the stages of a study would refuse, before the first of them runs."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import tyro

from graspgap.cli import adapt, align, collect, evaluate, train
from graspgap.cli.hidden import OPTIONS
from graspgap.errors import UserError
from graspgap.evaluation.stages import Stage

CHECKS: dict[str, tuple[type[Any], Callable[[Any], None]]] = {
    "collect": (collect.Config, collect.check),
    "align": (align.Config, align.check),
    "adapt": (adapt.Config, adapt.check),
    "train": (train.Config, train.check),
    "evaluate": (evaluate.Config, evaluate.check),
}
"""Commands that the user's own words are passed on to."""
BOX = "\u2502\u256d\u256e\u2570\u256f\u2500 "
"""What tyro draws around its messages."""


def check_stages(study: Path, stages: Sequence[Stage]) -> None:
    """Refuse a stage whose command would be refused whatever the data; `study` is the folder that they are in.

    Raises:
        UserError: names the stage and what is wrong with it.
    """
    seen = set()
    for stage in stages:
        shape = tuple(word for word in stage.arguments if not word.startswith(f"{study}{os.sep}"))
        kind, check = CHECKS.get(stage.arguments[0], (None, None))
        if not (kind and check) or shape in seen:
            continue
        seen.add(shape)
        try:
            check(_parsed(kind, stage.arguments[1:]))
        except UserError as error:
            raise UserError(f"stage '{stage.name}' can't run: {error}") from None


def _parsed(kind: type[Any], words: Sequence[str]) -> Any:
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, args=list(words), registry=OPTIONS)
    except SystemExit:
        lines = (line.strip(BOX) for line in said.getvalue().splitlines())
        raise UserError("; ".join(line for line in lines if any(char.isalnum() for char in line))) from None
