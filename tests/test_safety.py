"""No command that breaks a limit reaches the robot, and what can't be trusted stops it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import REAL, SIM, PaperWorld
from graspgap.contract import MAX_SERVO_STEPS, Workspace, apply_command
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.worlds import lock
from graspgap.worlds.check import check_world
from graspgap.worlds.limits import SafetyConfig, read_safety
from graspgap.worlds.safety import SafeWorld
from robots import PaperRobot

DOWN = np.array([0, 0, -1, 0, 1], np.float32)


@pytest.fixture
def robot() -> PaperRobot:
    return PaperRobot()


@pytest.fixture
def config(tmp_path: Path) -> SafetyConfig:
    return SafetyConfig(stop_file=str(tmp_path / "stop"))


def begun(robot: PaperRobot, config: SafetyConfig) -> SafeWorld:
    world = SafeWorld(robot, config)
    world.reset(0)
    return world


def require_safe(robot: PaperRobot, box: Workspace, config: SafetyConfig) -> None:
    """Every command that arrived is finite, short, and leads into the box."""
    for pose, command in robot.arrived:
        assert command.shape == (5,)
        assert np.isfinite(command).all()
        end = apply_command(pose, command)
        assert (end[:3] >= np.array(box.low) - 1e-6).all()
        assert (end[:3] <= np.array(box.high) + 1e-6).all()
        assert np.linalg.norm(command[:3]) <= config.step + 1e-6
        assert abs(np.arctan2(command[3], command[4])) <= config.turn + 1e-6


def test_a_safe_world_is_a_world(robot: PaperRobot, config: SafetyConfig) -> None:
    check_world(SafeWorld(robot, config), 0)
    require_safe(robot, REAL.workspace, config)


@pytest.mark.parametrize("seed", range(4))
def test_hostile_commands_arrive_tamed(seed: int, robot: PaperRobot, config: SafetyConfig) -> None:
    rng = np.random.default_rng(seed)
    config = replace(config, low=(0.5, -0.05, 0.03), high=(0.6, 0.05, 0.25), step=0.05, turn=0.3, moves=10)
    robot.paper.spec = replace(REAL, workspace=replace(REAL.workspace, low=(0.5, -0.05, 0.03), high=(0.6, 0.05, 0.24)))
    world = SafeWorld(robot, config)
    assert world.spec.workspace.low == (0.5, -0.05, 0.03)
    for number in range(10):
        world.reset(number)
        for _ in range(9):
            world.move((rng.normal(size=5) * 10.0 ** rng.integers(-9, 30)).astype(np.float32))
    assert len(robot.arrived) >= 90
    require_safe(robot, world.spec.workspace, config)


@pytest.mark.parametrize(
    "command", [[np.nan] * 5, [0, 0, 0, 0, np.inf], [0, 0, 0, 1], [], [[0, 0, 0, 0, 1]], [1e300] * 5]
)
def test_what_is_no_command_is_refused(command: Any, robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    with pytest.raises(UserError, match="motor command"):
        world.move(np.array(command))
    assert not robot.arrived


def test_a_long_move_goes_in_legs_and_arrives(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    world.move(DOWN)
    assert len(robot.arrived) == 3  # from 0.2 to 0.25 m down to 0.012
    assert robot.pose()[2] == pytest.approx(REAL.workspace.low[2], abs=1e-6)
    assert world.grasp().details == {"clipped": 1, "legs": 3}


def test_a_leg_that_is_stopped_ends_the_move(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    robot.move = lambda command: robot.arrived.append((robot.pose(), command))  # something is in the way
    world.move(DOWN)
    assert len(robot.arrived) == 1


def test_a_robot_that_was_moved_meanwhile_is_asked_where_it_is(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    robot.paper.pose = robot.paper.pose + np.float32([0, 0, -0.15, 0])
    world.move(np.array([0, 0, -0.1, 0, 1], np.float32))
    require_safe(robot, REAL.workspace, config)
    assert robot.pose()[2] == pytest.approx(REAL.workspace.low[2], abs=1e-6)  # down from there, not to where it was


def test_a_gripper_outside_the_box_is_left_there(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    robot.paper.pose = np.float32([0.55, 0, -0.05, 0])
    with pytest.raises(UserError, match="outside the box"):
        world.move(DOWN)
    assert not robot.arrived
    assert robot.stops == 1


def test_a_policy_that_never_closes_is_stopped(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, replace(config, moves=3))
    for _ in range(3):
        world.move(DOWN)
    arrived = len(robot.arrived)
    with pytest.raises(UserError, match="doesn't close"):
        world.move(DOWN)
    assert len(robot.arrived) == arrived
    assert robot.stops == 1
    world.reset(1)
    world.move(DOWN)  # a new attempt has moves of its own


def test_the_longest_attempt_of_ours_is_allowed(robot: PaperRobot, config: SafetyConfig) -> None:
    run_attempt(SafeWorld(robot, config), RandomPolicy(MAX_SERVO_STEPS), 0, 0, MAX_SERVO_STEPS)


@pytest.mark.parametrize("what", ["observe", "move", "grasp", "pose", "reset"])
def test_what_takes_too_long_stops_the_robot(what: str, robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, replace(config, **{f"{name}_seconds": 0.1 for name in ("observe", "move", "grasp", "reset")}))
    never = threading.Event()
    setattr(robot, what, lambda *_: never.wait())
    calls: dict[str, Callable[[], Any]]
    calls = {"observe": world.observe, "grasp": world.grasp, "reset": lambda: world.reset(1)}
    with pytest.raises(UserError, match="took longer than"):
        calls.get(what, lambda: world.move(DOWN))()
    never.set()
    assert robot.stops == 1


@pytest.mark.parametrize(
    "spoil",
    [lambda seen: None, lambda seen: replace(seen, image_before=seen.image_now[:8], image_now=seen.image_now[:8])],
)
def test_a_missing_picture_stops_the_robot(spoil: Any, robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    seen = robot.observe()
    robot.observe = lambda: spoil(seen)
    with pytest.raises(UserError, match=r"for a picture|expected uint8"):
        world.observe()
    assert robot.stops == 1


def test_an_attempt_that_is_broken_off_ends_in_a_stop(robot: PaperRobot, config: SafetyConfig) -> None:
    world = SafeWorld(robot, config, closed=lambda: None)
    world.reset(0)
    world.close()
    assert robot.stops == 1
    finished = SafeWorld(robot, config, closed=lambda: None)
    finished.reset(0)
    finished.grasp()
    finished.close()
    assert robot.stops == 1


def test_an_error_of_the_robot_stops_it(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)

    def fail(command: Any) -> None:
        raise RuntimeError("joint 3")

    robot.move = fail
    with pytest.raises(RuntimeError, match="joint 3"):
        world.move(DOWN)
    assert robot.stops == 1


def test_a_camera_that_has_frozen_stops_the_robot(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    world.observe()  # the same picture from the same place is none
    frozen = robot.observe().image_now
    world.move(DOWN)
    observe = robot.observe
    robot.observe = lambda: replace(observe(), image_now=frozen)
    with pytest.raises(UserError, match="same picture"):
        world.observe()
    assert robot.stops == 1


def test_the_operator_stops_it_while_it_moves(robot: PaperRobot, config: SafetyConfig) -> None:
    world = begun(robot, config)
    never = threading.Event()

    def move(command: Any) -> None:
        Path(config.stop_file).touch()
        never.wait()

    robot.move = move
    with pytest.raises(UserError, match="stopped by"):
        world.move(DOWN)
    never.set()
    assert robot.stops == 1
    with pytest.raises(UserError, match="remove it"):
        world.reset(1)


def test_a_dry_run_prints_and_moves_nothing(robot: PaperRobot, config: SafetyConfig) -> None:
    lines: list[str] = []
    robot.paper.reset(0)
    stands = robot.pose().copy()
    world = SafeWorld(robot, replace(config, dry_run=True), lines.append)
    attempt = run_attempt(world, RandomPolicy(4), 0, 0)
    assert not robot.arrived
    assert np.array_equal(robot.pose(), stands)
    assert attempt.world == "paper-reality (dry run)"
    assert not attempt.outcome.success
    assert lines[0] == "reset to a start, speed 0.25 m/s, force 20 N"
    assert lines[-1] == "close, lift, judge"
    moves = [np.array(line.split()[1:], np.float32) for line in lines[1:-1]]
    assert len(moves) == attempt.outcome.details["legs"]
    assert np.allclose(attempt.poses[-1][:3], stands[:3] + sum(moves)[:3], atol=1e-3)


def test_limits_are_told_before_anything_moves(robot: PaperRobot, config: SafetyConfig) -> None:
    begun(robot, replace(config, speed=0.1, force=5.0))
    assert robot.limits == [(0.1, 5.0)]


def test_a_robot_that_refuses_a_limit_isn_t_moved(robot: PaperRobot, config: SafetyConfig) -> None:
    def limit(speed: float, force: float) -> None:
        raise UserError("this gripper has 40 N")

    robot.limit = limit
    with pytest.raises(UserError, match="40 N"):
        SafeWorld(robot, config).reset(0)


def test_a_real_world_without_limits_is_refused(config: SafetyConfig) -> None:
    with pytest.raises(UserError, match="own_limits = true"):
        SafeWorld(PaperWorld(REAL), config)
    world = SafeWorld(PaperWorld(REAL), replace(config, own_limits=True))
    world.reset(0)
    world.move(DOWN)
    assert world.observe().pose[2] == pytest.approx(REAL.workspace.low[2], abs=1e-6)


def test_a_simulated_world_keeps_its_state(config: SafetyConfig) -> None:
    world = SafeWorld(PaperWorld(SIM), config)
    world.reset(0)
    assert len(world.object_positions()) == 1
    check_world(world, 0)


def test_a_stop_file_at_home_stops(robot: PaperRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    world = begun(robot, SafetyConfig(stop_file="~/halt"))
    (tmp_path / "halt").touch()
    with pytest.raises(UserError, match="stopped by"):
        world.move(DOWN)
    assert not robot.arrived


def test_a_world_is_closed_once(robot: PaperRobot, config: SafetyConfig) -> None:
    closed: list[str] = []
    robot.close = lambda: closed.append("robot")
    world = SafeWorld(robot, config, closed=lambda: closed.append("lock"))
    world.close()
    world.close()
    assert closed == ["robot", "lock"]


def test_one_process_drives_a_robot_until_it_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "FOLDER", tmp_path)

    def another(settings: dict[str, Any]) -> str:
        words = "from pathlib import Path\nfrom graspgap.worlds import lock\n"
        words += f"lock.FOLDER = Path({str(tmp_path)!r})\nlock.drive('arm', {settings!r})"
        return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False).stderr

    one, again = (lock.drive("arm", {"port": 1, "arm": {"rate": 30.0}}) for _ in range(2))  # this very process
    assert "another process drives world 'arm'" in another({"port": 1, "arm": {"rate": 20.0}})
    assert not another({"port": 2})  # another robot
    one.release()
    assert "another process drives world 'arm'" in another({"port": 1})
    again.release()
    assert not another({"port": 1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stop_file": ""}, "stop_file is empty"),
        ({"low": [10**20, 0, 0]}, "low is"),
        ({"sped": 1}, "no field 'sped'"),
        ({"speed": -1.0}, "speed is -1.0"),
        ({"force": float("nan")}, "force is nan"),
        ({"step": 0.01}, "step is 0.01"),
        ({"low": [0, 0]}, r"low is \[0, 0\]"),
        ({"moves": "many"}, "moves is 'many'"),
    ],
)
def test_limits_that_are_none(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_safety(values)


@pytest.mark.parametrize("box", [{"low": (0.7, -1.0, 0.0)}, {"low": (0.0, -1.0, 0.1)}])
def test_a_box_without_room_for_grasps(box: Any, robot: PaperRobot, config: SafetyConfig) -> None:
    with pytest.raises(UserError, match="leave nothing"):
        SafeWorld(robot, replace(config, **box))
