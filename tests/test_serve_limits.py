"""The policy server under clients who are slow, deaf, greedy, late or gone, and its own failures."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import ExitStack

import pytest

pytest.importorskip("msgpack", reason="extra serve")
pytest.importorskip("starlette", reason="extra serve")
pytest.importorskip("uvicorn", reason="extra serve")
pytest.importorskip("websockets", reason="extra serve")

from websockets.exceptions import ConnectionClosed, InvalidStatus

from graspgap.deployment.client import PolicyClient
from graspgap.deployment.wire import pack, unpack
from serving import Blocked, Told, as_json, asked, get, observation, post, raw, same, served, tiny_policy


def test_what_is_too_large_is_refused() -> None:
    with served(tiny_policy(), max_bytes=10_000) as (address, _):
        with raw(address) as connection:
            connection.send(bytes(10_001))
            with pytest.raises(ConnectionClosed, match="1009"):
                connection.recv(20)
        assert post(address, bytes(10_001))[0] == 413
        with socket.create_connection(address.split(":"), timeout=20) as lying:  # more than it announces
            start = b"POST /act HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2711\r\n"
            lying.sendall(start + bytes(10_001))
            assert b" 413 " in lying.recv(1000)
        assert get(address, "/healthz")[0] == 200


def test_too_many_requests_are_refused_and_the_connection_stays() -> None:
    with served(tiny_policy(), rate=3.0) as (address, _), raw(address) as connection:  # one of the three
        replies = []
        for number in range(4):
            connection.send(pack(observation(number)))
            replies.append(connection.recv(20))
        assert [type(reply) for reply in replies[:2]] == [bytes, bytes]
        assert any("too many requests: at most 3 per second" in reply for reply in replies if isinstance(reply, str))
        assert post(address, as_json(observation()))[0] == 429
        time.sleep(1.1)
        connection.send(pack(observation()))
        assert isinstance(connection.recv(20), bytes)


def test_too_many_clients_are_refused() -> None:
    with served(tiny_policy(), max_clients=1) as (address, _):
        with raw(address):
            with pytest.raises(InvalidStatus, match="503"), raw(address):
                pass
            assert post(address, as_json(observation()))[0] == 503
            assert get(address, "/healthz")[0] == 200
        for _ in range(100):  # until the server has seen that the first one is gone
            if post(address, as_json(observation()))[0] == 200:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the place stays taken")


def test_silent_and_slow_clients_are_cut_off_while_others_are_served() -> None:
    with served(tiny_policy(), timeout=1.0) as (address, _), ExitStack() as clients:
        place = tuple(address.split(":"))
        starts = (b"", b"POST /act HT", b"POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        slow = [clients.enter_context(socket.create_connection(place, timeout=20)) for _ in starts]
        for connection, start in zip(slow, starts, strict=True):
            connection.sendall(start)
        deaf = clients.enter_context(raw(address))
        for number in range(20):
            deaf.send(pack(observation(number)))
        with PolicyClient(f"ws://{address}") as client:
            assert client.infer(observation())["actions"].shape == (1, 5)
        ends = []
        for connection in slow:
            try:
                ends.append(connection.recv(1000))
            except ConnectionResetError:
                ends.append(b"")
        assert ends[:2] == [b"", b""]
        assert b" 408 " in ends[2]


def test_a_websocket_that_answers_no_ping_is_closed() -> None:
    words = "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="
    start = "\r\n".join(("GET / HTTP/1.1", "Host: x", *words, "Sec-WebSocket-Version: 13", "\r\n")).encode()
    with served(tiny_policy(), ping_interval=0.2, ping_timeout=0.3) as (address, _):
        with socket.create_connection(address.split(":"), timeout=20) as half:
            half.sendall(start)
            received = b""
            while data := half.recv(4096):
                received += data
        assert received.startswith(b"HTTP/1.1 101")
        assert b"\x03\xf3keepalive ping timeout" in received  # 1011
        with raw(address) as connection:  # one that does
            time.sleep(0.8)
            connection.send(pack(observation()))
            assert isinstance(connection.recv(20), bytes)


def test_a_connection_that_breaks_off_leaves_nothing_behind() -> None:
    policy = Blocked()
    with served(policy) as (address, server):
        with raw(address) as connection:
            connection.send(pack(observation(step=0)))
            assert policy.begun.acquire(timeout=20)
            connection.send(pack(observation(step=1)))
            connection.socket.shutdown(socket.SHUT_RDWR)  # no goodbye
        for _ in range(400):
            if not server.desk.busy:
                break
            time.sleep(0.05)
        policy.go.set()
        with PolicyClient(f"ws://{address}") as client:
            client.infer(observation(step=2))
        assert policy.seen == [0, 2]
        assert server.desk.busy == 0


def test_a_request_that_a_newer_one_supersedes_is_not_computed() -> None:
    policy = Blocked()
    with served(policy) as (address, _), raw(address) as connection:
        connection.send(pack(observation(step=0)))
        assert policy.begun.acquire(timeout=20)
        for step in (1, 2, 3):
            connection.send(pack(observation(step=step)))
        assert connection.ping().wait(20)  # they have arrived,
        time.sleep(0.2)  # and have been read
        policy.go.set()
        replies = [connection.recv(20) for _ in range(4)]
        assert [isinstance(reply, bytes) for reply in replies] == [True, False, False, True]
        assert "superseded" in str(replies[1])
        assert same(unpack(replies[3]), tiny_policy().answer(asked(observation(step=3))))
        assert policy.seen == [0, 3]


def test_a_request_that_waited_too_long_is_not_computed() -> None:
    policy = Blocked()
    with served(policy, stale_ms=200.0) as (address, _), raw(address) as first, raw(address) as second:
        first.send(pack(observation(step=0)))
        assert policy.begun.acquire(timeout=20)
        second.send(pack(observation(step=1)))
        time.sleep(0.5)
        policy.go.set()
        assert isinstance(first.recv(20), bytes)
        assert "stale" in str(second.recv(20))
        second.send(pack(observation(step=2)))
        assert isinstance(second.recv(20), bytes)
        assert policy.seen == [0, 2]


def test_a_failure_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("secret of the cell")

    with served(Told(fail)) as (address, _), caplog.at_level(logging.ERROR, "graspgap.serve"):
        with raw(address) as connection:
            connection.send(pack(observation()))
            line = str(connection.recv(20))
            with pytest.raises(ConnectionClosed, match="1011"):
                connection.recv(20)
        status, reply = post(address, as_json(observation()))
    assert status == 500
    for text in (line, reply["error"]):
        assert text.startswith("internal error ")
        assert "secret" not in text
        assert text.split()[2].rstrip(":") in caplog.text
    assert "secret of the cell" in caplog.text


def test_a_stop_lets_running_requests_finish_and_refuses_new_ones() -> None:
    policy = Blocked()
    with served(policy) as (address, server), raw(address) as first, raw(address) as second:
        first.send(pack(observation(step=0)))
        assert policy.begun.acquire(timeout=20)
        server.handle_exit(15, None)
        second.send(pack(observation(step=1)))
        assert "stopping" in str(second.recv(20))
        assert post(address, as_json(observation(step=2)))[0] == 503
        time.sleep(0.4)  # a server that doesn't wait would be gone
        policy.go.set()
        assert isinstance(first.recv(20), bytes)
        with pytest.raises(ConnectionClosed, match="1012"):
            first.recv(20)
    assert policy.seen == [0]
    with pytest.raises(ConnectionError, match="nobody answers"):
        PolicyClient(f"ws://{address}").infer(observation())
