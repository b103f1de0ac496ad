"""The zoo: what is put in is what comes out, and `zoo:NAME` goes wherever a run does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graspgap import zoo
from graspgap.cli.main import main
from graspgap.deployment.predictor import load_predictor
from graspgap.errors import UserError
from graspgap.evaluation.results import AttemptRecord, EvaluationResult, save
from graspgap.evaluation.statistics import wilson_interval
from graspgap.evaluation.zoo import add, card
from graspgap.files import read_json, sha256, write_json

SMALL = ("--image-size", "32", "--workers", "1", "--seed", "1")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, sim_data: Path, real_data: Path) -> Path:
    """A finished study of one policy and one adapter."""
    out = tmp_path_factory.mktemp("a") / "study"
    write_json(out / "config.json", {"kind": "study", "config": {"preset": "demo", "seed": 3}})
    adapter = ["adapt", str(out / "adapters" / "histogram"), "--sim", str(sim_data), "--real", str(real_data)]
    assert main([*adapter, "--method", "histogram", *SMALL]) == 0
    assert main(["train", str(out / "policies" / "a"), "--sim", str(sim_data), "--steps", "3", *SMALL]) == 0
    records = [AttemptRecord(k, k // 3, k % 4 == 0, None, 4, 0.5, 0.1) for k in range(40)]
    config = {"evaluation": {"policy": {"name": str(out / "policies" / "a")}}}
    save(EvaluationResult("a", 0.0, 0, 0, 1003, "standin", records, ["simulation"], config), out / "trials" / "a")
    return out


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty zoo."""
    for module in ("graspgap.zoo.MODELS", "graspgap.cli.train.MODELS", "graspgap.evaluation.zoo.MODELS"):
        monkeypatch.setattr(module, tmp_path / "models")
    return tmp_path / "models"


