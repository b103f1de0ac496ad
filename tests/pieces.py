"""Pieces of work for worker processes: a module of its own, because workers import it, and that should be quick."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from graspgap.errors import UserError


def note(folder: Path, piece: int) -> tuple[int, int]:
    """Leave the number of the process that did the piece."""
    (folder / str(piece)).write_text(str(os.getpid()))
    return 1, 0


def die_at_three(folder: Path, piece: int) -> tuple[int, int]:
    """As `note`, but piece 3 kills its process."""
    if piece == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return note(folder, piece)


def refuse_three(folder: Path, piece: int) -> tuple[int, int]:
    """As `note`, but piece 3 is refused."""
    if piece == 3:
        raise UserError("piece 3 can't be done")
    return note(folder, piece)


def die_once_in_a_shard(died: Path, plan: Any, index: int) -> tuple[int, int]:
    """Collect a shard; the first process to come here is killed after two attempts of it."""
    from graspgap.collection import collect

    if not died.exists():
        died.touch()
        attempt, numbers = collect.run_attempt, []

        def dying(world: Any, policy: Any, seed: int, number: int, *rest: Any) -> Any:
            if len(numbers) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            numbers.append(number)
            return attempt(world, policy, seed, number, *rest)

        collect.run_attempt = dying
    return collect._collect_shard(plan, index)
