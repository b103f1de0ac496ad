"""A policy server under five honest clients, two slow ones and a hostile one: wrong answers, latency, memory.

`graspgap serve` runs as a user would run it, on a core of its own; the clients share the others. Each answer is
compared with the same policy's in this process, bit for bit. Linux only.

    pip install -e '.[serve]' -c constraints.txt
    python benchmarks/serve.py --policy runs/demo/policy

Nothing else should run meanwhile. `--requests 100` shows that it works.
"""

from __future__ import annotations

from common import CORES, begin, save, table

# isort: split
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from graspgap.contract import Observation
from graspgap.deployment.client import PolicyClient, ServerError
from graspgap.deployment.requests import Request
from graspgap.deployment.served import ServedConfig, load_served
from graspgap.deployment.wire import pack, unpack
from graspgap.seeding import generator
from memory import resident, trend
from untrained import write_untrained

HONEST, SLOW = 5, 2
PIECES = 10
"""In which a slow client sends its request."""


@dataclass(frozen=True)
class Config:
    policy: Path | None = None
    """A policy run or an export. Default: an untrained network of the default size."""
    requests: int = 5000
    """Of the honest and the slow clients together. Within 1,000 memory hasn't settled yet."""
    frames: int = 50
    """Different observations."""
    pause: float = 0.05
    """Seconds that an honest client moves its robot between an answer and the next request."""


@dataclass
class Tally:
    """What one kind of client has seen."""

    ms: list[float] = field(default_factory=list)
    wrong: int = 0
    refused: int = 0
    lost: int = 0


class Load:
    """The clients, and what they share."""

    def __init__(self, uri: str, config: Config, frames: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
        self.uri, self.config, self.frames, self.expected = uri, config, frames, expected
        self.lock, self.left = threading.Lock(), config.requests
        self.tallies = {"honest": Tally(), "slow": Tally()}
        self.attacks = 0

    def take(self) -> int | None:
        """The number of the next request."""
        with self.lock:
            self.left -= 1
            return self.left if self.left >= 0 else None

    def check(self, kind: str, number: int, answer: dict[str, Any], start: float) -> None:
        expected = self.expected[number % len(self.frames)]
        right = all(np.array_equal(answer[key], value) for key, value in expected.items())
        with self.lock:
            self.tallies[kind].ms.append(1e3 * (time.perf_counter() - start))
            self.tallies[kind].wrong += not right

    def honest(self) -> None:
        with PolicyClient(self.uri, timeout=30) as client:
            while (number := self.take()) is not None:
                start = time.perf_counter()
                try:
                    self.check("honest", number, client.infer(self.frames[number % len(self.frames)]), start)
                except ServerError:
                    self.tallies["honest"].refused += 1
                except (OSError, TimeoutError):
                    self.tallies["honest"].lost += 1
                time.sleep(self.config.pause)

    def slow(self) -> None:
        """Sends in pieces, and reads late."""

        def pieces(data: bytes) -> Iterator[bytes]:
            size = len(data) // PIECES + 1
            for start in range(0, len(data), size):
                yield data[start : start + size]
                time.sleep(0.02)

        with connect(self.uri, compression=None, proxy=None) as connection:
            connection.recv(30)
            while (number := self.take()) is not None:
                start = time.perf_counter()
                connection.send(pieces(pack(self.frames[number % len(self.frames)])))
                time.sleep(0.2)
                reply = connection.recv(30)
                if isinstance(reply, str):
                    self.tallies["slow"].refused += 1
                else:
                    self.check("slow", number, unpack(reply), start)

    def hostile(self) -> None:
        """Rubbish, lies, too much, half a handshake, and breaking off, until the others are done."""
        place = self.uri.removeprefix("ws://").split(":")
        good = pack(self.frames[0])
        messages = [b"\xc1", bytes(9_000_000), good[:-1], "text", pack({"image_before": 1}), b"\x91" * 10_000]
        posts = [b"GET / HTTP/9\r\n\r\n", b"POST /act HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", bytes(100)]
        while self.left >= 0:
            kind = self.attacks % (len(messages) + len(posts) + 1)
            self.attacks += 1
            with suppress(OSError, ConnectionClosed, TimeoutError):
                if kind < len(messages):
                    with connect(self.uri, compression=None, proxy=None, close_timeout=1) as connection:
                        connection.recv(5)
                        connection.send(messages[kind])
                        connection.recv(5)
                elif kind < len(messages) + len(posts):
                    with socket.create_connection(place, timeout=5) as plain:
                        plain.sendall(posts[kind - len(messages)])
                        plain.recv(1000)
                else:  # five at once, then gone
                    with connect(self.uri, compression=None, proxy=None, close_timeout=0.1) as connection:
                        for _ in range(5):
                            connection.send(good)
                        connection.socket.shutdown(socket.SHUT_RDWR)
            time.sleep(0.02)


def measure(config: Config, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row for each kind of client, and the server's memory."""
    policy = config.policy or write_untrained(folder / "run")
    reference = load_served(policy, ServedConfig())
    frames, size = [], reference.image_size
    for number in range(config.frames):
        draw = generator(number, "serve")
        before, now = draw.integers(0, 256, (2, size, size, 3), dtype=np.uint8)
        pose = draw.uniform((0.47, -0.08, 0.02, -1.5), (0.63, 0.08, 0.2, 1.5)).astype(np.float32)
        frames.append({"image_before": before, "image_now": now, "pose": pose})
    expected = [reference.answer(Request(Observation(*frame.values()), None)) for frame in frames]
    command = [sys.executable, "-m", "graspgap.cli.main", "serve", "--policy", str(policy), "--port", "0"]
    os.sched_setaffinity(0, {max(CORES)})  # which the server inherits
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        os.sched_setaffinity(0, CORES - {max(CORES)} or CORES)
        try:
            assert server.stdout is not None
            load = Load(server.stdout.readline().split()[2], config, frames, expected)
            kinds = [load.honest] * HONEST + [load.slow] * SLOW + [load.hostile]
            threads = [threading.Thread(target=kind, daemon=True) for kind in kinds]
            for thread in threads:
                thread.start()
            samples = []
            while any(thread.is_alive() for thread in threads):
                samples.append((config.requests - max(load.left, 0), resident(server.pid)))
                time.sleep(0.1)
            crashed = server.poll() is not None
            server.terminate()
            code = server.wait(30)
        finally:
            server.kill()
    done = np.array(samples, float)
    rows = []
    for kind, tally in load.tallies.items():
        p50, p99 = (round(float(np.percentile(tally.ms, p)), 1) for p in (50, 99))
        counts = {"wrong": tally.wrong, "refused": tally.refused, "lost": tally.lost}
        rows.append({"client": kind, "answers": len(tally.ms), **counts, "ms_p50": p50, "ms_p99": p99})
    memory = trend(done[:, 0], done[:, 1])
    return rows, {"attacks": load.attacks, "crashed": crashed or code != 0, "memory": memory}


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # the hostile client's own complaints
    load = begin()
    with tempfile.TemporaryDirectory() as folder:
        rows, facts = measure(config, Path(folder))
    print(table(rows))
    print(facts)
    settings = {"requests": config.requests, "frames": config.frames, "pause": config.pause}
    settings |= {"honest": HONEST, "slow": SLOW, "hostile": 1, "policy": "run" if config.policy else "untrained"}
    print(save("serve", settings, rows, load, facts, cores=len(CORES)))


if __name__ == "__main__":
    main()
