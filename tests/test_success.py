"""Success without a person: the fingers' opening, and the drop test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cells import BOX, cell_with, world
from graspgap.contract import command_between
from graspgap.deployment.success import SuccessConfig, best_threshold, change, held_by_opening, judge
from graspgap.errors import UserError
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.protocol import DropTestWorld

CONFIG = SuccessConfig()


def bin_picture(thing: bool, light: float = 1.0, noise: int = 0) -> np.ndarray:
    """A grey bin with noise, with or without a red thing of 6 x 6 pixels."""
    picture = np.full((64, 64, 3), 120.0)
    if thing:
        picture[30:36, 20:26] = 200, 40, 40
    picture = picture * light + np.random.default_rng(noise).normal(0, 8, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def test_a_thing_that_came_back_is_seen_and_neither_noise_nor_light_is() -> None:
    nothing = bin_picture(False)
    assert change(nothing, bin_picture(True, noise=1), CONFIG) > CONFIG.changed
    assert change(nothing, bin_picture(False, noise=1), CONFIG) <= CONFIG.changed
    assert change(nothing, bin_picture(False, light=1.4, noise=1), CONFIG) <= CONFIG.changed
    assert change(nothing, bin_picture(True, light=0.7, noise=1), CONFIG) > CONFIG.changed


@pytest.mark.parametrize(
    ("way", "opening", "thing", "held"),
    [
        ("opening", 0.02, False, True),
        ("opening", 0.001, True, False),
        ("pictures", 0.02, False, False),
        ("pictures", 0.001, True, True),
        ("either", 0.001, True, True),
        ("either", 0.02, False, True),
        ("either", 0.001, False, False),
        ("both", 0.02, False, False),
        ("both", 0.02, True, True),
    ],
)
def test_the_ways_to_tell(way: str, opening: float, thing: bool, held: bool) -> None:
    pictures = bin_picture(False), bin_picture(thing, noise=1)
    assert judge(opening, pictures, SuccessConfig(way=way)) is held


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: held_by_opening(float("nan"), CONFIG), "0 to 1 m"),
        (lambda: held_by_opening(40.0, CONFIG), "give metres"),
        (lambda: judge(None, None, CONFIG), "gripper's opening"),
        (lambda: judge(0.01, None, SuccessConfig(way="either")), "drop test"),
        (lambda: judge(0.01, None, SuccessConfig(way="eihter")), "did you mean 'either'"),
        (lambda: change(bin_picture(True), bin_picture(True)[:32], CONFIG), "one camera"),
        (lambda: best_threshold([1.0, 2.0], [True, True]), "both kinds"),
    ],
)
def test_what_can_t_be_judged(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


def test_the_best_threshold_tells_the_most_right() -> None:
    assert 0.2 < best_threshold([0.1, 0.2, 0.4, 0.5, 0.3], [False, False, True, True, True]) < 0.3


def test_what_was_lifted_is_carried_away_and_falls_back() -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.03)))
    cell.place_arm(np.array([0.55, 0.0, 0.02, 0.0], np.float32))
    outcome = cell.close_lift_hold()
    assert outcome.success
    cell.carry_away()
    assert len(cell.object_positions()) == 0
    cell.drop()
    (place,) = cell.object_positions()
    assert place[2] < 0.04  # on the floor, not asleep in the air


def test_what_was_not_lifted_stays() -> None:
    cell = cell_with((BOX, (0.6, 0.05, 0.03)))
    cell.place_arm(np.array([0.5, -0.05, 0.02, 0.0], np.float32))
    before = cell.object_positions()
    assert not cell.close_lift_hold().success
    cell.carry_away()
    cell.drop()
    assert np.allclose(cell.object_positions(), before, atol=1e-3)


def test_a_drop_test_needs_a_grasp_and_leaves_later_attempts_as_they_are() -> None:
    simulated = world()
    assert isinstance(simulated, DropTestWorld)
    first = simulated.reset(3, 1)
    with pytest.raises(UserError, match="call grasp first"):
        simulated.drop_test()
    simulated.grasp()
    without, dropped = simulated.drop_test()
    assert np.array_equal(without, dropped)  # it closed in the air
    again = simulated.reset(3, 1)
    assert np.array_equal(first.image_now, again.image_now)
    assert np.array_equal(first.pose, again.pose)


@pytest.mark.parametrize(("name", "changed"), [("standin", CONFIG.changed), ("bullet", 0.0002)])
def test_held_objects_are_told_in_both_ways(name: str, changed: float) -> None:
    if name == "bullet":
        pytest.importorskip("pybullet")
    made: Any = make_world(WorldChoice(name))
    told = []
    for seed in range(5):
        seen = made.reset(seed, seed)
        spot = made.cell.object_positions()[0]
        goal = made.spec.workspace.clip(np.array([*spot[:2], max(0.012, spot[2] - 0.01), seed * 0.5]))
        for way in (goal + np.float32([0, 0, 0.1, 0]), goal):
            made.move(command_between(seen.pose, way))
            seen = made.observe()
        outcome = made.grasp()
        if outcome.success:
            pictures, config = made.drop_test(), SuccessConfig(way="pictures", changed=changed)
            told.append((held_by_opening(outcome.details["opening"], CONFIG), judge(None, pictures, config)))
    assert len(told) >= 2
    assert np.mean(told) > 0.7
