"""Scoring runs from the command line, choosing among snapshots, and the study of the scores."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from conftest import REAL, SIM, make_dataset
from graspgap.cli.main import main
from graspgap.config import from_json, to_json
from graspgap.contract import Camera
from graspgap.datasets import Dataset
from graspgap.errors import UserError
from graspgap.evaluation.ranking import CHANCE, ranking_table, rankings, scatters, scored_runs
from graspgap.evaluation.readme import filled
from graspgap.evaluation.results import AttemptRecord, EvaluationResult
from graspgap.evaluation.results import save as save_result
from graspgap.evaluation.statistics import rank_correlation
from graspgap.evaluation.study import plan
from graspgap.evaluation.study_file import RESOLVED, read_study
from graspgap.evaluation.study_report import selection, write_report
from graspgap.files import read_json, write_json
from graspgap.selection.record import RunScores, find_scores, ranked, ranked_markdown, save
from graspgap.selection.scoring import Scorer, run_name, with_snapshots
from graspgap.selection.table import ADAPTER_SCORES, DEFAULTS, KINDS, POLICY_SCORES

SMALL = ("--image-size", "32", "--workers", "1")
FEW = ("--settings.pictures", "24", "--settings.judge-steps", "2", "--settings.classifier-steps", "2")
FEW += ("--settings.looks", "2", "--settings.batch", "4")
TINY_GAN = ("--methods.graspgan.generator.widths", "4", "6", "--methods.graspgan.discriminators.scales", "1")
TINY_GAN += ("--methods.graspgan.discriminators.widths", "4", "6")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Simulation, and reality that looks the same, of twenty scenes each."""
    folder = tmp_path_factory.mktemp("worlds")
    return make_dataset(folder / "sim", SIM, 80), make_dataset(folder / "real", REAL, 80, seed=7)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, worlds: tuple[Path, Path]) -> Path:
    """A GAN with snapshots, a histogram, and policies with and without the first."""
    folder = tmp_path_factory.mktemp("runs")
    data = ("--sim", str(worlds[0]), "--real", str(worlds[1]), *SMALL)
    gan, histogram = str(folder / "gan"), str(folder / "histogram")
    assert main(["adapt", gan, *data, "--steps", "4", "--batch", "2", "--keep-every", "2", *TINY_GAN]) == 0
    assert main(["adapt", histogram, *data, "--method", "histogram"]) == 0
    short = ("--steps", "1", "--training.batch", "2", "--training.recalibration", "1", "--seed", "3")
    assert main(["train", str(folder / "plain"), *data[:2], *SMALL, *short]) == 0
    assert main(["train", str(folder / "adapted"), *data, *short, "--adapter", gan, "--features", "dbn"]) == 0
    return folder


def score(out: Path, worlds: tuple[Path, Path], *words: str | Path) -> int:
    data = ("--sim", str(worlds[0]), "--real", str(worlds[1]), *SMALL, *FEW)
    return main(["score", str(out), *data, *map(str, words)])


