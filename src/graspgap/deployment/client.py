"""A client of a policy server. It needs numpy, msgpack and websockets alone: where graspgap is not installed, copy it
with `wire.py`, and change the one import.

    with PolicyClient("ws://127.0.0.1:8000") as client:
        answer = client.infer({"image_before": before, "image_now": now, "pose": pose})

It speaks openpi's protocol, so it works with any openpi server too.
"""

from __future__ import annotations

import ssl
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from graspgap.deployment.wire import pack, unpack


class ServerError(RuntimeError):
    """The server refused a request, or failed; the text is its own."""


class PolicyClient:
    """One connection, one request at a time. It connects at the first request, and again after it was lost."""

    def __init__(
        self,
        uri: str,
        api_key: str | None = None,
        timeout: float = 10.0,
        wait: float = 0.0,
        certificate: Path | str | None = None,
        ping_interval: float | None = 20.0,
        max_bytes: int | None = None,
    ) -> None:
        """`uri`: ws:// or wss://HOST:PORT. `timeout` [s] of a request and of connecting. `wait` [s]: how long to try
        again while nobody answers, for a server that is starting. `certificate`: file of the authority, or of the
        server itself, that a wss:// server must prove to be. `max_bytes`: longest answer, None for any."""
        self.uri, self.api_key, self.timeout, self.wait = uri, api_key, timeout, wait
        self.certificate, self.ping_interval, self.max_bytes = certificate, ping_interval, max_bytes
        self._connection: ClientConnection | None = None
        self._open = ExitStack()
        self._metadata: dict[str, Any] = {}

    @property
    def metadata(self) -> dict[str, Any]:
        """What the server tells about its policy when a client connects."""
        self._connected()
        return self._metadata

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The server's answer to one observation: "actions" [horizon, size], and what else it tells.

        Raises:
            ServerError: if the server refuses or fails.
            TimeoutError: if it takes too long. The connection is given up, so that the late answer can't be taken for
                that of the next request.
            ConnectionError: if there is no server, or it has gone.
        """
        data = pack(observation)  # first: what can't be sent costs no connection
        connection = self._connected()
        try:
            connection.send(data)
            answer = connection.recv(self.timeout)
        except TimeoutError:
            self.close()
            raise TimeoutError(f"{self.uri} did not answer within {self.timeout:g} s") from None
        except ConnectionClosed as error:
            self.close()
            raise ConnectionError(f"{self.uri} has closed the connection ({error})") from None
        except BaseException:  # as Ctrl-C: the answer that is still to come mustn't be taken for the next request's
            self.close()
            raise
        if isinstance(answer, str):
            raise ServerError(answer)
        return dict(unpack(answer))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection = None
        self._open.close()

    def _connected(self) -> ClientConnection:
        if self._connection is None:
            connection = self._connect()
            try:
                first = connection.recv(self.timeout)
            except (TimeoutError, ConnectionClosed) as error:
                self.close()
                raise ConnectionError(f"{self.uri} is no policy server: it sends no metadata ({error})") from None
            if isinstance(first, str):
                self.close()
                raise ServerError(first)
            self._metadata, self._connection = dict(unpack(first)), connection
        return self._connection

    def _connect(self) -> ClientConnection:
        context = ssl.create_default_context(cafile=self.certificate) if self.uri.startswith("wss:") else None
        options: dict[str, Any] = {
            "ssl": context,
            "additional_headers": {"Authorization": f"Api-Key {self.api_key}"} if self.api_key else None,
            "compression": None,
            "max_size": self.max_bytes,
            "open_timeout": self.timeout,
            "close_timeout": 1.0,
            "ping_interval": self.ping_interval,
            "proxy": None,
        }
        end = time.monotonic() + self.wait
        while True:
            try:
                return self._open.enter_context(connect(self.uri, **options))
            except InvalidHandshake as error:
                raise ConnectionError(f"{self.uri} refuses the connection ({error})") from None
            except OSError as error:
                if time.monotonic() >= end or isinstance(error, ssl.SSLError):
                    raise ConnectionError(f"nobody answers at {self.uri} ({error})") from None
                time.sleep(0.2)

    def __enter__(self) -> PolicyClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
