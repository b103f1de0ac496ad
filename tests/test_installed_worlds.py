"""Worlds of other packages: found by their entry points, collected from and evaluated in as ours are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import REAL, SIM, PaperWorld
from graspgap.cli.main import main
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.worlds.catalog import WorldChoice, cached_world, make_world, processes
from graspgap.worlds.installed import installed_worlds
from graspgap.worlds.safety import SafeWorld
from robots import PaperRobot, install

SMALL = ("--image-size", "32")


def make_simulator(choice: WorldChoice, tables: dict[str, object]) -> PaperWorld:
    return PaperWorld(SIM)


def make_robot(choice: WorldChoice, tables: dict[str, object]) -> PaperRobot:
    assert tables["port"] == 1
    return PaperRobot(REAL)


def make_nothing(choice: WorldChoice, tables: dict[str, object]) -> object:
    return object()


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("simulator", "robot", "nothing", "absent"):
        module = "no_such_module" if name == "absent" else __name__
        monkeypatch.syspath_prepend(install(tmp_path / "packages" / name, name, f"{module}:make_{name}"))
    monkeypatch.chdir(tmp_path)
    cached_world.cache_clear()
    yield
    cached_world.cache_clear()


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "robot.toml"
    path.write_text("port = 1\n[safety]\nspeed = 0.1\n")
    return path


def test_a_robot_of_another_package_is_collected_from_and_evaluated(
    tmp_path: Path, settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--world", "robot", "--world-config", str(settings), *SMALL]
    assert main(["collect", str(tmp_path / "data"), *words, "--attempts", "7"]) == 0
    data = open_dataset(tmp_path / "data")
    assert data.meta["config"]["policy"]["name"] == "random"
    assert json.loads(data.meta["config"]["world"]["settings"]) == {"port": 1, "safety": {"speed": 0.1}}
    assert [shard["rows"] for shard in data.meta["shards"]] == [5, 2]
    assert data.meta["world"] == "paper-reality"
    with monkeypatch.context() as patched:
        for name in ("reset", "move", "grasp"):
            patched.setattr(PaperRobot, name, lambda *_: pytest.fail("a replay moved the robot"))
        assert main(["replay", str(tmp_path / "data"), "0"]) == 2
    assert "attempts of world 'robot' can't be made again, as no real ones can" in capsys.readouterr().err
    words = ["--world", f"robot:{settings}", *SMALL, "--policy", "random", "--attempts", "2"]
    assert main(["evaluate", str(tmp_path / "trials"), *words]) == 0
    assert len(list((tmp_path / "trials" / "pieces").iterdir())) == 2  # each attempt is kept as soon as it is judged
    assert main(["check", "--world", f"robot:{settings}", *SMALL]) == 0


def test_a_robots_half_shard_is_not_made_again(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["collect", str(tmp_path / "data"), "--world", f"robot:{settings}", *SMALL, "--attempts"]
    assert main([*words, "7"]) == main([*words, "7"]) == 0
    held = (tmp_path / "data" / "meta.json").read_bytes()
    assert main([*words, "12"]) == 2
    assert "ends with a shard of 2 attempts" in capsys.readouterr().err
    assert (tmp_path / "data" / "meta.json").read_bytes() == held
    words[1] = str(tmp_path / "whole")
    assert main([*words, "5"]) == main([*words, "12"]) == 0


def test_one_process_drives_a_robot_however_many_workers_there_are(settings: Path) -> None:
    robot = WorldChoice("robot", image_size=32, settings='{"port": 1}')
    assert [processes(robot, workers) for workers in (0, 1, 8)] == [1, 1, 1]
    assert [processes(WorldChoice("simulator", image_size=32), workers) for workers in (0, 1, 8)] == [0, 1, 8]


def test_a_simulator_of_another_package_has_scripted_policies_and_processes(tmp_path: Path) -> None:
    words = ["--world", "simulator", *SMALL, "--attempts", "4", "--workers", "1"]
    assert main(["collect", str(tmp_path / "data"), *words]) == 0
    assert open_dataset(tmp_path / "data").meta["config"]["policy"]["name"] == "scripted"


def test_an_installed_world_is_guarded() -> None:
    world = make_world(WorldChoice("robot", image_size=32, settings='{"port": 1, "safety": {"force": 3.0}}'))
    assert isinstance(world, SafeWorld)
    world.reset(0)
    assert world.world.limits == [(0.25, 3.0)]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--world", "robt"), "did you mean 'robot'"),
        (("--world", "absent"), "world 'absent' of package absent-package can't be loaded"),
        (("--world", "nothing"), "object without spec, reset, observe, move, grasp, record, close"),
        (("--world", "robot"), "no value 'port'"),
        (("--world", "robot:SETTINGS", "--randomize", "heavy"), "--randomize can't change world 'robot'"),
        (("--world", "robot:SETTINGS", "--canonical"), "--canonical can't change world 'robot'"),
        (("--world", "robot:SETTINGS", "--objects", "prisms"), "--objects can't change"),
        (("--world", "robot:SETTINGS", "--image-size", "64"), "use --image-size 32"),
        (("--world", "robot:SETTINGS", "--camera", "CAMERA"), "doesn't take --camera up"),
        (("--world", "robot:SETTINGS", "--world-config", "SETTINGS"), "name two files"),
        (("--world", "robot:none.toml"), "can't read --world-config none.toml"),
        (("--world", "robot:BROKEN"), "is not valid TOML"),
        (("--world", "robot:DATE"), "holds a date"),
        (("--world", "robot:UNSAFE"), "no field 'sped'"),
        (("--world", "sim:SETTINGS"), "--world-config is for installed worlds"),
    ],
)
def test_wrong_words_get_one_line(
    words: tuple[str, ...], hint: str, tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {"BROKEN": "port 1", "DATE": "port = 2026-01-01", "UNSAFE": "[safety]\nsped = 1"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "CAMERA").write_text('{"position": [0.5, 0.5, 0.7], "target": [0.55, 0, 0], "fov": 30}')
    given = [word.replace("SETTINGS", str(settings)) for word in words]
    size = () if "--image-size" in words else SMALL
    assert main(["collect", str(tmp_path / "data"), *size, *given]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert hint in line
    assert not (tmp_path / "data").exists()


def test_two_packages_with_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "other", "robot", "other:make", "other"))
    with pytest.raises(UserError, match="uninstall one"):
        installed_worlds()
