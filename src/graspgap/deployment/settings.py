"""Where and to whom a policy is served: options that need no web library to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graspgap.errors import UserError
from graspgap.settings import Bounds, in_range

LOCAL = ("127.0.0.1", "::1", "localhost")
SHORTEST_KEY = 16
"""Characters."""


@dataclass(frozen=True)
class ServerConfig:
    """Where a policy is served, to whom, and how much."""

    host: str = "127.0.0.1"
    """Address to listen at. Any that other machines reach demands `--api-key-file`."""
    port: int = 8000
    """0: any free one, which is printed."""
    api_key_file: Path | None = None
    """File whose first line clients must send as `Authorization: Api-Key KEY`."""
    cert: Path | None = None
    """Certificate (PEM), for TLS."""
    key: Path | None = None
    """Its private key (PEM)."""
    stale_ms: float = 1000.0
    """A request that has waited longer for its turn is refused: what it shows has passed."""
    rate: float = 200.0
    """Requests per second of one address."""
    max_bytes: int = 8_000_000
    """Longest request."""
    max_clients: int = 32
    """Websocket connections and HTTP requests at a time."""
    timeout: float = 10.0
    """Seconds to send a request over HTTP, to accept an answer, and that an HTTP connection may be idle."""
    ping_interval: float = 20.0
    """Seconds between pings of a websocket connection; 0: none."""
    ping_timeout: float = 20.0
    """Seconds without an answer to a ping after which a connection is closed."""
    grace: float = 10.0
    """Seconds that running requests may take to finish when the server is stopped."""

    def __post_init__(self) -> None:
        in_range("--port", self.port, Bounds(0, 65535))
        in_range("--ping-interval", self.ping_interval, Bounds(0))
        positive = {
            "stale-ms": self.stale_ms,
            "rate": self.rate,
            "max-bytes": self.max_bytes,
            "max-clients": self.max_clients,
            "timeout": self.timeout,
            "ping-timeout": self.ping_timeout,
            "grace": self.grace,
        }
        for name, value in positive.items():
            if not value > 0:
                raise UserError(f"--{name} {value:g} is too small: give more than 0")
        for name, value in (("timeout", self.timeout), ("grace", self.grace)):
            in_range(f"--{name}", value, Bounds(0, above=True))
        if (self.cert is None) != (self.key is None):
            raise UserError("TLS needs both --cert FILE and --key FILE")
        if self.host not in LOCAL and self.api_key_file is None:
            raise UserError(
                f"--host {self.host} lets other machines in: give --api-key-file FILE too (openssl rand -hex 32 > FILE)"
            )

    def api_key(self) -> str | None:
        """The key, if clients need one.

        Raises:
            UserError: if the file is missing, or the key is short or not ASCII.
        """
        if self.api_key_file is None:
            return None
        try:
            key = self.api_key_file.read_text(encoding="ascii").strip().splitlines()[:1]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no ASCII text"
            raise UserError(f"--api-key-file {self.api_key_file} can't be read: {reason}") from None
        if not key or len(key[0]) < SHORTEST_KEY:
            raise UserError(
                f"--api-key-file {self.api_key_file} holds no key of {SHORTEST_KEY} characters or more: "
                "make one with openssl rand -hex 32"
            )
        return key[0]
