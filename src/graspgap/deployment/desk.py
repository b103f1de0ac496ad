"""Where requests wait for the one thread that computes, and are sent away if they wait too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from graspgap.deployment.requests import Request
from graspgap.deployment.served import ServedPolicy


class Refusal(Exception):
    """A request that is not computed, though there may be nothing wrong with it: one line, and an HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Ask:
    """One request on its way."""

    def __init__(self, read: Callable[[], Request], refusal: Refusal | None = None) -> None:
        """`read`: makes the request of its bytes, on the computing thread; `refusal`: it is refused in any case."""
        self.read, self.refusal = read, refusal
        self.received = time.monotonic()
        self.superseded = False
        """Set when the same connection has sent a newer one, or is gone: who asked looks at something else now."""


class Desk:
    """Answers one request after another, off the event loop, in the order in which they came."""

    def __init__(self, policy: ServedPolicy, stale_ms: float) -> None:
        """`stale_ms`: a request that has waited longer when its turn comes is refused."""
        self.policy, self.stale_ms = policy, stale_ms
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="policy")
        self.busy = 0
        """Requests that are waiting, computed or being answered."""
        self.stopping = False

    @contextmanager
    def visit(self) -> Iterator[None]:
        """The server doesn't stop before this ends."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    async def answer(self, ask: Ask) -> dict[str, Any]:
        """The policy's answer, with `server_timing` (`infer_ms`: of the policy; `wait_ms`: before it).

        Raises:
            Refusal: if the request is stale, superseded, refused, or comes while the server stops.
            UserError: if there is something wrong with it.
        """
        if self.stopping:
            raise Refusal(503, "the server is stopping")
        return await asyncio.get_running_loop().run_in_executor(self.thread, self._compute, ask)

    def close(self) -> None:
        """Let the thread end."""
        self.thread.shutdown(wait=False, cancel_futures=True)

    def _compute(self, ask: Ask) -> dict[str, Any]:
        read = ask.read  # before looking whether it is superseded: then it is forgotten
        if ask.refusal:
            raise ask.refusal
        if ask.superseded:
            raise Refusal(409, "superseded: this connection has sent a newer request")
        start = time.monotonic()
        waited = 1e3 * (start - ask.received)
        if waited > self.stale_ms:
            raise Refusal(503, f"stale: waited {waited:.0f} ms for its turn, more than {self.stale_ms:g}")
        answer = self.policy.answer(read())
        timing = {"infer_ms": 1e3 * (time.monotonic() - start), "wait_ms": waited}
        return answer | {"server_timing": timing}
