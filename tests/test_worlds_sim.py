"""The simulated cell: kinematics, pictures and masks, grasps, randomization, and exact replay."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import Any

import mujoco
import numpy as np
import pytest

from graspgap.config import from_json
from graspgap.contract import NULL_COMMAND, Camera, GraspOutcome, SemanticClass, Workspace
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.objects.model import ObjectModel, Part
from graspgap.objects.prisms import Prisms
from graspgap.seeding import generator
from graspgap.worlds import arm
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import BIN_CENTRE, GRASP_POINT, CellConfig
from graspgap.worlds.randomization import (
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


def cell_with(*things: tuple[ObjectModel, tuple[float, float, float]]) -> Cell:
    """A cell whose objects have come to rest upright where they are put."""
    cell = Cell(CellConfig(), Workspace())
    cell.load([thing for thing, _ in things])
    cell.tuck_arm()
    for address, (_, place) in zip(cell.object_qpos, things, strict=True):
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
    rng, space = np.random.default_rng(0), Workspace()
    for *place, yaw in rng.uniform((*space.low, -1.57), (*space.high, 1.57), (200, 4)):
        flange = np.add(place, (0, 0, GRASP_POINT))
        joints = arm.inverse(flange, yaw)
        assert (np.abs(joints) <= arm.JOINT_LIMITS).all()
        pose = arm.forward(joints)
        np.testing.assert_allclose(pose[:3, 3], flange, atol=1e-9)
        np.testing.assert_allclose(pose[:3, 2], [0, 0, -1], atol=1e-9)
        np.testing.assert_allclose(pose[:2, 0], [-math.cos(yaw), -math.sin(yaw)], atol=1e-9)


@pytest.mark.parametrize(
    ("place", "yaw", "message"),
    [
        ((2.0, 0.0, 0.2), 0.0, "can't reach"),
        ((math.nan, 0.0, 0.2), 0.0, "can't reach"),
        ((0.05, 0.0, 0.05), 0.0, "joint limit"),
        ((0.55, 0.0, 0.2), 3.3, "joint limit"),
        ((0.55, 0.0, 0.2), math.nan, "joint limit"),
    ],
)
def test_what_is_out_of_reach_is_refused(place: tuple[float, float, float], yaw: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        arm.inverse(np.array(place), yaw)


def test_the_model_in_the_physics_has_the_same_kinematics() -> None:
    cell = cell_with()
    for joints in np.random.default_rng(1).uniform(-1, 1, (10, 7)) * arm.JOINT_LIMITS:
        cell._set_arm(joints)
        flange = arm.forward(joints)
        grasp = cell.data.site_xpos[cell.grasp_site]
        np.testing.assert_allclose(grasp, flange[:3, 3] + GRASP_POINT * flange[:3, 2], atol=1e-9)


def test_attempts_replay_bit_for_bit() -> None:
    """Later in the same world, when its scene was made anew, and in another world."""
    first_world, policy = world("both"), ScriptedPolicy(4)
    first, _, again, _, _, anew = (run_attempt(first_world, policy, 0, k) for k in (3, 4, 3, 17, 25, 3))
    elsewhere = run_attempt(world("both"), policy, 0, 3)
    assert first.masks is not None
    for other in (again, anew, elsewhere):
        np.testing.assert_array_equal(first.image_before, other.image_before)
        np.testing.assert_array_equal(first.mask_before, other.mask_before)
        np.testing.assert_array_equal(first.poses, other.poses)
        np.testing.assert_array_equal(first.images, other.images)
        np.testing.assert_array_equal(first.masks, other.masks)
        assert first.outcome == other.outcome
        assert (first.objects, first.randomization) == (other.objects, other.randomization)


# -- pictures --------------------------------------------------------------------------------------------------------


def test_recolouring_one_thing_changes_its_own_pixels_alone() -> None:
    full = world()
    full.reset(0, 0)
    cell, renderer, looks = full.cell, full.renderer, full.looks
    assert isinstance(renderer, RaycastRenderer)
    size = full.spec.image_size
    for material in looks["materials"].values():
        material["color"] = [0.0, 0.0, 0.0]
    renderer.prepare(cell, looks)
    black, mask = renderer.render(cell)
    bodies = np.array([cell.model.body(i).name for i in cell.model.geom_bodyid])[renderer.geom].reshape(size, size)
    shown = {name: bodies == name for name in looks["materials"] if name.startswith("object_")}
    shown |= {"bin": bodies == "bin", "table": bodies == "world"}
    shown["hand"] = np.isin(bodies, ("hand", "finger_left", "finger_right"))
    shown["arm"] = np.char.startswith(bodies, "link_")
    assert set(shown) == set(looks["materials"])
    classes = {"table": SemanticClass.BACKGROUND, "bin": SemanticClass.BIN}
    classes |= {"arm": SemanticClass.ARM, "hand": SemanticClass.ARM}
    for name, pixels in shown.items():
        looks["materials"][name]["color"] = [1.0, 1.0, 1.0]
        renderer.prepare(cell, looks)
        looks["materials"][name]["color"] = [0.0, 0.0, 0.0]
        np.testing.assert_array_equal((renderer.render(cell)[0] != black).any(axis=2), pixels)
        assert (mask[pixels] == classes.get(name, SemanticClass.OBJECT)).all()
    assert (sum(pixels.astype(int) for pixels in shown.values()) == 1).all()
    assert {int(value) for value in np.unique(mask)} == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", [0, 1])
def test_masks_agree_with_single_rays(seed: int) -> None:
    """Each pixel by a ray of its own, from the moved and turned camera of the record."""
    size = 32
    full = make_sim(SimConfig(image_size=size, randomization="both"), Prisms(), "train")
    mask = full.reset(seed).mask_now
    assert mask is not None
    camera, model = from_json(Camera, full.record()["randomization"]["looks"]["camera"]), full.cell.model
    eye, found = np.array(camera.position), np.zeros(1, np.int32)
    tangent = math.tan(math.radians(camera.fov) / 2)
    for row, column in np.ndindex(size, size):
        u, v = (2 * column + 1) / size - 1, (2 * row + 1) / size - 1
        ray = np.array([u * tangent, v * tangent, 1.0]) @ camera.rotation()
        far = mujoco.mj_ray(model, full.cell.data, eye, ray, None, True, -1, found)
        body = model.body(model.geom_bodyid[found[0]]).name if far >= 0 else "world"
        kind = {"bin": SemanticClass.BIN, "world": SemanticClass.BACKGROUND}.get(body, SemanticClass.ARM)
        assert mask[row, column] == (SemanticClass.OBJECT if body.startswith("object_") else kind)


def test_image_before_shows_no_arm() -> None:
    jittered = world("both")
    for seed in range(20):
        observation = jittered.reset(seed, seed // 10)
        assert not (observation.mask_before == SemanticClass.ARM).any()
        assert (observation.mask_before == SemanticClass.OBJECT).any()
        assert (observation.mask_now == SemanticClass.ARM).any()


@pytest.mark.parametrize("place", [(0.55, 0.0), (0.47, 0.06), (0.64, 0.07), (0.46, -0.1), (0.64, -0.1)])
def test_an_object_is_seen_where_its_centre_projects(place: tuple[float, float]) -> None:
    cell = cell_with((BOX, (*place, 0.021)))
    renderer = RaycastRenderer(64)
    for camera in (Camera(), Camera(position=(0.36, 0.55, 0.75), target=(0.53, 0.02, 0.08), fov=30.0, roll=8.0)):
        renderer.prepare(cell, plain_looks(camera, [BOX]))
        _, mask = renderer.render(cell)
        column, row = (camera.project(cell.object_positions()[0]) + 1) * 32
        assert mask[int(row), int(column)] == SemanticClass.OBJECT
        rows, columns = np.nonzero(mask == SemanticClass.OBJECT)
        assert math.hypot(columns.mean() + 0.5 - column, rows.mean() + 0.5 - row) < 2


# -- physics ---------------------------------------------------------------------------------------------------------


def grasp_at(cell: Cell, x: float, y: float) -> GraspOutcome:
    cell.place_arm(np.array([x, y, 0.2, 0.0], np.float32))
    cell.move_to(np.array([x, y, 0.02, 0.0], np.float32))
    return cell.close_lift_hold()


def test_a_box_between_the_fingers_is_lifted_and_named() -> None:
    cell = cell_with((BOX, (0.62, -0.08, 0.021)), (replace(BOX, name="wanted"), (0.55, 0.02, 0.021)))
    outcome = grasp_at(cell, 0.55, 0.02)
    assert outcome.success
    assert outcome.object_name == "wanted"
    assert outcome.details["lift"] >= 0.1
    assert outcome.details["opening"] == pytest.approx(0.04, abs=0.004)
    assert cell._held() == {1}


def test_empty_fingers_fail() -> None:
    for cell in (cell_with(), cell_with((BOX, (0.62, 0.08, 0.021)))):
        outcome = grasp_at(cell, 0.48, -0.08)
        assert (outcome.success, outcome.object_name, outcome.details["lift"]) == (False, None, 0.0)


@pytest.mark.parametrize(("side", "finger"), [(-1, "finger_right"), (1, "finger_left")])
def test_an_object_that_touches_one_finger_is_not_held(side: int, finger: str) -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.021)))
    cell.place_arm(np.array([0.55 + side * 0.0301, 0.0, 0.02, 0.0], np.float32))
    cell._step(0.02)
    pairs = [{cell.model.body(cell.model.geom_bodyid[geom]).name for geom in pair} for pair in cell.data.contact.geom]
    assert {finger, "object_0"} in pairs
    assert cell._held() == set()


def test_a_flung_object_is_stopped_and_the_attempt_fails() -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.021)), (BOX, (0.62, 0.08, 0.021)))
    calm = cell.save()
    cell.place_arm(np.array([0.55, 0.0, 0.02, 0.0], np.float32))
    cell.data.qvel[cell.object_dofs[1]] = 40.0
    cell.data.qvel[2] = 30.0  # the arm is thrown with it
    assert not cell.close_lift_hold().success
    assert np.abs(cell.data.qvel).max() < 5.0
    assert np.abs(cell.data.qpos[:7] - cell.data.ctrl[:7]).max() < 0.02
    cell.restore(calm)
    assert grasp_at(cell, 0.55, 0.0).success


def test_joints_keep_to_their_speed_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, rng, fastest = cell_with(), np.random.default_rng(0), [np.zeros(7)]
    cell.place_arm(np.array([0.55, 0.0, 0.2, 0.0], np.float32))
    step = cell._step

    def watched(seconds: float) -> None:
        step(seconds)
        fastest.append(np.abs(cell.data.qvel[:7]))

    monkeypatch.setattr(cell, "_step", watched)
    space = cell.workspace
    for _ in range(30):
        cell.move_to(rng.uniform((*space.low, -1.5), (*space.high, 1.5)).astype(np.float32))
    ratio = np.max(fastest, axis=0) / arm.JOINT_SPEEDS
    assert ratio.max() < 1.1  # a straight line is not quite straight in the joints
    assert ratio.max() > 0.8  # some joint was at its limit


def test_two_objects_squeezed_together_are_not_one_held() -> None:
    half = ObjectModel("half", (Part("box", (0.012, 0.02, 0.02)),), 0.05)
    outcome = grasp_at(cell_with((half, (0.537, 0.0, 0.021)), (half, (0.563, 0.0, 0.021))), 0.55, 0.0)
    assert outcome.details["opening"] > 0.04  # both are between the fingers, each touches one
    assert not outcome.success


@pytest.mark.parametrize("seed", range(12))
def test_settled_objects_rest_inside_the_bin(seed: int) -> None:
    cell = Cell(CellConfig(), Workspace())
    cell.load(Prisms().sample(generator(seed), 8, "train"))
    cell.settle(generator(seed, "settle"))
    before = cell.object_positions()
    assert len(before) == 8
    sides, middle = np.array(cell.config.bin_size) / 2, np.array(BIN_CENTRE)
    assert (np.abs(before[:, :2] - middle) < sides).all()
    assert (before[:, 2] > 0.005).all()
    assert cell.data.contact.dist.min(initial=0) > -0.003  # they touch, they don't overlap
    cell._step(0.5)
    assert np.abs(cell.object_positions() - before).max() < 0.01
    assert np.abs(cell.data.qvel[9:]).max() < 0.2


@pytest.mark.parametrize(("knocks", "inside"), [(1, 1), (3, 1), (4, 0)])
def test_what_falls_beside_the_bin_is_dropped_again(knocks: int, inside: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even from its sleep there; after four times it is left out of the picture."""
    cell = cell_with((BOX, (0.55, 0.0, 0.021)))
    step, left = cell._step, [knocks]

    def knocked(seconds: float) -> None:
        if left[0]:
            left[0] -= 1
            cell.data.qpos[cell.object_qpos[0] :][:7] = (0.9, 0.0, 0.02, 1, 0, 0, 0)
            step(3)
        step(seconds)

    monkeypatch.setattr(cell, "_step", knocked)
    cell.settle(generator(0))
    assert left == [0]
    assert len(cell.object_positions()) == inside
    place = cell.data.qpos[cell.object_qpos[0] :][:3]
    assert place[2] == pytest.approx(0.025, abs=0.008) if inside else place[0] > 1.5


