"""What of the stand-in can be simulation's: each factor changes what it says and nothing else, and keeps its name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graspgap.cli.main import main
from graspgap.collection.collect import CollectSettings
from graspgap.config import from_json, to_json
from graspgap.contract import NULL_COMMAND, Camera, GraspOutcome, Observation, command_between
from graspgap.datasets import config_hash
from graspgap.errors import UserError
from graspgap.evaluation.findings import headline, main_cells
from graspgap.evaluation.report import setting
from graspgap.evaluation.results import AttemptRecord, EvaluationResult, load
from graspgap.evaluation.tables import compare, pool
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.cell_model import CellConfig
from graspgap.worlds.protocol import World
from graspgap.worlds.standin import TRUE_CAMERA, TRUE_CELL
from graspgap.worlds.standin_names import FACTORS, in_words, is_standin, read_factors, standin_name

TARGETS = ((0.5, 0.05, 0.1, 0.4), (0.58, -0.04, 0.03, 1.0))


@cache
def world(*same: str) -> Any:
    return make_world(WorldChoice("standin", split="test", image_size=32, same=same))


@cache
def simulation() -> World:
    return make_world(WorldChoice("sim", split="test", image_size=32))


def play(world: World, seed: int = 5) -> tuple[list[Observation], GraspOutcome, dict[str, Any]]:
    """One attempt, and all that it hands out."""
    seen = [world.reset(seed, 1)]
    for target in TARGETS:
        world.move(command_between(seen[0].pose, np.array(target, np.float32)))
        seen.append(world.observe())
    return seen, world.grasp(), world.record()


def poses(seen: Sequence[Observation]) -> list[list[float]]:
    return [one.pose.tolist() for one in seen]


def same_pictures(one: Sequence[Observation], other: Sequence[Observation]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(
        np.array_equal(a.image_before, b.image_before) and np.array_equal(a.image_now, b.image_now) for a, b in pairs
    )


def test_with_every_factor_the_standin_is_simulation_bit_for_bit() -> None:
    seen, outcome, record = play(world(*FACTORS))
    wanted, wanted_outcome, wanted_record = play(simulation())
    assert same_pictures(seen, wanted)
    assert poses(seen) == poses(wanted)
    assert (outcome, record) == (wanted_outcome, wanted_record)
    assert seen[0].mask_now is None
    spec = world(*FACTORS).spec
    assert (spec.has_masks, spec.has_state, spec.is_reality) == (False, False, True)


@pytest.mark.parametrize("factor", ["look", "camera"])
def test_look_and_camera_leave_physics_alone_to_the_last_bit(factor: str) -> None:
    seen, outcome, record = play(world(factor))
    plain, plain_outcome, plain_record = play(world())
    assert poses(seen) == poses(plain)
    assert outcome == plain_outcome
    assert record["objects"] == plain_record["objects"]
    assert record["randomization"]["dynamics"] == plain_record["randomization"]["dynamics"]
    assert not same_pictures(seen, plain)


def test_the_look_is_simulations_through_the_true_camera() -> None:
    _, _, record = play(world("look"))
    looks = record["randomization"]["looks"]
    assert looks["camera"]["fov"] == pytest.approx(TRUE_CAMERA.fov, abs=1e-3)
    assert looks["materials"]["bin"] == play(simulation())[2]["randomization"]["looks"]["materials"]["bin"]
    floor = world("look").reset(5, 1).image_before[16:28, 8:24].reshape(-1, 3)
    grey = np.ptp(floor.astype(int), axis=1)
    assert np.median(grey) < 40  # simulation's grey floor, not the orange mat
    assert np.median(np.ptp(world().reset(5, 1).image_before[16:28, 8:24].reshape(-1, 3).astype(int), axis=1)) > 60


def test_the_camera_alone_moves_what_is_seen_to_where_it_is_believed_to_be() -> None:
    cameras = {factor: world(*factor).renderer.config.camera for factor in ((), ("camera",))}
    assert cameras == {(): TRUE_CAMERA, ("camera",): Camera()}
    looks = [play(world(*factor))[2]["randomization"]["looks"] for factor in cameras]
    assert looks[0] == looks[1]


def test_the_objects_are_test_prisms_and_as_many_as_in_simulation() -> None:
    for scene in (1, 4, 7):  # 5 and 9 objects there, as only simulation has
        names = []
        for each in (world("objects"), simulation()):
            each.reset(5, scene)
            names.append(each.record()["objects"])
        assert names[0] == names[1]
        assert all(name.startswith("prism-") and name.endswith("0") for name in names[0])
    chosen = world("objects")
    assert (chosen.cell.config, chosen.renderer.config.camera) == (TRUE_CELL, TRUE_CAMERA)


def test_physics_brings_simulations_cell_and_calibration() -> None:
    chosen, plain = world("physics"), world()
    _, _, record = play(chosen)
    _, _, plain_record = play(plain)
    assert record == plain_record  # objects and light
    assert chosen.cell.config == CellConfig()
    chosen.reset(5, 1)
    np.testing.assert_allclose(chosen.cell.pose(), chosen.cell.true_pose(), atol=1e-6)
    chosen.move(NULL_COMMAND)
    assert chosen.renderer.config == plain.renderer.config


def test_names_are_stable_and_no_table_mixes_them() -> None:
    names = [standin_name(same) for same in ((), ("camera",), ("physics", "look"), FACTORS)]
    assert names == [
        "standin",
        "standin with sim's camera",
        "standin with sim's look+physics",
        "standin with sim's look+camera+objects+physics",
    ]
    assert [world(*same).spec.name for same in ((), ("camera",))] == names[:2]
    assert all(map(is_standin, names))
    assert not is_standin("standing desk")
    assert in_words(names[1]) == "the stand-in reality with simulation's camera"
    assert in_words(names[3]) == "the stand-in reality with simulation's look, camera, objects and physics"
    records = [AttemptRecord(k, k // 3, k % 2 == 0, None, 3, None, 0.1) for k in range(12)]
    results = [EvaluationResult("arm", 0.0, 0, 0, 1000, name, records) for name in names[:2]]
    cells = pool(results)
    assert sorted(cell.place for cell in cells) == ["arm", "arm in standin with sim's camera"]
    assert [cell.world for cell in main_cells(cells)] == ["standin"]
    assert compare(*cells) is None
    assert headline(results).startswith("With 0% of the real labels, arm grasps in 50.0%")
    text = setting(results)
    assert "the stand-in reality and the stand-in reality with simulation's camera." in text
    assert "stands in for a real cell" in text
    assert "No robot was involved" in text
    assert "stands in for a real cell" in setting(results[1:])


def test_an_evaluation_carries_the_name(tmp_path: Path) -> None:
    words = ["--policy", "random", "--same", "physics,look", "--image-size", "16", "--attempts", "1", "--workers", "1"]
    assert main(["evaluate", str(tmp_path / "trial"), *words, "--steps-per-attempt", "2"]) == 0
    assert load(tmp_path / "trial").world == "standin with sim's look+physics"


def test_earlier_settings_keep_their_hash() -> None:
    assert "same" not in to_json(CollectSettings(WorldChoice("standin")))["world"]
    one, other = (CollectSettings(WorldChoice("standin", same=same)) for same in (("camera",), ("look",)))
    assert len({config_hash(to_json(each)) for each in (CollectSettings(WorldChoice("standin")), one, other)}) == 3
    assert from_json(CollectSettings, to_json(one)) == one
    assert one.world.place == "standin with sim's camera"


def test_factors_are_read_in_one_order() -> None:
    assert read_factors("physics, look,physics") == ("look", "physics")
    assert read_factors("") == ()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (WorldChoice("standin", same=("color",)), "--same 'color' is unknown: .*valid values are look, camera"),
        (WorldChoice("sim", same=("look",)), "'sim' is another one"),
        (WorldChoice("nothing", same=("look",)), "'nothing' is another one"),
        (WorldChoice("standin", objects="everyday", same=("objects",)), "leave one out"),
    ],
)
def test_what_makes_no_sense_is_refused(choice: WorldChoice, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_world(choice)
