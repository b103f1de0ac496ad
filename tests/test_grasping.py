import numpy as np
import pytest

from conftest import REAL, SIM, PaperWorld
from graspgap.contract import Camera, Observation, Workspace, apply_command, command_between
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.cem import CemConfig, cross_entropy_method, uniform_targets
from graspgap.grasping.policies import RandomPolicy, ScriptedPolicy, ServoConfig, ServoPolicy
from graspgap.seeding import generator


def hill(targets: np.ndarray) -> np.ndarray:
    """A smooth score with one narrow best grasp."""
    distance = (targets - [0.5, 0.07, 0.03, 1.5]) / [0.03, 0.03, 0.02, 1]
    distance[:, 3] = np.sin(distance[:, 3])  # period pi, as a two-finger grasp
    return np.exp(-np.square(distance).sum(axis=1))


def test_cem_beats_random_search_of_the_same_size() -> None:
    config, space = CemConfig(), Workspace()
    budget = config.samples * config.iterations
    cem = [cross_entropy_method(hill, space, generator(seed), config)[1] for seed in range(20)]
    rand = [hill(uniform_targets(generator(seed, "random"), budget, space)).max() for seed in range(20)]
    assert np.mean(cem) > np.mean(rand) + 0.1
    assert sum(c > r for c, r in zip(cem, rand, strict=True)) >= 15


def test_cem_returns_the_best_target_ever_scored_within_the_limits() -> None:
    seen: list[np.ndarray] = []

    def score(targets: np.ndarray) -> np.ndarray:
        seen.append(targets)
        return hill(targets)

    space = Workspace()
    best, value = cross_entropy_method(score, space, generator(0), CemConfig())
    everything = np.concatenate(seen)
    assert value == hill(everything).max()
    assert hill(best[None])[0] == value
    low, high = (*space.low[:2], space.grasp_z[0]), (*space.high[:2], space.grasp_z[1])
    assert (everything[:, :3] >= low).all()
    assert (everything[:, :3] <= high).all()


def test_equal_seeds_give_equal_targets() -> None:
    first, second = (cross_entropy_method(hill, Workspace(), generator(3), CemConfig())[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


class Knows:
    """A predictor that knows where the object is."""

    def __init__(self, world: PaperWorld) -> None:
        self.world = world

    def aim(self, camera: Camera) -> None:
        self.camera = camera

    def look(self, observation: Observation):
        def score(commands: np.ndarray) -> np.ndarray:
            away = apply_command(observation.pose, commands)[:, :3] - self.world.thing
            return np.exp(-np.square(away / 0.05).sum(axis=1))

        return score


def test_the_servo_grasps_what_its_predictor_sees() -> None:
    world = PaperWorld()
    policy = ServoPolicy(Knows(world), steps=4)
    random = RandomPolicy(4)
    served = [run_attempt(world, policy, 0, k).outcome.success for k in range(30)]
    tried = [run_attempt(world, random, 0, k).outcome.success for k in range(30)]
    assert np.mean(served) > 0.9 > 0.4 > np.mean(tried)
    assert policy.predictor.camera == world.spec.camera


def test_the_servo_closes_early_when_staying_is_as_good() -> None:
    world = PaperWorld()
    policy = ServoPolicy(Knows(world), steps=8, config=ServoConfig(fraction=1.0))
    lengths = [len(run_attempt(world, policy, 0, k, steps=8).images) for k in range(10)]
    assert max(lengths) < 8


def test_an_attempt_depends_on_its_seed_and_number_alone() -> None:
    world = PaperWorld()
    first = run_attempt(world, ScriptedPolicy(4), 5, 13)
    run_attempt(world, ScriptedPolicy(4), 5, 14)
    again = run_attempt(PaperWorld(), ScriptedPolicy(4), 5, 13)
    np.testing.assert_array_equal(first.poses, again.poses)
    np.testing.assert_array_equal(np.stack(first.images), np.stack(again.images))
    assert first.outcome == again.outcome


def test_attempts_of_a_scene_share_its_objects_and_nothing_else() -> None:
    world = PaperWorld()
    one, two, other = (run_attempt(world, RandomPolicy(4), 0, k) for k in (0, 9, 10))
    np.testing.assert_array_equal(one.image_before, two.image_before)
    assert not np.array_equal(one.poses, two.poses)
    assert not np.array_equal(one.image_before, other.image_before)
    assert (one.scene, two.scene, other.scene) == (0, 0, 1)


def test_the_last_command_of_an_attempt_is_to_stay() -> None:
    attempt = run_attempt(PaperWorld(), RandomPolicy(4), 0, 0)
    assert len(attempt.images) == 4
    np.testing.assert_allclose(attempt.commands[-1], [0, 0, 0, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(attempt.commands[0], command_between(attempt.poses[0], attempt.poses[-1]))


class StopsShort(PaperWorld):
    """Something is in the way below 5 cm."""

    def move(self, command: np.ndarray) -> None:
        super().move(command)
        self.pose[2] = max(self.pose[2], 0.07)


def test_an_attempt_that_was_stopped_keeps_the_command_it_was_given() -> None:
    """Learning from reached poses would teach that a low target is a free one."""
    attempt = run_attempt(StopsShort(), RandomPolicy(4), 0, 0)
    assert attempt.poses[-1, 2] == np.float32(0.07)
    assert attempt.target[2] <= 0.06
    reached = apply_command(attempt.poses, attempt.commands)
    np.testing.assert_allclose(reached, np.tile(attempt.target, (4, 1)), atol=1e-5)


def test_the_scripted_policy_is_refused_without_object_poses() -> None:
    with pytest.raises(UserError, match="no real cell"):
        run_attempt(PaperWorld(REAL), ScriptedPolicy(4), 0, 0)


def test_scripted_aims_better_than_random() -> None:
    world = PaperWorld(SIM)
    scripted = [run_attempt(world, ScriptedPolicy(4), 0, k).outcome.success for k in range(60)]
    random = [run_attempt(world, RandomPolicy(4), 0, k).outcome.success for k in range(60)]
    assert sum(scripted) > 3 * sum(random)


@pytest.mark.parametrize("steps", [1, 11])
def test_the_number_of_servo_steps_is_checked(steps: int) -> None:
    with pytest.raises(UserError, match="2 to 10"):
        run_attempt(PaperWorld(), RandomPolicy(4), 0, 0, steps=steps)