@pytest.mark.parametrize("corner", [(1, 1, 1), (1, -1, -1), (-1, 1, 1), (-1, -1, -1)])
def test_moves_are_clipped_to_the_workspace(corner: tuple[int, int, int]) -> None:
    bare = make_sim(SimConfig(objects=(0, 0)), Prisms(), "train")
    bare.reset(0)
    bare.move(np.array([*(3 * np.array(corner)), 0, 1], np.float32))
    space = bare.spec.workspace
    expected = np.where(np.array(corner) > 0, space.high, space.low)
    np.testing.assert_allclose(bare.observe().pose[:3], expected, atol=4e-3)


@pytest.mark.parametrize("command", [(math.nan, 0, 0, 0, 1), (0, 0, 0, 0, math.nan), (math.inf, 0, 0, 0, 1)])
def test_nonsense_is_refused_and_moves_nothing(command: tuple[float, ...]) -> None:
    full = world()
    full.reset(0)
    before = full.cell.save()
    with pytest.raises(UserError, match="not finite"):
        full.move(np.array(command, np.float32))
    np.testing.assert_array_equal(full.cell.save(), before)


@pytest.mark.parametrize("step", ["observe", "grasp", "record", "move", "object_positions"])
def test_nothing_happens_outside_an_attempt(step: str) -> None:
    full = world()
    calls: dict[str, Any] = {"observe": full.observe, "grasp": full.grasp, "record": full.record}
    calls |= {"move": lambda: full.move(NULL_COMMAND), "object_positions": full.object_positions}
    with pytest.raises(UserError, match="call reset first"):
        calls[step]()
    full.reset(0)
    full.close()
    with pytest.raises(UserError, match="call reset first"):
        calls[step]()


