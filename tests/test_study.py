"""Studies: what they plan, how stages run, stop and resume, and what the report gathers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graspgap.adaptation.feature import FEATURES, check_features
from graspgap.adaptation.pixel import METHODS
from graspgap.cli.main import main
from graspgap.errors import UserError
from graspgap.evaluation.plans import PLANS
from graspgap.evaluation.readme import filled
from graspgap.evaluation.results import AttemptRecord, EvaluationResult, save
from graspgap.evaluation.stages import Stage, finished_seconds, run_stages
from graspgap.evaluation.study import PRESETS, StudyArm, plan
from graspgap.files import read_json, write_json


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_stage_comes_after_what_it_reads(name: str) -> None:
    seen: set[str] = set()
    for stage in plan(PRESETS[name], Path("out"), seed=3):
        assert set(stage.after) <= seen
        assert stage.name not in seen
        seen.add(stage.name)


@pytest.mark.parametrize("name", ["demo", "demo-long"])
def test_a_study_has_the_arms_that_attribution_needs(name: str) -> None:
    stages = plan(PRESETS[name], Path("out"), seed=0)
    arms = {
        stage.arguments[stage.arguments.index("--arm.name") + 1] for stage in stages if "--arm.name" in stage.arguments
    }
    needed = {"random", "sim-only", "randomized", "consistency", "graspgan", "graspgan+consistency", "real-only"}
    assert needed <= arms


def test_a_transfer_study_tries_every_policy_in_every_world_alike() -> None:
    stages = PLANS["transfer"](Path("out"), 3)
    trials = [stage for stage in stages if stage.arguments[0] == "evaluate"]
    words = [dict(zip(stage.arguments[2::2], stage.arguments[3::2], strict=False)) for stage in trials]
    tried = {(each["--policy"].removeprefix("out/policies/"), each["--world"]) for each in words}
    policies = ("random", "sim", "sim-both", "bullet", "bullet-both")
    assert tried == {(policy, world) for policy in policies for world in ("sim", "bullet")}
    assert {(each["--attempts"], each["--seed"]) for each in words} == {("600", "4003")}
    seeds = [stage.arguments[stage.arguments.index("--seed") + 1] for stage in stages if "data/" in stage.name]
    assert len(set(seeds)) == len(seeds) == 4
    names = {stage.name for stage in stages}
    assert len(names) == len(stages)
    assert all(set(stage.after) <= names for stage in stages)


def test_no_arm_without_labels_is_given_one() -> None:
    for stage in plan(PRESETS["demo"], Path("out"), seed=0):
        if stage.arguments[0] == "train" and "real-only" not in stage.name:
            assert "--real-labels" not in stage.arguments


def test_all_arms_train_and_are_tried_alike() -> None:
    def settings(command: str, flags: tuple[str, ...]) -> set[tuple[str, ...]]:
        stages = [stage.arguments for stage in plan(PRESETS["demo"], Path("out"), 0) if stage.arguments[0] == command]
        return {tuple(words[words.index(flag) + 1] for flag in flags) for words in stages}

    assert len(settings("train", ("--steps", "--seed"))) == 1
    assert len(settings("evaluate", ("--attempts", "--seed"))) == 1


def test_seeds_share_neither_data_nor_trials() -> None:
    first, second = (
        {" ".join(stage.arguments) for stage in plan(PRESETS["demo"], Path("out"), seed)} for seed in (0, 1)
    )
    assert not first & second


def test_ingredients_name_what_an_arm_is_made_of() -> None:
    arm = StudyArm("x", sim="randomized", adapter="graspgan", features="consistency,dbn")
    assert arm.ingredients == ("simulation", "randomization", "statistics", "consistency", "graspgan")
    assert StudyArm("real-only", real_labels=0.1).ingredients == ()


def test_the_study_of_methods_tries_each_of_them() -> None:
    arms = PRESETS["methods"].arms
    assert {arm.adapter for arm in arms} - {""} == METHODS.keys()
    assert {name for arm in arms for name in arm.features.split(",")} - {""} == FEATURES.keys()
    for arm in arms:
        check_features([name for name in arm.features.split(",") if name])
    assert len({arm.key for arm in arms}) == len(arms)


def test_a_finished_stage_is_not_run_again_and_keeps_its_settings(tmp_path: Path) -> None:
    stage = Stage("help", ("--version",))
    run_stages(tmp_path, [stage], workers=1)
    seconds = finished_seconds(tmp_path, stage)
    assert seconds is not None
    log = tmp_path / "logs" / "help.log"
    log.unlink()
    run_stages(tmp_path, [stage], workers=1)
    assert not log.exists()
    with pytest.raises(UserError, match="other settings"):
        run_stages(tmp_path, [Stage("help", ("--help",))], workers=1)


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


def test_a_benchmarks_rows_become_a_table(tmp_path: Path) -> None:
    write_json(tmp_path / "speed.json", {"rows": [{"what": "sim", "per_second": 9.5, "more": 1, "none": None}]})
    text = "<!-- benchmark speed.json:what,per_second,none -->\n<!-- end -->"
    table = filled(text, tmp_path).splitlines()[1:4]
    assert table == ["| what | per second | none |", "| --- | ---: | ---: |", "| sim | 9.5 |  |"]
    with pytest.raises(UserError, match="has no column 'speed'"):
        filled("<!-- benchmark speed.json:speed -->\n<!-- end -->", tmp_path)
