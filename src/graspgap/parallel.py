"""Independent pieces of work on all cores, through joblib: one code path for one process, many, or a cluster."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout
from typing import Any, TypeVar

from joblib import Parallel, delayed, parallel_config, register_parallel_backend
from joblib.externals.loky import get_reusable_executor
from rich.console import Console

from graspgap.errors import UserError, choose
from graspgap.progress import progress
from graspgap.provenance import usable_cores

Piece = TypeVar("Piece")
Work = Callable[[Piece], tuple[int, int]]

BACKENDS = ("loky", "ray")
"""Processes of this machine; processes of a Ray cluster, or of a local one where none is known (`RAY_ADDRESS`)."""
ROUND = 100
"""Pieces per worker between two renewals of all worker processes: what a library leaks ends with its process."""
LOSSES = 3
"""Times that workers may die in a row, no piece being finished in between."""


def choose_workers(workers: int) -> int:
    """Number of worker processes; 0 means one per usable core.

    Raises:
        UserError: if `workers` is negative.
    """
    if workers < 0:
        raise UserError(f"--workers {workers} is negative: give the number of processes, or 0 for all cores")
    return workers or usable_cores()


def run_pieces(
    work: Work[Piece],
    pieces: Sequence[Piece],
    workers: int,
    what: str,
    total: int,
    done: int,
    succeeded: int,
    backend: str = "loky",
) -> None:
    """Do `work` on every piece, in any order, showing progress and the share of attempts that succeeded.

    `work` writes its own result and returns (attempts, successes). `total` counts attempts; `done` and `succeeded`
    count those of pieces that an earlier run finished. One worker means this process. A piece whose worker dies is
    done again, and workers are renewed every `ROUND` pieces. `backend` is one of `BACKENDS`.

    Raises:
        UserError: if `work` raises one, workers die `LOSSES` times in a row, or `backend` is unknown or not there.
    """
    with progress(what, total, done, "attempts") as advance, _processes(backend, workers) as (size, lost):
        losses = 0
        while pieces:
            here = dict(enumerate(pieces[: ROUND * size]))
            jobs = size if losses else min(size, len(here))  # what killed a worker mustn't run in this process
            calls = (delayed(_capture)(work, index, piece) for index, piece in list(here.items()))
            try:
                results = Parallel(jobs, return_as="generator_unordered", batch_size=1)(calls)
                for index, result in results:
                    if isinstance(result, UserError):
                        _cancel(results)
                        raise result
                    del here[index]
                    losses = 0
                    done, succeeded = done + result[0], succeeded + result[1]
                    advance(result[0], f"{succeeded / done:.1%} of {done} succeeded")
            except lost as error:
                losses += 1
                if losses == LOSSES:
                    raise UserError(
                        f"{what}: worker processes ended {LOSSES} times in a row, killed or out of memory "
                        f"({type(error).__name__}): use fewer --workers, and run the same command again to go on"
                    ) from None
                Console(stderr=True).print(f"{what}: a worker process ended; its work is done again", highlight=False)
            pieces = [*here.values(), *pieces[ROUND * size :]]
            if pieces and backend == "loky" and size > 1:  # Ray's end with each call of joblib's anyway
                get_reusable_executor(reuse=True).shutdown()


@contextmanager
def _processes(backend: str, workers: int) -> Iterator[tuple[int, type[Exception]]]:
    """Choose joblib's backend; yields the number of workers and the error by which it tells that one has died."""
    if choose("--parallel", backend, BACKENDS) == "ray":
        with _ray(workers) as found:
            yield found
        return
    with parallel_config("loky"):
        yield workers, BrokenProcessPool


@contextmanager
def _ray(workers: int) -> Iterator[tuple[int, type[Exception]]]:
    try:
        import ray
        from ray.util.joblib.ray_backend import RayBackend
    except ImportError:
        raise UserError("--parallel ray needs Ray, which is not installed: pip install 'graspgap[ray]'") from None

    class LiveRayBackend(RayBackend):
        """Results come as they are ready. Ray's pool calls back per result, as joblib needs for that, but doesn't say
        so."""

        supports_return_generator = True

    register_parallel_backend("ray", LiveRayBackend)
    ours = not ray.is_initialized()
    local: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # where Ray tells of dead workers, at length
        if ours:
            ray.init(logging_level=logging.CRITICAL, log_to_driver=False, **local)
        try:
            cores = int(ray.cluster_resources().get("CPU", 0))
            if cores < workers:
                raise UserError(f"--workers {workers} is more than the {cores} cores of the Ray cluster: give fewer")
            with parallel_config("ray", ray_remote_args={"num_cpus": 1}):
                yield workers, ray.exceptions.RayActorError
        finally:
            if ours:
                ray.shutdown()


def _cancel(results: Generator[Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib's, that pieces under way are lost
        results.close()


def _capture(work: Work[Piece], index: int, piece: Piece) -> tuple[int, tuple[int, int] | UserError]:
    """User errors come back as values, so that they stay one line and not a worker's traceback."""
    try:
        return index, work(piece)
    except UserError as error:
        return index, error