def test_fingers_close_once() -> None:
    full = world()
    full.reset(0)
    full.grasp()
    with pytest.raises(UserError, match="closed its fingers already"):
        full.grasp()


@pytest.mark.parametrize("objects", [(5, 3), (-2, 3)])
def test_impossible_object_counts_are_refused(objects: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="fewest"):
        make_sim(SimConfig(objects=objects), Prisms(), "train")


def test_the_reported_pose_is_off_by_the_calibration() -> None:
    cell = Cell(CellConfig(calibration=(0.004, -0.003, 0.002, 0.03)), Workspace())
    cell.load([])
    cell.place_arm(np.array([0.55, 0.0, 0.2, 0.1], np.float32))
    np.testing.assert_allclose(cell.pose() - cell.true_pose(), [0.004, -0.003, 0.002, 0.03], atol=1e-6)
    cell.move_to(np.array([0.56, 0.01, 0.15, 0.2], np.float32))
    np.testing.assert_allclose(cell.pose(), [0.56, 0.01, 0.15, 0.2], atol=3e-3)


# -- randomization ---------------------------------------------------------------------------------------------------

STILL = AppearanceConfig(
    enabled=True, camera_position=0, camera_target=0, camera_fov=0, camera_roll=0, light_height=(1.5, 1.5),
    light_side=0, light_strength=(0.7, 0.7), ambient=(0.3, 0.3), tint=0, shadow=(0, 0), gloss=(0, 0), noise=(0, 0),
    textured=0, frequency=(8, 8),
)  # fmt: skip
TURNED: dict[str, tuple[Any, str]] = {
    "camera_position": (0.05, "camera"), "camera_target": (0.05, "camera"), "camera_fov": (4.0, "camera"),
    "camera_roll": (8.0, "camera"), "light_height": ((0.5, 0.6), "light"), "light_side": (1.0, "light"),
    "light_strength": ((0.3, 0.35), "light_color"), "tint": (0.3, "light_color"), "ambient": ((0.6, 0.65), "ambient"),
    "shadow": ((0.7, 0.8), "shadow"), "gloss": ((0.8, 0.9), "materials"), "noise": ((0.05, 0.06), "noise"),
    "textured": (1.0, "materials"), "frequency": ((80.0, 90.0), "materials"),
}  # fmt: skip
"""Each knob of appearance: a value unlike `STILL`'s, and what of the looks it draws."""


