"""Canonical pictures: what they show, that nothing else changes beside them, and how datasets carry them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from graspgap.cli.main import main
from graspgap.collection.collect import CollectSettings, collect
from graspgap.collection.policies import PolicyChoice
from graspgap.collection.replay import replay
from graspgap.config import to_json
from graspgap.contract import DEPTH_UNIT, Observation, SemanticClass
from graspgap.datasets import config_hash, open_dataset
from graspgap.datasets.schema import to_row
from graspgap.datasets.summary import summary
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.worlds.catalog import WORLDS, WorldChoice
from graspgap.worlds.looks import canonical_looks
from graspgap.worlds.randomization import OFF, DynamicsConfig, RandomizationConfig, preset

CHOICE = WorldChoice(image_size=32, randomize="heavy", canonical=True)
NAILED: dict[str, Any] = dict.fromkeys(("camera_position", "camera_target", "camera_fov", "camera_roll"), 0.0)
LOOKS_ALONE = RandomizationConfig(
    replace(preset("heavy").appearance, **NAILED, camera_barrel=OFF), DynamicsConfig(enabled=False)
)
"""Everything about the looks is drawn but the camera, so that pictures can be compared with a plain world's."""


def collected(out: Path, choice: WorldChoice = CHOICE, attempts: int = 3, seed: int = 0) -> Path:
    settings = CollectSettings(choice, PolicyChoice("scripted"), seed, attempts_per_scene=2, attempts_per_shard=2)
    collect(out, settings, attempts, workers=1)
    return out


def canonicals(seen: Observation) -> tuple[np.ndarray, np.ndarray]:
    assert seen.layers_before is not None
    assert seen.layers_now is not None
    assert seen.layers_before.canonical is not None
    assert seen.layers_now.canonical is not None
    return seen.layers_before.canonical, seen.layers_now.canonical


@pytest.mark.parametrize("name", ["sim", "bullet"])
def test_all_but_objects_is_the_plain_look_pixel_for_pixel(name: str) -> None:
    if name == "bullet":
        pytest.importorskip("pybullet")
    plain = WORLDS[name](WorldChoice(name, image_size=48))
    random = WORLDS[name](replace(CHOICE, name=name, image_size=48, ranges=LOOKS_ALONE))
    wanted, seen = plain.reset(5, 1), random.reset(5, 1)
    masks, pictures = (seen.mask_before, seen.mask_now), (wanted.image_before, wanted.image_now)
    for canonical, mask, picture in zip(canonicals(seen), masks, pictures, strict=True):
        objects = mask == SemanticClass.OBJECT
        np.testing.assert_array_equal(canonical[~objects], picture[~objects])
        assert (canonical[objects] != picture[objects]).mean() > 0.5  # they keep what they were painted with
    assert (seen.image_now != canonicals(seen)[1]).mean() > 0.5


def test_objects_in_their_own_colours_are_the_plain_look_too() -> None:
    world: Any = WORLDS["sim"](replace(CHOICE, ranges=LOOKS_ALONE))
    world.draws = replace(world.draws, looks=lambda rng, objects: _own_colours(draw(rng, objects), objects))
    draw = WORLDS["sim"](replace(CHOICE, ranges=LOOKS_ALONE)).draws.looks  # type: ignore[attr-defined]
    seen, wanted = world.reset(2), WORLDS["sim"](WorldChoice(image_size=32)).reset(2)
    np.testing.assert_array_equal(canonicals(seen)[1], wanted.image_now)
    assert (seen.image_now != wanted.image_now).any()


def _own_colours(looks: dict[str, Any], objects: list[Any]) -> dict[str, Any]:
    own = {f"object_{index}": {"color": list(thing.color)} for index, thing in enumerate(objects)}
    return looks | {"materials": looks["materials"] | own}


def test_the_camera_and_its_lens_are_those_of_the_randomized_picture() -> None:
    """Depth and masks of one are those of the other: the edges of the bin lie in the same pixels."""
    world: Any = WORLDS["sim"](replace(CHOICE, image_size=64))
    for seed in range(3):
        world.reset(seed)
        canonical = canonical_looks(world.looks, world.canonical.plain(world.cell.objects))
        assert canonical["camera"] == world.looks["camera"]
        assert canonical.get("barrel") == world.looks.get("barrel")
        world.renderer.prepare(world.cell, canonical)
        picture, mask = world.renderer.render(world.cell)
        seen = world.observe()
        np.testing.assert_array_equal(canonicals(seen)[1], picture)
        np.testing.assert_array_equal(seen.mask_now, mask)


