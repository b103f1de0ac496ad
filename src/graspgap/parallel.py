"""Independent pieces of work on all cores, through joblib: one code path for one process, many, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from joblib import Parallel, delayed

from graspgap.errors import UserError
from graspgap.progress import progress
from graspgap.provenance import usable_cores

Piece = TypeVar("Piece")


def choose_workers(workers: int) -> int:
    """Number of worker processes; 0 means one per usable core.

    Raises:
        UserError: if `workers` is negative.
    """
    if workers < 0:
        raise UserError(f"--workers {workers} is negative: give the number of processes, or 0 for all cores")
    return workers or usable_cores()


def run_pieces(
    work: Callable[[Piece], tuple[int, str]],
    pieces: Sequence[Piece],
    workers: int,
    what: str,
    total: int,
    done: int,
    unit: str,
) -> None:
    """Do `work` on every piece, in any order, showing progress.

    `work` writes its own result and returns (units done, note); `total` and `done` count units, `done` those of
    pieces that an earlier run finished. One worker means this process.
    """
    with progress(what, total, done, unit) as advance:
        calls = (delayed(_capture)(work, piece) for piece in pieces)
        jobs = Parallel(n_jobs=min(workers, max(len(pieces), 1)), return_as="generator_unordered")
        for result in jobs(calls):
            if isinstance(result, UserError):
                raise result
            advance(*result)


def _capture(work: Callable[[Piece], tuple[int, str]], piece: Piece) -> tuple[int, str] | UserError:
    """User errors come back as values, so that they stay one line and not a worker's traceback."""
    try:
        return work(piece)
    except UserError as error:
        return error
