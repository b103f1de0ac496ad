"""The attempt loop: look, decide, move, ..., close, lift, hold."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from graspgap.contract import MAX_SERVO_STEPS, GraspAttempt, apply_command, checked_command
from graspgap.errors import UserError
from graspgap.grasping.policies import Policy
from graspgap.seeding import generator
from graspgap.worlds.protocol import World

T = TypeVar("T")
ATTEMPTS_PER_SCENE = 10
"""Attempts k // 10 = s of a seed all start from the settled objects of scene s."""


def run_attempt(
    world: World, policy: Policy, seed: int, attempt: int, steps: int = 4, per_scene: int = ATTEMPTS_PER_SCENE
) -> GraspAttempt:
    """Attempt `attempt` of `seed`: it depends on these two numbers, the world's and the policy's settings alone.

    The gripper pauses at `steps` poses, each with a picture; the fingers close at the last one, or earlier if the
    policy says so.

    Raises:
        UserError: if `steps` is not in 2..10, `seed` is negative, or `per_scene` is below 1.
    """
    if not 2 <= steps <= MAX_SERVO_STEPS:
        raise UserError(f"servo steps are {steps}, expected 2 to {MAX_SERVO_STEPS}: change --steps-per-attempt")
    if seed < 0 or per_scene < 1:
        raise UserError(
            f"the seed is {seed}, and {per_scene} attempts start from each scene: expected a seed of 0 or more, and 1 "
            "attempt or more"
        )
    scene = attempt // per_scene
    draw = generator(seed, attempt, "attempt")
    world_seed = int(draw.integers(2**31))
    scene_seed = int(generator(seed, scene, "scene").integers(2**31))
    observation = world.reset(world_seed, scene_seed)
    policy.begin(world, generator(seed, attempt, "policy"))
    seen, poses, predicted = [], [], []
    target = observation.pose
    for step in range(steps):
        decision = policy.decide(observation, step)
        seen.append(observation)
        poses.append(observation.pose)
        if decision.predicted is not None:
            predicted.append(float(decision.predicted))
        if decision.close or step == steps - 1:
            break
        target = world.spec.workspace.clip(apply_command(observation.pose, checked_command(decision.command)))
        world.move(decision.command)
        observation = world.observe()
    outcome = world.grasp()
    record = world.record()
    return GraspAttempt(
        seed=seed,
        attempt=attempt,
        scene=scene,
        image_before=seen[0].image_before,
        images=[each.image_now for each in seen],
        poses=np.stack(poses).astype(np.float32),
        target=target,
        outcome=outcome,
        world=world.spec.name,
        policy=policy.name,
        objects=list(record["objects"]),
        randomization=dict(record["randomization"]),
        mask_before=seen[0].mask_before,
        masks=_known([each.mask_now for each in seen]),
        layers_before=seen[0].layers_before,
        layers=_known([each.layers_now for each in seen]),
        predicted=predicted or None,
    )


def _known(values: list[T | None]) -> list[T] | None:
    """The values, or None where the world doesn't give them."""
    return None if any(value is None for value in values) else [value for value in values if value is not None]
