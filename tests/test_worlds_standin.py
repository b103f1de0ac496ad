"""The stand-in reality: it repeats exactly, hands out only what a real cell could, and looks where its camera is."""

import numpy as np
import pytest

from graspgap.contract import Camera, apply_command, command_between
from graspgap.errors import UserError
from graspgap.objects.model import ObjectModel, Part
from graspgap.worlds.protocol import World
from graspgap.worlds.standin import TRUE_CAMERA, TRUE_CELL, StandinConfig, make_standin
from graspgap.worlds.standin_looks import furnish


class Blocks:
    """Coloured blocks; their numbers tell the split."""

    name = "blocks"

    def sample(self, rng, count, split):
        first = 0 if split == "train" else 1000
        return [self.make(first + int(n), rng) for n in rng.choice(1000, count, replace=False)]

    def make(self, number, rng):
        size = tuple(rng.uniform(0.012, 0.03, 3))
        return ObjectModel(f"block-{number}", (Part("box", size),), 0.05, color=tuple(rng.uniform(0.2, 0.9, 3)))


def standin(split="train", **settings):
    settings = {"evaluation_objects": (3, 4), "purpose": "evaluation"} | settings
    return make_standin(StandinConfig(**settings), Blocks(), split)


def play(world, seed, scene):
    """One attempt: everything that it hands out."""
    seen = [world.reset(seed, scene)]
    for target in ((0.5, 0.05, 0.1, 0.4), (0.58, -0.04, 0.03, 1.0)):
        world.move(command_between(seen[-1].pose, np.array(target, np.float32)))
        seen.append(world.observe())
    return seen, world.grasp(), world.record()


@pytest.fixture(scope="module")
def world():
    return standin()


def test_attempts_replay_bit_for_bit_after_others_and_in_another_instance(world):
    seen, outcome, record = play(world, 5, 1)
    for seed, scene in ((6, 1), (7, 2), (8, 3)):
        play(world, seed, scene)
    for other in (world, standin()):
        again, same_outcome, same_record = play(other, 5, 1)
        for one, two in zip(seen, again, strict=True):
            assert np.array_equal(one.image_before, two.image_before)
            assert np.array_equal(one.image_now, two.image_now)
            assert np.array_equal(one.pose, two.pose)
        assert (outcome, record) == (same_outcome, same_record)


def test_seeds_change_light_and_start_but_not_the_layout(world):
    one, two = (world.reset(seed, 1) for seed in (5, 6))
    assert not np.array_equal(one.pose, two.pose)
    assert not np.array_equal(one.image_before, two.image_before)
    elsewhere = world.reset(5, 4)
    alike, unlike = (
        np.corrcoef(one.image_before[20:50, 15:50].ravel(), o.image_before[20:50, 15:50].ravel())[0, 1]
        for o in (two, elsewhere)
    )
    assert alike > 0.95 > unlike


def test_neither_masks_nor_object_poses_are_handed_out(world):
    seen, _, record = play(world, 3, 1)
    assert all(o.mask_before is None and o.mask_now is None for o in seen)
    assert isinstance(world, World)
    assert (world.spec.has_masks, world.spec.has_state, world.spec.is_reality) == (False, False, True)
    with pytest.raises(UserError, match="doesn't tell where its objects are"):
        world.object_positions()
    assert set(record["randomization"]) == {"start", "looks", "dynamics"}
    assert set(record["randomization"]["looks"]) == {"lamp", "surroundings", "warmth"}


def test_the_operator_believes_in_the_nominal_camera(world):
    nominal = world.spec.camera
    assert nominal == Camera()
    assert 0.02 < np.linalg.norm(np.subtract(nominal.position, TRUE_CAMERA.position)) < 0.05
    turn = nominal.rotation() @ TRUE_CAMERA.rotation().T
    assert 1.5 < np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 4


def test_pictures_change_where_the_true_camera_sees_the_gripper(world):
    start = world.reset(11, 1)
    target = np.array([0.6, 0.06, 0.12, 0.5], np.float32)
    world.move(command_between(start.pose, target))
    change = np.abs(world.observe().image_now.astype(int) - start.image_before).sum(axis=2)
    u, v = TRUE_CAMERA.project(np.add(world.cell.true_pose()[:3], (0, 0, 0.08)))  # between the fingers and the hand
    row, column = int((v + 1) * 32), int((u + 1) * 32)
    near = change[max(row - 6, 0) : row + 6, max(column - 6, 0) : column + 6]
    assert near.mean() > 2.5 * change[45:, :].mean()
    assert change[45:, :].mean() < 60  # the foreground: nothing but noise


def test_the_reported_pose_is_off_by_the_calibration(world):
    world.reset(4, 1)
    error = world.cell.pose() - world.cell.true_pose()
    assert error == pytest.approx(TRUE_CELL.calibration, abs=1e-5)
    assert 0.003 < np.linalg.norm(error[:3]) < 0.006


def test_moves_end_near_but_not_at_the_target(world):
    start = world.reset(9, 1)
    target = np.array([0.55, 0.0, 0.15, 0.2], np.float32)
    command = command_between(start.pose, target)
    world.move(command)
    miss = np.linalg.norm(world.observe().pose[:3] - apply_command(start.pose, command)[:3])
    assert 1e-5 < miss < 0.01


def test_splits_give_different_objects():
    names = {split: set(play(standin(split), 1, 1)[2]["objects"]) for split in ("train", "test")}
    assert not names["train"] & names["test"]


def test_collection_fills_the_bin_more_than_evaluation():
    counts = [len(play(standin(purpose=p), 1, 1)[2]["objects"]) for p in ("collection", "evaluation")]
    assert 8 <= counts[0] <= 10
    assert 3 <= counts[1] <= 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"image_size": 8}, "too small"), ({"purpose": "collecting"}, "did you mean 'collection'")],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        make_standin(StandinConfig(**settings), Blocks(), "train")


def test_looks_cover_what_collides(world):
    world.reset(1, 1)
    model = world.cell.model
    bodies = furnish(world.cell).bodies
    assert set(bodies) == {*(f"link_{i}" for i in range(8)), "hand", "finger_left", "finger_right"}
    for name in ("hand", "finger_left", "finger_right"):
        (geom,) = np.flatnonzero(model.geom_bodyid == model.body(name).id)
        vertices = np.concatenate([surface.vertices for surface in bodies[name]])
        low, high = model.geom_pos[geom] - model.geom_size[geom], model.geom_pos[geom] + model.geom_size[geom]
        assert (vertices.min(axis=0) <= low + 1e-6).all()
        assert (vertices.max(axis=0) >= high - 1e-6).all()
        assert (vertices.max(axis=0) <= high + 0.003).all()
