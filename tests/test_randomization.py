"""Randomization: every knob turns what it names, and the record is all it takes to replay."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graspgap.worlds
from cells import BOX, cell_with, world
from graspgap.contract import Camera
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.seeding import generator
from graspgap.worlds.cell_model import BIN_CENTRE
from graspgap.worlds.looks import draw_looks
from graspgap.worlds.randomization import (
    PRESETS,
    AppearanceConfig,
    DynamicsConfig,
    RandomizationConfig,
    draw_dynamics,
    preset,
    ranges_of,
    read_randomization,
)
from graspgap.worlds.raycast import RaycastRenderer
from graspgap.worlds.tiles import KINDS, SIZE, tile

PRESET_FOLDER = Path(graspgap.worlds.__file__).parent / "presets"

STILL = AppearanceConfig(
    enabled=True, camera_position=0, camera_target=0, camera_fov=0, camera_roll=0, light_height=(1.5, 1.5),
    light_side=0, light_strength=(0.7, 0.7), ambient=(0.3, 0.3), tint=0, shadow=(0, 0), gloss=(0, 0), noise=(0, 0),
    textured=0, frequency=(8, 8), tile_size=(0.05, 0.05), background_size=(0.5, 0.5),
)  # fmt: skip

TURNED: dict[str, tuple[Any, set[str]]] = {
    "camera_position": (0.05, {"camera"}), "camera_target": (0.05, {"camera"}), "camera_fov": (4.0, {"camera"}),
    "camera_roll": (8.0, {"camera"}), "camera_barrel": ((0.05, 0.06), {"barrel"}),
    "light_height": ((0.5, 0.6), {"light"}), "light_side": (1.0, {"light"}),
    "light_strength": ((0.3, 0.35), {"light_color"}), "tint": (0.3, {"light_color"}),
    "light_count": ((2, 3), {"light_color", "more_lights"}), "ambient": ((0.6, 0.65), {"ambient"}),
    "shadow": ((0.7, 0.8), {"shadow"}), "gloss": ((0.8, 0.9), {"materials"}), "noise": ((0.05, 0.06), {"noise"}),
    "color": (0.2, {"materials"}), "textured": (1.0, {"materials"}), "frequency": ((80.0, 90.0), {"materials"}),
    "tiled": (1.0, {"materials"}), "tile_size": ((0.01, 0.02), {"materials"}),
    "background": (1.0, {"materials", "sky"}), "background_size": ((0.1, 0.2), {"materials"}),
    "shot_noise": ((0.05, 0.06), {"sensor"}), "vignette": ((0.5, 0.6), {"sensor"}),
    "defocus": ((1.0, 1.1), {"sensor"}), "exposure": ((0.5, 0.6), {"sensor"}), "balance": (0.3, {"sensor"}),
    "jpeg": ((20, 30), {"sensor"}),
}  # fmt: skip
"""Each knob of appearance: a value unlike `STILL`'s, and what of the looks it draws."""
NEEDED: dict[str, dict[str, float]] = {
    "frequency": {"textured": 1.0}, "tile_size": {"tiled": 1.0}, "background_size": {"background": 1.0},
    "light_count": {"light_side": 1.0},
}  # fmt: skip
"""What must be on for a knob to matter."""


@pytest.mark.parametrize("knob", [field.name for field in fields(AppearanceConfig) if field.name != "enabled"])
def test_every_knob_of_appearance_changes_the_picture(knob: str) -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.03)))
    renderer = RaycastRenderer(48)
    value, drawn = TURNED[knob]
    still = replace(STILL, **NEEDED.get(knob, {}))
    pictures, draws = [], []
    for config in (still, replace(still, **{knob: value})):
        draws.append(draw_looks(generator(4), config, Camera(fov=40.0), [BOX]))  # wide enough to show the table
        renderer.prepare(cell, draws[-1])
        pictures.append(renderer.render(cell)[0])
    assert {key for key in draws[0] | draws[1] if draws[0].get(key) != draws[1].get(key)} == drawn
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


KNOBS = [field.name for field in fields(DynamicsConfig) if field.name != "enabled"]
NOMINAL: dict[str, Any] = dict.fromkeys(KNOBS, (1.0, 1.0)) | {"latency": (0, 0), "calibration": 0, "calibration_yaw": 0}


def turned(knob: str) -> DynamicsConfig:
    """Nominal dynamics but for one knob."""
    values = {"latency": (0.2, 0.3), "calibration": 0.01, "calibration_yaw": 0.1}
    return DynamicsConfig(enabled=True, **NOMINAL | {knob: values.get(knob, (1.5, 1.6))})


@pytest.mark.parametrize("knob", KNOBS[:7])
def test_every_knob_of_dynamics_changes_its_own_part_of_the_model_and_goes_back(knob: str) -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.03)))
    model, base = cell.model, cell.base
    draw = draw_dynamics(generator(0), turned(knob), 1)
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
        "finger_speed": {"dof_damping": np.isin(np.arange(model.nv), (7, 8))},
        "grip_force": {"actuator_forcerange": (np.arange(model.nu) >= 7)[:, None]},
    }.get(knob, {"geom_friction": sliding})
    weight = model.body_invweight0[thing].copy()
    cell.set_dynamics(draw)
    for name, nominal in base.items():
        scaled = nominal / factor if knob == "finger_speed" else nominal * factor
        expected = np.where(changed.get(name, False), scaled, nominal)
        np.testing.assert_allclose(getattr(model, name), expected, rtol=1e-12, err_msg=name)
    # What the contact solver takes for an object's mass follows it.
    np.testing.assert_allclose(model.body_invweight0[thing], weight / (factor if knob == "mass" else 1), rtol=1e-6)
    cell.set_dynamics({})
    assert all(np.array_equal(getattr(model, name), nominal) for name, nominal in base.items())


