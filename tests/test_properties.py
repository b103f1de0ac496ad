"""What must hold for any object, any world and any command, tried on random ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graspgap.contract import MAX_SERVO_STEPS, Camera, Workspace, apply_command, command_between
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.objects.everyday import EVERYDAY
from graspgap.objects.parts import bounds, centre_of_mass
from graspgap.objects.prisms import Prisms
from graspgap.seeding import generator
from graspgap.worlds.looks import draw_looks
from graspgap.worlds.randomization import draw_dynamics
from worlds_at_random import check_attempt, random_prisms, random_ranges, random_world

SEEDS = st.integers(0, 2**31 - 1)
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=60)
@given(SEEDS, st.integers(0, 10**8))
def test_prisms_keep_to_the_limits_of_any_configuration(seed: int, number: int) -> None:
    prisms = random_prisms(generator(seed, "prisms"))
    config = prisms.config
    try:
        thing = prisms.make(number)
    except UserError as error:
        assert "widen" in str(error)  # noqa: PT017, it may be raised
        return
    assert config.parts[0] <= len(thing.parts) <= config.parts[1]
    _, middle, longest = np.sort(np.ptp(bounds(thing.parts), axis=0))
    assert config.extent[0] - 1e-9 <= longest <= config.extent[1] + 1e-9
    assert middle <= config.width + 1e-9
    assert config.mass[0] <= thing.mass <= config.mass[1]
    np.testing.assert_allclose(centre_of_mass(thing.parts), 0, atol=1e-9)


@settings(max_examples=30)
@given(st.sampled_from([*EVERYDAY.names("train"), *EVERYDAY.names("test")]))
def test_everyday_objects_are_solid_and_fit_the_gripper(name: str) -> None:
    thing = EVERYDAY.make(name)
    extents = np.sort(np.ptp(bounds(thing.parts), axis=0))
    assert np.isfinite(extents).all()
    assert extents[0] < 0.1
    assert thing.mass > 0
    assert all(np.isfinite(surface.vertices).all() for surface in thing.surfaces)


@settings(max_examples=60)
@given(SEEDS)
def test_draws_are_finite_and_repeat(seed: int) -> None:
    ranges = random_ranges(generator(seed, "ranges"))
    things = Prisms().sample(generator(seed), 3, "train")
    draws = []
    for _ in range(2):
        looks = draw_looks(generator(seed), ranges.appearance, Camera(), things)
        draws.append((looks, draw_dynamics(generator(seed), ranges.dynamics, 3)))
    assert draws[0] == draws[1]
    assert "nan" not in repr(draws[0])
    assert "inf" not in repr(draws[0])


@settings(max_examples=200)
@given(st.lists(FLOATS, min_size=4, max_size=4), st.lists(FLOATS, min_size=5, max_size=5))
def test_every_target_is_inside_the_limits_or_refused(pose: list[float], command: list[float]) -> None:
    space = Workspace()
    with np.errstate(all="ignore"):
        target = space.clip(apply_command(np.float32(pose), np.float32(command)))
    if np.isfinite(pose).all() and np.isfinite(command).all():
        finite = np.isfinite(target)
        assert finite[:3].all()
        assert (target[:3] >= np.float32(space.low)).all()
        assert (target[:3] <= np.float32(space.high)).all()


@settings(max_examples=100)
@given(SEEDS)
def test_a_command_leads_where_it_was_made_for(seed: int) -> None:
    space = Workspace()
    pose, target = generator(seed).uniform((*space.low, -1.57), (*space.high, 1.57), (2, 4)).astype(np.float32)
    reached = apply_command(pose, command_between(pose, target))
    np.testing.assert_allclose(reached[:3], target[:3], atol=1e-6)
    assert abs(np.sin(reached[3] - target[3])) < 1e-5  # yaw and yaw + pi are the same grasp


@settings(max_examples=12)
@given(SEEDS)
def test_any_world_stands_hostile_commands(seed: int) -> None:
    world = random_world(seed)
    check_attempt(world, seed)
    if seed % 2:
        check_attempt(world, seed + 1)


@pytest.mark.parametrize("steps", [0, 1, MAX_SERVO_STEPS + 1])
def test_no_attempt_has_too_few_or_too_many_steps(steps: int) -> None:
    with pytest.raises(UserError, match="servo steps"):
        run_attempt(random_world(0), RandomPolicy(4), 0, 0, steps)
