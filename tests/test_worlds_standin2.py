"""The second stand-in: it repeats exactly, hands out only what a real cell could, and grasps what it is sent to."""

# ruff: noqa: E402

from __future__ import annotations

import sys
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pybullet = pytest.importorskip("pybullet")

from graspgap.contract import Camera, GraspAttempt, Workspace
from graspgap.errors import UserError
from graspgap.evaluation.report import setting
from graspgap.evaluation.results import AttemptRecord, EvaluationResult
from graspgap.evaluation.tables import pool
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.objects.model import ObjectModel, Part
from graspgap.worlds import standin
from graspgap.worlds.bullet_cell import BulletCell
from graspgap.worlds.bullet_config import BulletConfig
from graspgap.worlds.bullet_model import LINKS
from graspgap.worlds.bullet_tray import BoxTray, floor, walls
from graspgap.worlds.catalog import WorldChoice, cached_world, make_world
from graspgap.worlds.check import check_world
from graspgap.worlds.standin2 import SENSOR, TRUE_CAMERA, TRUE_CELL, SecondConfig, make_standin2
from graspgap.worlds.standin2_looks import furnish, gripper
from graspgap.worlds.tabletop import TabletopWorld


class Blocks:
    """Blocks that are easy to hold."""

    name = "blocks"

    def sample(self, rng: np.random.Generator, count: int, split: str) -> list[ObjectModel]:
        return [
            ObjectModel(f"block-{n}", (Part("box", tuple(rng.uniform(0.012, 0.02, 3).tolist())),), 0.06)
            for n in rng.choice(1000, count, replace=False)
        ]


@pytest.fixture(scope="module")
def world() -> TabletopWorld[Any]:
    return make_standin2(SecondConfig(image_size=32), Blocks(), "test")


def attempt(world: TabletopWorld[Any], number: int) -> GraspAttempt:
    return run_attempt(world, RandomPolicy(3), 0, number, steps=3)


def same(one: GraspAttempt, other: GraspAttempt) -> bool:
    """Whether two attempts are equal bit for bit."""
    arrays = ((a.image_before, *a.images, *a.poses, a.target) for a in (one, other))
    equal = all(np.array_equal(x, y) for x, y in zip(*arrays, strict=True))
    return equal and len({repr((a.outcome, a.objects, a.randomization)) for a in (one, other)}) == 1


def test_attempts_replay_bit_for_bit_after_others_and_in_another_instance(world: TabletopWorld[Any]) -> None:
    first, elsewhere = attempt(world, 3), attempt(world, 21)
    again = attempt(make_standin2(SecondConfig(image_size=32), Blocks(), "test"), 3)
    assert same(first, again)
    assert same(first, attempt(world, 3))
    assert not same(first, elsewhere)


def test_it_keeps_its_promises_and_hands_out_neither_masks_nor_poses(world: TabletopWorld[Any]) -> None:
    check_world(world, 2)
    spec = world.spec
    assert (spec.name, spec.has_masks, spec.has_state, spec.is_reality) == ("standin2", False, False, True)
    seen = world.reset(1, 1)
    assert (seen.mask_before, seen.mask_now, seen.layers_now) == (None, None, None)
    with pytest.raises(UserError, match="doesn't tell where its objects are"):
        world.object_positions()


def test_the_operator_believes_in_simulations_camera_and_workspace(world: TabletopWorld[Any]) -> None:
    assert (world.spec.camera, world.spec.workspace) == (Camera(), Workspace())
    for other in (Camera(), standin.TRUE_CAMERA):
        assert 0.02 < np.linalg.norm(np.subtract(other.position, TRUE_CAMERA.position)) < 0.1
        turn = other.rotation() @ TRUE_CAMERA.rotation().T
        assert 1.5 < np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 8
    assert world.renderer.config.camera == TRUE_CAMERA
    assert world.renderer.config.sensor == SENSOR


def test_the_reported_pose_is_off_by_the_calibration(world: TabletopWorld[Any]) -> None:
    world.reset(4, 1)
    assert world.cell.pose() - world.cell.true_pose() == pytest.approx(TRUE_CELL.calibration, abs=1e-5)