def test_an_entry_is_the_run_with_its_score(study: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = add(study, "policies/a", "first", "A policy for tests.")
    assert zoo.entries() == [entry]
    assert (entry.attempts, entry.successes, entry.world, entry.evaluation_seed) == (40, 10, "standin", 1003)
    assert entry.kind == "policy"
    weights = "policy.safetensors"
    assert (models / "first" / weights).read_bytes() == (study / "policies" / "a" / weights).read_bytes()
    assert entry.files[weights] == sha256(models / "first" / weights)
    assert not list((models / "first").glob("*.png"))
    assert str(study.parent) not in (models / "first" / "config.json").read_text()  # nobody's folders
    card = (models / "first" / "README.md").read_text()
    interval = wilson_interval(10, 40)
    assert f"10 of 40 attempts, 25.0% (95% interval {100 * interval.low:.1f}" in card
    assert "stand-in" in card
    assert "graspgap study study --preset demo --seed 3" in card
    assert main(["zoo"]) == 0
    listed = (
        f"25.0% (95% interval {100 * interval.low:.1f} to {100 * interval.high:.1f}) of 40 attempts in the stand-in"
    )
    assert listed in capsys.readouterr().out
    assert main(["zoo", "first"]) == 0
    assert "A policy for tests." in capsys.readouterr().out


def test_its_name_goes_where_a_run_does(study: Path, models: Path, tmp_path: Path) -> None:
    add(study, "policies/a", "first", "A policy for tests.")
    out = tmp_path / "trials"
    words = ["--world", "sim", "--attempts", "3", "--image-size", "32", "--workers", "1", "--seed", "5"]
    assert main(["evaluate", str(out), "--policy", "zoo:first", *words, "--films", "1"]) == 0
    assert list((out / "films").glob("*.webp"))
    assert main(["evaluate", str(tmp_path / "own"), "--policy", str(study / "policies" / "a"), *words]) == 0
    zoos, own = (
        [(each["success"], each["predicted"]) for each in read_json(path / "results.json", "a result")["records"]]
        for path in (out, tmp_path / "own")
    )
    assert zoos == own
    predictor = load_predictor(zoo.resolved(Path("zoo:first")))
    assert predictor.image_size == 32


def test_an_adapter_of_the_zoo_stays_as_it_is(study: Path, models: Path, sim_data: Path, tmp_path: Path) -> None:
    add(study, "adapters/histogram", "colours", "Colours of the stand-in.")
    before = sorted(path.name for path in (models / "colours").iterdir())
    words = ["train", str(tmp_path / "policy"), "--sim", str(sim_data), "--adapter", "zoo:colours", "--steps", "3"]
    assert main([*words, *SMALL]) == 0
    assert sorted(path.name for path in (models / "colours").iterdir()) == before
    adapted = [np.load(path) for path in (tmp_path / "policy").glob("adapted-*.npy")]
    assert [pairs.shape[1:] for pairs in adapted] == [(6, 32, 32)] * 2  # to learn from, and held out


def test_an_adapter_is_listed_with_what_was_trained_with_it(
    study: Path, models: Path, tmp_path: Path, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the study and the run's name in it; a policy without an adapter belongs to none."""
    again = tmp_path / "study"
    shutil.copytree(study, again)
    words = ["train", str(again / "policies" / "b"), "--sim", str(sim_data), "--steps", "3", *SMALL]
    assert main([*words, "--adapter", str(again / "adapters" / "histogram")]) == 0
    config = {"evaluation": {"policy": {"name": str(again / "policies" / "b")}}}
    records = [AttemptRecord(k, k // 3, k % 2 == 0, None, 4, 0.5, 0.1) for k in range(40)]
    save(EvaluationResult("b", 0.0, 0, 0, 1003, "standin", records, ["simulation"], config), again / "trials" / "b")
    for run, name in (("policies/a", "plain"), ("policies/b", "adapted"), ("adapters/histogram", "colours")):
        add(again, run, name, "For tests.")
    colours = next(entry for entry in zoo.entries() if entry.name == "colours")
    assert [policy.name for policy in zoo.trained_with(colours)] == ["adapted"]
    capsys.readouterr()
    assert main(["zoo"]) == 0
    assert capsys.readouterr().out.count("was trained with it") == 1
    for entry in zoo.entries():
        if entry.kind == "policy":
            assert zoo.trained_with(entry) == []


def test_an_unknown_name_is_told_the_known_ones(study: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(study, "policies/a", "first", "A policy for tests.")
    assert main(["evaluate", "out", "--policy", "zoo:frist"]) == 2
    assert "did you mean 'first'" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"holds no attempts of policies/b|config\.json"):
        add(study, "policies/b", "second", "None.")
    (study / "trials" / "a" / "results.json").rename(study / "kept.json")
    with pytest.raises(UserError, match="holds no attempts of policies/a in the stand-in: run the study first"):
        add(study, "policies/a", "second", "None.")
    (study / "kept.json").rename(study / "trials" / "a" / "results.json")


@pytest.mark.parametrize("entry", zoo.entries(), ids=lambda entry: entry.name)
def test_what_comes_with_graspgap_is_whole(entry: zoo.Entry) -> None:
    for name, digest in entry.files.items():
        assert sha256(entry.folder / name) == digest
    assert entry.size < 8_000_000
    text = (entry.folder / "README.md").read_text(encoding="utf-8")
    assert text == card(entry)
    assert re.search(rf"zoo:{re.escape(entry.name)}\b", text)
    assert not re.search(r"/(work|home|tmp)/", json.dumps(read_json(entry.folder / "config.json", "the zoo")))
    if entry.kind == "policy":
        assert load_predictor(entry.folder).image_size == 64
        assert entry.attempts > 0


def test_an_adapter_of_the_zoo_is_seen_at_work(
    study: Path, models: Path, sim_data: Path, real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With data, and without any; with the masks of a policy that draws some."""
    for run, name in (("adapters/histogram", "colours"), ("policies/a", "first")):
        add(study, run, name, "For tests.")
    sizes = {}
    data = ["--sim", str(sim_data), "--real", str(real_data)]
    policy = ["--policy", "zoo:first"]
    for name, words in (
        ("data", data),
        ("masks", data + policy),
        ("none", []),
        ("again", []),
        ("seed", ["--seed", "1"]),
    ):
        out = tmp_path / f"{name}.png"
        assert main(["view", "--adapter", "zoo:colours", "--out", str(out), *words]) == 0
        with Image.open(out) as picture:
            sizes[name] = picture.size
    row = 18 + 3 * 32 + 4  # label, picture, gap
    assert sizes["data"] == sizes["none"] == (10 * (3 * 32 + 4) + 4, 4 * row + 4)
    assert sizes["masks"] == (sizes["data"][0], 6 * row + 4)
    assert (tmp_path / "none.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert (tmp_path / "none.png").read_bytes() != (tmp_path / "seed.png").read_bytes()
    assert "what zoo:colours makes of pictures of sim, beside standin" in capsys.readouterr().out


def test_what_no_adapter_can_show(
    study: Path, sim_data: Path, real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A policy for an adapter, a policy that no mask taught, data in the other's place, another size."""
    maskless = str(tmp_path / "maskless")
    assert main(["train", maskless, "--sim", str(sim_data), "--training.masks", "0", "--steps", "1", *SMALL]) == 0
    adapter, out = str(study / "adapters" / "histogram"), tmp_path / "no.png"
    large = str(tmp_path / "large")
    assert main(["collect", large, "--attempts", "2", "--image-size", "48", "--workers", "1"]) == 0
    for words, told in (
        (["--adapter", str(study / "policies" / "a")], "expected an adapter run"),
        (["--adapter", adapter, "--policy", maskless, "--sim", str(sim_data)], "draws no masks"),
        (["--adapter", adapter, "--sim", str(real_data), "--real", str(real_data)], str(real_data)),
        (["--adapter", adapter, "--sim", large, "--real", str(real_data)], "48"),
        (["--adapter", "zoo:nothing"], "nothing"),
    ):
        capsys.readouterr()
        assert main(["view", "--out", str(out), *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert not out.exists()


def test_the_adapter_of_a_policy_of_the_zoo_is_found() -> None:
    assert zoo.adapter_of(zoo.MODELS / "graspgan+consistency") == zoo.MODELS / "graspgan-adapter"
    assert zoo.adapter_of(zoo.MODELS / "randomized") is None
