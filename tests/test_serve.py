"""The policy server: equal answers over every way, wrong requests, keys and certificates, and its client."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

pytest.importorskip("msgpack", reason="extra serve")
pytest.importorskip("starlette", reason="extra serve")
pytest.importorskip("uvicorn", reason="extra serve")
pytest.importorskip("websockets", reason="extra serve")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from graspgap.datasets.pictures import encode_png
from graspgap.deployment.calibration import Calibration
from graspgap.deployment.client import PolicyClient, ServerError
from graspgap.deployment.wire import pack, unpack
from serving import SIZE, Blocked, as_json, asked, get, observation, post, raw, same, served, tiny_policy

KEY = "correct horse battery"


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


def test_a_served_policy_abstains_below_its_threshold() -> None:
    plain = tiny_policy()
    answer = plain.answer(asked(observation()))
    assert not answer["abstain"]
    raw = answer["predicted_best"]
    for threshold, abstains in ((0.29, False), (0.31, True)):
        shift = special.logit(0.3) - special.logit(raw)
        plain.calibration = Calibration("sim", 9, 1.0, float(shift), ((threshold, 0.05, 0.5),))
        policy = type(plain)(plain.predictor, plain.config, plain.identity, plain.calibration)
        answer = policy.answer(asked(observation()))
        assert answer["predicted_best"] == pytest.approx(0.3)
        assert answer["abstain"] == abstains


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
    "a pose in millimetres": observation() | {"pose": np.array([550.0, 0, 100, 0])},
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


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = "subjectAltName=IP:127.0.0.1"
    subprocess.run([*words.split(), "-addext", names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    with served(tiny_policy(), cert=cert, key=key) as (address, _):
        with PolicyClient(f"wss://{address}", certificate=cert, timeout=60) as client:
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


def test_a_client_that_was_interrupted_takes_no_answer_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Blocked()
    with served(policy) as (address, _), PolicyClient(f"ws://{address}", timeout=20) as client:
        connection = client._connected()

        def interrupted(timeout: float) -> bytes:
            raise KeyboardInterrupt

        monkeypatch.setattr(connection, "recv", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.infer(observation(0))
        policy.go.set()
        assert same(client.infer(observation(1)), tiny_policy().answer(asked(observation(1))))


def test_a_client_tells_a_refusal_from_a_lost_connection(address: str) -> None:
    with PolicyClient(f"ws://{address}") as client:
        with pytest.raises(ServerError, match="no pose"):
            client.infer(WRONG["no pose"])
        with pytest.raises(ConnectionError, match="closed"):
            client.infer(observation())
        assert client.infer(observation())["actions"].shape == (1, 5)  # it has connected again
