"""One websocket connection: openpi's protocol, in which each request gets one answer, in order.

A request that can't be served now (stale, superseded, too many) is answered with a text frame of one line; the
connection stays. One that is wrong, and a failure of the server, is answered with a text frame and close code 1011, as
openpi does; but the text of a failure is a number to look up in the server's log, where openpi sends its traceback.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from graspgap.deployment.desk import Ask, Desk, Refusal
from graspgap.deployment.gate import Gate
from graspgap.deployment.requests import Request, from_wire
from graspgap.deployment.wire import pack
from graspgap.errors import UserError

LOG = logging.getLogger("graspgap.serve")
MOST_WAITING = 64
"""Requests of one connection that wait for an answer; beyond, its bytes are left with the network."""
INTERNAL_ERROR = 1011


def internal_error(error: Exception) -> str:
    """What a stranger is told of a failure; the traceback goes to the log, under the same number."""
    number = secrets.token_hex(4)
    LOG.error("internal error %s", number, exc_info=error)
    return f"internal error {number}: the server's log tells more"


class Conversation:
    """Reads requests as they come, so that it is known which is the newest, and answers them in turn."""

    def __init__(self, socket: WebSocket, desk: Desk, gate: Gate, timeout: float) -> None:
        """`timeout`: seconds that the client may take to accept an answer."""
        self.socket, self.desk, self.gate, self.timeout = socket, desk, gate, timeout
        self.address = socket.client.host if socket.client else ""
        self.waiting: asyncio.Queue[Ask] = asyncio.Queue(MOST_WAITING)
        self.newest: Ask | None = None

    async def run(self) -> None:
        """Until the client goes, or one side fails."""
        tasks = {asyncio.create_task(self._answer_all()), asyncio.create_task(self._read_all())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except WebSocketDisconnect:
            pass
        finally:
            if self.newest:
                self.newest.superseded = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_all(self) -> None:
        policy = self.desk.policy
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            read = _refuse_text
            if data is not None:
                read = partial(from_wire, data, policy.image_size, policy.config.steps_per_attempt)
            refusal = self.gate.too_often(self.address)
            ask = Ask(_refuse_text if refusal else read, refusal)
            if not refusal:
                if self.newest:
                    self.newest.superseded = True
                    self.newest.read = _refuse_text  # never called: what it held can be forgotten
                self.newest = ask
            await self.waiting.put(ask)

    async def _answer_all(self) -> None:
        await self._send(pack(self.desk.policy.metadata))
        timing: dict[str, float] = {}
        while True:
            ask = await self.waiting.get()
            with self.desk.visit():
                reply, last_words = await self._reply(ask, timing)
                await self._send(reply)
            if last_words:
                return await self.socket.close(INTERNAL_ERROR)
            timing = {"prev_total_ms": 1e3 * (time.monotonic() - ask.received)}

    async def _reply(self, ask: Ask, timing: dict[str, float]) -> tuple[bytes | str, bool]:
        """The frame to send, and whether the connection ends with it."""
        try:
            answer = await self.desk.answer(ask)
            answer["server_timing"] |= timing
            return pack(answer), False
        except Refusal as refusal:
            return str(refusal), False
        except UserError as error:
            return str(error), True
        except Exception as error:
            return internal_error(error), True

    async def _send(self, what: bytes | str) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                await (self.socket.send_text(what) if isinstance(what, str) else self.socket.send_bytes(what))
        except (RuntimeError, TimeoutError):  # the connection has ended by itself, or the client doesn't read
            raise WebSocketDisconnect from None


def _refuse_text(*_: Any) -> Request:
    raise UserError("the request is text: send MessagePack in a binary frame")
