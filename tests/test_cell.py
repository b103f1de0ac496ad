"""The physics of a cell: grasps, settling, flung objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cells import BOX, cell_with
from graspgap.contract import GraspOutcome, Workspace
from graspgap.objects.model import ObjectModel, Part
from graspgap.objects.prisms import Prisms
from graspgap.seeding import generator
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import BIN_CENTRE, CellConfig


def grasp_at(cell: Cell, x: float, y: float) -> GraspOutcome:
    cell.place_arm(np.array([x, y, 0.2, 0.0], np.float32))
    cell.move_to(np.array([x, y, 0.02, 0.0], np.float32))
    return cell.close_lift_hold()


def test_a_box_between_the_fingers_is_lifted_and_named() -> None:
    cell = cell_with((BOX, (0.62, -0.08, 0.021)), (replace(BOX, name="wanted"), (0.55, 0.02, 0.021)))
    outcome = grasp_at(cell, 0.55, 0.02)
    assert outcome.success
    assert outcome.object_name == "wanted"
    assert outcome.details["lift"] >= 0.1
    assert outcome.details["opening"] == pytest.approx(0.04, abs=0.004)
    assert cell._held() == {1}


def test_empty_fingers_fail() -> None:
    for cell in (cell_with(), cell_with((BOX, (0.62, 0.08, 0.021)))):
        outcome = grasp_at(cell, 0.48, -0.08)
        assert (outcome.success, outcome.object_name, outcome.details["lift"]) == (False, None, 0.0)


@pytest.mark.parametrize(("side", "finger"), [(-1, "finger_right"), (1, "finger_left")])
def test_an_object_that_touches_one_finger_is_not_held(side: int, finger: str) -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.021)))
    cell.place_arm(np.array([0.55 + side * 0.0301, 0.0, 0.02, 0.0], np.float32))
    cell._step(0.02)
    pairs = [{cell.model.body(cell.model.geom_bodyid[geom]).name for geom in pair} for pair in cell.data.contact.geom]
    assert {finger, "object_0"} in pairs
    assert cell._held() == set()


def test_a_flung_object_is_stopped_and_the_attempt_fails() -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.021)), (BOX, (0.62, 0.08, 0.021)))
    calm = cell.save()
    cell.place_arm(np.array([0.55, 0.0, 0.02, 0.0], np.float32))
    cell.data.qvel[cell.object_dofs[1]] = 40.0
    cell.data.qvel[2] = 30.0  # the arm is thrown with it
    assert not cell.close_lift_hold().success
    assert np.abs(cell.data.qvel).max() < 5.0
    assert np.abs(cell.data.qpos[:7] - cell.data.ctrl[:7]).max() < 0.02
    cell.restore(calm)
    assert grasp_at(cell, 0.55, 0.0).success


def test_a_grasp_fails_when_another_object_is_flung_while_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = cell_with((BOX, (0.55, 0.0, 0.021)), (BOX, (0.62, 0.08, 0.021)))
    held, fast = cell._held, [40.0]

    def knocked() -> set[int]:
        if fast:
            cell.data.qvel[cell.object_dofs[1]] = fast.pop()
        return held()

    monkeypatch.setattr(cell, "_held", knocked)
    outcome = grasp_at(cell, 0.55, 0.0)
    assert outcome.details["lift"] >= 0.1
    assert not outcome.success


def test_a_move_in_which_an_object_is_flung_ends_where_the_arm_is() -> None:
    cell = cell_with((BOX, (0.62, 0.08, 0.021)))
    cell.place_arm(np.array([0.55, 0.0, 0.2, 0.0], np.float32))
    cell.data.qvel[cell.object_dofs[0]] = 40.0
    cell.move_to(np.array([0.55, 0.0, 0.2, 1.0], np.float32))
    assert cell.flung
    assert cell.yaw == pytest.approx(cell.true_pose()[3], abs=0.02)
    assert cell.yaw < 0.5


def test_two_objects_squeezed_together_are_not_one_held() -> None:
    half = ObjectModel("half", (Part("box", (0.012, 0.02, 0.02)),), 0.05)
    outcome = grasp_at(cell_with((half, (0.537, 0.0, 0.021)), (half, (0.563, 0.0, 0.021))), 0.55, 0.0)
    assert outcome.details["opening"] > 0.04  # both are between the fingers, each touches one
    assert not outcome.success


@pytest.mark.parametrize("seed", range(12))
def test_settled_objects_rest_inside_the_bin(seed: int) -> None:
    cell = Cell(CellConfig(), Workspace())
    cell.load(Prisms().sample(generator(seed), 8, "train"))
    cell.settle(generator(seed, "settle"))
    before = cell.object_positions()
    assert len(before) == 8
    sides, middle = np.array(cell.config.bin_size) / 2, np.array(BIN_CENTRE)
    assert (np.abs(before[:, :2] - middle) < sides).all()
    assert (before[:, 2] > 0.005).all()
    assert cell.data.contact.dist.min(initial=0) > -0.003  # they touch, they don't overlap
    cell._step(0.5)
    assert np.abs(cell.object_positions() - before).max() < 0.01
    assert np.abs(cell.data.qvel[9:]).max() < 0.2


@pytest.mark.parametrize("depth", [0.0, 0.006, 0.012])
def test_the_floor_pushes_a_thin_object_up_however_deep_a_step_brings_it(depth: float) -> None:
    rod = ObjectModel("rod", (Part("cylinder", (0.004, 0.05), quaternion=(0.5**0.5, 0.5**0.5, 0.0, 0.0)),), 0.02)
    cell = cell_with((rod, (0.55, 0.0, 0.004 - depth)))
    assert cell.object_positions()[0, 2] == pytest.approx(0.004, abs=0.001)


@pytest.mark.parametrize(("knocks", "inside"), [(1, 1), (3, 1), (4, 0)])
def test_what_falls_beside_the_bin_is_dropped_again(knocks: int, inside: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even from its sleep there; after four times it is left out of the picture."""
    cell = cell_with((BOX, (0.55, 0.0, 0.021)))
    step, left = cell._step, [knocks]

    def knocked(seconds: float) -> None:
        if left[0]:
            left[0] -= 1
            cell.data.qpos[cell.object_qpos[0] :][:7] = (0.9, 0.0, 0.02, 1, 0, 0, 0)
            step(3)
        step(seconds)

    monkeypatch.setattr(cell, "_step", knocked)
    cell.settle(generator(0))
    assert left == [0]
    assert len(cell.object_positions()) == inside
    place = cell.data.qpos[cell.object_qpos[0] :][:3]
    assert place[2] == pytest.approx(0.025, abs=0.008) if inside else place[0] > 1.5


def test_the_reported_pose_is_off_by_the_calibration() -> None:
    cell = Cell(CellConfig(calibration=(0.004, -0.003, 0.002, 0.03)), Workspace())
    cell.load([])
    cell.place_arm(np.array([0.55, 0.0, 0.2, 0.1], np.float32))
    np.testing.assert_allclose(cell.pose() - cell.true_pose(), [0.004, -0.003, 0.002, 0.03], atol=1e-6)
    cell.move_to(np.array([0.56, 0.01, 0.15, 0.2], np.float32))
    np.testing.assert_allclose(cell.pose(), [0.56, 0.01, 0.15, 0.2], atol=3e-3)
