"""The policy server: equal answers over every way, and strangers who are slow, wrong, rude or too many."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

pytest.importorskip("uvicorn", reason="extra serve")
pytest.importorskip("starlette", reason="extra serve")

from graspgap.datasets.pictures import encode_png
from graspgap.deployment.client import PolicyClient, ServerError
from graspgap.deployment.wire import pack, unpack
from serving import SIZE, Blocked, Told, asked, observation, served, tiny_policy

KEY = "correct horse battery"


def post(address: str, body: bytes, scheme: str = "http", **headers: str) -> tuple[int, Any]:
    """Status and JSON of POST /act."""
    request = urllib.request.Request(f"{scheme}://{address}/act", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def get(address: str, path: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as answer:
        return answer.status, answer.read()


def as_json(fields: dict[str, Any]) -> bytes:
    return json.dumps({key: np.asarray(value).tolist() for key, value in fields.items()}).encode()


@contextmanager
def raw(address: str) -> Iterator[ClientConnection]:
    """A connection that has read the metadata."""
    with connect(f"ws://{address}", compression=None, proxy=None, close_timeout=1) as connection:
        assert isinstance(connection.recv(20), bytes)
        yield connection


def same(answer: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether they are equal but for the time they took."""
    left, right = ({key: np.asarray(v).tolist() for key, v in one.items()} for one in (answer, expected))
    left.pop("server_timing")
    return left == right


@pytest.fixture(scope="module")
def address() -> Any:
    with served(tiny_policy(steps_per_attempt=4)) as (address, _):
        yield address


def test_answers_are_equal_over_websocket_over_http_and_in_process(address: str) -> None:
    policy = tiny_policy()
    with PolicyClient(f"ws://{address}") as client:
        assert client.metadata == policy.metadata
        for number in (*range(6), 0):  # the first again: what came between changes nothing
            fields = observation(number, step=(None, 0, 1, 2, 3, None)[number])
            fields = {key: value for key, value in fields.items() if value is not None}
            expected = policy.answer(asked(fields))
            answer = client.infer(fields)
            assert same(answer, expected)
            assert (answer["actions"].dtype, answer["actions"].shape) == (np.float32, (1, 5))
            assert answer["server_timing"]["infer_ms"] > 0
            assert post(address, as_json(fields))[0] == 200
            assert same(post(address, as_json(fields))[1], expected)
            keys = ("image_before", "image_now")
            pictures = {key: base64.b64encode(encode_png(fields[key])).decode() for key in keys}
            rest = {key: np.asarray(value).tolist() for key, value in fields.items() if key not in pictures}
            assert same(post(address, json.dumps(pictures | rest).encode())[1], expected)
    assert policy.answer(asked(observation(0, step=3)))["close"]


def test_another_seed_draws_other_candidates() -> None:
    first, second = (tiny_policy(seed=seed).answer(asked(observation())) for seed in (0, 1))
    assert not np.array_equal(first["actions"], second["actions"])


def test_bytes_of_the_documented_form_are_understood(address: str) -> None:
    """Written by hand, as openpi's client writes them."""
    fields = observation(3)
    message = b"\x83"
    for key in ("image_before", "image_now"):
        name = bytes([0xA0 + len(key)]) + key.encode()
        data = b"\xc4\x04data\xc5" + (SIZE * SIZE * 3).to_bytes(2, "big") + fields[key].tobytes()
        shape = b"\xc4\x05shape\x93" + bytes([SIZE, SIZE, 3])
        message += name + b"\x84\xc4\x0b__ndarray__\xc3" + data + b"\xc4\x05dtype\xa3|u1" + shape
    message += b"\xa4pose\x84\xc4\x0b__ndarray__\xc3\xc4\x04data\xc4\x10" + fields["pose"].tobytes()
    message += b"\xc4\x05dtype\xa3<f4" + b"\xc4\x05shape\x91\x04"
    with raw(address) as connection:
        connection.send(message)
        reply = connection.recv(20)
    assert isinstance(reply, bytes)
    expected = tiny_policy().answer(asked(fields))
    actions = b"\xa7actions\x84\xc4\x0b__ndarray__\xc3\xc4\x04data\xc4\x14" + expected["actions"].tobytes()
    assert actions + b"\xc4\x05dtype\xa3<f4\xc4\x05shape\x92\x01\x05" in reply
    assert same(unpack(reply), expected)