def test_most_attempts_at_known_blocks_succeed_and_hold_what_rose(world: TabletopWorld[Any]) -> None:
    """The test knows where the blocks are; the world tells nobody."""
    successes = 0
    low, high = np.array(world.spec.workspace.low[:2]), np.array(world.spec.workspace.high[:2])
    for number in range(10):
        world.reset(number, number // 3)
        cell = world.cell
        poses = [cell.body_poses()[f"object_{index}"] for index in range(len(cell.objects))]
        reach = [min(*(place[:2] - low), *(high - place[:2])) for place, _ in poses]
        index = int(np.argmax(reach))
        place, turn = poses[index]
        axis = Rotation.from_quat(turn, scalar_first=True).as_matrix()
        flat = axis[:, np.argmin(np.abs(axis[2]))]  # of its edges, the one that lies flattest
        goal = np.array([*place[:2], 0.015, np.arctan2(flat[1], flat[0])])
        for height in (0.12, max(0.012, float(place[2]) - 0.005)):
            goal[2] = height
            cell.move_to((goal + cell.motion.calibration).astype(np.float32), world.rng)
        before = cell._heights()
        outcome = world.grasp()
        rise = cell._heights() - before
        assert outcome.success == (outcome.details["lift"] >= 0.1)
        if outcome.success:
            successes += 1
            (risen,) = np.flatnonzero(rise > 0.09)
            assert outcome.object_name == cell.objects[risen].name
    assert successes >= 6


def test_pictures_change_where_the_true_camera_sees_the_fingers(world: TabletopWorld[Any]) -> None:
    start = world.reset(11, 1)
    cell = world.cell
    cell.move_to(np.array((0.57, 0.03, 0.03, 0.0), np.float32))
    change = np.abs(world.observe().image_now.astype(int) - start.image_before).sum(axis=2)
    for tip in ("finger_left_tip", "finger_right_tip"):
        place, turn = cell.body_poses()[tip]
        middle = gripper()[tip][0].vertices.mean(axis=0)
        u, v = TRUE_CAMERA.project(place + Rotation.from_quat(turn, scalar_first=True).apply(middle))
        row, column = int((v + 1) * 16), int((u + 1) * 16)
        assert change[row - 1 : row + 2, column - 1 : column + 2].mean() > 60
    assert np.median(change) < 60


def test_fingers_are_drawn_where_they_collide(world: TabletopWorld[Any]) -> None:
    world.reset(3, 1)
    cell = world.cell
    poses = cell.body_poses()
    for name in LINKS[8:]:
        place, turn = poses[name]
        (surface,) = gripper()[name]
        drawn = Rotation.from_quat(turn, scalar_first=True).apply(surface.vertices) + place
        box = pybullet.getAABB(cell.bodies.arm, LINKS.index(name), physicsClientId=cell.client)
        assert (drawn.min(axis=0) > np.array(box[0]) - 0.003).all()
        assert (drawn.max(axis=0) < np.array(box[1]) + 0.003).all()
        assert (
            np.abs((drawn.min(axis=0) + drawn.max(axis=0)) / 2 - np.mean(box, axis=0)).max() < 0.008
        )  # PyBullet's is a box around a turned box
    assert set(furnish(cell).bodies) == set(LINKS)


def test_the_open_gripper_reaches_all_of_the_workspace_without_touching_the_tray(world: TabletopWorld[Any]) -> None:
    cell = BulletCell(TRUE_CELL, world.spec.workspace)
    cell.load([])
    low, high = world.spec.workspace.low, world.spec.workspace.high
    for x, y, yaw in product((low[0], high[0]), (low[1], high[1]), np.linspace(-1.5, 1.5, 7)):
        cell.place_arm(np.array((x, y, low[2], yaw), np.float32))
        arm, tray = cell.bodies.arm, cell.bodies.tray
        assert not pybullet.getClosestPoints(arm, tray, 0.005, physicsClientId=cell.client)


def test_objects_stay_in_the_tray_and_lie_on_its_floor(world: TabletopWorld[Any]) -> None:
    tray = TRUE_CELL.tray
    assert tray is not None
    for scene in range(3):
        world.reset(0, scene)
        places = world.cell.object_positions()
        assert len(places) == len(world.cell.objects)
        assert (np.abs(places[:, :2] - tray.centre) < np.array(tray.size) / 2).all()
        assert (places[:, 2] > 0.01).all()


def test_walls_lean_outwards_from_the_edge_of_the_floor() -> None:
    tray = BoxTray(centre=(0.5, 0.1), size=(0.3, 0.2), wall_height=0.06, wall_thickness=0.01, lean=30)
    cell = BulletCell(BulletConfig(tray=tray), Workspace())
    cell.load([])

    def wall(start: tuple[float, float, float], way: tuple[float, float, float]) -> float:
        end = np.add(start, way).tolist()
        ((body, _, share, _, _),) = pybullet.rayTest(start, end, physicsClientId=cell.client)
        assert body == cell.bodies.tray
        return float(share) * float(np.linalg.norm(way))

    for z, lean in ((0.003, 0.003), (0.05, 0.05)):
        out = lean * np.tan(np.radians(30))
        assert wall((0.5, 0.1, z), (0.3, 0, 0)) == pytest.approx(0.15 + out, abs=1e-3)
        assert wall((0.5, 0.1, z), (-0.3, 0, 0)) == pytest.approx(0.15 + out, abs=1e-3)
        assert wall((0.5, 0.1, z), (0, 0.3, 0)) == pytest.approx(0.1 + out, abs=1e-3)
        assert wall((0.5, 0.1, z), (0, -0.3, 0)) == pytest.approx(0.1 + out, abs=1e-3)
    assert wall((0.5, 0.1, 0.3), (0, 0, -0.5)) == pytest.approx(0.3, abs=1e-4)
    tops = [np.abs(board.turn[2] @ np.diag(board.half)).sum() + board.centre[2] for board in walls(tray)]
    np.testing.assert_allclose(tops, 0.06 + 0.005 * np.sin(np.radians(30)), atol=0.006)
    assert floor(tray).centre[2] + floor(tray).half[2] == 0
    assert tray.holds(0.64, 0.19)
    assert not tray.holds(0.66, 0.1)


def test_objects_are_dropped_into_the_tray_wherever_it_stands() -> None:
    tray = BoxTray(centre=(0.5, 0.1), size=(0.3, 0.2))
    cell = BulletCell(BulletConfig(tray=tray, drop_margin=0.04), Workspace())
    cell.load(Blocks().sample(np.random.default_rng(0), 2, "test"))
    assert cell._drop_area() == pytest.approx((0.5, 0.1, 0.11, 0.06))
    cell._put(0, (0.62, 0.18, 0.02))  # in the tray, beyond the workspace
    cell._put(1, (0.5, 0.21, 0.02))  # beyond the tray
    np.testing.assert_allclose(cell.object_positions(), [(0.62, 0.18, 0.02)])


def test_by_default_it_grasps_workshop_objects_and_a_fuller_tray_for_collection() -> None:
    objects = {}
    for full in (False, True):
        chosen = make_world(WorldChoice("standin2", split="train" if full else "test", image_size=16, full_bin=full))
        chosen.reset(1, 1)
        objects[full] = chosen.record()["objects"]
    assert all(name.startswith("workshop-train-") for name in objects[True])
    assert all(name.startswith("workshop-test-") for name in objects[False])
    assert len(objects[True]) >= 8
    assert 6 <= len(objects[False]) <= 8


def test_words_and_tables_tell_the_second_from_the_first() -> None:
    records = [AttemptRecord(k, k // 3, k % 2 == 0, None, 3, None, 0.1) for k in range(12)]
    results = [EvaluationResult("arm", 0.0, 0, 0, 1000, name, records) for name in ("standin", "standin2")]
    assert sorted(cell.place for cell in pool(results)) == ["arm", "arm in standin2"]
    text = setting(results)
    assert "in the stand-in reality and the second stand-in." in text
    assert "No robot was involved" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"randomize": "both"}, "--randomize in 'standin2', which is as it is, 'both' is unknown"),
        ({"layers": True}, "--layers asks a stand-in"),
        ({"same": ("camera",)}, "'standin2' is another one"),
        ({"image_size": 8}, "too small"),
    ],
)
def test_what_no_real_cell_does_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_world(WorldChoice("standin2", **settings))


def test_without_pybullet_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(UserError) as refusal:
        cached_world(WorldChoice("standin2", image_size=17))
    assert "world 'standin2' needs the extra `bullet`: pip install 'graspgap[bullet]'" in str(refusal.value)