@pytest.mark.parametrize("knob", [field.name for field in fields(AppearanceConfig) if field.name != "enabled"])
def test_every_knob_of_appearance_changes_the_picture(knob: str) -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.03)))
    renderer = RaycastRenderer(48)
    value, drawn = TURNED[knob]
    still = replace(STILL, textured=1.0) if knob == "frequency" else STILL
    pictures, draws = [], []
    for config in (still, replace(still, **{knob: value})):
        draws.append(draw_looks(generator(4), config, Camera(), [BOX]))
        renderer.prepare(cell, draws[-1])
        pictures.append(renderer.render(cell)[0])
    assert {key for key in draws[0] if draws[0][key] != draws[1][key]} == {drawn}
    if knob == "textured":  # its choice of a pattern moves the later draws: judge the pattern alone
        for material in draws[1]["materials"].values():
            assert material["pattern"] != "flat"
            material["pattern"] = "flat"
        renderer.prepare(cell, draws[1])
        pictures[0] = renderer.render(cell)[0]
    assert (pictures[0] != pictures[1]).mean() > 0.01


def test_looks_stay_within_their_ranges() -> None:
    config, camera = AppearanceConfig(enabled=True), Camera()
    low, high = config.light_strength
    for seed in range(60):
        looks = draw_looks(generator(seed), config, camera, [BOX])
        seen = looks["camera"]
        assert np.abs(np.subtract(seen["position"], camera.position)).max() <= config.camera_position + 1e-4
        assert np.abs(np.subtract(seen["target"], camera.target)).max() <= config.camera_target + 1e-4
        assert abs(seen["fov"] - camera.fov) <= config.camera_fov + 1e-4
        assert abs(seen["roll"]) <= config.camera_roll + 1e-4
        assert config.light_height[0] <= looks["light"][2] <= config.light_height[1]
        assert low * (1 - config.tint) - 1e-4 <= min(looks["light_color"])
        assert max(looks["light_color"]) <= high * (1 + config.tint) + 1e-4
        for name in ("ambient", "shadow", "noise"):
            assert getattr(config, name)[0] <= looks[name] <= getattr(config, name)[1]
        for material in looks["materials"].values():
            assert config.gloss[0] <= material["gloss"] <= config.gloss[1]
            size = np.linalg.norm(material["frequency"])
            assert config.frequency[0] - 1e-3 <= size <= config.frequency[1] + 1e-3


