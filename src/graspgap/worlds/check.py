"""Whether a world keeps what the `World` protocol promises: one attempt with hostile commands, looked at closely."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from graspgap.contract import GraspOutcome, MotorCommand, Observation, SemanticClass, WorldSpec
from graspgap.errors import UserError
from graspgap.worlds.protocol import StateWorld, World

REFUSED = ((np.nan, 0, 0, 0, 1), (0, 0, -np.inf, 0, 1), (0, 0, 0, np.nan, np.nan))
"""Commands that no world may carry out."""
HOSTILE = (
    (1e30, -1e30, -1e30, 0, 1),
    (-5, 5, 1, 1, 0),
    (1e-30, 0, 0, 1e-38, 1e-38),
    (0, 0, -0.3, 0, 0),
    (0.05, -0.05, 0.1, -1e30, -1e30),
)
"""Commands that end at the workspace's limits, whatever they ask for."""
SLACK = 0.05
"""A reported pose may be this far outside the workspace [m]: robots are not quite where they are sent."""


def check_world(world: World, seed: int, commands: Sequence[Sequence[float]] = HOSTILE) -> GraspOutcome:
    """Make one attempt by `commands` and return how it ended. It brings the gripper to the limits of the workspace: on
    a robot, stay by the stop button.

    Raises:
        UserError: names the first promise of the protocol that the world breaks.
    """
    first = world.reset(seed)
    check_observation(world.spec, first)
    for bad in REFUSED:
        _check_refusal(world, np.array(bad, dtype=np.float32))
    _expect(
        world,
        "a refused command moved nothing",
        world.spec.is_reality or np.array_equal(first.pose, world.observe().pose),
    )
    for command in commands:
        world.move(np.array(command, dtype=np.float32))
        seen = world.observe()
        check_observation(world.spec, seen)
        _expect(world, "image_before stays as it was", np.array_equal(seen.image_before, first.image_before))
    if isinstance(world, StateWorld) and world.spec.has_state:
        _expect(world, "object positions are finite", np.isfinite(world.object_positions()).all())
    outcome = world.grasp()
    _expect(world, "the outcome's details are finite", np.isfinite([*outcome.details.values()]).all())
    record = world.record()
    _expect(world, "the record is JSON with objects and randomization", _is_record(record))
    if not world.spec.is_reality:
        again = world.reset(seed)
        _expect(world, "equal seeds give equal observations", _equal(first, again))
        _expect(world, "equal seeds give equal records", world.record() == record)
    return outcome


def check_observation(spec: WorldSpec, seen: Observation) -> None:
    """Shapes, types and ranges of what a world shows.

    Raises:
        UserError: names the first that is wrong.
    """
    size = spec.image_size
    pictures: dict[str, tuple[np.ndarray, tuple[int, ...]]]
    pictures = {"image_before": (seen.image_before, (size, size, 3)), "image_now": (seen.image_now, (size, size, 3))}
    masks = {"mask_before": seen.mask_before, "mask_now": seen.mask_now}
    if spec.has_masks:
        for name, mask in masks.items():
            if mask is None:
                raise UserError(f"world '{spec.name}' says that it has masks, and {name} is None: correct its spec")
            pictures[name] = (mask, (size, size))
            if mask.max() > max(SemanticClass):
                raise UserError(f"{name} of world '{spec.name}' holds {mask.max()}, expected values of SemanticClass")
    for name, (picture, shape) in pictures.items():
        if picture.shape != shape or picture.dtype != np.uint8:
            found = f"{picture.dtype}{list(picture.shape)}"
            raise UserError(f"{name} of world '{spec.name}' is {found}, expected uint8{list(shape)}")
    low = np.array([*spec.workspace.low, -np.pi / 2]) - SLACK
    high = np.array([*spec.workspace.high, np.pi / 2]) + SLACK
    if seen.pose.shape != (4,) or not ((low <= seen.pose) & (seen.pose <= high)).all():
        raise UserError(
            f"world '{spec.name}' reports the pose {seen.pose.tolist()}, expected x, y, z in its workspace and a "
            "yaw in [-pi/2, pi/2)"
        )


def _check_refusal(world: World, command: MotorCommand) -> None:
    try:
        world.move(command)
    except UserError:
        return
    raise UserError(f"world '{world.spec.name}' carried out {command.tolist()}: use contract.checked_command in move")


def _expect(world: World, promise: str, kept: Any) -> None:
    if not kept:
        raise UserError(f"world '{world.spec.name}' breaks a promise of the World protocol: {promise}")


def _equal(one: Observation, other: Observation) -> bool:
    names = ("image_before", "image_now", "pose", "mask_before", "mask_now")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def _is_record(record: dict[str, Any]) -> bool:
    try:
        json.dumps(record, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return {"objects", "randomization"} <= record.keys()
