"""The web application: openpi's websocket protocol at `/`, and a plain HTTP form."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from graspgap.deployment.conversation import Conversation, internal_error
from graspgap.deployment.desk import Ask, Desk, Refusal
from graspgap.deployment.gate import Gate
from graspgap.deployment.openapi import openapi
from graspgap.deployment.requests import from_json
from graspgap.deployment.settings import ServerConfig
from graspgap.errors import UserError

DOCS = Path(__file__).with_name("docs.html")


class App:
    """One policy for everybody who is let in."""

    def __init__(self, desk: Desk, gate: Gate, config: ServerConfig) -> None:
        self.desk, self.gate, self.config = desk, gate, config
        self.clients = 0
        docs = HTMLResponse(DOCS.read_text(encoding="utf-8"))
        description = JSONResponse(openapi(desk.policy, gate.expected is not None))
        self.asgi = Starlette(
            routes=[
                WebSocketRoute("/", self.talk),
                Route("/act", self.act, methods=["POST"]),
                Route("/metadata", self.metadata),
                Route("/healthz", PlainTextResponse("OK\n"), methods=["GET"]),
                Route("/openapi.json", description, methods=["GET"]),
                Route("/docs", docs, methods=["GET"]),
                Route("/", docs, methods=["GET"]),
            ]
        )

    async def talk(self, socket: WebSocket) -> None:
        """A websocket connection; whoever isn't let in gets an HTTP response instead."""
        try:
            with self._place(socket):
                await socket.accept()
                await Conversation(socket, self.desk, self.gate, self.config.timeout).run()
        except Refusal as refusal:
            await socket.send_denial_response(PlainTextResponse(f"{refusal}\n", refusal.status))

    async def act(self, request: Request) -> Response:
        """The policy's answer to a JSON observation."""
        with self.desk.visit():
            try:
                with self._place(request):
                    policy = self.desk.policy
                    data = await self._body(request)
                    ask = Ask(partial(from_json, data, policy.image_size, policy.config.steps_per_attempt))
                    answer = await self.desk.answer(ask)
                return JSONResponse(answer | {"actions": answer["actions"].tolist()})
            except Refusal as refusal:
                return _error(refusal.status, str(refusal))
            except UserError as error:
                return _error(400, str(error))
            except ClientDisconnect:
                return Response(status_code=400)  # nobody hears it
            except Exception as error:
                return _error(500, internal_error(error))

    async def metadata(self, request: Request) -> Response:
        """What a websocket client is told when it connects."""
        try:
            self._admit(request)
        except Refusal as refusal:
            return _error(refusal.status, str(refusal))
        return JSONResponse(self.desk.policy.metadata)

    def _admit(self, connection: Request | WebSocket) -> None:
        self.gate.admit(connection.headers, connection.client.host if connection.client else "")

    @contextmanager
    def _place(self, connection: Request | WebSocket) -> Iterator[None]:
        self._admit(connection)
        if self.clients >= self.config.max_clients:
            raise Refusal(503, f"too many clients: at most {self.config.max_clients}")
        self.clients += 1
        try:
            yield
        finally:
            self.clients -= 1

    async def _body(self, request: Request) -> bytes:
        too_large = Refusal(413, f"the request is too large: at most {self.config.max_bytes} bytes")
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > self.config.max_bytes:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.config.timeout):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self.config.max_bytes:
                        raise too_large
        except TimeoutError:
            raise Refusal(408, f"the request came too slowly: it may take {self.config.timeout:g} s") from None
        return bytes(body)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
