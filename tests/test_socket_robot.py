"""The example robot: a world in a process of its own behind a socket, driven by the usual commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from graspgap.cli.main import main
from graspgap.contract import apply_command
from graspgap.errors import UserError
from graspgap.worlds.catalog import WorldChoice, cached_world, make_world
from graspgap.worlds.check import check_world
from robots import EXAMPLE, install, socket_robot

SMALL = ("--image-size", "32")


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(install(tmp_path / "packages", "socket", "socket_robot.client:make"))
    monkeypatch.syspath_prepend(EXAMPLE / "src")
    monkeypatch.chdir(tmp_path)
    yield
    cached_world.cache_clear()


def settings(folder: Path, port: int) -> str:
    """The example's settings with another port, as `--world NAME:FILE`."""
    text = (EXAMPLE / "robot.toml").read_text()
    path = folder / f"{port}.toml"
    path.write_text(text.replace("port = 7300", f"port = {port}"))
    return f"socket:{path}"


def test_collection_goes_on_after_the_robot_was_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    words = [*SMALL, "--log", str(log)]
    with socket_robot(*words) as (server, port):
        world = settings(tmp_path, port)
        collect = ["collect", str(tmp_path / "data"), "--world", world, *SMALL, "--attempts"]
        assert main([*collect, "5"]) == 0
        whole = ["collect", str(tmp_path / "whole"), "--world", world, *SMALL, "--attempts", "7"]
        assert main(whole) == 0
        server.kill()
        server.wait()
        assert main([*collect, "7"]) == 2
        assert "no answer to 'limit' from the robot" in capsys.readouterr().err
    with socket_robot(*words, port=port):
        assert main([*collect, "7"]) == 0  # the world of this process connects again
    shards = sorted(path.name for path in (tmp_path / "data" / "data").iterdir())
    assert len(shards) == 2
    for name in shards:
        assert (tmp_path / "data" / "data" / name).read_bytes() == (tmp_path / "whole" / "data" / name).read_bytes()
    arrived = [json.loads(line) for line in log.read_text().splitlines()]
    low = tomllib.loads((EXAMPLE / "robot.toml").read_text())["safety"]["low"]
    for each in arrived:
        if each["do"] == "move":
            end = apply_command(np.array(each["pose"], np.float32), np.array(each["command"], np.float32))
            assert (end[:3] > np.array(low) - 1e-6).all()
        if each["do"] == "limit":
            assert (each["speed"], each["force"]) == (0.25, 20.0)


@pytest.mark.skipif(os.name != "posix", reason="kill sends no signal on Windows")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_told_to_stop_stops_its_robot(tmp_path: Path, number: int) -> None:
    log = tmp_path / "log"
    with socket_robot(*SMALL, "--log", str(log)) as (_, port):
        words = ["collect", str(tmp_path / "data"), "--world", settings(tmp_path, port), *SMALL, "--attempts", "500"]
        paths = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path / "packages"), str(EXAMPLE / "src")))}
        with subprocess.Popen(
            [sys.executable, "-m", "graspgap.cli.main", *words], env=paths, stderr=subprocess.DEVNULL
        ) as process:
            try:
                deadline = time.monotonic() + 60
                while log.read_text().count("move") < 3 and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                process.send_signal(number)
                assert process.wait(timeout=60) == 128 + number
            finally:
                process.kill()
        arrived = [json.loads(line)["do"] for line in log.read_text().splitlines()]
        assert arrived.count("move") >= 3
        assert arrived[-1] in ("stop", "grasp")  # after a grasp the attempt is over


def test_it_keeps_the_promises_of_a_world_and_stops(tmp_path: Path) -> None:
    with socket_robot(*SMALL) as (_, port):
        path = Path(settings(tmp_path, port).partition(":")[2])
        choice = WorldChoice("socket", image_size=32, settings=json.dumps({"port": port}))
        world = make_world(choice)
        check_world(world, 0)
        world.reset(1)
        world.world.stop()
        with pytest.raises(UserError, match="was stopped"):
            world.move(np.array([0, 0, -0.01, 0, 1], np.float32))
        world.close()
        assert main(["evaluate", str(tmp_path / "trials"), "--world", f"socket:{path}", *SMALL, "--policy", "random",
                     "--attempts", "2"]) == 0  # fmt: skip