def test_pages_that_need_no_key() -> None:
    with served(tiny_policy(), api_key_file=None) as (address, _):
        assert get(address, "/healthz") == (200, b"OK\n")
        assert b"PolicyClient" in get(address, "/docs")[1]
        document = json.loads(get(address, "/openapi.json")[1])
    assert document["openapi"].startswith("3.1")
    body = document["paths"]["/act"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {*observation(), "step"}
    answer = document["paths"]["/act"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer["properties"]) == {*tiny_policy().answer(asked(observation())), "server_timing"}


WRONG = {
    "no map": [1],
    "no pose": {key: value for key, value in observation().items() if key != "pose"},
    "an unknown key": observation() | {"prompt": "grab"},
    "a large picture": observation() | {"image_now": np.zeros((SIZE, SIZE + 1, 3), np.uint8)},
    "a picture of floats": observation() | {"image_now": np.zeros((SIZE, SIZE, 3), np.float32)},
    "a short pose": observation() | {"pose": np.zeros(3, np.float32)},
    "an endless pose": observation() | {"pose": np.array([0.5, 0, 0.1, np.inf])},
    "too late a step": observation() | {"step": 4},
    "half a step": observation() | {"step": 0.5},
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_observation_gets_one_line_and_the_server_goes_on(name: str, address: str) -> None:
    with raw(address) as connection:
        connection.send(pack(WRONG[name]))
        line = connection.recv(20)
        assert isinstance(line, str)
        assert "\n" not in line
        with pytest.raises(ConnectionClosed) as end:
            connection.recv(20)
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 1011
    fields = WRONG[name]
    body = as_json(fields) if isinstance(fields, dict) else b"[1]"
    status, reply = post(address, body.replace(b"Infinity", b"1e999"))
    assert (status, list(reply)) == (400, ["error"])
    assert reply["error"] == line or name.startswith("a picture of") or name.startswith("a large")


@pytest.mark.parametrize("message", [b"\xc1", b"", "text", pack(observation())[:-1]])
def test_a_message_that_is_none_ends_the_connection(message: bytes | str, address: str) -> None:
    with raw(address) as connection:
        connection.send(message)
        assert isinstance(connection.recv(20), str)
        with pytest.raises(ConnectionClosed, match="1011"):
            connection.recv(20)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"image_before": "%%%", "image_now": 1, "pose": 1}'])
def test_a_body_that_is_none_is_refused(body: bytes, address: str) -> None:
    assert post(address, body)[0] == 400


def test_a_picture_that_would_unpack_to_gigabytes_is_not_unpacked(address: str) -> None:
    bomb = encode_png(np.zeros((SIZE, 20 * SIZE, 3), np.uint8), small=True)
    fields = json.loads(as_json(observation())) | {"image_now": base64.b64encode(bomb).decode()}
    status, reply = post(address, json.dumps(fields).encode())
    assert (status, reply["error"]) == (400, f"image_now is no PNG file of {SIZE} x {SIZE} pixels")


def test_the_key_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    with served(tiny_policy(), api_key_file=tmp_path / "key") as (address, _):
        for wrong in (None, "correct horse batterz", KEY + " "):
            if wrong is None or wrong.strip() != KEY:
                with pytest.raises(ConnectionError, match="401"):
                    PolicyClient(f"ws://{address}", wrong).infer(observation())
            headers = {} if wrong is None else {"Authorization": f"Bearer {wrong}"}
            assert post(address, as_json(observation()), **headers)[0] == 401
        with PolicyClient(f"ws://{address}", KEY) as client:
            assert client.infer(observation())["actions"].shape == (1, 5)
        assert post(address, as_json(observation()), Authorization=f"Api-Key {KEY}")[0] == 200
        assert get(address, "/healthz")[0] == 200
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            get(address, "/metadata")
        refused.value.close()


def test_web_pages_are_refused(address: str) -> None:
    assert post(address, as_json(observation()), Origin="http://evil.example")[0] == 403
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://{address}", origin="http://evil.example", proxy=None)  # type: ignore[arg-type]


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


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = "subjectAltName=IP:127.0.0.1"
    subprocess.run([*words.split(), "-addext", names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    with served(tiny_policy(), cert=cert, key=key) as (address, _):
        with PolicyClient(f"wss://{address}", certificate=cert) as client:
            assert same(client.infer(observation()), tiny_policy().answer(asked(observation())))
        with pytest.raises(ConnectionError, match="certificate"):
            PolicyClient(f"wss://{address}").infer(observation())
        with pytest.raises(ConnectionError):
            PolicyClient(f"ws://{address}", timeout=2).infer(observation())
        request = urllib.request.Request(f"https://{address}/act", as_json(observation()))
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=cert), timeout=20) as answer:
            assert answer.status == 200


def test_a_client_gives_up_a_late_answer() -> None:
    """It must not be taken for the answer to the next request."""
    policy = Blocked()
    with served(policy) as (address, _), PolicyClient(f"ws://{address}", timeout=0.5) as client:
        with pytest.raises(TimeoutError, match=r"within 0\.5 s"):
            client.infer(observation(0))
        policy.go.set()
        client.timeout = 20
        assert same(client.infer(observation(1)), tiny_policy().answer(asked(observation(1))))


def test_a_client_tells_a_refusal_from_a_lost_connection(address: str) -> None:
    with PolicyClient(f"ws://{address}") as client:
        with pytest.raises(ServerError, match="no pose"):
            client.infer(WRONG["no pose"])
        with pytest.raises(ConnectionError, match="closed"):
            client.infer(observation())
        assert client.infer(observation())["actions"].shape == (1, 5)  # it has connected again