def closing(draw: dict[str, Any]) -> float:
    """How far the fingers have closed after 60 ms [m]."""
    cell = cell_with((BOX, (0.55, 0.0, 0.03)))
    cell.set_dynamics(draw)
    cell.place_arm(np.array((0.55, 0.0, 0.2, 0.0), np.float32))
    cell._shut()
    cell._step(0.06)
    return cell.config.opening - cell._opening()


def test_fingers_close_faster_where_they_are_drawn_faster() -> None:
    fast = draw_dynamics(generator(0), turned("finger_speed"), 1)
    assert closing(fast) > 1.2 * closing({})


@pytest.mark.parametrize("knob", KNOBS[7:])
def test_every_knob_of_the_arm_changes_how_it_moves(knob: str) -> None:
    draw = draw_dynamics(generator(0), turned(knob), 1)
    assert {name for name in draw if draw[name] not in (1.0, [1.0])} == {knob.removesuffix("_yaw")}
    cell = cell_with((BOX, (0.55, 0.0, 0.03)))
    goal = np.array((0.55, 0.05, 0.15, 0.3), np.float32)
    ends = []
    for values in ({}, draw, {}):
        cell.set_dynamics(values)
        cell.place_arm(np.array((0.5, -0.05, 0.2, 0.0), np.float32))
        start = cell.data.time
        cell.move_to(goal)
        np.testing.assert_allclose(cell.pose(), goal, atol=4e-3)  # as reported
        ends.append((cell.data.time - start, cell.true_pose()))
    (nominal, true), (seconds, off), (again, _) = ends
    assert again == pytest.approx(nominal, abs=1e-9)
    if "calibration" in knob:
        expected = np.array(draw["calibration"])
        assert (np.abs(expected[:3]).max() > 1e-3) == (knob == "calibration")
        np.testing.assert_allclose(true - off, expected, atol=2e-3)
    elif knob == "latency":
        assert seconds - nominal == pytest.approx(draw["latency"], abs=0.01)
    else:
        assert seconds < 0.9 * nominal


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_file_that_says_every_range(name: str) -> None:
    ranges = preset(name)
    text = (PRESET_FOLDER / f"{name}.toml").read_text()
    for kind, config in (("appearance", ranges.appearance), ("dynamics", ranges.dynamics)):
        assert (f"[{kind}]" in text) == config.enabled
        if config.enabled:
            keys = {field.name for field in fields(config)} - {"enabled"}
            assert set(tomllib.loads(text)[kind]) == keys


def test_presets_widen_from_mild_to_heavy() -> None:
    def width(value: Any) -> float:
        return value[1] - value[0] if isinstance(value, tuple) else value

    configs = [preset(name) for name in ("mild", "medium", "heavy")]
    for part in ("appearance", "dynamics"):
        for field in fields(getattr(configs[0], part)):
            widths = [width(getattr(getattr(config, part), field.name)) for config in configs]
            assert widths == sorted(widths), field.name
    assert preset("both") == RandomizationConfig(preset("appearance").appearance, preset("dynamics").dynamics)
    assert preset("none") == RandomizationConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[apearance]\n", "did you mean 'appearance'"),
        ("[dynamics]\nmas = [1, 2]", "did you mean 'mass'"),
        ("[dynamics]\nmass = [2, 1]", "expected a range"),
        ("[dynamics]\nmass = 2", "expected a range"),
        ("[appearance]\ntint = [1, 2]", "expected a finite number"),
        ("[appearance]\ntint = nan", "expected a finite number"),
        ("[appearance]\nenabled = 3", "expected true or false"),
        ("appearance = 3", "is no table"),
        ("[appearance", "not valid TOML"),
    ],
)
def test_a_bad_file_of_ranges_is_one_clear_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_randomization(path)
    assert "\n" not in str(caught.value)


def test_own_ranges_and_unknown_presets(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[dynamics]\nmass = [1, 3]\n")
    ranges = ranges_of(str(path))
    assert ranges == RandomizationConfig(dynamics=DynamicsConfig(enabled=True, mass=(1, 3)))
    assert ranges_of("both") is None
    with pytest.raises(UserError, match="can't read"):
        ranges_of("absent.toml")
    with pytest.raises(UserError, match="did you mean 'heavy'"):
        preset("heav")


def test_more_than_a_thousand_kinds_of_tiles_that_differ_and_repeat() -> None:
    assert len(KINDS) == len(set(KINDS)) >= 1000
    seen = set()
    for kind in range(len(KINDS)):
        share, over = tile(kind, 7)
        assert share.shape == over.shape == (SIZE, SIZE)
        assert min(share.min(), over.min()) >= 0
        assert max(share.max(), over.max()) <= 1
        assert share.std() > 0.01, KINDS[kind]
        seen.add(share.tobytes() + over.tobytes())
    assert len(seen) == len(KINDS)
    assert all(np.array_equal(a, b) for a, b in zip(tile(99, 3), tile(99, 3), strict=True))
    assert not np.array_equal(tile(99, 3)[0], tile(99, 4)[0])


@pytest.mark.parametrize(("name", "looks", "dynamics"), [("none", 0, 0), ("appearance", 1, 0), ("dynamics", 0, 1)])
def test_a_preset_varies_what_it_names(name: str, looks: int, dynamics: int) -> None:
    full = world(name)
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
