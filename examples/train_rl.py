"""Train a standard reinforcement-learning library on simulated bin grasping, for a few steps.

    pip install -e '.[rl]' -c constraints.txt
    python examples/train_rl.py --steps 256

Proximal policy optimization from Stable-Baselines3 with its own network for pictures. A few hundred steps show that all
fits together, not that it learns: grasping from rewards alone takes it some hundred thousand.
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import numpy as np
import tyro
from gymnasium.wrappers import FilterObservation, RescaleAction
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from graspgap.envs import ENV_ID


@dataclass(frozen=True)
class Config:
    """What is trained."""

    steps: int = 256
    """Environment steps."""
    world: str = "sim"
    """`sim`, `bullet`, `standin` or `standin2`."""
    randomize: str = "none"
    """Randomization preset of a simulated world."""
    image_size: int = 48
    """Pixels of a side of the pictures; the library's network needs 36 or more."""
    envs: int = 2
    """Environments side by side, in one process."""
    seed: int = 0


def make(config: Config) -> gymnasium.Env:
    """The environment without masks, which no real camera gives, and with actions in [-1, 1]."""
    env = gymnasium.make(
        ENV_ID, world=config.world, randomize=config.randomize, image_size=config.image_size, render_mode=None
    )
    return RescaleAction(FilterObservation(env, ["image_before", "image", "pose"]), np.float32(-1), np.float32(1))


def train(config: Config) -> PPO:
    """Train, and return the model."""
    envs = make_vec_env(lambda: make(config), n_envs=config.envs, seed=config.seed)
    model = PPO("MultiInputPolicy", envs, n_steps=32, batch_size=32, n_epochs=2, seed=config.seed, device="cpu")
    return model.learn(config.steps)


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    trained = train(chosen)
    print(f"{trained.num_timesteps} steps; mean reward of the last episodes {trained.ep_info_buffer[-1]['r']:.2f}")