@pytest.mark.parametrize("knob", [field.name for field in fields(DynamicsConfig) if field.name != "enabled"])
def test_every_knob_of_dynamics_changes_its_own_part_of_the_model_and_goes_back(knob: str) -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.03)))
    model, base = cell.model, cell.base
    knobs = [field.name for field in fields(DynamicsConfig) if field.name != "enabled"]
    config = replace(DynamicsConfig(enabled=True), **dict.fromkeys(knobs, (1.0, 1.0)) | {knob: (1.5, 1.6)})
    draw = draw_dynamics(generator(0), config, 1)
    assert {name for name in draw if draw[name] not in (1.0, [1.0])} == {knob}
    factor = draw[knob][0] if knob == "mass" else draw[knob]
    thing, bodies = cell.object_bodies, model.geom_bodyid
    free = np.isin(model.dof_bodyid, thing)
    sliding = np.zeros((model.ngeom, 3), bool)
    where = {"object_friction": np.isin(bodies, thing), "bin_friction": bodies == model.body("bin").id}
    where["finger_friction"] = np.isin(np.arange(model.ngeom), list(cell.pads.values()))
    sliding[where.get(knob, np.zeros(model.ngeom, bool)), 0] = True
    heavy = np.isin(np.arange(model.nbody), thing)
    changed = {
        "mass": {"body_mass": heavy, "body_inertia": heavy[:, None]},
        "damping": {"dof_damping": free},
        "grip_force": {"actuator_forcerange": (np.arange(model.nu) >= 7)[:, None]},
    }.get(knob, {"geom_friction": sliding})
    weight = model.body_invweight0[thing].copy()
    cell.set_dynamics(draw)
    for name, nominal in base.items():
        expected = np.where(changed.get(name, False), nominal * factor, nominal)
        np.testing.assert_allclose(getattr(model, name), expected, rtol=1e-12, err_msg=name)
    # What the contact solver takes for an object's mass follows it.
    np.testing.assert_allclose(model.body_invweight0[thing], weight / (factor if knob == "mass" else 1), rtol=1e-6)
    cell.set_dynamics({})
    assert all(np.array_equal(getattr(model, name), nominal) for name, nominal in base.items())


