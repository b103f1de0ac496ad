"""On-policy rounds: what each stage reads, and what the data says about who made it."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from textwrap import dedent

import pytest

from graspgap.cli.main import main
from graspgap.contract import Camera
from graspgap.datasets import open_dataset
from graspgap.evaluation.results import find_results
from graspgap.evaluation.rounds import RoundsConfig, plan_rounds
from graspgap.files import read_json, write_json
from robots import install

TINY = RoundsConfig(rounds=2, attempts=4, steps=1, trials=0, image_size=32)


def test_each_round_acts_with_the_policy_before_and_learns_from_all_attempts() -> None:
    stages = {stage.name: stage for stage in plan_rounds(replace(TINY, rounds=3, trials=5, noise=0.03), Path("out"))}
    for number in range(3):
        words = stages[f"data/round{number}"].arguments
        assert ("--policy" in words) == bool(number)
        if number:
            assert words[words.index("--policy") + 1] == f"out/policies/round{number - 1}"
            assert words[words.index("--noise") + 1] == "0.03"
            merge = stages[f"data/rounds0-{number}"].arguments
            assert merge[3:] == tuple(f"out/data/round{each}" for each in range(number + 1))
        train = stages[f"policies/round{number}"]
        known = f"data/rounds0-{number}" if number else "data/round0"
        assert train.arguments[train.arguments.index("--sim") + 1] == f"out/{known}"
        assert train.after == (known,)
        assert "--noise" not in stages[f"trials/round{number}"].arguments
    seeds = [words[words.index("--seed") + 1] for words in (stages[f"data/round{k}"].arguments for k in range(3))]
    assert len(set(seeds)) == 3
    real = {stage.name: stage for stage in plan_rounds(replace(TINY, world="standin", trials=5), Path("out"))}
    assert "--real" in real["policies/round1"].arguments
    tried = real["trials/round1"]
    assert (tried.option("--arm.real-labels"), tried.option("--arm.real-label-count")) == ("1", "8")
    assert "--arm.ingredients" not in tried.arguments


def test_rounds_begin_with_a_policy_through_a_camera() -> None:
    config = replace(TINY, world="mine", trials=5, policy="runs/policy", camera="camera.json", world_config="mine.toml")
    stages = {stage.name: stage for stage in plan_rounds(config, Path("out"))}
    assert stages["data/round0"].option("--policy") == "runs/policy"
    assert stages["data/round0"].option("--noise") == "0.02"
    assert stages["data/round1"].option("--policy") == "out/policies/round0"
    for name in ("data/round0", "data/round1", "trials/round1"):
        assert stages[name].option("--camera") == "camera.json"
        assert stages[name].option("--world-config") == "mine.toml"
    random = plan_rounds(replace(TINY, policy="random"), Path("out"))[0]
    assert (random.option("--policy"), random.option("--noise")) == ("random", "")


def test_one_stage_at_a_time_drives_a_robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With cores for two stages: the trials of a round and the attempts of the next could begin together."""
    module = """
        import atexit
        from pathlib import Path
        from robots import PaperRobot

        def make(choice, tables):
            driven = Path(tables["driven"])
            driven.touch(exist_ok=False)
            atexit.register(driven.unlink)
            return PaperRobot()
    """
    package = install(tmp_path / "package", "lonely", "lonely_robot:make")
    (package / "lonely_robot.py").write_text(dedent(module))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(package), str(Path(__file__).parent))))
    monkeypatch.syspath_prepend(package)
    settings = tmp_path / "robot.toml"
    settings.write_text(f'driven = "{tmp_path / "driven"}"\n')
    out, words = tmp_path / "rounds", ["--rounds", "2", "--attempts", "20", "--steps", "1", "--trials", "4"]
    world = ["--world", "lonely", "--world-config", str(settings), "--image-size", "32", "--workers", "4"]
    assert main(["rounds", str(out), *world, *words]) == 0
    assert sorted(path.parent.name for path in out.glob("trials/*/results.json")) == ["round0", "round1"]
    assert open_dataset(out / "data/round1").meta["config"]["policy"]["name"] == str(out / "policies/round0")


def test_each_round_in_reality_learns_from_simulation_too(
    tmp_path: Path, sim_data: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter, out = tmp_path / "adapter", tmp_path / "rounds"
    small = ["--image-size", "32", "--workers", "1"]
    words = ["adapt", str(adapter), "--method", "histogram", "--sim", str(sim_data), "--real", str(real_data)]
    assert main([*words, *small]) == 0
    words = ["rounds", str(out), "--rounds", "2", "--attempts", "12", "--steps", "1", "--trials", "2", *small]
    given = {"--world": "standin", "--sim": str(sim_data), "--adapter": str(adapter), "--features": "dann,dbn"}

    def refused(**changes: str) -> str:
        options = given | {f"--{name}": value for name, value in changes.items()}
        assert main([*words, *(word for pair in options.items() if pair[1] for word in pair)]) == 2
        return capsys.readouterr().err

    camera = tmp_path / "camera.json"
    write_json(camera, asdict(Camera(fov=31.0)))
    assert "'sim' is a simulator" in refused(world="sim")
    assert "give --sim DATA too" in refused(sim="")
    assert "did you mean 'dann'" in refused(features="dan")
    assert "counts as reality" in refused(sim=str(real_data))
    assert "is not an adapter run" in refused(adapter=str(sim_data))
    assert "different nominal cameras" in refused(camera=str(camera))
    assert "is not a policy run" in refused(policy=str(sim_data))
    assert "holds an adapter run, expected a policy run" in refused(policy=str(adapter))
    assert not out.exists()
    assert main([*words, *(word for pair in given.items() for word in pair)]) == 0
    policies = [read_json(out / f"policies/round{number}/config.json", "a policy run") for number in range(2)]
    assert [policy["inputs"]["sim"]["path"] for policy in policies] == [str(sim_data)] * 2
    assert [policy["inputs"]["adapter"] for policy in policies] == [str(adapter)] * 2
    assert [list(policy["config"]["methods"]) for policy in policies] == [["dann", "dbn"]] * 2
    [last] = [result for result in find_results(out) if result.arm == "round 1"]
    assert last.ingredients == ["simulation", "statistics", "dann", "histogram"]
    assert last.real_label_count == 24


def test_rounds_say_who_made_which_attempts_and_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rounds"
    words = ["rounds", str(out), "--rounds", "2", "--attempts", "12", "--steps", "1", "--trials", "0"]
    words += ["--image-size", "32", "--workers", "1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    meta = open_dataset(out / "data/rounds0-1").meta
    assert {name: counts["attempts"] for name, counts in meta["policies"].items()} == {
        "scripted": 12,
        "servo:round0": 12,
    }
    for number, (name, counts) in enumerate(sorted(meta["policies"].items())):
        share = counts["successes"] / 12
        assert f"round {number}: {share:.1%} of 12 attempts succeeded while collecting" in said
        assert (
            f"by policy `{name}` | 12 attempts, {counts['successes']} succeeded ({share:.1%})"
            in (out / "data/rounds0-1/README.md").read_text()
        )
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert main(words) == 0
    assert files == {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert main([*words, "--noise", "0.1"]) == 2
