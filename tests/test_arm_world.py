"""A world from an arm that only reports and takes set-points, and LeRobot's robots as such arms (with fakes)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graspgap.cli.main import main
from graspgap.contract import Camera, Workspace
from graspgap.datasets import open_dataset
from graspgap.deployment.arm_world import Arm, ArmConfig, ArmWorld, Look
from graspgap.deployment.success import SuccessConfig
from graspgap.errors import UserError
from graspgap.worlds.catalog import cached_world
from graspgap.worlds.check import check_world
from graspgap.worlds.limits import SafetyConfig
from graspgap.worlds.protocol import RobotWorld
from graspgap.worlds.safety import SafeWorld

CONFIG = ArmConfig(aside=(0.2, 0.5, 0.4, 0.0), opening=0.1)
DOWN = np.array([0, 0, -0.05, 0, 1], np.float32)
THICK = 0.03
"""What the fake arm's fingers close on, if it holds something [m]."""


class FakeArm:
    """Is at once where it is sent; something lies in the bin until it is lifted."""

    force = 10.0

    def __init__(self, full: bool = True) -> None:
        self.where, self.opening, self.full = np.float32([0.5, 0, 0.3, 0]), 0.1, full
        self.sent: list[np.ndarray] = []
        self.calls: list[str] = []

    def connect(self) -> None:
        self.calls.append("connect")

    def look(self) -> Look:
        picture = np.full((48, 64, 3), 100, np.uint8)
        if self.full and self.opening > THICK:
            picture[20:30, 20:30] = (220, 30, 30)
        if abs(self.where[1]) < 0.3:  # not aside
            picture[:8, 12:20] = (np.abs(self.where[:3]) * 250).astype(np.uint8)
        return Look(picture, self.where.copy(), self.opening)

    def send(self, pose: np.ndarray, opening: float) -> None:
        self.sent.append(np.array(pose))
        self.where, self.opening = np.array(pose, np.float32), max(opening, THICK if self.full else 0.0)

    def close(self) -> None:
        self.calls.append("close")


def world(arm: Arm, sleeps: list[float] | None = None, **settings: Any) -> ArmWorld:
    times = [] if sleeps is None else sleeps
    made = ArmWorld("arm", arm, replace(CONFIG, **settings), Camera(), 32, times.append)
    made.limit(0.25, 20.0)
    return made


def test_it_keeps_the_promises_of_a_world_behind_the_guard(tmp_path: Path) -> None:
    arm = FakeArm()
    made = world(arm)
    assert isinstance(made, RobotWorld)
    check_world(SafeWorld(made, SafetyConfig(stop_file=str(tmp_path / "stop"))), 0)
    made.close()
    assert arm.calls == ["connect", "close"]


def test_its_own_motions_stay_in_the_box_of_the_guard(tmp_path: Path) -> None:
    """But for the way to where it is out of view, which the user gives."""
    arm = FakeArm()
    box = {"low": (0.5, -0.04, 0.02), "high": (0.6, 0.04, 0.15)}
    safe = SafeWorld(world(arm), SafetyConfig(stop_file=str(tmp_path / "stop"), **box))
    for seed in range(10):
        starts = safe.reset(seed).pose[:3]
        assert (starts >= np.float32(box["low"]) - 1e-6).all()
        assert (starts <= np.float32(box["high"]) + 1e-6).all()
        begun = len(arm.sent)
        safe.move(np.array([0, 0, 0.2, 0, 1], np.float32))
        safe.grasp()
        assert np.array(arm.sent)[begun:, 2].max() <= 0.15 + 1e-6


def test_a_call_that_was_given_up_on_sends_nothing_after_the_next_reset() -> None:
    arm = FakeArm()
    made = world(arm)
    made.reset(0)
    waits, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        if threading.current_thread() is old:
            waits.set()
            go_on.wait(10)

    def move() -> None:
        with pytest.raises(UserError, match="was stopped"):
            made.move(DOWN)
        ended.set()

    made._sleep = sleep
    old = threading.Thread(target=move)
    old.start()
    assert waits.wait(10)
    made.stop()
    made.reset(1)
    sent = len(arm.sent)
    go_on.set()
    assert ended.wait(10)
    old.join()
    assert len(arm.sent) == sent


@pytest.mark.parametrize("change", [{"rate": 0.0}, {"rate": 0.01}, {"opening": 0.0}, {"settle_seconds": -1.0}])
def test_settings_that_would_make_it_leap_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(UserError, match=rf"\[arm\] {next(iter(change))}"):
        replace(CONFIG, **change)


