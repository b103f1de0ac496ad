"""Which policy acts, chosen by name or by the folder of a policy run; cheap to send to worker processes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from graspgap.contract import MAX_SERVO_STEPS, WorldSpec
from graspgap.deployment.load import TrainedPredictor, open_predictor
from graspgap.errors import UserError, choose
from graspgap.grasping.policies import Policy, RandomPolicy, ScriptedPolicy, ServoConfig, ServoPolicy
from graspgap.zoo import resolved

UNTRAINED = ("random", "scripted")
"""Policies that go by a name, and take no noise."""


@dataclass(frozen=True)
class PolicyChoice:
    """A policy and its settings."""

    name: str = "scripted"
    """`random`, `scripted` (simulation only), or the folder of a policy run or of its ONNX export, or `zoo:NAME`."""
    noise: float = 0.0
    """Exploration noise of a policy run: standard deviation of the target's position [m]."""


@dataclass(frozen=True)
class ChosenPolicy:
    """A policy, and what tells it apart from another one of the same name."""

    policy: Policy
    identity: str
    """The name, or the SHA-256 of the weights."""

    def check(self, spec: WorldSpec) -> None:
        """Refuse a policy that needs what the world doesn't tell.

        Raises:
            UserError: if it aims at object poses in a world without them, was trained and the world has no camera's
                place, or was trained on pictures of another size.
        """
        if isinstance(self.policy, ScriptedPolicy) and not spec.has_state:
            raise UserError(ScriptedPolicy.refusal(spec.name))
        if isinstance(self.policy, ServoPolicy) and spec.camera is None:
            raise UserError(ServoPolicy.refusal(spec.name))
        if isinstance(self.policy, ServoPolicy) and isinstance(self.policy.predictor, TrainedPredictor):
            size = self.policy.predictor.image_size
            if size != spec.image_size:
                raise UserError(
                    f"policy '{self.policy.name}' was trained on pictures of {size} pixels, and world '{spec.name}' "
                    f"gives {spec.image_size}: use --image-size {size}"
                )


@lru_cache(maxsize=4)
def make_policy(choice: PolicyChoice, steps: int) -> ChosenPolicy:
    """The policy; a run's network is loaded once per process, on one thread, since processes share the cores.

    Raises:
        UserError: if the name is unknown, the folder is not a finished policy run, or a number is out of its range.
    """
    if not 2 <= steps <= MAX_SERVO_STEPS:
        raise UserError(f"--steps-per-attempt {steps} is out of range: give 2 to {MAX_SERVO_STEPS}")
    if not 0 <= choice.noise < math.inf:
        raise UserError(f"--noise {choice.noise} is no standard deviation: give metres, 0 or more")
    if choice.name == "random":
        return ChosenPolicy(RandomPolicy(steps), "random")
    if choice.name == "scripted":
        return ChosenPolicy(ScriptedPolicy(steps), "scripted")
    run = resolved(Path(choice.name))
    if not run.is_dir():
        if run.parent == Path() and not run.exists():
            choose("--policy", choice.name, UNTRAINED)
        raise UserError(f"--policy {run} is no folder: expected {', '.join(UNTRAINED)}, or the folder of a policy run")
    predictor, identity = open_predictor(run)
    policy = ServoPolicy(predictor, steps, ServoConfig(noise=choice.noise), name=f"servo:{run.name}")
    return ChosenPolicy(policy, identity)
