"""Randomization: every knob turns what it names, and the record is all it takes to replay."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from cells import BOX, cell_with, world
from graspgap.contract import Camera
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.seeding import generator
from graspgap.worlds.cell_model import BIN_CENTRE
from graspgap.worlds.randomization import (
    AppearanceConfig,
    DynamicsConfig,
    draw_dynamics,
    draw_looks,
)
from graspgap.worlds.raycast import RaycastRenderer

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