def test_it_moves_no_faster_than_its_limit() -> None:
    arm, sleeps = FakeArm(), list[float]()
    made = world(arm, sleeps, rate=20.0)
    made.reset(0)
    steps = np.linalg.norm(np.diff(np.array(arm.sent)[:, :3], axis=0), axis=1)
    assert steps.max() <= 0.25 / 20 + 1e-6
    assert len(sleeps) > len(arm.sent)


def test_the_first_picture_is_without_the_arm_and_starts_are_drawn_by_the_seed() -> None:
    made = world(FakeArm())
    one, same, other = (made.reset(seed) for seed in (1, 1, 2))
    assert (one.image_before == one.image_before[0, 0]).mean() > 0.8
    assert not np.array_equal(one.image_before, one.image_now)
    assert np.array_equal(one.pose, same.pose)
    assert not np.array_equal(one.pose, other.pose)
    assert (one.pose[:3] >= np.array(Workspace().low)).all()


@pytest.mark.parametrize("way", ["opening", "pictures", "both"])
@pytest.mark.parametrize("full", [True, False])
def test_it_tells_success_by_itself(way: str, full: bool) -> None:
    arm = FakeArm(full)
    made = world(arm, success=SuccessConfig(way=way))
    made.reset(0)
    made.move(DOWN)
    outcome = made.grasp()
    assert outcome.success is full
    assert outcome.details["opening"] == pytest.approx(THICK if full else 0.0)
    assert arm.opening == 0.1  # what was held is back in the bin


def test_a_stopped_arm_stays_and_a_strong_gripper_is_refused() -> None:
    arm = FakeArm()
    made = world(arm)
    made.reset(0)
    stands = arm.where.copy()
    made.stop()
    with pytest.raises(UserError, match="was stopped"):
        made.move(DOWN)
    assert np.array_equal(arm.where, stands)
    made.reset(0)
    with pytest.raises(UserError, match="set to 10 N"):
        made.limit(0.25, 5.0)


def test_the_wrist_neither_winds_up_nor_jumps() -> None:
    arm = FakeArm()
    made = world(arm)
    made.reset(0)
    turn = np.array([0, 0, 0, np.sin(1.2), np.cos(1.2)], np.float32)
    for _ in range(9):
        before = made.pose()[3]
        made.move(turn)
        assert -np.pi / 2 <= made.pose()[3] < np.pi / 2
        assert np.sin(2 * (made.pose()[3] - before)) == pytest.approx(np.sin(2 * 1.2), abs=1e-3)  # the same grasp
    yaws = np.array(arm.sent)[:, 3]
    assert np.abs(yaws).max() <= np.pi
    assert np.abs(np.diff(yaws)).max() < 0.1


def test_a_crop_beyond_the_picture_is_refused() -> None:
    assert world(FakeArm(), crop=(10, 0, 48)).reset(0).image_now.shape == (32, 32, 3)
    with pytest.raises(UserError, match="reaches beyond pictures of 64 x 48"):
        world(FakeArm(), crop=(20, 0, 48)).reset(0)


# -- LeRobot -------------------------------------------------------------------------------------------------------

SCALE = 100.0
"""Of the fake robot's joints: a joint's number is a pose's in centimetres and hundredths of radians."""


class FakeLeRobot:
    """The four methods of LeRobot's `Robot` that are used, over the fake arm; its joints are scaled poses."""

    def __init__(self, joints: bool) -> None:
        self.arm, self.joints, self.connected = FakeArm(), joints, False

    def connect(self) -> None:
        self.connected = True

    def get_observation(self) -> dict[str, Any]:
        assert self.connected
        seen = self.arm.look()
        values = [float(value) * (SCALE if self.joints else 1) for value in seen.pose]
        names = [f"joint_{n}.pos" for n in range(4)] if self.joints else ["ee.x", "ee.y", "ee.z", "ee.yaw"]
        return dict(zip(names, values, strict=True)) | {"front": seen.picture, "gripper.pos": 1000 * seen.opening}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        opening = action["gripper.pos"] / 1000
        values = [value / (SCALE if self.joints else 1) for name, value in action.items() if name != "gripper.pos"]
        self.arm.send(np.float32(values), opening)
        return action

    def disconnect(self) -> None:
        self.connected = False


class FakeKinematics:
    """Joints are scaled poses."""

    def pose(self, observation: Any) -> list[float]:
        return [observation[f"joint_{n}.pos"] / SCALE for n in range(4)]

    def action(self, pose: Any, observation: Any) -> dict[str, float]:
        return {f"joint_{n}.pos": float(value) * SCALE for n, value in enumerate(pose)}


def make_robot() -> FakeLeRobot:
    return FakeLeRobot(joints=False)


