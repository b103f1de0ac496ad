"""The check of a world finds each promise that one breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conftest import REAL, SIM, PaperWorld
from graspgap.contract import GraspOutcome, apply_command
from graspgap.errors import UserError
from graspgap.worlds.check import check_world


@pytest.mark.parametrize("spec", [SIM, REAL])
def test_a_world_that_keeps_its_promises_passes(spec: Any) -> None:
    assert isinstance(check_world(PaperWorld(spec), 0), GraspOutcome)


def carry_out(world: PaperWorld) -> None:
    world.move = lambda command: setattr(world, "pose", world.spec.workspace.clip(apply_command(world.pose, command)))


def leave_workspace(world: PaperWorld) -> None:
    move = world.move
    world.move = lambda command: (move(command), world.pose.__setitem__(0, 1.0))


def forget_the_seed(world: PaperWorld) -> None:
    reset, seeds = world.reset, iter(range(9))
    world.reset = lambda seed: reset(next(seeds))


def change_before(world: PaperWorld) -> None:
    observe, shades = world.observe, iter(range(99))
    world.observe = lambda: replace(observe(), image_before=np.full((32, 32, 3), next(shades), np.uint8))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (carry_out, "carried out"),
        (leave_workspace, "expected x, y, z in its workspace"),
        (forget_the_seed, "equal seeds give equal observations"),
        (change_before, "image_before stays"),
        (
            lambda world: setattr(world, "record", lambda: {"objects": [], "randomization": np.nan}),
            "the record is JSON",
        ),
        (lambda world: setattr(world, "record", lambda: {"objects": []}), "the record is JSON"),
        (
            lambda world: setattr(world, "grasp", lambda: GraspOutcome(False, None, {"lift": np.inf})),
            "details are finite",
        ),
        (lambda world: setattr(world, "object_positions", lambda: np.full((1, 3), np.nan)), "positions are finite"),
        (lambda world: setattr(world, "spec", replace(SIM, image_size=40)), "image_before of world 'paper' is uint8"),
    ],
)
def test_a_broken_promise_is_named(spoil: Callable[[PaperWorld], None], message: str) -> None:
    world = PaperWorld()
    draw = world._draw
    world._draw = lambda arm: tuple(np.resize(part, (32, 32, *part.shape[2:])) for part in draw(arm))
    spoil(world)
    with pytest.raises(UserError, match=message) as broken:
        check_world(world, 0)
    assert "\n" not in str(broken.value)


def test_masks_that_are_none_or_of_no_class_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = PaperWorld(replace(REAL, has_masks=True))
    observe = world.observe
    monkeypatch.setattr(world, "observe", lambda: replace(observe(), mask_now=None))
    with pytest.raises(UserError, match="mask_now is None"):
        check_world(world, 0)
    monkeypatch.setattr(world, "observe", lambda: replace(observe(), mask_before=np.full((32, 32), 4, np.uint8)))
    with pytest.raises(UserError, match="mask_before of world 'paper-reality' holds 4"):
        check_world(world, 0)
