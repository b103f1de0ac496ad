"""The Gymnasium environment: its own checker, seeds, vector environments, and what ends an episode."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from conftest import REAL, PaperWorld
from graspgap.contract import command_between
from graspgap.envs import ENV_ID, BinGraspEnv
from graspgap.errors import UserError

STAY = np.array([0, 0, 0, 0, 1, -1], np.float32)
CLOSE = np.array([0, 0, 0, 0, 1, 1], np.float32)


def make(**options: Any) -> gymnasium.Env:
    return gymnasium.make(ENV_ID, image_size=32, **options)


def equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("world", ["paper", "paper-reality", "sim"])
def test_gymnasiums_own_checker_finds_nothing(world: str) -> None:
    given = {"paper": PaperWorld(), "paper-reality": PaperWorld(REAL)}.get(world, world)
    check_env(make(world=given, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("world", ["sim", "bullet"])
def test_equal_seeds_and_actions_give_equal_episodes(world: str) -> None:
    if world == "bullet":
        pytest.importorskip("pybullet")
    episodes = []
    for _ in range(2):
        env = make(world=world, randomize="heavy")
        env.action_space.seed(1)
        seen, info = env.reset(seed=5)
        steps: list[tuple[Any, ...]] = [(seen, info)]
        over = False
        while not over:
            action = env.action_space.sample()
            action[5] = -1.0
            seen, reward, over, truncated, info = env.step(action)
            assert env.observation_space.contains(seen)
            assert not truncated
            steps.append((seen, reward, over, info))
        episodes.append(steps)
    assert len(episodes[0]) == 5  # a first look and 4 steps, of which the last one closes
    for one, other in zip(*episodes, strict=True):
        assert equal(one[0], other[0])
        assert one[1:] == other[1:]
    again, _ = env.reset()
    assert not equal(again, episodes[0][0][0])


def test_the_reward_is_the_outcome_and_closing_ends_the_episode() -> None:
    world = PaperWorld()
    env = BinGraspEnv(world, steps=4)
    env.reset(seed=0)
    target = np.array([*world.thing[:2], 0.02, 0.0], np.float32)
    _, reward, over, _, _ = env.step(np.array([*command_between(world.pose, target), -1], np.float32))
    assert (reward, over) == (0.0, False)
    seen, reward, over, _, info = env.step(CLOSE)
    assert (reward, over, info["is_success"]) == (1.0, True, True)
    env.reset(seed=0)
    rewards = [env.step(STAY) for _ in range(4)]
    assert [each[2] for each in rewards] == [False, False, False, True]
    assert rewards[-1][1] == 0.0
    assert seen["mask"].shape == (32, 32)


def test_a_scene_can_be_chosen() -> None:
    env = BinGraspEnv("sim", image_size=16)
    names = [tuple(env.reset(seed=seed, options={"scene": 3})[1]["objects"]) for seed in (1, 2)]
    assert names[0] == names[1]
    assert names[0] != tuple(env.reset(seed=1, options={"scene": 4})[1]["objects"])


def test_environments_do_not_share_a_world() -> None:
    first, second = (BinGraspEnv("sim", image_size=16) for _ in range(2))
    seen, _ = first.reset(seed=1)
    second.reset(seed=2)
    moved = first.step(np.array([0.02, 0, 0, 0, 1, -1], np.float32))[0]
    alone = BinGraspEnv("sim", image_size=16)
    alone.reset(seed=1)
    assert equal(moved, alone.step(np.array([0.02, 0, 0, 0, 1, -1], np.float32))[0])
    assert first.observation_space.contains(seen)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_vector_environments(kind: str) -> None:
    if kind == "sync":
        envs: Any = SyncVectorEnv([lambda: make(world=PaperWorld())] * 2)
    else:
        envs = AsyncVectorEnv([paper_env] * 2, context="spawn")
    seen, _ = envs.reset(seed=3)
    assert seen["image"].shape == (2, 32, 32, 3)
    assert not np.array_equal(seen["image_before"][0], seen["image_before"][1])
    actions = np.stack([CLOSE, STAY])
    _, rewards, over, truncated, info = envs.step(actions)
    assert over.tolist() == [True, False]
    assert not truncated.any()
    assert info["is_success"][0] == bool(rewards[0])
    _, rewards, over, _, _ = envs.step(np.stack([STAY, STAY]))  # the first one begins anew, whatever it is told
    assert (rewards[0], over[0]) == (0.0, False)
    envs.close()


def paper_env() -> gymnasium.Env:
    """As a process of its own makes it."""
    return make(world=PaperWorld())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"world": "simm"}, "did you mean 'sim'"),
        ({"steps": 1}, "give 2 to 10"),
        ({"randomize": "havy"}, "did you mean 'heavy'"),
        ({"render_mode": "human"}, "rgb_array"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        BinGraspEnv(**options)


def test_a_wrong_action_moves_nothing() -> None:
    world = PaperWorld()
    env = BinGraspEnv(world)
    env.reset(seed=0)
    pose = world.pose.copy()
    for action in (np.full(6, np.nan, np.float32), np.zeros(5, np.float32), np.array([1e60, 0, 0, 0, 1, -1])):
        with pytest.raises(UserError, match="was not moved"):
            env.step(action)
    np.testing.assert_array_equal(world.pose, pose)
    assert [env.step(STAY)[2] for _ in range(env.steps)] == [False] * (env.steps - 1) + [True]  # none of them counted
    pose = world.pose.copy()
    with pytest.raises(UserError, match="episode is over"):
        env.step(np.array([0.02, 0, 0, 0, 1, -1], np.float32))
    np.testing.assert_array_equal(world.pose, pose)


def test_the_example_trains_a_standard_library() -> None:
    pytest.importorskip("stable_baselines3")
    path = Path(__file__).parents[1] / "examples" / "train_rl.py"
    spec = importlib.util.spec_from_file_location("train_rl", path)
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    sys.modules["train_rl"] = example
    spec.loader.exec_module(example)
    model = example.train(example.Config(steps=64))
    assert model.num_timesteps == 64
    assert len(model.ep_info_buffer) > 10