def make_joint_robot() -> FakeLeRobot:
    return FakeLeRobot(joints=True)


POSE = 'pose = ["ee.x", "ee.y", "ee.z", "ee.yaw"]\n'
KINEMATICS = f'kinematics = "{__name__}:FakeKinematics"\n'
TEXT = """
camera = "front"
gripper = "gripper.pos"
gripper_open = 100.0
gripper_closed = 0.0
gripper_force = 12.0
[arm]
aside = [0.2, 0.5, 0.4, 0.0]
opening = 0.1
rate = 50.0
settle_seconds = 0.0
close_seconds = 0.0
[arm.success]
way = "both"
[safety]
speed = 50.0
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camera.json").write_text(json.dumps({"position": [0.3, 0.5, 0.7], "target": [0.55, 0, 0], "fov": 30}))
    yield
    cached_world.cache_clear()


@pytest.fixture
def lerobot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site" / "lerobot").mkdir(parents=True)
    (tmp_path / "site" / "lerobot" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")


def collect(text: str, *more: str) -> int:
    Path("robot.toml").write_text(text)
    size = ("--image-size", "32", "--attempts", "2")
    return main(["collect", "data", "--world", "lerobot:robot.toml", *size, *more])


@pytest.mark.usefixtures("lerobot")
@pytest.mark.parametrize(("robot", "mapping"), [("make_robot", POSE), ("make_joint_robot", KINEMATICS)])
def test_lerobot_is_collected_from(robot: str, mapping: str) -> None:
    assert collect(f'robot = "{__name__}:{robot}"\n' + mapping + TEXT, "--camera", "camera.json") == 0
    data = open_dataset(Path("data"))
    assert (data.meta["world"], data.meta["successes"]) == ("lerobot", 2)
    assert data.meta["camera"]["position"] == [0.3, 0.5, 0.7]


@pytest.mark.parametrize(
    ("robot", "mapping", "change", "message"),
    [
        ("make_robot", POSE, ("front", "side"), "observation has no 'side': it has ee.x"),
        ("make_robot", POSE, ('"gripper.pos"', '"grip"'), "observation has no 'grip'"),
        ("make_robot", POSE + KINEMATICS, ("", ""), "give either pose"),
        ("make_robot", "", ("", ""), "give either pose"),
        ("make_robot", 'pose = ["ee.x"]\n', ("", ""), "four names"),
        ("make_none", POSE, ("", ""), "can't be loaded"),
        ("FakeKinematics", POSE, ("", ""), "expected the methods of LeRobot"),
        ("make_robot", POSE, ("gripper_open = 100.0", "gripper_open = 0.0"), "two ends"),
        ("make_robot", POSE, ("gripper_force = 12.0", "gripper_force = 40.0"), "set to 40 N"),
        ("make_robot", POSE, ("rate", "rat"), "'rat'"),
        ("make_robot", POSE, ("rate = 50.0", "rate = 'fast'"), "expected number"),
        ("make_robot", POSE, ("rate = 50.0", "rate = 0.5"), "[arm] rate 0.5"),
        ("make_robot", POSE, ("gripper_force = 12.0", "gripper_force = '12'"), "expected number"),
        ("make_robot", POSE, ('camera = "front"', ""), "camera"),
    ],
)
@pytest.mark.usefixtures("lerobot")
def test_a_wrong_file_gets_one_line(
    robot: str, mapping: str, change: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'robot = "{__name__}:{robot}"\n' + mapping + TEXT
    assert collect(text.replace(*change) if change[0] else text, "--camera", "camera.json") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("graspgap")]
    assert len(lines) == 1
    assert message in lines[0]


def test_a_missing_lerobot_gets_one_line(capsys: pytest.CaptureFixture[str], request: Any) -> None:
    text = f'robot = "{__name__}:make_robot"\n' + POSE + TEXT
    assert collect(text, "--camera", "camera.json") == 2
    assert "needs LeRobot, which is not installed" in capsys.readouterr().err


@pytest.mark.usefixtures("lerobot")
def test_without_a_camera_an_arm_practises_and_no_trained_policy_acts(capsys: pytest.CaptureFixture[str]) -> None:
    text = f'robot = "{__name__}:make_robot"\n' + POSE + TEXT
    assert collect(text) == 0
    assert open_dataset(Path("data")).meta["camera"] is None
    words = ["evaluate", "trials", "--policy", "zoo:graspgan", "--world", "lerobot:robot.toml", "--attempts", "1"]
    assert main(words) == 2
    assert "give --camera FILE" in capsys.readouterr().err
    assert not Path("trials").exists()
