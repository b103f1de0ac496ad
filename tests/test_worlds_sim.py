"""The simulated cell: kinematics, pictures and masks, grasps, randomization, and exact replay."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import mujoco
import numpy as np
import pytest

from graspgap.contract import Camera, SemanticClass, Workspace
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.objects.model import ObjectModel, Part
from graspgap.objects.prisms import Prisms
from graspgap.seeding import generator
from graspgap.worlds import arm
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig
from graspgap.worlds.randomization import (
    PLAIN,
    AppearanceConfig,
    DynamicsConfig,
    draw_dynamics,
    draw_looks,
    plain_looks,
)
from graspgap.worlds.raycast import RaycastRenderer
from graspgap.worlds.sim import SimConfig, make_sim
from graspgap.worlds.tabletop import TabletopWorld

BOX = ObjectModel("box", (Part("box", (0.02, 0.03, 0.02)),), 0.1, color=(0.1, 0.8, 0.1))


def world(randomization: str = "none") -> TabletopWorld:
    return make_sim(SimConfig(randomization=randomization), Prisms(), "train")


def cell_with(thing: ObjectModel, place: tuple[float, float, float]) -> Cell:
    cell = Cell(CellConfig(), Workspace())
    cell.load([thing])
    cell.tuck_arm()
    address = cell.object_qpos[0]
    cell.data.qpos[address : address + 7] = (*place, 1, 0, 0, 0)
    cell._step(0.3)
    return cell


def dh_chain(joints: np.ndarray) -> np.ndarray:
    """Flange pose by the published Denavit-Hartenberg table of the iiwa 14: alternating twists, no link lengths."""
    pose = np.eye(4)
    twists = np.array([-1, 1, 1, -1, -1, 1, 0]) * math.pi / 2
    for angle, twist, offset in zip(joints, twists, (0.36, 0, 0.42, 0, 0.40, 0, 0.126), strict=True):
        c, s, ca, sa = math.cos(angle), math.sin(angle), math.cos(twist), math.sin(twist)
        pose = pose @ np.array([[c, -s * ca, s * sa, 0], [s, c * ca, -c * sa, 0], [0, sa, ca, offset], [0, 0, 0, 1]])
    return pose


def test_forward_kinematics_is_the_published_chain() -> None:
    rng = np.random.default_rng(0)
    for joints in rng.uniform(-1, 1, (50, 7)) * arm.JOINT_LIMITS:
        np.testing.assert_allclose(arm.forward(joints), dh_chain(joints), atol=1e-9)


def test_inverse_kinematics_reaches_the_workspace_pointing_down() -> None:
    rng = np.random.default_rng(0)
    for place in rng.uniform((0.45, -0.1, 0.15), (0.65, 0.1, 0.45), (100, 3)):
        yaw = rng.uniform(-1.57, 1.57)
        joints = arm.inverse(place, yaw)
        assert (np.abs(joints) <= arm.JOINT_LIMITS).all()
        pose = arm.forward(joints)
        np.testing.assert_allclose(pose[:3, 3], place, atol=1e-9)
        np.testing.assert_allclose(pose[:3, 2], [0, 0, -1], atol=1e-9)
        assert abs(math.sin(math.atan2(pose[1, 0], pose[0, 0]) - yaw)) < 1e-9


def test_what_is_out_of_reach_is_refused() -> None:
    with pytest.raises(UserError, match="can't reach"):
        arm.inverse(np.array([2.0, 0.0, 0.2]), 0.0)


def test_attempts_replay_bit_for_bit() -> None:
    first_world = world("both")
    policy = ScriptedPolicy(4)
    first, _, _, again = (run_attempt(first_world, policy, 0, k) for k in (3, 4, 17, 3))
    elsewhere = run_attempt(world("both"), policy, 0, 3)
    for other in (again, elsewhere):
        np.testing.assert_array_equal(first.poses, other.poses)
        np.testing.assert_array_equal(np.stack(first.images), np.stack(other.images))
        np.testing.assert_array_equal(np.stack(first.masks or []), np.stack(other.masks or []))
        assert first.outcome == other.outcome
        assert first.randomization == other.randomization


def test_masks_agree_with_the_picture_and_with_single_rays() -> None:
    cell = cell_with(BOX, (0.55, 0.0, 0.03))
    cell.place_arm(np.array([0.6, 0.05, 0.12, 0.3], np.float32))
    camera, size = Camera(), 32
    renderer = RaycastRenderer(size)
    looks = plain_looks(camera, [BOX])
    renderer.prepare(cell, looks)
    image, mask = renderer.render(cell)
    assert {int(value) for value in np.unique(mask)} == {0, 1, 2, 3}
    looks["materials"]["object_0"] = {"color": [0.9, 0.1, 0.9]}
    renderer.prepare(cell, looks)
    recoloured, _ = renderer.render(cell)
    changed = (image != recoloured).any(axis=2)
    np.testing.assert_array_equal(changed, mask == SemanticClass.OBJECT)
    rays, found = camera.rays(size), np.zeros(1, np.int32)
    for row, column in np.random.default_rng(0).integers(0, size, (150, 2)):
        mujoco.mj_ray(cell.model, cell.data, np.array(camera.position), rays[row, column], None, True, -1, found)
        body = cell.model.body(cell.model.geom_bodyid[found[0]]).name
        kinds = {"bin": SemanticClass.BIN, "world": SemanticClass.BACKGROUND, "object_0": SemanticClass.OBJECT}
        assert mask[row, column] == kinds.get(body, SemanticClass.ARM)


def test_image_before_shows_no_arm() -> None:
    jittered = world("appearance")
    for seed in range(10):
        observation = jittered.reset(seed, 0)
        assert observation.mask_before is not None
        assert not (observation.mask_before == SemanticClass.ARM).any()


def test_an_object_is_seen_where_its_centre_projects() -> None:
    cell = cell_with(BOX, (0.58, 0.06, 0.03))
    renderer = RaycastRenderer(64)
    renderer.prepare(cell, plain_looks(Camera(), [BOX]))
    _, mask = renderer.render(cell)
    rows, columns = np.nonzero(mask == SemanticClass.OBJECT)
    u, v = Camera().project(cell.object_positions()[0])
    assert abs(columns.mean() - ((u + 1) * 32 - 0.5)) < 1.5
    assert abs(rows.mean() - ((v + 1) * 32 - 0.5)) < 1.5


def grasp_at(cell: Cell, x: float, y: float, yaw: float = 0.0) -> bool:
    cell.place_arm(np.array([x, y, 0.2, yaw], np.float32))
    cell.move_to(np.array([x, y, 0.02, yaw], np.float32))
    return cell.close_lift_hold().success


def test_a_box_between_the_fingers_is_lifted_and_named() -> None:
    cell = cell_with(BOX, (0.55, 0.02, 0.03))
    cell.place_arm(np.array([0.55, 0.02, 0.2, 0.0], np.float32))
    cell.move_to(np.array([0.55, 0.02, 0.02, 0.0], np.float32))
    outcome = cell.close_lift_hold()
    assert outcome.success
    assert outcome.object_name == "box"
    assert outcome.details["lift"] > 0.09
    assert outcome.details["opening"] == pytest.approx(0.04, abs=0.004)


def test_empty_fingers_fail() -> None:
    assert not grasp_at(cell_with(BOX, (0.62, 0.08, 0.03)), 0.48, -0.08)


def test_an_object_that_touches_one_finger_is_not_held() -> None:
    cell = cell_with(BOX, (0.55, 0.02, 0.03))
    beside = 0.55 + 0.02 + 0.0425 + 0.012
    cell.place_arm(np.array([beside, 0.02, 0.02, 0.0], np.float32))
    cell.data.ctrl[7:9] = 0
    cell._step(0.4)
    assert cell._held() == set()


def test_settled_objects_rest_inside_the_bin() -> None:
    cell = Cell(CellConfig(), Workspace())
    cell.load(Prisms().sample(generator(1), 8, "train"))
    cell.settle(generator(1, "settle"))
    before = cell.object_positions()
    assert len(before) == 8
    cell._step(0.5)
    assert np.abs(cell.object_positions() - before).max() < 0.01


def test_moves_are_clipped_and_nonsense_is_refused() -> None:
    cell_world = world()
    pose = cell_world.reset(0).pose
    with pytest.raises(UserError, match="not finite"):
        cell_world.move(np.array([np.nan, 0, 0, 0, 1], np.float32))
    np.testing.assert_array_equal(cell_world.observe().pose, pose)
    cell_world.move(np.array([3, -3, 3, 0, 1], np.float32))
    reached, space = cell_world.observe().pose, cell_world.spec.workspace
    np.testing.assert_allclose(reached[:3], [space.high[0], space.low[1], space.high[2]], atol=4e-3)


def test_the_reported_pose_is_off_by_the_calibration() -> None:
    cell = Cell(CellConfig(calibration=(0.004, -0.003, 0.002, 0.03)), Workspace())
    cell.load([])
    cell.place_arm(np.array([0.55, 0.0, 0.2, 0.1], np.float32))
    np.testing.assert_allclose(cell.pose() - cell.true_pose(), [0.004, -0.003, 0.002, 0.03], atol=1e-6)
    cell.move_to(np.array([0.56, 0.01, 0.15, 0.2], np.float32))
    np.testing.assert_allclose(cell.pose(), [0.56, 0.01, 0.15, 0.2], atol=3e-3)


STILL = AppearanceConfig(
    enabled=True, camera_position=0, camera_target=0, camera_fov=0, camera_roll=0, light_height=(1.5, 1.5),
    light_side=0,
    light_strength=(0.7, 0.7), ambient=(0.3, 0.3), tint=0, shadow=(0, 0), gloss=(0, 0), noise=(0, 0), textured=0,
)  # fmt: skip
TURNED = {
    "camera_position": 0.05, "camera_target": 0.05, "camera_fov": 4.0, "camera_roll": 8.0, "light_height": (0.5, 0.6),
    "light_side": 1.0, "light_strength": (0.3, 0.35), "ambient": (0.6, 0.65), "tint": 0.3, "shadow": (0.7, 0.8),
    "gloss": (0.8, 0.9), "noise": (0.05, 0.06), "textured": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("knob", sorted(TURNED))
def test_every_knob_of_appearance_changes_the_picture(knob: str) -> None:
    cell = cell_with(BOX, (0.55, 0.0, 0.03))
    renderer = RaycastRenderer(48)
    pictures, draws = [], []
    for config in (STILL, replace(STILL, **{knob: TURNED[knob]})):
        draws.append(draw_looks(generator(4), config, Camera(), [BOX]))
        if knob != "textured":  # its draw moves the later ones
            draws[-1]["materials"] = {
                name: {
                    "color": list(PLAIN.get(name, (0.1, 0.8, 0.1))),
                    "gloss": 0.85 * (knob == "gloss" and len(draws) == 2),
                }
                for name in draws[-1]["materials"]
            }
        renderer.prepare(cell, draws[-1])
        pictures.append(renderer.render(cell)[0])
    assert (pictures[0] != pictures[1]).any()
    assert draws[0] != draws[1]


def test_frequency_changes_patterns() -> None:
    low, high = (replace(STILL, textured=1.0, frequency=(f, f)) for f in (5.0, 80.0))
    first, second = (draw_looks(generator(0), config, Camera(), [BOX])["materials"]["bin"] for config in (low, high))
    assert first["frequency"] != second["frequency"]
    assert {field.name for field in fields(AppearanceConfig)} == {*TURNED, "enabled", "frequency"}


def test_every_knob_of_dynamics_changes_the_model_and_goes_back() -> None:
    cell = cell_with(BOX, (0.55, 0.0, 0.03))
    knobs = {field.name for field in fields(DynamicsConfig)} - {"enabled"}
    for knob in knobs:
        config = replace(DynamicsConfig(enabled=True), **dict.fromkeys(knobs, (1.0, 1.0)) | {knob: (1.5, 1.6)})
        draw = draw_dynamics(generator(0), config, 1)
        cell.set_dynamics(draw)
        different = [name for name, base in cell.base.items() if not np.array_equal(getattr(cell.model, name), base)]
        assert different, knob
        cell.set_dynamics({})
        assert all(np.array_equal(getattr(cell.model, name), base) for name, base in cell.base.items())


@pytest.mark.parametrize(("preset", "looks", "dynamics"), [("none", 0, 0), ("appearance", 1, 0), ("both", 1, 1)])
def test_every_draw_is_recorded(preset: str, looks: int, dynamics: int) -> None:
    cell_world = world(preset)
    cell_world.reset(0, 0)
    one = cell_world.record()["randomization"]
    cell_world.reset(1, 0)
    two = cell_world.record()["randomization"]
    assert (one["looks"] != two["looks"]) == bool(looks)
    assert bool(one["dynamics"]) == bool(dynamics)
    assert len(one["start"]) == 4


def test_nothing_explodes_when_everything_is_randomized() -> None:
    """Masses that were drawn without deriving MuJoCo's constants again threw objects out of the bin."""
    cell_world = world("both")
    for k in range(20):
        run_attempt(cell_world, ScriptedPolicy(4), 5, k)
        velocity = cell_world.cell.data.qvel[9:]
        assert np.isfinite(velocity).all()
        assert np.abs(velocity.reshape(-1, 6)[:, :3]).max(initial=0) < 3
        assert not any(warning.number for warning in cell_world.cell.data.warning)
