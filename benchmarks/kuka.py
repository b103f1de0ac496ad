"""PyBullet's `KukaDiverseObjectEnv`, run for comparison: it is written for the abandoned package `gym`."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from packaging import version


def available() -> bool:
    """Whether pybullet is installed."""
    return importlib.util.find_spec("pybullet") is not None


def make_kuka(image_size: int) -> Any:
    """The environment with its defaults but for the size of its pictures: 5 training objects, at most 8 actions.

    The modules that it imports and that are no more are replaced by the few names it uses; the other environments of
    its package are left out, so that nothing else needs to be replaced.
    """
    package = importlib.util.find_spec("pybullet_envs")
    assert package is not None
    assert package.submodule_search_locations is not None
    (folder,) = package.submodule_search_locations
    envs, bullet = ModuleType("pybullet_envs"), ModuleType("pybullet_envs.bullet")
    envs.__path__, bullet.__path__ = [folder], [f"{folder}/bullet"]
    sys.modules |= _stubs() | {"pybullet_envs": envs, "pybullet_envs.bullet": bullet}
    path = list(sys.path)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its folder
        from pybullet_envs.bullet.kuka_diverse_object_gym_env import KukaDiverseObjectEnv
    sys.path[:] = path  # which it changes
    return KukaDiverseObjectEnv(isTest=False, width=image_size, height=image_size)


def _stubs() -> dict[str, ModuleType]:
    """What the environment needs of `gym` and of `pkg_resources`."""
    stubs = {name: ModuleType(name) for name in ("gym", "gym.spaces", "gym.utils", "pkg_resources")}
    gym, spaces, utils, resources = stubs.values()
    contents: list[tuple[ModuleType, dict[str, Any]]] = [
        (gym, {"Env": object, "spaces": spaces, "utils": utils, "__version__": "0.26.2"}),
        (spaces, {"Box": SimpleNamespace, "Discrete": SimpleNamespace}),
        (utils, {"seeding": SimpleNamespace(np_random=lambda seed=None: (np.random.default_rng(seed), seed))}),
        (resources, {"parse_version": version.parse}),
    ]
    for module, names in contents:
        vars(module).update(names)
    return stubs


def run_episode(env: Any, rng: np.random.Generator) -> tuple[bool, int]:
    """Random actions until done: whether something was lifted, and how many pictures were taken."""
    env.reset()
    pictures, done, success = 1, False, False
    while not done:
        _, _, done, facts = env.step(rng.uniform(-1, 1, 3))
        success = bool(facts["grasp_success"])
        pictures += 1
    return success, pictures
