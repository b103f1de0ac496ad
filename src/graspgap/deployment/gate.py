"""Who may come in: the API key, no web pages, and not too often."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Mapping

from graspgap.deployment.desk import Refusal

REMEMBERED = 4096
"""Addresses whose rate is kept; the one that was seen longest ago is forgotten first."""


class Rate:
    """At most `rate` requests per second of each address, in bursts of up to one second's worth (token bucket)."""

    def __init__(self, rate: float) -> None:
        self.rate, self.burst = rate, max(rate, 1.0)
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, address: str, now: float) -> bool:
        """Count a request at time `now` [s]; False if it is one too many."""
        tokens, then = self.buckets.pop(address, (self.burst, now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        allowed = tokens >= 1
        self.buckets[address] = (tokens - allowed, now)
        if len(self.buckets) > REMEMBERED:
            self.buckets.popitem(last=False)
        return allowed


class Gate:
    """What is checked before a request is read."""

    def __init__(self, api_key: str | None, rate: float) -> None:
        self.expected = f"Api-Key {api_key}".encode() if api_key else None
        self.rate = Rate(rate)

    def too_often(self, address: str) -> Refusal | None:
        """A refusal, if this request of an address is one too many."""
        if self.rate.spend(address, time.monotonic()):
            return None
        return Refusal(429, f"too many requests: at most {self.rate.rate:g} per second")

    def admit(self, headers: Mapping[str, str], address: str) -> None:
        """Let a request or a new connection in.

        Raises:
            Refusal: without the key; if it comes too often, guesses of the key included; or from a web page: any page
                that a person has open could otherwise reach a server on their own machine, and browsers always send
                `Origin` with what pages may do here.
        """
        refusal = self.too_often(address)
        if refusal:
            raise refusal
        if "origin" in headers:
            raise Refusal(403, "web pages may not use this server")
        given = headers.get("authorization", "").encode("latin-1", "replace")
        if self.expected is not None and not hmac.compare_digest(given, self.expected):
            raise Refusal(401, "the key is missing or wrong: send the header Authorization: Api-Key KEY")
