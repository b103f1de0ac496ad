"""Calls of a robot that are given up when they take too long, or when the operator says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from graspgap.errors import UserError

T = TypeVar("T")
POLL_SECONDS = 0.02
"""Interval in which the operator's stop is looked for while the robot is busy."""
STOP_SECONDS = 2.0
"""How long the robot's own stop may take before it is left alone."""


class Watchdog:
    """Runs one call after another, each in a thread that can be left behind."""

    def __init__(self, stop: Callable[[], None], asked_to_stop: Callable[[], str | None]) -> None:
        """`stop` stops the robot, whatever it does; `asked_to_stop` says why it should, or None."""
        self._stop, self._asked = stop, asked_to_stop

    def run(self, call: Callable[[], T], seconds: float, what: str) -> T:
        """What `call` returns or raises; the robot is stopped where it doesn't return in time, or raises.

        Raises:
            UserError: if the call takes longer than `seconds`, or the operator asks to stop before or meanwhile.
        """
        results: list[Any] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(call())
            except BaseException as error:  # handed to the caller below
                errors.append(error)

        thread = threading.Thread(target=work, daemon=True)  # daemon: a call that never returns mustn't keep us alive
        end = time.monotonic() + seconds
        try:
            self._look_out(what)
            thread.start()
            while thread.is_alive():
                thread.join(POLL_SECONDS)
                self._look_out(what)
                if thread.is_alive() and time.monotonic() > end:
                    raise UserError(f"{what} took longer than {seconds:g} s: the robot was stopped; see what keeps it")
            if errors:
                raise errors[0]
        except BaseException:  # also Ctrl-C
            self.stop()
            raise
        return results[0]

    def _look_out(self, what: str) -> None:
        reason = self._asked()
        if reason:
            raise UserError(f"{what}: {reason}")

    def stop(self) -> None:
        """Stop the robot; what its stop raises is of no use to anybody now."""

        def work() -> None:
            try:
                self._stop()
            except Exception:
                return

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(STOP_SECONDS)
