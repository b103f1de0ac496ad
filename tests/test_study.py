"""Studies: what they plan, how stages run, stop and resume, and what the report gathers."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from graspgap.adaptation.feature import FEATURES
from graspgap.adaptation.pixel import METHODS
from graspgap.cli.hidden import OPTIONS
from graspgap.cli.main import main
from graspgap.cli.stage_checks import check_stages
from graspgap.config import to_json
from graspgap.errors import UserError
from graspgap.evaluation.costs import rate_of, recorded, used_seconds
from graspgap.evaluation.readme import filled
from graspgap.evaluation.results import AttemptRecord, EvaluationResult, save
from graspgap.evaluation.stages import (
    STALE,
    Stage,
    _claim,
    expected_seconds,
    finished_seconds,
    needed,
    record_path,
    run_stages,
)
from graspgap.evaluation.study import camera_file, plan
from graspgap.evaluation.study_file import PRESETS, RESOLVED, read_study, study_of
from graspgap.evaluation.study_report import adaptation_grids, chosen_comparisons
from graspgap.evaluation.tables import pool
from graspgap.files import read_json, write_json


@pytest.mark.parametrize("name", PRESETS)
def test_every_stage_comes_after_what_it_reads(name: str) -> None:
    seen: set[str] = set()
    for stage in plan(read_study(name), Path("out"), seed=3):
        assert set(stage.after) <= seen
        assert stage.name not in seen
        seen.add(stage.name)


def test_a_stage_takes_as_long_as_its_own_steps() -> None:
    work = {stage.name: stage.work for stage in plan(read_study("snapshots"), Path("out"), 90)}
    assert work["adapters/graspgan-100-seed9000"] == ("adapt graspgan", 100)
    assert work["adapters/graspgan-800-seed9000"] == ("adapt graspgan", 800)


def test_an_adapter_s_arms_are_tried_before_the_next_adapter_is_trained() -> None:
    stages = [stage.name for stage in plan(read_study("bench"), Path("out"), 0)]
    adapters = [number for number, name in enumerate(stages) if name.startswith("adapters/")]
    last = max(number for number, name in enumerate(stages) if name.startswith("trials/graspgan-seed"))
    assert adapters[0] < last < adapters[1]
    assert stages.index("policies/sim-only-seed0") > adapters[-1]


@pytest.mark.parametrize("name", ["demo", "demo-long"])
def test_a_study_has_the_arms_that_attribution_needs(name: str) -> None:
    stages = plan(read_study(name), Path("out"), seed=0)
    arms = {
        stage.arguments[stage.arguments.index("--arm.name") + 1] for stage in stages if "--arm.name" in stage.arguments
    }
    needed = {"random", "sim-only", "randomized", "consistency", "graspgan", "graspgan+consistency", "real-only"}
    assert needed <= arms


def test_a_transfer_study_tries_every_policy_in_every_world_alike() -> None:
    stages = plan(read_study("transfer"), Path("out"), 3)
    trials = [stage for stage in stages if stage.arguments[0] == "evaluate"]
    words = [dict(zip(stage.arguments[2::2], stage.arguments[3::2], strict=False)) for stage in trials]
    tried = {
        (each["--policy"].removeprefix("out/policies/").removesuffix("-seed300"), each["--world"]) for each in words
    }
    policies = ("random", "from-sim", "from-sim-both", "from-bullet", "from-bullet-both")
    assert tried == {(policy, world) for policy in policies for world in ("sim", "bullet")}
    assert {(each["--attempts"], each["--seed"]) for each in words} == {("600", "4003")}
    seeds = [stage.arguments[stage.arguments.index("--seed") + 1] for stage in stages if "data/" in stage.name]
    assert len(set(seeds)) == len(seeds) == 4
    names = {stage.name for stage in stages}
    assert len(names) == len(stages)
    assert all(set(stage.after) <= names for stage in stages)


def test_no_arm_without_labels_is_given_one() -> None:
    for stage in plan(read_study("demo"), Path("out"), seed=0):
        if stage.arguments[0] == "train" and "real-only" not in stage.name:
            assert "--real-labels" not in stage.arguments


def test_all_arms_train_and_are_tried_alike() -> None:
    def settings(command: str, flags: tuple[str, ...]) -> set[tuple[str, ...]]:
        stages = [
            stage.arguments for stage in plan(read_study("demo"), Path("out"), 0) if stage.arguments[0] == command
        ]
        return {tuple(words[words.index(flag) + 1] for flag in flags) for words in stages}

    assert len(settings("train", ("--steps", "--seed"))) == 1
    assert len(settings("evaluate", ("--attempts", "--seed"))) == 1


def test_seeds_share_neither_data_nor_trials() -> None:
    first, second = (
        {" ".join(stage.arguments) for stage in plan(read_study("demo"), Path("out"), seed)} for seed in (0, 1)
    )
    assert not first & second


def test_ingredients_name_what_an_arm_is_made_of() -> None:
    study = read_study("ablations")
    ingredients = {arm.name: set(study.ingredients(arm)) for arm in study.arms}
    assert ingredients["prisms"] == {"simulation"}
    assert ingredients["published-both+graspgan"] == {"simulation", "published objects", "randomization", "graspgan"}
    assert ingredients["prisms-dynamics"] == {"simulation", "dynamics randomization"}
    assert len({frozenset(each) for each in ingredients.values()}) == len(study.arms)  # no two are the same
    transfer = read_study("transfer")
    of = {arm.name: set(transfer.ingredients(arm)) for arm in transfer.arms}
    assert of["from sim-both"] - of["from bullet"] == {"randomization"}
    assert of["from bullet"] - of["from sim-both"] == {"bullet simulator"}  # so nothing is said of the pair
    longer = read_study("demo-long")
    of = {arm.name: set(longer.ingredients(arm)) for arm in longer.arms}
    assert (of["sim-only"], of["randomized"] - {"randomization"}) == (
        {"simulation", "16000 attempts"},
        {"simulation", "8000 attempts"},
    )
    bench = read_study("bench")
    ingredients = {arm.name: set(bench.ingredients(arm)) for arm in bench.arms}
    assert ingredients["real-only"] == set()
    assert ingredients["graspgan+consistency"] == {"simulation", "graspgan", "statistics", "consistency"}


def test_the_study_of_methods_tries_each_of_them() -> None:
    study = read_study("methods")
    arms = study.arms
    assert {study.adapter(arm)[1].method for arm in arms if arm.adapter} == METHODS.keys()
    assert {name for arm in arms for name in arm.features.split(",")} - {""} == FEATURES.keys()
    assert len({arm.name for arm in arms}) == len(arms)


@pytest.mark.parametrize("name", PRESETS)
def test_every_command_of_a_study_is_one_of_ours(name: str) -> None:
    """Nothing runs, but the command line reads all words, and refuses none of what can be checked without data."""
    kinds, stages = set(), plan(read_study(name), Path("out"), seed=1)
    check_stages(Path("out"), stages)
    for stage in stages:
        command = " ".join(stage.arguments[:2]) if stage.arguments[0] == "dataset" else stage.arguments[0]
        module = importlib.import_module(f"graspgap.cli.{command.replace(' ', '_')}")
        words = stage.arguments[len(command.split()) :]
        key = tuple(word for word in words if word.startswith("--"))
        if (command, key) not in kinds:  # one of each shape: reading takes a while
            kinds.add((command, key))
            tyro.cli(module.Config, args=[*words, *(["--workers", "1"] if stage.workers else [])], registry=OPTIONS)


TOP = 'about = "x"\ntrain_steps = 4\ntrials = 6\n'


def _small(tmp_path: Path, **changed: str) -> Path:
    parts = {
        "top": TOP,
        "data": "[data.sim]\nattempts = 40\n",
        "arm": '[[arms]]\nname = "sim-only"\nsim = "sim"\n',
    } | changed
    path = tmp_path / "study.toml"
    path.write_text("\n".join(parts.values()), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"top": 'about = "x"\ntrain_steps = 4\n'}, "has no 'trials': add it"),
        ({"top": TOP + 'compare = [["sim-only", "sim-onyl"]]\n'}, "did you mean 'sim-only'"),
        ({"top": TOP + 'compare = [["sim-only", "sim-only@0.1"]]\n'}, "no such share of labels"),
        ({"top": TOP + 'compare = [["sim-only", "sim-only@much"]]\n'}, "write sim-only@0.02 for 2%"),
        ({"top": 'about = "x"\ntrain_steps = "4"\ntrials = 6\n'}, "'train_steps' in .* is '4', expected whole number"),
        ({"top": 'about = "x"\ntrain_steps = 4\ntrials = 6\ntraining_seeds = 101\n'}, "is 101, expected at most 100"),
        ({"data": "[data.sim]\nattempt = 40\n"}, "did you mean 'attempts'"),
        ({"data": "[data.sim]\nattempts = 0\n"}, "asks for 0 attempts"),
        ({"more": '[data."../other"]\nattempts = 40\n'}, r"\[data.'../other'\] in .* can't name a file"),
        ({"more": '[adapters."a/b"]\nmethod = "graspgan"\n'}, r"\[adapters.'a/b'\] in .* can't name a file"),
        ({"more": "[cameras.'']\nposition = [0.3, 0.6, 0.7]\nfov = 23.0\n"}, r"\[cameras.''\] in .* can't name a file"),
        ({"data": "data = 3\n"}, "'data' in .* is 3, expected a table"),
        ({"arm": '[[arms]]\nname = "a"\nsim = "smi"\n'}, "did you mean 'sim'"),
        ({"arm": '[[arms]]\nname = "a"\n'}, "arm 'a' in .* has nothing to learn from"),
        ({"arm": '[[arms]]\nname = "a"\nadapter = "graspgan"\n'}, "has an adapter and no simulated data"),
        (
            {"arm": '[[arms]]\nname = "a"\nsim = "sim"\nfeatures = "dbn"\n'},
            "real of arm 'a' in .* 'standin' is unknown",
        ),
        ({"arm": '[[arms]]\nname = "a"\nsim = "sim"\nreal_labels = [2.0]\n'}, "expected fractions from 0 to 1"),
        ({"more": '[[arms]]\nname = "sim-only"\nsim = "sim"\n'}, "two arms in .* are called 'sim-only'"),
        (
            {
                "data": "[data.sim]\nattempts = 40\n[data.standin]\nattempts = 40\n",
                "arm": '[[arms]]\nname = "a"\nsim = "sim"\nadapter = "cut"\n',
                "more": '[adapters.cut-sim]\nmethod = "cut"\n',
            },
            r"\[adapters.cut-sim\] in .* has the name of the run of 'cut', which arm 'a' reads",
        ),
        ({"more": '[[tried]]\narms = ["simonly"]\n'}, "did you mean 'sim-only'"),
        ({"data": '[data.sim]\nattempts = 40\n[data.few]\nattempts = 50\ndrawn_from = "sim"\n'}, "at least as many"),
        ({"arm": '[arms]\nname = "a"\n'}, "expected tables: write"),
        ({"top": 'about = "x"\ntrain_steps = 4\ntrials = 6\nseeds = [1, -1]\n'}, "seeds in .* holds -1, expected"),
        ({"top": 'about = "x"\ntrain_steps = 4\ntrials = 6\nseeds = [1, 1]\n'}, "seeds in .* holds 1, expected diff"),
        (
            {"top": 'about = "x"\ntrain_steps = 4\ntrials = 6\nscore = true\n'},
            "needs one real dataset that arms read, and they read none",
        ),
    ],
)
def test_a_wrong_study_file_is_one_clear_line(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_study(str(_small(tmp_path, **changed)))
    assert "\n" not in str(caught.value)


BOTH = "[data.sim]\nattempts = 40\n[data.standin]\nattempts = 40\nworld = 'standin'\n"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": '[data.sim]\nattempts = 40\nworld = "stand-in"\n'}, "'data/sim' can't run: .*did you mean 'standin'"),
        ({"data": '[data.sim]\nattempts = 40\nobjects = "prismz"\n'}, "'data/sim' .*did you mean 'prisms'"),
        ({"data": '[data.sim]\nattempts = 40\nrandomize = "hevy"\n'}, "'data/sim' .*did you mean 'heavy'"),
        (
            {"data": BOTH + 'randomize = "mild"\n', "arm": '[[arms]]\nname = "a"\nreal_labels = [1.0]\n'},
            "'data/standin' .*--randomize in 'standin', which is as it is",
        ),
        ({"data": '[data.sim]\nattempts = 40\noptions = ["--nix"]\n'}, "'data/sim' .*--nix"),
        ({"top": TOP + 'train_options = ["--nix"]\n'}, "'policies/sim-only-seed0' can't run: .*--nix"),
        (
            {"top": TOP + 'train_options = ["--networks", "paper"]\n'},
            "'policies/sim-only-seed0' .*64 pixels are too small",
        ),
        (
            {"data": BOTH, "arm": '[[arms]]\nname = "a"\nsim = "sim"\nadapter = "grasp"\n'},
            "'adapters/grasp-sim-seed0' .*did you mean 'graspgan'",
        ),
        (
            {"data": BOTH, "arm": '[[arms]]\nname = "a"\nsim = "sim"\nfeatures = "dbn,consistancy"\n'},
            "'policies/a-seed0' .*did you mean 'consistency'",
        ),
        (
            {"more": '[[tried]]\nname = "x"\noptions = ["--same", "lok"]\n'},
            "'trials/random-x-seed0' .*did you mean 'look'",
        ),
    ],
)
def test_what_a_stage_would_refuse_is_refused_before_the_first_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, str], words: str
) -> None:
    path = _small(tmp_path, **changed)
    assert main(["study", str(tmp_path / "out"), "--preset", str(path), "--seed", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(words, line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "stage"),
    [
        ('[[arms]]\nname = "sim only"\nsim = "sim"\n', "policies/sim-only-seed0"),
        ('[[arms]]\nname = "random"\nsim = "sim"\n', "trials/random-seed0"),
        ("[[tried]]\n[[tried]]\n", "trials/random-seed0"),
    ],
)
def test_stages_that_would_share_a_folder_are_refused(tmp_path: Path, more: str, stage: str) -> None:
    study = read_study(str(_small(tmp_path, more=more)))
    with pytest.raises(UserError, match=f"two stages of the study would be called '{stage}'"):
        plan(study, Path("out"), 0)


def test_scores_look_through_the_camera_of_their_simulation() -> None:
    stages = {stage.name: stage for stage in plan(replace(read_study("bench"), score=True), Path("out"), 0)}
    assert stages["scores/identified"].option("--camera") == str(Path("out/cameras/identified.json"))
    assert stages["scores/sim"].option("--camera") == ""


def test_a_study_file_of_ones_own_is_planned(tmp_path: Path) -> None:
    stages = plan(read_study(str(_small(tmp_path))), Path("out"), 2)
    assert [stage.name for stage in stages] == [
        "data/sim",
        "trials/random-seed200",
        "policies/sim-only-seed200",
        "trials/sim-only-seed200",
    ]
    with pytest.raises(UserError, match=r"can't read --preset .*nowhere\.toml"):
        read_study(str(tmp_path / "nowhere.toml"))
    with pytest.raises(UserError, match="did you mean 'bench'"):
        read_study("bnech")


def test_scores_are_by_the_reality_that_the_arms_read(tmp_path: Path) -> None:
    top = 'about = "x"\ntrain_steps = 4\ntrials = 6\nscore = true\n'
    data = "[data.sim]\nattempts = 40\n[data.cell]\nworld = 'standin'\nattempts = 40\n"
    data += "[data.few]\nattempts = 40\ndrawn_from = 'cell'\n"
    arm = '[[arms]]\nname = "a"\nsim = "sim"\nfeatures = "dbn"\nreal = "few"\n'
    stages = plan(read_study(str(_small(tmp_path, top=top, data=data, arm=arm))), Path("out"), 0)
    assert stages[-1].arguments[4:6] == ("--real", "out/data/cell")
    assert {name for stage in stages for name in stage.after} <= {stage.name for stage in stages}


def test_what_is_seen_through_a_found_camera_is_all_along(tmp_path: Path) -> None:
    data = "[data.sim]\nattempts = 40\ncamera = 'found'\n[data.standin]\nworld = 'standin'\nattempts = 40\n"
    data += "[cameras.found]\nposition = [0.3, 0.6, 0.7]\nfov = 23.0\n"
    arm = '[[arms]]\nname = "a"\nsim = "sim"\nfeatures = "dbn"\n[[arms]]\nname = "b"\nsim = "sim"\n'
    arm += '[[arms]]\nname = "real-only"\nreal_labels = [1.0]\n'
    study = read_study(str(_small(tmp_path, data=data, arm=arm)))
    stages = {stage.name: stage.arguments for stage in plan(study, tmp_path / "out", 0)}
    through = {name for name, words in stages.items() if "--camera" in words}
    assert through == {"data/sim", "policies/a-seed0", "trials/a-seed0", "trials/b-seed0"}
    assert study.ingredients(study.arms[0]) == ("simulation", "found camera", "statistics")
    with pytest.raises(UserError, match="did you mean 'found'"):
        read_study(str(_small(tmp_path, data=data.replace("'found'", "'fond'"), arm=arm)))


def test_a_folder_knows_its_study(tmp_path: Path) -> None:
    path = _small(tmp_path)
    study = replace(read_study(str(path)), compare=(("sim-only", "sim-only"),))
    write_json(tmp_path / RESOLVED, to_json(study))
    path.unlink()
    assert study_of(tmp_path) == study
    (tmp_path / RESOLVED).unlink()
    identity = {"preset": "demo", "seed": 0}
    write_json(tmp_path / "config.json", {"kind": "study", "config": identity, "inputs": {}})
    assert study_of(tmp_path) == read_study("demo")  # made before studies were kept


def test_pairs_that_a_study_names_are_compared() -> None:
    def tried(arm: str, won: int) -> EvaluationResult:
        records = [AttemptRecord(k, k // 3, k < won, None, 4, None, 0.1) for k in range(60)]
        return EvaluationResult(arm, 0.0, 0, 0, 1000, "standin", records, ["simulation"])

    study = read_study("ablations")
    cells = pool([tried("prisms", 30), tried("published", 24), tried("other", 9)])
    (found,) = chosen_comparisons(study.compare, cells)
    assert (found.first, found.second) == ("prisms", "published")
    assert found.difference.value == pytest.approx(0.1)
    labelled = replace(tried("prisms", 36), real_labels=0.02, real_label_count=20)
    (found,) = chosen_comparisons([("prisms@0.02", "prisms"), ("other@0.5", "prisms")], [*cells, *pool([labelled])])
    assert (found.first, found.second) == ("prisms, 2% real labels", "prisms")
    assert found.difference.value == pytest.approx(0.1)


def test_addas_policies_have_batch_statistics_of_reality_without_being_given_any() -> None:
    result = EvaluationResult("adda", 0.0, 0, 0, 1000, "standin", [AttemptRecord(0, 0, True, None, 4, None, 0.1)])
    for named, known in (["adda"], {"adda", "statistics"}), (["dann"], {"dann"}):
        (cell,) = pool([replace(result, ingredients=["simulation", *named])])
        assert cell.ingredients == {"simulation"} | known


def test_a_scaled_study_is_the_same_but_smaller() -> None:
    whole, small = read_study("paper"), read_study("paper").scaled(1e-5)
    assert [stage.name for stage in plan(small, Path("o"), 0)] == [stage.name for stage in plan(whole, Path("o"), 0)]
    assert small.image_size == whole.image_size == 472
    assert whole.scaled(1e-5, 218).image_size == whole.scaled(1, 218).image_size == 218
    assert (small.data["prisms"].attempts, small.adapter_steps, small.train_steps, small.trials) == (40, 2, 4, 3)
    with pytest.raises(UserError, match="is no share"):
        whole.scaled(2.0)
    bench = {stage.name: stage for stage in plan(read_study("bench").scaled(0.1), Path("o"), 0)}
    assert bench["policies/sim-only-seed0"].option("--steps") == "120"
    assert [word for word in bench["policies/real-only-1-seed0"].arguments if word in ("240", "2400")] == ["240"]
    kept = {stage.name: stage.work[1] for stage in plan(read_study("snapshots").scaled(0.1), Path("o"), 90)}
    assert kept["adapters/graspgan-200-seed9000"] == 20


def test_another_camera_of_the_same_name_is_another_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("graspgap.cli.study.run_stages", lambda *_: None)
    out = tmp_path / "out"

    def study(fov: float) -> int:
        data = "[data.sim]\nattempts = 40\ncamera = 'found'\n[data.standin]\nworld = 'standin'\nattempts = 40\n"
        data += f"[cameras.found]\nposition = [0.3, 0.6, 0.7]\nfov = {fov}\n"
        return main(["study", str(out), "--preset", str(_small(tmp_path, data=data)), "--only", "data/*"])

    assert study(23.0) == study(24.0) == 0  # nothing has been made with the first
    made = next(stage for stage in plan(study_of(out), out, 0) if stage.name == "data/sim")
    write_json(out / "stages" / "data-sim.json", {"arguments": list(made.arguments), "work": made.work, "seconds": 1.0})
    assert study(24.0) == 0
    kept = (out / RESOLVED).read_bytes(), camera_file(study_of(out), out, "found").read_bytes()
    assert study(23.0) == 2
    assert "holds stage 'data/sim' with another camera 'found'" in capsys.readouterr().err
    assert ((out / RESOLVED).read_bytes(), camera_file(study_of(out), out, "found").read_bytes()) == kept


def test_a_study_finds_its_own_camera_before_simulation_is_seen_through_it(tmp_path: Path) -> None:
    path = _small(
        tmp_path,
        data='[data.seen]\nattempts = 40\ncamera = "own"\n[data.part]\nattempts = 10\ndrawn_from = "seen"\n'
        '[data.sim]\nattempts = 40\n[data.standin]\nworld = "standin"\nattempts = 40\n',
        arm='[[arms]]\nname = "a"\nsim = "part"\n',
        more='[alignments.own]\nsim = "sim"\noptions = ["--detector.steps", "9"]\n',
    )
    study, out = read_study(str(path)), Path("o")
    stages = plan(study, out, 3)
    names = [stage.name for stage in stages]
    assert names[:5] == ["data/sim", "data/standin", "cameras/own", "data/seen", "data/part"]
    found = dict(zip(names, stages, strict=True))
    own = found["cameras/own"]
    assert own.after == ("data/sim", "data/standin")
    assert own.arguments[:2] == ("align", "o/cameras/own")
    assert (own.option("--sim"), own.option("--real")) == ("o/data/sim", "o/data/standin")
    assert (own.option("--seed"), own.option("--detector.steps")) == ("3", "9")
    assert found["data/seen"].after == ("cameras/own",)
    assert found["data/seen"].option("--camera") == found["trials/a-seed300"].option("--camera")
    assert found["data/seen"].option("--camera") == "o/cameras/own/camera.json"
    assert "own camera" in study.ingredients(study.arms[0])
    assert study.realities() == ["standin"]
    check_stages(out, stages)
    unread = replace(study, arms=(replace(study.arms[0], sim="sim"),))
    assert [stage.name for stage in plan(unread, out, 0)][:2] == ["data/sim", "trials/random-seed0"]


def test_simulation_that_only_an_alignment_reads_is_not_scored(tmp_path: Path) -> None:
    data = "[data.sim]\nattempts = 40\ncamera = 'own'\n[data.randomized]\nattempts = 40\n"
    data += "[data.standin]\nworld = 'standin'\nattempts = 40\n"
    path = _small(tmp_path, top=TOP + "score = true\n", data=data, more="[alignments.own]\n")
    scores = [stage for stage in plan(read_study(str(path)), Path("o"), 0) if stage.arguments[0] == "score"]
    assert [stage.name for stage in scores] == ["scores/sim"]
    assert scores[0].option("--camera") == "o/cameras/own/camera.json"
    assert "--judge" not in scores[0].arguments


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[alignments.own]\nsim = "smi"\n', r"sim of \[alignments.own\] .* did you mean 'sim'"),
        ('[alignments.own]\nreal = "standing"\n', r"real of \[alignments.own\] .* did you mean 'standin'"),
        ('[alignments.own]\nsim = "seen"\n', "is itself seen through an alignment"),
        ('[alignments.own]\nsim = "standin"\nreal = "randomized"\n', "sim of .* is of the world 'standin'"),
        ('[alignments.own]\nreal = "randomized"\n', "real of .* is of the world 'sim'"),
        (
            "[cameras.own]\nposition = [0.3, 0.6, 0.7]\nfov = 23.0\n[alignments.own]\n",
            "a camera and an alignment 'own'",
        ),
        ("[alignments.'a/b']\n", r"\[alignments.'a/b'\] in .* can't name a file"),
    ],
)
def test_an_alignment_reads_what_is_there(more: str, words: str, tmp_path: Path) -> None:
    data = "[data.sim]\nattempts = 40\n[data.randomized]\nattempts = 40\n[data.standin]\nworld = 'standin'\n"
    data += "attempts = 40\n[data.seen]\nattempts = 40\ncamera = 'own'\n"
    with pytest.raises(UserError, match=words):
        read_study(str(_small(tmp_path, data=data if "a/b" not in more else "[data.sim]\nattempts = 40\n", more=more)))


def test_an_alignment_that_would_be_refused_is_before_anything_runs(tmp_path: Path) -> None:
    data = "[data.sim]\nattempts = 40\ncamera = 'own'\n[data.randomized]\nattempts = 40\n"
    data += "[data.standin]\nworld = 'standin'\nattempts = 40\n"
    more = '[alignments.own]\noptions = ["--detector.kept", "2"]\n'
    stages = plan(read_study(str(_small(tmp_path, data=data, more=more))), Path("o"), 0)
    with pytest.raises(UserError, match=r"stage 'cameras/own' can't run: --detector\.kept 2"):
        check_stages(Path("o"), stages)


def test_the_seeds_of_a_study_are_folders_with_a_report_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, ran = tmp_path / "out", []

    def tried(folder: Path, stages: list[Stage], workers: int, only: str) -> None:
        ran.append((folder, {stage.option("--seed") for stage in stages if stage.name == "data/sim"}))
        for arm, successes in (("sim-only", 9), ("other", 24)):
            seed = int(folder.name.removeprefix("seed"))
            records = [AttemptRecord(k, k // 3, k < successes, None, 4, None, 0.1) for k in range(30)]
            found = EvaluationResult(arm, 0.0, 0, 100 * seed, 1000 + seed, "standin", records, ["simulation"])
            save(found, folder / "trials" / arm)

    monkeypatch.setattr("graspgap.cli.study.run_stages", tried)
    top = 'about = "x"\ntrain_steps = 4\ntrials = 6\nseeds = [0, 2]\ncompare = [["sim-only", "other"]]\n'
    arms = '[[arms]]\nname = "sim-only"\nsim = "sim"\n[[arms]]\nname = "other"\nsim = "sim"\n'
    file = str(_small(tmp_path, top=top, arm=arms))
    assert main(["study", str(out), "--preset", file, "--plan"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "seed2: 0 of " in line]
    assert not out.exists()
    assert main(["study", str(out), "--preset", file]) == 0
    assert ran == [(out / "seed0", {"0"}), (out / "seed2", {"2"})]
    assert "48/60" in (out / "table.md").read_text()
    assert "24/30" in (out / "seed2" / "table.md").read_text()
    report = (out / "report.html").read_text()
    assert "sim-only against other" in report
    assert re.search(r"seed0: \d of \d stages have not finished: .*seed2: \d of \d stages", report, re.DOTALL)
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_text() == report
    shutil.copytree(out / "seed0", tmp_path / "runs" / "mine")  # among other runs, not a seed of one study
    assert main(["report", str(tmp_path / "runs")]) == 0
    page = (tmp_path / "runs" / "report.html").read_text()
    assert "<title>graspgap: runs</title>" in page
    assert "stages have not finished" not in page
    assert main(["study", str(tmp_path / "seed5"), "--preset", file, "--seed", "5"]) == 0
    assert ran[2:] == [(tmp_path / "seed5", {"5"})]
    assert main(["study", str(tmp_path / "seed5"), "--preset", file]) == 2
    assert "holds one seed of a study: give its --seed" in capsys.readouterr().err


CHAIN = [
    Stage("data/a", ("--version",)),
    Stage("policies/a", ("--version",), ("data/a",)),
    Stage("trials/a", ("--version",), ("policies/a",)),
    Stage("policies/b", ("--version",), ("data/a",)),
    Stage("trials/b", ("--version",), ("policies/b",)),
]


def test_what_nothing_unfinished_reads_is_not_made() -> None:
    def names(done: set[str], only: str = "") -> list[str]:
        return [stage.name for stage in needed(CHAIN, done, only)]

    assert names(set()) == [stage.name for stage in CHAIN]
    assert names({"trials/a"}) == ["data/a", "policies/b", "trials/b"]
    assert names({"trials/a", "policies/b"}) == ["trials/b"]
    assert names({"trials/a", "trials/b"}) == []
    assert names(set(), "policies/a") == ["data/a", "policies/a"]
    assert names({"data/a"}, "*b") == ["policies/b", "trials/b"]
    with pytest.raises(UserError, match="--only nothing matches no stage: they lie below data, policies, trials"):
        names(set(), "nothing")


def test_a_new_arm_trains_no_finished_arm_again() -> None:
    study = read_study("bench")
    done = {stage.name for stage in plan(study, Path("out"), 0) if stage.name.startswith("trials/")}
    arm = next(arm for arm in study.arms if arm.name == "graspgan")
    more = replace(study, arms=(*study.arms, replace(arm, name="graspgan+coral", features="coral,dbn")))
    stages = plan(more, Path("out"), 0)
    policies = {stage.name for stage in needed(stages, done) if stage.name.startswith("policies/")}
    new = {stage.name for stage in stages if stage.name.startswith("policies/graspgan+coral")}
    assert policies == new


def test_a_stage_waits_for_those_that_it_had_better_follow(tmp_path: Path) -> None:
    slow = Stage("policies/a", ("--version",))
    run_stages(tmp_path, [slow, Stage("policies/b", ("--version",), behind=("policies/a", "policies/gone"))], 2)
    first, second = (tmp_path / "logs" / f"policies-{name}.log" for name in "ab")
    assert first.stat().st_mtime < second.stat().st_mtime
    assert record_path(tmp_path, slow).stat().st_mtime < second.stat().st_mtime


def test_what_can_not_be_drawn_any_more_is_left_out_of_a_report_with_a_warning(tmp_path: Path) -> None:
    words = ("adapt", str(tmp_path / "adapters/a"), "--sim", str(tmp_path / "gone"), "--real", str(tmp_path / "gone"))
    stage = Stage("adapters/a", words)
    write_json(record_path(tmp_path, stage), {"arguments": list(words), "seconds": 1.0})
    grids, (warning,) = adaptation_grids(tmp_path, [stage])
    assert grids == []
    assert warning.startswith(f"No pictures of adapters/a: {tmp_path / 'gone'} ")


def test_a_stage_that_another_command_runs_is_left_to_it(tmp_path: Path) -> None:
    claim = tmp_path / "stages" / "data-a.claim"
    claim.parent.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    claim.write_text(f"{platform.node()} {other.pid}")
    runner = threading.Thread(target=run_stages, args=(tmp_path, CHAIN[:1], 1))
    runner.start()
    time.sleep(1.0)
    assert runner.is_alive()
    assert not (tmp_path / "logs").exists()
    other.kill()  # its claim is worth nothing now
    other.wait()
    runner.join(60)
    assert finished_seconds(tmp_path, CHAIN[0]) is not None
    assert not claim.exists()


def test_a_claim_of_another_machine_holds_while_it_is_renewed(tmp_path: Path) -> None:
    claim = tmp_path / "stages" / "data-a.claim"
    claim.parent.mkdir()
    claim.write_text("another-machine 1")
    assert not _claim(tmp_path, CHAIN[0])
    os.utime(claim, (time.time() - 2 * STALE,) * 2)
    assert _claim(tmp_path, CHAIN[0])
    assert claim.read_text() == f"{platform.node()} {os.getpid()}"
    claim.write_text(f"{platform.node()} {os.getppid()}")
    assert not _claim(tmp_path, CHAIN[0])
    os.utime(claim, (time.time() - 2 * STALE,) * 2)  # the process that lives is another one with its number
    assert _claim(tmp_path, CHAIN[0])


def test_of_two_commands_that_see_a_stale_claim_one_gets_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, rename = tmp_path / "stages" / "data-a.claim", Path.rename
    claim.parent.mkdir()
    claim.write_text("another-machine 1")
    os.utime(claim, (time.time() - 2 * STALE,) * 2)

    def late(path: Path, target: Path) -> Path:
        path.write_text("a-third-machine 2")  # took the stage over in the meantime
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    assert not _claim(tmp_path, CHAIN[0])
    assert [path.name for path in claim.parent.iterdir()] == [claim.name]
    assert claim.read_text() == "a-third-machine 2"


def test_a_stage_that_another_command_has_taken_over_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, slow = tmp_path / "stages" / "data-a.claim", Stage("data/a", ("networks",), workers=False)
    claim.parent.mkdir()
    monkeypatch.setattr("graspgap.evaluation.stages.HEARTBEAT", -1.0)
    monkeypatch.setattr("graspgap.evaluation.stages._claim", lambda study, stage: claim.write_text("another-machine 1"))
    with pytest.raises(UserError, match="'data/a' was taken over by another command"):
        run_stages(tmp_path, [slow], 1)
    assert finished_seconds(tmp_path, slow) is None
    assert claim.read_text() == "another-machine 1"


def test_one_command_at_a_time_drives_a_robot(tmp_path: Path) -> None:
    stages = [Stage(f"trials/{name}", ("evaluate", f"trials/{name}", "--world", "mine:arm.toml")) for name in "ab"]
    assert _claim(tmp_path, stages[0])
    robot = tmp_path / "stages" / "robot-mine.claim"
    robot.write_text("another-machine 1")
    assert not _claim(tmp_path, stages[1])
    assert not (tmp_path / "stages" / "trials-b.claim").exists()
    robot.unlink()
    stage = tmp_path / "stages" / "trials-b.claim"
    stage.write_text("another-machine 1")
    assert not _claim(tmp_path, stages[1])
    assert not robot.exists()  # what stands still is free for others
    stage.unlink()
    assert _claim(tmp_path, stages[1])


def test_times_are_measured_where_something_like_it_has_finished(tmp_path: Path) -> None:
    def stage(name: str, kind: str, amount: float) -> Stage:
        return Stage(name, ("--version",), work=(kind, amount))

    stages = [stage("a", "train dann", 10), stage("b", "train dann", 20), stage("c", "train new-method", 10)]
    expected = expected_seconds(tmp_path, stages)
    assert expected["b"] == 2 * expected["a"] == 20 * rate_of("train dann", {})
    write_json(
        tmp_path / "stages" / "a.json", {"arguments": ["--version"], "work": ["train dann", 10], "seconds": 50.0}
    )
    assert expected_seconds(tmp_path, stages)["b"] == 100
    assert expected_seconds(tmp_path, stages)["c"] == 10 * rate_of("train", {})  # nothing like it
    assert recorded(tmp_path) == [("train dann", 10.0, 50.0)]
    assert rate_of("128 train dann", {"train dann": 5.0}) == 20  # four times as many pixels
    assert rate_of("472 train dann", {}) == rate_of("472 train", {}) > rate_of("train", {})
    busy = {"arguments": ["--version"], "work": ["train dann", 10], "seconds": 500.0, "cpu_seconds": 40.0}
    write_json(tmp_path / "stages" / "a.json", busy)
    assert expected_seconds(tmp_path, stages)["b"] == 80  # other work on the machine is not counted


def test_a_finished_stage_is_not_run_again_and_keeps_its_settings(tmp_path: Path) -> None:
    stage = Stage("help", ("--version",))
    run_stages(tmp_path, [stage], workers=1)
    seconds = finished_seconds(tmp_path, stage)
    assert seconds is not None
    assert 0 < read_json(tmp_path / "stages" / "help.json", "a stage")["cpu_seconds"] < seconds + 1
    assert used_seconds(record_path(tmp_path, stage)) is not None
    log = tmp_path / "logs" / "help.log"
    log.unlink()
    run_stages(tmp_path, [stage], workers=1)
    assert not log.exists()
    with pytest.raises(UserError, match="other settings"):
        run_stages(tmp_path, [Stage("help", ("--help",))], workers=1)


def test_a_stage_that_goes_on_where_it_was_stopped_tells_no_costs(tmp_path: Path) -> None:
    """Nobody knows what the process took that was killed."""
    stage = Stage("data/a", ("--version",), work=("collect sim", 10))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "data-a.log").write_text("collect: 3/10 attempts\n")
    run_stages(tmp_path, [stage], workers=1)
    assert finished_seconds(tmp_path, stage) is not None
    assert used_seconds(record_path(tmp_path, stage)) is None
    assert recorded(tmp_path) == []


def test_a_stage_that_grows_is_run_again_with_other_words(tmp_path: Path) -> None:
    run_stages(tmp_path, [Stage("scores/a", ("--version",), grows=True)], workers=1)
    more = Stage("scores/a", ("--help",), grows=True)
    reader = Stage("scores/b", ("--version",), ("scores/a",))
    assert needed([more, reader], {"scores/b"}) == [more]
    run_stages(tmp_path, [more], workers=1)
    assert read_json(tmp_path / "stages/scores-a.json", "a stage")["arguments"] == ["--help"]
    written = (tmp_path / "stages/scores-a.json").stat().st_mtime_ns
    run_stages(tmp_path, [more], workers=1)
    assert (tmp_path / "stages/scores-a.json").stat().st_mtime_ns == written


def test_scores_grow_with_the_arms() -> None:
    stages = plan(read_study("methods"), Path("out"), 0)
    assert {stage.name.split("/")[0] for stage in stages if stage.grows} == {"scores"}


def test_a_study_may_be_copied_but_not_changed(tmp_path: Path) -> None:
    def stage(folder: Path, steps: str) -> Stage:
        words = ("train", str(folder / "policies/a"), "--sim", str(folder / "data/sim"), "--steps", steps)
        return Stage("policies/a", words)

    there, here = Path("results/there"), tmp_path / "here"
    record = {"arguments": list(stage(there, "10").arguments), "work": ["train", 10], "seconds": 3.0}
    write_json(here / "stages" / "policies-a.json", record)
    assert finished_seconds(here, stage(here, "10")) == 3.0
    with pytest.raises(UserError, match="other settings"):
        finished_seconds(here, stage(here, "20"))


def test_a_failing_stage_is_named_with_its_reason(tmp_path: Path) -> None:
    stage = Stage("bad", ("train", str(tmp_path / "x"), "--sim", str(tmp_path / "nowhere")))
    after = Stage("later", ("--version",), after=("bad",))
    with pytest.raises(UserError, match=r"stage 'bad' failed .*nowhere is no folder"):
        run_stages(tmp_path, [stage, after], workers=1)
    assert finished_seconds(tmp_path, after) is None


def test_the_tiny_study_survives_a_kill_and_ends_in_a_report(tmp_path: Path) -> None:
    """The whole straight line in the real worlds, killed once on the way."""
    out = tmp_path / "study"
    command = [sys.executable, "-m", "graspgap.cli.main", "study", str(out), "--preset", "tiny"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(out.glob("stages/*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    done = {path.name: path.read_bytes() for path in out.glob("stages/*.json")}
    assert done
    assert main(["study", str(out), "--preset", "tiny", "--only", "data/*"]) == 0
    assert not (out / "report.html").exists()
    assert main(["study", str(out), "--preset", "tiny"]) == 0
    for name, content in done.items():
        assert (out / "stages" / name).read_bytes() == content
    rows = (out / "table.csv").read_text().splitlines()
    assert rows[0] == "arm,real_labels,seed,attempts,successes,rate,low95,high95"
    arms = {row.split(",")[0] for row in rows[1:]}
    assert {"random", "sim-only", "graspgan+consistency", "real-only"} <= arms
    report = (out / "report.html").read_text()
    assert "stand-in" in report
    assert "Choosing without labels" in report
    assert "data:image/png;base64," in report
    assert read_json(out / "config.json", "a study")["config"] == {"preset": "tiny", "seed": 0}
    assert main(["study", str(out), "--preset", "demo"]) == 2
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_text() == report
    moved = out.rename(tmp_path / "elsewhere")
    records = {path.name: path.read_bytes() for path in moved.glob("stages/*.json")}
    assert main(["report", str(moved)]) == 0
    assert "have not finished" not in (moved / "report.html").read_text()
    assert "What the adapter" in (moved / "report.html").read_text()
    assert main(["study", str(moved), "--preset", "tiny"]) == 0  # nothing is left to run
    assert {path.name: path.read_bytes() for path in moved.glob("stages/*.json")} == records


ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "name", ["README.md", "results/README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
)
def test_every_table_of_the_repository_is_what_its_result_files_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graspgap.evaluation.readme.save_png", lambda png, path: None)  # pictures stay as they are
    text = (ROOT / name).read_text(encoding="utf-8")
    assert filled(text, (ROOT / name).parent) == text


def test_tables_of_a_markdown_file_come_from_result_files(tmp_path: Path) -> None:
    records = [AttemptRecord(k, k // 3, k % 4 == 0, None, 4, None, 0.1) for k in range(40)]
    save(EvaluationResult("sim-only", 0.0, 0, 0, 1000, "standin", records), tmp_path / "results" / "a")
    text = "before\n<!-- results results -->\nold\n<!-- end -->\nafter"
    new = filled(text, tmp_path)
    assert "old" not in new
    assert "sim-only" in new
    assert "25.0" in new
    assert new.startswith("before\n")
    assert new.endswith("after")
    assert filled(new, tmp_path) == new
    with pytest.raises(UserError, match=r"no results\.json"):
        filled("<!-- results nowhere -->\n<!-- end -->", tmp_path)
    with pytest.raises(UserError, match=r"no costs\.csv"):
        filled("<!-- costs nowhere -->\n<!-- end -->", tmp_path)


def test_the_figure_of_a_markdown_file_comes_from_result_files(tmp_path: Path) -> None:
    for count, wins in ((0, 1), (10, 2), (40, 3)):
        records = [AttemptRecord(k, k // 3, k % 4 < wins, None, 4, None, 0.1) for k in range(40)]
        result = EvaluationResult("real-only" if count else "random", count / 40, count, 0, 1000, "standin", records)
        save(result, tmp_path / "results" / str(count))
    text = "<!-- curve results:docs/labels.png -->\n<!-- end -->"
    assert "](docs/labels.png)" in filled(text, tmp_path)
    picture = (tmp_path / "docs" / "labels.png").read_bytes()
    save(replace(result, arm="other"), tmp_path / "results" / "other")
    filled(text, tmp_path)
    assert (tmp_path / "docs" / "labels.png").read_bytes() != picture


def test_ablations_of_a_markdown_file_come_from_result_files(tmp_path: Path) -> None:
    for arm, won, ingredients in (
        ("prisms", 10, ["simulation"]),
        ("prisms-both", 20, ["simulation", "randomization"]),
        ("published", 30, ["simulation", "published objects"]),
        ("published-both", 40, ["simulation", "published objects", "randomization"]),
    ):
        records = [AttemptRecord(k, k // 3, k < won, None, 4, None, 0.1) for k in range(60)]
        save(EvaluationResult(arm, 0.0, 0, 0, 1000, "standin", records, ingredients), tmp_path / "tried" / arm)
    figure, pairs = (f"<!-- {words} -->\n<!-- end -->" for words in ("objects tried:heat.png", "pairs tried"))
    assert "](heat.png)" in filled(figure, tmp_path)
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"no study\.json"):
        filled(pairs, tmp_path)
    write_json(tmp_path / "tried" / RESOLVED, to_json(read_study("ablations")))
    rows = filled(pairs, tmp_path).splitlines()[3:-1]
    assert [row.split(" | ")[0] for row in rows] == [
        "| prisms against published",
        "| prisms-both against published-both",
    ]
    with pytest.raises(UserError, match=r"has no arms for heat\.png"):
        filled("<!-- objects tried/prisms:heat.png -->\n<!-- end -->", tmp_path)


def test_chosen_arms_stand_side_by_side_in_two_worlds(tmp_path: Path) -> None:
    for world, arm, labels, won in (("standin", "a", 0.0, 10), ("standin", "b", 0.5, 20), ("standin2", "b", 0.5, 30)):
        records = [AttemptRecord(k, k // 3, k < won, None, 4, None, 0.1) for k in range(40)]
        save(EvaluationResult(arm, labels, round(40 * labels), 0, 1000, world, records), tmp_path / world / arm)
    mark = "<!-- arms standin,standin2:b@0.5,a -->\n<!-- end -->"
    header, _, first, second = filled(mark, tmp_path).splitlines()[1:5]
    assert header == "| arm | real labels | in standin | in standin2 |"
    assert first.startswith("| b | 50% | 50.0% (")
    assert "| 75.0% (" in first
    assert second.startswith("| a | none | 25.0% (")
    assert second.endswith("|  |")
    with pytest.raises(UserError, match="arm 'c' was not tried"):
        filled("<!-- arms standin:c -->\n<!-- end -->", tmp_path)


def test_a_benchmarks_rows_become_a_table(tmp_path: Path) -> None:
    rows = [{"what": "sim", "per_second": 9.5, "more": 1, "none": None}, {"what": "b"}]
    write_json(tmp_path / "speed.json", {"rows": rows})
    text = "<!-- benchmark speed.json:what,per_second,none -->\n<!-- end -->"
    table = filled(text, tmp_path).splitlines()[1:5]
    assert table == ["| what | per second | none |", "| --- | ---: | ---: |", "| sim | 9.5 |  |", "| b |  |  |"]
    with pytest.raises(UserError, match="has no column 'speed'"):
        filled("<!-- benchmark speed.json:speed -->\n<!-- end -->", tmp_path)