@pytest.mark.parametrize("name", ["sim", "bullet"])
def test_everything_else_is_the_same_bits(name: str) -> None:
    if name == "bullet":
        pytest.importorskip("pybullet")
    choices = (replace(CHOICE, name=name, canonical=False, layers=True), replace(CHOICE, name=name))
    for k in range(3):
        without, beside = (run_attempt(WORLDS[name](choice), ScriptedPolicy(4), 0, k) for choice in choices)
        assert beside.layers is not None
        assert without.layers is not None
        for one, other in zip(without.layers, beside.layers, strict=True):
            np.testing.assert_array_equal(one.depth, other.depth)
            np.testing.assert_array_equal(one.instances, other.instances)
            assert other.canonical is not None
        for column in ("image_before", "images", "mask_before", "masks", "poses", "target"):
            np.testing.assert_array_equal(getattr(without, column), getattr(beside, column))
        assert (without.outcome, without.randomization) == (beside.outcome, beside.randomization)


def test_a_shard_without_canonical_pictures_is_what_it_was(tmp_path: Path) -> None:
    """Its settings, and with them the hash that it carries, don't name what it was not asked for."""
    out = collected(tmp_path / "plain", replace(CHOICE, image_size=16, canonical=False), attempts=2)
    config = json.loads((out / "config.json").read_text())["config"]
    assert "canonical" not in config["world"]
    assert to_json(CHOICE)["canonical"] is True
    schema = pq.read_schema(out / "data" / "shard-00000.parquet")
    assert schema.metadata[b"graspgap_config"].decode() == config_hash(config | {"policy_identity": "scripted"})
    assert not any("canonical" in name for name in schema.names)


def test_datasets_carry_them(tmp_path: Path) -> None:
    one, two = collected(tmp_path / "one"), collected(tmp_path / "two", seed=1)
    data = open_dataset(one)
    view = data.simulated()
    frames = np.arange(len(view.images))
    pairs, depth = view.canonical_pairs(frames), view.depth_pairs(frames)
    assert pairs is not None
    assert depth is not None
    attempt = run_attempt(WORLDS["sim"](CHOICE), ScriptedPolicy(4), 0, 2, per_scene=2)
    assert attempt.layers_before is not None
    assert attempt.layers is not None
    last = [attempt.layers_before, attempt.layers[-1]]
    wanted = [layers.canonical.transpose(2, 0, 1) for layers in last if layers.canonical is not None]
    np.testing.assert_array_equal(pairs[-1], np.concatenate(wanted))
    np.testing.assert_allclose(depth[-1], np.stack([layers.depth for layers in last]), atol=0.6 * DEPTH_UNIT)
    assert (replay(one, 2).differences, replay(one, 2).filmstrip().ndim) == ([], 3)
    words = ("merge", str(tmp_path / "both"), str(one), str(two))
    assert main(["dataset", *words]) == 0
    assert main(["dataset", "sample", str(tmp_path / "part"), str(tmp_path / "both"), "--attempts", "2"]) == 0
    split = ["split", str(tmp_path / "some"), str(tmp_path / "rest"), str(tmp_path / "both"), "--fraction", "0.5"]
    assert main(["dataset", *split]) == 0
    for name in ("both", "part", "some", "rest"):
        assert main(["dataset", "verify", str(tmp_path / name)]) == 0
        assert summary(tmp_path / name)["has_canonical"]
        part = open_dataset(tmp_path / name).simulated()
        assert part.canonicals is not None
        assert part.canonicals.any(axis=(1, 2, 3)).all()
    plain = data.simulated(extras=False)
    assert plain.canonical_pairs(frames) is plain.depth_pairs(frames) is None


def test_datasets_of_before_merge_with_those_of_now(tmp_path: Path) -> None:
    """Their meta.json says nothing about canonical pictures."""
    choice = WorldChoice(image_size=16)
    one, two = collected(tmp_path / "one", choice, 1), collected(tmp_path / "two", choice, 1, seed=1)
    meta = json.loads((one / "meta.json").read_text())
    del meta["has_canonical"]
    (one / "meta.json").write_text(json.dumps(meta))
    assert open_dataset(one).simulated().canonical_pairs(np.arange(1)) is None
    assert main(["dataset", "merge", str(tmp_path / "both"), str(one), str(two)]) == 0
    other = collected(tmp_path / "three", replace(CHOICE, image_size=16), 1, seed=2)
    assert main(["dataset", "merge", str(tmp_path / "mixed"), str(one), str(other)]) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--randomize", "none"), "draws no looks: add --randomize both"),
        (("--randomize", "dynamics"), "draws no looks: add --randomize both"),
        (("--world", "standin"), "--canonical asks a stand-in for what no real cell tells"),
    ],
)
def test_canonical_pictures_of_what_has_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    assert main(["collect", str(tmp_path / "out"), "--canonical", "--attempts", "1", *words]) == 2
    assert why in capsys.readouterr().err


def test_an_attempt_with_some_canonical_pictures_is_refused() -> None:
    attempt = run_attempt(WORLDS["sim"](CHOICE), ScriptedPolicy(4), 0, 0)
    assert attempt.layers is not None
    with pytest.raises(UserError, match="canonical pictures for some pictures only"):
        to_row(replace(attempt, layers=[replace(attempt.layers[0], canonical=None), *attempt.layers[1:]]))
