"""The simulated world: pictures and masks, exact replay, refusals."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np
import pytest

from cells import BOX, cell_with, world
from graspgap.config import from_json
from graspgap.contract import NULL_COMMAND, Camera, SemanticClass
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.objects.prisms import Prisms
from graspgap.worlds.looks import plain_looks
from graspgap.worlds.randomization import preset
from graspgap.worlds.raycast import RaycastRenderer
from graspgap.worlds.sim import SimConfig, make_sim


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
    full = make_sim(SimConfig(image_size=size, layers=True, randomization=preset("both")), Prisms(), "train")
    seen = full.reset(seed)
    mask, layers = seen.mask_now, seen.layers_now
    assert mask is not None
    assert layers is not None
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
        instance = int(body.removeprefix("object_")) + 1 if body.startswith("object_") else 0
        assert layers.instances[row, column] == instance
        assert layers.depth[row, column] == pytest.approx(max(far, 0), abs=1e-4)  # the ray has length 1 along the axis
    assert len(np.unique(layers.instances)) > 3


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