@pytest.mark.parametrize(("preset", "looks", "dynamics"), [("none", 0, 0), ("appearance", 1, 0), ("dynamics", 0, 1)])
def test_a_preset_varies_what_it_names(preset: str, looks: int, dynamics: int) -> None:
    full = world(preset)
    records = []
    for seed in range(2):
        full.reset(seed, 0)
        records.append(full.record()["randomization"])
    assert (records[0]["looks"] != records[1]["looks"]) == bool(looks)
    assert (records[0]["dynamics"] != records[1]["dynamics"]) == bool(dynamics)
    assert bool(records[0]["dynamics"]) == bool(dynamics)


def test_the_record_is_all_it_takes_to_see_and_feel_the_same() -> None:
    full = world("both")
    observation = full.reset(3, 0)
    text = json.dumps(full.record())
    values = json.loads(text)["randomization"]
    assert json.loads(text)["objects"] == [thing.name for thing in full.cell.objects]
    np.testing.assert_allclose(observation.pose, values["start"], atol=2e-5)
    model = {name: getattr(full.cell.model, name).copy() for name in full.cell.base}
    other = world("none")
    other.reset(8, 0)
    other.cell.set_dynamics(values["dynamics"])
    for name, expected in model.items():
        np.testing.assert_array_equal(getattr(other.cell.model, name), expected)
    other.reset(9, 0)
    other.cell.tuck_arm()
    other.renderer.prepare(other.cell, values["looks"] | {"noise_seed": 3})
    np.testing.assert_array_equal(other.renderer.render(other.cell)[0], observation.image_before)


def test_nothing_explodes_when_everything_is_randomized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masses that were drawn without deriving MuJoCo's constants again threw objects out of the bin."""
    full = world("both")
    cell, step, fastest = full.cell, full.cell._step, []

    def watched(seconds: float) -> None:
        step(seconds)
        assert np.isfinite(cell.data.qpos).all()
        speed = np.linalg.norm(cell.data.qvel[9:].reshape(-1, 6)[:, :3], axis=1)
        at = cell.data.xpos[cell.object_bodies]
        away = (np.abs(at[:, :2] - BIN_CENTRE) > np.array(cell.config.bin_size) / 2).any(axis=1) | (at[:, 2] > 0.3)
        fastest.append(speed[away].max(initial=0))

    monkeypatch.setattr(cell, "_step", watched)
    for k in range(40):
        attempt = run_attempt(full, ScriptedPolicy(4), 5, k)
        assert np.isfinite(attempt.poses).all()
        assert not any(warning.number for warning in cell.data.warning)
    assert max(fastest) < 3
