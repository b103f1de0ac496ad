"""`graspgap serve`: the application on a socket, with TLS, limits of time, and an end that lets requests finish."""

from __future__ import annotations

import logging
import math
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from graspgap.deployment.app import App
from graspgap.deployment.desk import Desk
from graspgap.deployment.gate import Gate
from graspgap.deployment.served import ServedPolicy
from graspgap.deployment.settings import LOCAL, ServerConfig
from graspgap.errors import UserError


class _Patient(H11Protocol):
    """HTTP that doesn't wait for ever for a request that doesn't come, or comes letter by letter, nor for a client
    that doesn't read its answer. uvicorn has a time limit between requests alone."""

    most = 256
    """Connections."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        self.loop.call_later(self.timeout_keep_alive, self._look, None)

    def _look(self, before: Any) -> None:
        """Close it if nothing has happened since the last look."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # gone, or a websocket now
            return
        waiting = self.cycle is None or self.cycle.response_complete or self.flow.write_paused
        if waiting and self.cycle is before:
            self.transport.abort()
        else:
            self.loop.call_later(self.timeout_keep_alive, self._look, self.cycle)


class _Websocket(WebSocketsSansIOProtocol):
    """A connection whose client doesn't read the last words is cut off."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(self.close_timeout, self.transport.abort)


class PolicyServer(uvicorn.Server):
    """The first signal lets running requests finish and refuses new ones; a second one ends it at once."""

    def __init__(self, app: App, config: ServerConfig, door: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app.asgi,
                http=_Patient,
                ws=_Websocket,
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                ws_max_size=config.max_bytes,
                ws_ping_interval=config.ping_interval or None,
                ws_ping_timeout=config.ping_timeout,
                ws_per_message_deflate=False,
                timeout_keep_alive=math.ceil(config.timeout),
                timeout_graceful_shutdown=math.ceil(config.grace),
                ssl_certfile=config.cert,
                ssl_keyfile=config.key,
            )
        )
        self.desk, self.grace, self.door, self.end = app.desk, config.grace, door, 0.0

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve at its address until it is told to stop."""
        super().run(sockets or [self.door])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What SIGINT and SIGTERM do."""
        if self.desk.stopping:
            self.should_exit = self.force_exit = True
        self.desk.stopping = True
        self.end = self.end or time.monotonic() + self.grace

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop now."""
        if self.desk.stopping and (not self.desk.busy or time.monotonic() > self.end):
            self.should_exit = True
        return bool(await super().on_tick(counter))


def serve(policy: ServedPolicy, config: ServerConfig) -> None:
    """Serve until SIGINT or SIGTERM; prints a line when it is ready.

    Raises:
        UserError: if the key, the certificate or the address can't be used.
    """
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
    with listening(policy, config) as (server, address):
        if config.api_key_file is not None and config.cert is None and config.host not in LOCAL:
            print("graspgap: warning: without --cert and --key, anyone on the way can read the key", file=sys.stderr)
        if policy.calibration is None:
            print("graspgap: warning: the policy is not calibrated, so it never abstains", file=sys.stderr)
        scheme = "s" if config.cert else ""
        print(f"serving at ws{scheme}://{address} and http{scheme}://{address}/docs; Ctrl+C stops", flush=True)
        server.run()


@contextmanager
def listening(policy: ServedPolicy, config: ServerConfig) -> Iterator[tuple[PolicyServer, str]]:
    """A server that has its address, HOST:PORT, and that will serve when it is `run`.

    Raises:
        UserError: if the key, the certificate or the address can't be used.
    """
    gate = Gate(config.api_key(), config.rate)
    _check_certificate(config)
    door = _listen(config.host, config.port)
    desk = Desk(policy, config.stale_ms)
    try:
        host, port = door.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        policy.warm_up()
        yield PolicyServer(App(desk, gate, config), config, door), address
    finally:
        desk.close()
        door.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"can't listen at {host} port {port}: {reason}; choose another --host or --port") from None


def _check_certificate(config: ServerConfig) -> None:
    if config.cert is None or config.key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(config.cert, config.key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise UserError(f"--cert {config.cert} and --key {config.key} can't be used: {reason}") from None
