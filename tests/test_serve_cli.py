"""`graspgap serve` as a process, what it refuses, and a client that brings nothing with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("msgpack", reason="extra serve")
pytest.importorskip("websockets", reason="extra serve")
pytest.importorskip("uvicorn", reason="extra serve")
pytest.importorskip("starlette", reason="extra serve")

from graspgap.deployment.client import PolicyClient
from graspgap.deployment.served import ServedConfig, load_served
from serving import asked, observation, write_policy
from test_cli import refused
from trainers import NETWORK


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy") / "run", NETWORK)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(run: Path, number: int) -> None:
    command = [sys.executable, "-m", "graspgap.cli.main", "serve", "--policy", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[2]
            assert address.startswith("ws://127.0.0.1:")
            with PolicyClient(address) as client:
                answer = client.infer(observation())
                process.send_signal(number)
                rest, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")
    expected = load_served(run, ServedConfig()).answer(asked(observation()))
    np.testing.assert_array_equal(answer["actions"], expected["actions"])


def test_a_client_needs_nothing_of_the_rest() -> None:
    code = "import sys, graspgap.deployment.client; print(*sorted(n for n in sys.modules if n[:8] == 'graspgap'))"
    loud = f"{code}; print([n for n in ('torch', 'jaxtyping', 'upath', 'cv2') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loud], capture_output=True, text=True, check=True)
    modules = "graspgap graspgap.deployment graspgap.deployment.client graspgap.deployment.wire"
    assert done.stdout.splitlines() == [modules, "[]"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--host", "0.0.0.0"), "give --api-key-file FILE"),
        (("--host", "0.0.0.0", "--api-key-file", "TMP/nowhere"), "No such file"),
        (("--api-key-file", "TMP/short"), "16 characters"),
        (("--api-key-file", "TMP/binary"), "no ASCII"),
        (("--cert", "TMP/short"), "both --cert FILE and --key FILE"),
        (("--cert", "TMP/short", "--key", "TMP/short"), "can't be used"),
        (("--host", "no.such.host.invalid", "--api-key-file", "TMP/key"), "can't listen at no.such.host.invalid"),
        (("--stale-ms", "0"), "--stale-ms 0"),
        (("--rate", "nan"), "--rate nan"),
        (("--ping-interval", "nan"), "--ping-interval nan"),
        (("--grace", "inf"), "--grace inf"),
        (("--timeout", "inf"), "--timeout inf"),
        (("--workspace.low", "nan", "-0.1", "0.01"), "are no box"),
        (("--workspace.low", "0.4", "-0.1", "0.1"), "--workspace.grasp-z"),
        (("--port", "-1"), "--port -1"),
        (("--port", "65536"), "--port 65536"),
        (("--seed", "-1"), "--seed -1"),
        (("--threads", "0"), "--threads 0"),
        (("--steps-per-attempt", "11"), "2 to 10"),
        (("--abstain-rate", "1"), "--abstain-rate 1"),
        (("--device", "tpu"), "--device auto"),
    ],
)
def test_wrong_words_get_one_line(
    words: tuple[str, ...], hint: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text("0123456789abcdef")
    (tmp_path / "short").write_text("0123456789abcde\n")
    (tmp_path / "binary").write_bytes(bytes(range(128, 160)))
    used = [word.replace("TMP", str(tmp_path)) for word in words]
    assert hint in refused(capsys, "serve", "--policy", run, *used)


def test_a_missing_package_is_named(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "graspgap.deployment.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "serving needs uvicorn: pip install 'graspgap[serve]'" in refused(capsys, "serve", "--policy", run)


def test_a_port_in_use_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}: Address already in use" in refused(capsys, "serve", "--policy", run, "--port", str(port))


def test_a_policy_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist" in refused(capsys, "serve", "--policy", tmp_path / "nowhere")
    os.makedirs(tmp_path / "empty")
    assert "has no config.json" in refused(capsys, "serve", "--policy", tmp_path / "empty")
