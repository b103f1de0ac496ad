"""Progress of long work, with rate and time left: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOG_SECONDS = 30.0
"""Interval of the lines where there is no terminal."""


@contextmanager
def progress(what: str, total: int, done: int = 0, unit: str = "steps") -> Iterator[Callable[..., None]]:
    """Yield `advance(n, note="")`, to be called after each piece of work. `done` counts what an earlier run did."""
    console = Console(stderr=True)
    start = time.monotonic()
    state: dict[str, float] = {"done": done, "printed": start}

    def rate() -> float:
        return (state["done"] - done) / max(time.monotonic() - start, 1e-9)

    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, total=total, completed=done, rate="", note="")

            def advance(count: float, note: str = "") -> None:
                state["done"] += count
                bar.update(task, completed=state["done"], rate=f"{rate():.3g} {unit}/s", note=note)

            yield advance
        return

    def log(count: float, note: str = "") -> None:
        state["done"] += count
        now = time.monotonic()
        if now - state["printed"] >= LOG_SECONDS or state["done"] >= total:
            state["printed"] = now
            left = max(total - state["done"], 0) / max(rate(), 1e-9)  # totals are rounded, parts aren't
            console.print(
                f"{what}: {state['done']:.0f}/{total} {unit}, {rate():.3g}/s, {left:.0f} s left {note}".rstrip(),
                highlight=False,
                soft_wrap=True,
            )

    yield log