def refused(capsys: pytest.CaptureFixture[str], out: Path, worlds: tuple[Path, Path], *words: str | Path) -> str:
    """The one line that a refused command prints, progress aside."""
    assert score(out, worlds, *words) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_runs_are_scored_and_ranked_without_a_real_label(
    tmp_path: Path,
    worlds: tuple[Path, Path],
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = []
    original = Dataset._read

    def spy(self: Dataset, labels: int, masks: int, groups: tuple[str, ...] = ()) -> dict:
        read.append((self.meta["is_reality"], labels, masks))
        return original(self, labels, masks, groups)

    monkeypatch.setattr(Dataset, "_read", spy)
    out = tmp_path / "scores"
    words = ("--adapter", "none", runs / "gan", "--adapter", runs / "histogram", "--policy", runs / "plain")
    assert score(out, worlds, *words, runs / "adapted") == 0
    assert {entry for entry in read if entry[0]} == {(True, 0, 0)}
    found = read_json(out / "scores.json", "scores")
    assert [run["name"] for run in found["runs"]] == ["none", "gan@000002", "gan", "histogram", "plain", "adapted"]
    for run in found["runs"]:
        assert run["values"].keys() == KINDS[run["kind"]].keys()
        assert all(value is None or np.isfinite(value) for value in run["values"].values())
        assert run["pictures"]["real"] >= 8
    assert found["scores"]["adapter"]["kernel_distance"]["higher"] is False
    assert found["settings"]["seed"] == 0
    assert found["inputs"]["real"]["attempts"] == 80
    assert "torch" in found["versions"]
    plain, adapted = found["runs"][-2:]
    assert (plain["adapter"], plain["features"], plain["seed"]) == ("none", [], 3)
    assert (adapted["adapter"], adapted["features"]) == ("gan", ["dbn"])
    assert plain["values"]["sim_auc"] != adapted["values"]["sim_auc"]
    values = {run["name"]: run["values"] for run in found["runs"]}
    assert values["none"]["mask_consistency"] is not None
    assert values["gan@000002"] != values["gan"]
    printed = capsys.readouterr().out
    best = min(values[name]["kernel_distance"] for name in ("none", "gan@000002", "gan", "histogram"))
    name = next(name for name, scores in values.items() if scores.get("kernel_distance") == best)
    assert f"| {name} |" in printed.splitlines()[2]
    assert "best adapter by kernel_distance" in printed
    assert (out / "scores.md").read_text().count("\n| --- |") == 2


def test_scoring_resumes_adds_runs_and_sees_that_a_run_has_changed(
    tmp_path: Path, worlds: tuple[Path, Path], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, mine = tmp_path / "scores", tmp_path / "mine"
    shutil.copytree(runs / "histogram", mine)
    assert score(out, worlds, "--adapter", "none", mine) == 0
    first = (out / "scores.json").read_bytes()
    asked = []
    original = Scorer.score
    monkeypatch.setattr(Scorer, "score", lambda self, run: asked.append(run.name) or original(self, run))
    assert score(out, worlds, "--adapter", "none", mine) == 0
    assert (asked, (out / "scores.json").read_bytes()) == ([], first)
    assert score(out, worlds, "--adapter", "none", mine, runs / "gan") == 0
    assert asked == ["gan@000002", "gan"]
    shutil.copy(runs / "gan" / "adapter.safetensors", mine / "adapter.safetensors")
    shutil.copy(runs / "gan" / "config.json", mine / "config.json")
    assert score(out, worlds, "--adapter", "none", mine) == 0
    assert asked[2:] == ["mine"]


def test_a_policy_is_scored_through_the_camera_that_is_given(
    tmp_path: Path, worlds: tuple[Path, Path], runs: Path
) -> None:
    camera = tmp_path / "camera.json"
    found = []
    for name, moved in (("nominal", 0.0), ("moved", 0.05)):
        place = to_json(from_json(Camera, read_json(worlds[1] / "meta.json", "a dataset")["camera"]))
        write_json(camera, place | {"position": [place["position"][0] + moved, *place["position"][1:]]})
        assert score(tmp_path / name, worlds, "--policy", runs / "plain", "--camera", camera) == 0
        found.append(read_json(tmp_path / name / "scores.json", "scores")["runs"][0]["values"])
    assert score(tmp_path / "default", worlds, "--policy", runs / "plain") == 0
    assert read_json(tmp_path / "default" / "scores.json", "scores")["runs"][0]["values"] == found[0]
    assert found[1]["entropy"] != found[0]["entropy"]
    assert found[1]["sim_auc"] == found[0]["sim_auc"]


def test_scores_of_another_folder_compare_if_the_judge_is_the_same(tmp_path: Path, worlds: tuple[Path, Path]) -> None:
    assert score(tmp_path / "one", worlds, "--adapter", "none") == 0
    assert score(tmp_path / "two", worlds, "--adapter", "none", "--judge", tmp_path / "one") == 0
    one, two = (find_scores(tmp_path / name)[0].values for name in ("one", "two"))
    assert one == two
    assert not (tmp_path / "two" / "judge.safetensors").exists()
    (tmp_path / "one").rename(tmp_path / "moved")
    assert score(tmp_path / "two", worlds, "--adapter", "none", "--judge", tmp_path / "moved") == 0
    judge = tmp_path / "moved" / "judge.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(judge).items()}, judge)
    assert score(tmp_path / "two", worlds, "--adapter", "none", "--judge", tmp_path / "moved") == 2


def test_a_snapshot_is_an_adapter_run_of_its_own(runs: Path, worlds: tuple[Path, Path], tmp_path: Path) -> None:
    snapshots = runs / "gan" / "snapshots"
    assert sorted(path.name for path in snapshots.iterdir()) == ["000002", "000004"]
    last = load_file(snapshots / "000004" / "adapter.safetensors")
    for name, tensor in load_file(runs / "gan" / "adapter.safetensors").items():
        torch.testing.assert_close(last[name], tensor, rtol=0, atol=0)
    early = load_file(snapshots / "000002" / "adapter.safetensors")
    assert any((early[name] != tensor).any() for name, tensor in last.items())
    assert with_snapshots(runs / "gan") == [snapshots / "000002", runs / "gan"]
    assert run_name(snapshots / "000002") == "gan@000002"
    words = ("--steps", "1", "--training.batch", "2", "--training.recalibration", "1")
    words += ("--adapter", str(snapshots / "000002"))
    assert main(["train", str(tmp_path / "policy"), "--sim", str(worlds[0]), *SMALL, *words]) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "nothing to score"),
        (("--adapter", "none", "--rank-adapters", "beauty"), "--rank-adapters 'beauty' is unknown"),
        (("--policy", "none"), "none does not exist"),
        (("--adapter", "none", "--settings.pictures", "2"), "--settings.pictures 2 is too small"),
        (("--adapter", "none", "--judge", "nowhere"), "nowhere has no judge.safetensors"),
        (("--adapter", "none", "none"), "two runs are called none"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    words: tuple[str, ...], line: str, tmp_path: Path, worlds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in refused(capsys, tmp_path / "out", worlds, *words)
    assert not (tmp_path / "out").exists()


def test_an_adapter_is_scored_with_the_few_pictures_that_there_are(
    tmp_path: Path, worlds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def pictures(episodes: int) -> Path:
        folder, rng = tmp_path / f"pictures{episodes}", np.random.default_rng(0)
        for episode in range(episodes):
            (folder / str(episode)).mkdir(parents=True)
            for step in range(2):
                picture = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
                picture.save(folder / str(episode) / f"{step}.png")
        assert main(["import", "images", str(folder), str(folder) + "-data", "--image-size", "32"]) == 0
        return Path(str(folder) + "-data")

    assert score(tmp_path / "out", (worlds[0], pictures(3)), "--adapter", "none") == 0
    assert find_scores(tmp_path / "out")[0].pictures["real"] == 3
    line = refused(capsys, tmp_path / "one", (worlds[0], pictures(1)), "--adapter", "none")
    assert "splitting needs at least 2" in line
    assert not (tmp_path / "one").exists()


def test_reality_is_no_simulation_and_pictures_alone_rank_no_policy(
    tmp_path: Path, worlds: tuple[Path, Path], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sim, real = worlds
    other = tmp_path / "other"
    shutil.copytree(real, other)
    assert "counts as reality" in refused(capsys, tmp_path / "out", (other, real), "--adapter", "none")
    assert "a policy run, expected an adapter run" in refused(
        capsys, tmp_path / "out", worlds, "--adapter", runs / "plain"
    )
    bare = tmp_path / "bare"
    shutil.copytree(real, bare)
    meta = read_json(bare / "meta.json", "a dataset")
    write_json(bare / "meta.json", meta | {"has_poses": False})
    assert "needs gripper poses" in refused(capsys, tmp_path / "out", (sim, bare), "--policy", runs / "plain")
    assert score(tmp_path / "out", (sim, bare), "--adapter", "none") == 0


def test_a_policy_whose_adapter_has_gone_is_named(
    tmp_path: Path, worlds: tuple[Path, Path], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy"
    shutil.copytree(runs / "adapted", policy)
    config = read_json(policy / "config.json", "a run")
    config["inputs"]["adapter"] = "gone"
    write_json(policy / "config.json", config)
    assert "trained with adapter gone, which is not there" in refused(
        capsys, tmp_path / "o", worlds, "--policy", policy
    )


NUMBERS = itertools.count()


def made_up(name: str, kind: str = "policy", **values: float | None) -> RunScores:
    weights = str(next(NUMBERS))  # no two of the same
    return RunScores(name, kind, weights, "hash", "none", [], 0, 0, {"sim": 8, "real": 8}, dict(values))


def trial(folder: Path, name: str, successes: int, attempts: int = 20) -> None:
    records = [AttemptRecord(k, k, k < successes, None, 4, None, 1.0) for k in range(attempts)]
    save_result(EvaluationResult(name, 0.0, 0, 0, 1000, "standin", records), folder / "trials" / name)


def test_runs_are_ranked_by_the_direction_of_the_score() -> None:
    runs = [made_up("a", entropy=0.3, sim_auc=0.5), made_up("b", entropy=0.1, sim_auc=0.7), made_up("c", sim_auc=0.9)]
    assert [run.name for run in ranked(runs, "policy", "entropy")] == ["b", "a", "c"]
    assert [run.name for run in ranked(runs, "policy", "sim_auc")] == ["c", "b", "a"]
    table = ranked_markdown(runs, "policy", "entropy").splitlines()
    assert table[0].startswith("| policy | entropy (-) | sim auc (+) |")
    assert table[2].startswith("| b | 0.1 | 0.7 |")
    assert DEFAULTS["adapter"] in ADAPTER_SCORES
    assert DEFAULTS["policy"] in POLICY_SCORES


def test_the_study_of_scores_tells_correlation_and_regret(tmp_path: Path) -> None:
    names, successes = "abcdef", (2, 4, 6, 8, 10, 12)
    entropy = (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)  # lower is better: right about every pair
    for name, count in zip(names, successes, strict=True):
        trial(tmp_path, name, count)
    runs = [
        made_up(name, entropy=low, sim_auc=low, information=None if name == "f" else -low, optimism=0.5)
        for name, low in zip(names, entropy, strict=True)
    ]
    labelled = replace(made_up("a", entropy=0.0), name="real", real_labels=5)
    trial(tmp_path, "real", 20)
    adapters = [made_up("x", "adapter", colour_distance=0.2), made_up("none", "adapter", colour_distance=0.1)]
    with_adapter = [replace(made_up("g", entropy=0.05), adapter="x"), replace(made_up("h", entropy=0.7), adapter="x")]
    with_adapter[1] = replace(with_adapter[1], features=["dann"])
    trial(tmp_path, "g", 14)
    trial(tmp_path, "h", 1)
    twin = replace(runs[-1], name="also " + runs[-1].name)  # the same weights: one policy
    trial(tmp_path, twin.name, successes[-1])
    runs.insert(0, twin)
    save(tmp_path / "scores", [*runs, labelled, *with_adapter, *adapters, made_up("untried", entropy=0.0)], {})
    scored = scored_runs(tmp_path)
    assert {each.run.name for each in scored} == {*names, "g", "h", "x", "none"}
    rates = {each.run.name: each.rate for each in scored}
    assert rates["x"] == 14 / 20
    assert rates["none"] == pytest.approx(np.mean(successes) / 20)
    found = {(each.kind, each.score): each for each in rankings(scored)}
    right = found["policy", "entropy"]
    assert right.correlation.value == pytest.approx(1)
    assert (right.regret, right.pick, right.runs) == (0, "g", 8)
    wrong = found["policy", "sim_auc"]
    assert wrong.correlation.value == pytest.approx(-1)
    assert (wrong.pick, wrong.regret) == ("a", pytest.approx((14 - 2) / 20))
    assert found["policy", "information"].runs == 5
    assert found["policy", "information"].pick == "e"
    assert np.isnan(found["policy", "optimism"].correlation.value)
    assert found["policy", "optimism"].regret == pytest.approx(14 / 20 - np.mean(successes) / 20)
    chance = np.mean([*successes, 14, 1]) / 20
    assert found["policy", CHANCE].regret == pytest.approx(14 / 20 - chance)
    assert found["adapter", "colour_distance"].pick == "none"
    header, *rows = ranking_table(rankings(scored))
    assert header[0] == "score"
    assert next(row[0] for row in rows if row[1] == "policies") == "entropy"
    panels = scatters(scored, rankings(scored))
    assert {kind: len(own) for kind, own in panels.items()} == {"adapter": 1, "policy": 4}
    assert panels["policy"][0].title == "entropy (-)"
    shown = selection(tmp_path)
    assert [figure.png[1:4] for figure in shown["selection_figures"]] == [b"PNG", b"PNG"]
    text = filled(f"<!-- selection {tmp_path} -->\n<!-- end -->", Path("/"))
    assert "| entropy | policies | 8 | +1.00 |" in text
    assert (tmp_path / "selection.md").read_text().rstrip() in text


def test_scores_of_several_seeds_are_compared_within_each_and_averaged(tmp_path: Path) -> None:
    entropy = {"seed0": (0.6, 0.5, 0.4, 0.3), "seed3": (6.0, 3.0, 5.0, 4.0)}  # on a scale of its own
    for number, (folder, values) in enumerate(entropy.items()):
        write_json(tmp_path / folder / RESOLVED, to_json(read_study("tiny")))
        names = [f"{arm}-seed{300 * number}" for arm in ("a", "b", "c", "only here" if number else "d")]
        for name, count in zip(names, (2, 4, 6, 8), strict=True):
            trial(tmp_path / folder, name, count)
        nothing = [replace(made_up("none", "adapter", colour_distance=0.1), sim=sim) for sim in ("x", "y")]
        own = [replace(made_up("a", entropy=0.1), name=f"p{sim}-seed{300 * number}", sim=sim) for sim in ("x", "y")]
        for each in own:
            trial(tmp_path / folder, each.name, 1)
        runs = [made_up(name, entropy=value) for name, value in zip(names, values, strict=True)]
        save(tmp_path / folder / "scores", [*runs, *nothing, *own], {})
    studies = [scored_runs(tmp_path / folder) for folder in entropy]
    found = {(each.kind, each.score): each for each in rankings(*studies)}
    ranking = found["policy", "entropy"]
    assert ranking.runs == 5  # a, b, c and two that no adapter made
    separate = []
    for runs in studies:
        kept = [each for each in runs if each.run.kind == "policy" and each.run.name[:2] not in ("d-", "on")]
        separate.append(next(each for each in rankings(kept) if each.score == "entropy"))
    assert ranking.correlation.value == pytest.approx(np.mean([each.correlation.value for each in separate]))
    assert separate[0].correlation.value != separate[1].correlation.value
    assert ranking.regret == pytest.approx(np.mean([each.regret for each in separate]))
    assert ranking.pick == "px"
    assert found["adapter", "colour_distance"].runs == 2  # simulation as it is, once for each dataset
    text = filled(f"<!-- selection {tmp_path} -->\n<!-- end -->", Path("/"))
    assert f"| entropy | policies | 5 | {ranking.correlation.value:+.2f} |" in text
    page = write_report(tmp_path).read_text(encoding="utf-8")  # of all seeds
    assert "Choosing without labels" in page
    assert selection(tmp_path)["selection_figures"] == []


def test_a_folder_without_scores_has_no_study_of_them(tmp_path: Path) -> None:
    assert selection(tmp_path) == {}
    save(tmp_path, [made_up("a")], {})
    assert selection(tmp_path) == {}
    trial(tmp_path, "b", 3)
    with pytest.raises(UserError, match="no policy with both scores and trials"):
        filled(f"<!-- selection {tmp_path} -->\n<!-- end -->", Path("/"))


@pytest.mark.parametrize(
    ("content", "line"), [({}, "no scores of format 1"), ({"runs": [{"name": "a"}]}, "is damaged")]
)
def test_a_damaged_record_is_named(content: dict, line: str, tmp_path: Path) -> None:
    write_json(tmp_path / "scores.json", {"format": 1, "kind": "scores"} | content if content else {})
    with pytest.raises(UserError, match=line):
        find_scores(tmp_path)


def test_rank_correlation_is_of_ranks_with_an_interval_over_pairs() -> None:
    x = np.arange(12.0)
    assert rank_correlation(x, np.exp(x)).value == pytest.approx(1)
    assert rank_correlation(x, -(x**3)).value == pytest.approx(-1)
    mixed = np.array([1.0, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10])
    found = rank_correlation(x, mixed)
    assert found.value == pytest.approx(1 - 6 * 12 / (12 * (12**2 - 1)))  # 1 - 6 sum d^2 / (n (n^2 - 1)), no ties
    assert -1 <= found.low < found.value < found.high <= 1
    assert rank_correlation(x, mixed) == found
    few = rank_correlation(x[:3], mixed[:3])
    assert (few.low, few.high) == (-1, 1)
    assert np.isnan(rank_correlation(x, np.ones(12)).value)


def test_a_study_scores_at_its_end_what_has_no_real_label() -> None:
    stages = plan(read_study("methods"), Path("out"), 0)
    scoring = [stage for stage in stages if stage.arguments[0] == "score"]
    assert [stage.name for stage in scoring] == ["scores/sim", "scores/randomized", "scores/canonical"]
    assert stages[-3:] == scoring
    words = [word for stage in scoring for word in stage.arguments]
    for stage in stages:
        if stage.arguments[0] in ("adapt", "train"):
            assert (str(Path("out") / stage.name) in words) == ("--real-labels" not in stage.arguments)
    assert {stage.arguments[-2:] for stage in scoring[1:]} == {("--judge", "out/scores/sim")}
    assert not [stage for stage in plan(read_study("demo"), Path("out"), 0) if stage.arguments[0] == "score"]
