"""Results, tables, findings, figures and the report, from results made up for the purpose."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from graspgap.cli.main import main
from graspgap.config import to_json
from graspgap.datasets.view import save_png
from graspgap.errors import UserError
from graspgap.evaluation import canvas, figures, report
from graspgap.evaluation.findings import (
    comparison_sentence,
    headline,
    ingredient_comparisons,
    ingredient_findings,
    ingredient_pairs,
)
from graspgap.evaluation.report import (
    GridRow,
    ImageGrid,
    ReportFigure,
    ReportInput,
    build_report,
    duration,
    png_uri,
    render,
)
from graspgap.evaluation.results import (
    AttemptRecord,
    EvaluationResult,
    find_results,
    load,
    predictions,
    sample,
    save,
)
from graspgap.evaluation.statistics import wilson_interval
from graspgap.evaluation.study import plan
from graspgap.evaluation.study_file import RESOLVED, read_study, study_of
from graspgap.evaluation.tables import (
    compare,
    comparisons_markdown,
    csv_text,
    distinct,
    once,
    percent,
    pool,
    results_markdown,
    write_csv,
)
from graspgap.evaluation.transfer import transfer_table
from graspgap.files import write_json
from graspgap.runs import begin_run

SCENES, PER_SCENE = 20, 5
SIM = ["simulation"]


def result(
    arm: str,
    wins: int,
    ingredients: list[str] | None = None,
    labels: float = 0.0,
    seed: int = 0,
    world: str = "standin",
    evaluation_seed: int = 1000,
    predicted: float | None = 0.75,
) -> EvaluationResult:
    """An evaluation in which the first `wins` attempts of every scene succeed."""
    records = [
        AttemptRecord(
            k, k // PER_SCENE, k % PER_SCENE < wins, "mug" if k % PER_SCENE < wins else None, 4, predicted, 0.5
        )
        for k in range(SCENES * PER_SCENE)
    ]
    return EvaluationResult(
        arm, labels, round(labels * 5000), seed, evaluation_seed, world, records, ingredients or [], {"steps": 5}, 50.0
    )


def test_policies_tried_in_several_worlds_have_a_table_of_their_own() -> None:
    results = [result("random", 1, world="sim"), result("random", 1, world="bullet")]
    for home, other, wins in (("sim", "bullet", 4), ("bullet", "sim", 3)):
        results += [result(f"from {home}", wins, ["simulation"], world=home)]
        results += [result(f"from {home}", wins - 2, ["simulation"], world=other)]
    header, *rows = transfer_table(pool(results))
    assert header == ["policy", "in sim", "in bullet"]
    assert [row[0] for row in rows] == ["from bullet", "from sim", "random"]
    assert rows[1][1].startswith("80.0% (")
    assert rows[1][1].endswith("), 80/100")
    assert rows[1][2].startswith("40.0% (")
    assert rows[0][1].startswith("20.0% (")
    words = headline(results)
    assert "trained in sim grasps in 80.0%" in words
    assert re.search(r"trained in bullet grasps in 60.0% .* there, 20.0% .* in sim", words)
    assert "Across worlds" in render(ReportInput("title", results=results))
    assert transfer_table(pool(study())) == []


def test_arms_that_do_not_name_their_world_have_the_usual_headline() -> None:
    results = [result(arm, wins, [*SIM, arm], world="yours") for arm, wins in (("randomized", 2), ("graspgan", 3))]
    results += [result("graspgan", 4, [*SIM, "graspgan"], world="sim"), result("random", 1, world="yours")]
    assert headline(results).startswith("With no real label, graspgan grasps in 60.0%")


def test_an_evaluation_by_itself_has_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    begin_run(folder, "evaluation", wilson_interval(2, 5))  # whatever its settings are
    save(result("sim-only", 2, SIM), folder)
    assert main(["report", str(folder)]) == 0
    assert "sim-only" in (folder / "report.html").read_text()


def study() -> list[EvaluationResult]:
    """Real-only with few and many labels, simulation alone, and with one and two ingredients more."""
    return [
        result("sim-only", 0, SIM),
        result("consistency", 2, [*SIM, "consistency"]),
        result("graspgan+consistency", 3, [*SIM, "consistency", "graspgan"]),
        result("real-only", 1, labels=0.02),
        result("real-only", 4, labels=1.0),
        result("graspgan+real", 4, [*SIM, "graspgan"], labels=0.02),
    ]


# results.json


def test_a_result_survives_the_disk(tmp_path: Path) -> None:
    original = result("sim-only", 2, SIM, labels=0.02)
    path = save(original, tmp_path / "run")
    assert load(path) == load(tmp_path / "run") == original
    stored = json.loads(path.read_text())
    expected = wilson_interval(40, 100)
    assert (stored["attempts"], stored["successes"], stored["rate"]) == (100, 40, 0.4)
    assert (stored["low95"], stored["high95"]) == (expected.low, expected.high)
    assert stored["versions"]["torch"]
    assert stored["hardware"]["cores"] >= 1


def test_an_evaluation_without_attempts_is_valid_json(tmp_path: Path) -> None:
    empty = EvaluationResult("a", 0.0, 0, 0, 0, "standin", [])
    text = save(empty, tmp_path).read_text()
    assert json.loads(text, parse_constant=pytest.fail)["rate"] is None
    assert load(tmp_path) == empty
    assert pool([empty]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"successes": 41}, "says 41 successes of 100, but its records hold 40 of 100"),
        ({"format": 99}, "has format 99, expected 1"),
        ({"arm": None}, "is not a complete evaluation ('arm')"),
        ({"evaluation_seed": 2**40}, "has a seed, a number or a share of labels that none can be"),
        ({"real_labels": -0.5}, "has a seed, a number or a share of labels that none can be"),
    ],
)
def test_a_result_that_was_tampered_with_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = save(result("sim-only", 2), tmp_path)
    value = json.loads(path.read_text()) | change
    path.write_text(json.dumps({name: item for name, item in value.items() if item is not None}))
    with pytest.raises(UserError, match=re.escape(message)):
        load(path)


def test_a_folder_without_a_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not an evaluation: it has no results\.json"):
        load(tmp_path)


def test_results_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a/x"):
        save(result(name, 1), tmp_path / name)
    assert [item.arm for item in find_results(tmp_path)] == ["a/x", "b"]


def test_scenes_of_other_evaluation_seeds_are_other_scenes() -> None:
    both = sample([result("a", 1, evaluation_seed=1), result("a", 1, evaluation_seed=2)])
    assert len(np.unique(both.scenes)) == 2 * SCENES
    trained_twice = sample([result("a", 1, seed=1), result("a", 1, seed=2)])
    assert len(np.unique(trained_twice.scenes)) == SCENES
    assert set(trained_twice.seeds) == {1, 2}


def test_an_attempt_is_never_counted_twice() -> None:
    with pytest.raises(UserError, match="two results of arm 'a' with training seed 0 and evaluation seed 1000"):
        pool([result("a", 1), result("a", 1)])


def test_attempts_without_prediction_are_left_out() -> None:
    predicted, outcomes = predictions([result("a", 2), result("random", 1, predicted=None)])
    assert predicted.tolist() == [0.75] * 100
    assert outcomes.sum() == 40


# Tables


def test_csv_has_exactly_the_columns_and_a_row_for_each_seed(tmp_path: Path) -> None:
    results = [result("b", 2, labels=0.02, seed=1), result("b", 3, labels=0.02), result("a", 0)]
    write_csv(results, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == csv_text(results)
    rows = list(csv.reader(io.StringIO(csv_text(results))))
    assert rows[0] == ["arm", "real_labels", "seed", "attempts", "successes", "rate", "low95", "high95"]
    wilson = [f"{value:.4f}" for value in (wilson_interval(60, 100).low, wilson_interval(60, 100).high)]
    assert rows[1][:6] == ["a", "0", "0", "100", "0", "0.0000"]
    assert rows[2] == ["b", "0.02", "0", "100", "60", "0.6000", *wilson]
    assert rows[3][:5] == ["b", "0.02", "1", "100", "40"]


def test_pooling_adds_seeds_and_keeps_labels_and_worlds_apart() -> None:
    results = [result("a", 1, seed=0), result("a", 3, seed=1), result("a", 2, labels=0.1), result("a", 5, world="sim")]
    cells = pool(results)
    assert [(cell.name, cell.successes, cell.attempts, cell.seeds) for cell in cells] == [
        ("a", 80, 200, [0, 1]),
        ("a in sim", 100, 100, [0]),
        ("a, 10% real labels", 40, 100, [0]),
    ]
    low, high = cells[0].rate.low, cells[0].rate.high
    assert (low, high) == pytest.approx((0.2, 0.6))  # seeds of 20% and 60%: another seed could be either
    assert results_markdown(cells).splitlines()[2] == "| a | 0 | 2 | 80/200 | 40.0% | 20.0 to 60.0 | ± 28.3 |"


def test_markdown_table_by_hand() -> None:
    assert len(results_markdown(pool([result("a\nb", 2)])).splitlines()) == 3
    table = results_markdown(pool([result("a|b", 2, labels=0.02)])).splitlines()
    interval = wilson_interval(40, 100)
    assert table[0] == "| arm | real labels | training seeds | successes | success | 95% interval |"
    assert table[2] == (
        f"| a\\|b | 100 (2%) | 1 | 40/100 | 40.0% | {100 * interval.low:.1f} to {100 * interval.high:.1f} |"
    )


def test_comparison_pairs_attempts_by_seed_and_number() -> None:
    better, base = pool([result("a", 1), result("b", 3), result("b", 5, seed=9)])
    if better.arm != "b":
        better, base = base, better
    found = compare(better, base)
    assert found is not None
    assert (found.attempts, found.first_rate, found.second_rate) == (100, 0.6, 0.2)  # seed 9 has no partner
    assert found.difference.value == pytest.approx(0.4)
    assert found.clear
    assert found.mcnemar == found.p == pytest.approx(2 * 0.5**40)  # the bootstrap has no width here
    assert comparisons_markdown([found]).splitlines()[2] == (
        "| b against a | +40.0 | +40.0 to +40.0 | < 0.001 | < 0.001 | < 0.001 | 100 |"
    )


def test_attempts_that_are_not_the_same_are_not_compared() -> None:
    cells = pool([result("a", 1), result("b", 3, evaluation_seed=7), result("c", 3, world="sim")])
    by_arm = {cell.arm: cell for cell in cells}
    assert compare(by_arm["a"], by_arm["b"]) is None
    assert compare(by_arm["a"], by_arm["c"]) is None
    longer = result("d", 3)
    scenes = [replace(record, scene=record.attempt // 6) for record in longer.records]  # of 6 attempts each
    found = compare(by_arm["a"], pool([replace(longer, records=scenes)])[0])
    assert found is not None
    assert found.attempts < longer.attempts
    others = replace(longer, config={"evaluation": {"world": {"objects": "tools"}}})
    assert compare(by_arm["a"], pool([others])[0]) is None


@pytest.mark.parametrize(("fraction", "text"), [(0.02, "2%"), (0.005, "0.5%"), (1.0, "100%"), (0.125, "12.5%")])
def test_percent(fraction: float, text: str) -> None:
    assert percent(fraction) == text


# Findings


def test_two_arms_that_came_to_one_policy_are_one_result() -> None:
    def tried(arm: str, won: int, ingredients: list[str], predicted: float | None = 0.5) -> EvaluationResult:
        records = [AttemptRecord(k, k // PER_SCENE, k < won, None, 4, predicted, 0.1) for k in range(40)]
        return EvaluationResult(arm, 0.0, 0, 0, 1000, "standin", records, ingredients)

    both = [*SIM, "statistics"]
    results = [tried("sim-only", 10, SIM), tried("adabn", 20, both), tried("dbn", 20, both)]
    assert [cell.arm for cell in once(pool(results))] == ["sim-only", "dbn"]
    assert [pair.first for pair in ingredient_comparisons(results)] == ["dbn"]
    apart = [tried("a", 20, both, 0.4), *results]  # as often, but otherwise
    assert [cell.arm for cell in once(pool(apart))] == ["sim-only", "a", "dbn"]
    random = [tried(name, 0, [], None) for name in ("random", "scripted")]
    assert len(once(pool(random))) == 2


def test_a_pair_that_a_study_names_is_not_compared_twice() -> None:
    def tried(arm: str, won: int, ingredients: list[str]) -> EvaluationResult:
        records = [AttemptRecord(k, k // PER_SCENE, k < won, None, 4, 0.5, 0.1) for k in range(40)]
        return EvaluationResult(arm, 0.0, 0, 0, 1000, "standin", records, ingredients)

    results = [tried("sim-only", 10, SIM), tried("graspgan", 20, [*SIM, "graspgan"]), tried("dann", 9, [*SIM, "dann"])]
    cells = {cell.arm: cell for cell in pool(results)}
    named = [compare(cells["sim-only"], cells["graspgan"])]
    found = distinct(ingredient_comparisons(results), [pair for pair in named if pair])
    assert [(pair.first, pair.second) for pair in found] == [("dann", "sim-only"), ("sim-only", "graspgan")]


def test_targets_are_shown_without_a_curve_of_labels() -> None:
    """As in a study that has all labels, and none, but nothing between them."""

    def tried(arm: str, share: float, won: int, ingredients: list[str]) -> EvaluationResult:
        records = [AttemptRecord(k, k // PER_SCENE, k < won, None, 4, 0.5, 0.1) for k in range(100)]
        return EvaluationResult(arm, share, round(100 * share), 0, 1000, "standin", records, ingredients)

    results = [
        tried("sim-only", 0.0, 10, SIM),
        tried("real-only", 1.0, 60, []),
        tried("graspgan", 0.0, 58, [*SIM, "graspgan"]),
    ]
    page = render(ReportInput(title="targets", results=results))
    assert "90% of the gap" in page
    assert 'href="#labels"' in page


def test_pairs_differ_in_one_ingredient_or_start_from_a_baseline() -> None:
    pairs = [(name, with_it.name, without.name) for name, with_it, without in ingredient_pairs(pool(study()))]
    assert pairs == [
        ("consistency", "consistency", "sim-only"),
        ("graspgan", "graspgan+consistency", "consistency"),
        ("consistency and graspgan together", "graspgan+consistency", "sim-only"),
        ("graspgan and simulation together", "graspgan+real, 2% real labels", "real-only, 2% real labels"),
    ]


def test_findings_say_plainly_what_an_ingredient_adds() -> None:
    rng = np.random.default_rng(0)
    base = result("sim-only", 1, SIM)
    noise = [r.__class__(**{**vars(r), "success": bool(rng.random() < 0.2)}) for r in base.records]
    same = EvaluationResult(**{**vars(base), "arm": "dann", "ingredients": [*SIM, "dann"], "records": noise})
    worse = result("bad", 0, [*SIM, "bad idea"])
    apart = result("far", 2, [*SIM, "far"], evaluation_seed=5)
    texts = dict(text.split(": ", 1) for text in ingredient_findings([base, same, worse, apart, *study()[1:2]])[:-1])
    assert texts["consistency"].startswith("adds 20.0 points (95% interval +20.0 to +20.0): consistency reaches 40.0%")
    assert texts["bad idea"].startswith("costs 20.0 points")
    assert texts["dann"].startswith("no clear difference (")
    assert texts["far"] == "far and sim-only share no attempts, so nothing is said."


def test_many_comparisons_come_with_a_warning() -> None:
    assert ingredient_findings(study())[-1].startswith("Of 4 comparisons at 95% each, about 0.2 would look clear")
    assert len(ingredient_findings(study()[:2])) == 1


def test_a_difference_is_clear_only_if_its_interval_leaves_out_zero() -> None:
    first, second = pool([result("a", 1), result("b", 2)])
    found = compare(second, first)
    assert found is not None
    held = found.__class__(**{**vars(found), "difference": type(found.difference)(0.2, 0.0, 0.4, 0.05)})
    assert comparison_sentence(held).startswith("no clear difference (+20.0 points, 95% interval +0.0 to +40.0)")
    assert not held.clear


def test_headline_names_the_best_unlabelled_arm_and_what_it_is_worth() -> None:
    text = headline(study())
    assert text.startswith("With no real label, graspgan+consistency grasps in 60.0% (95% interval ")
    assert "; simulation alone in 0.0%. " in text
    # 60% is two thirds of the way from 20% at 100 labels to 80% at 5,000, over the logarithm: 100 * 50 ** (2 / 3)
    assert "Real-only training needs about 1,400 labelled attempts for that (95% interval: 1,400 to 1,400)." in text


@pytest.mark.parametrize(
    ("wins", "text"),
    [(5, "needs more than 5,000 labelled attempts for that."), (1, "needs at most 100 labelled attempts for that.")],
)
def test_headline_does_not_extrapolate_the_curve(wins: int, text: str) -> None:
    assert text in headline([result("graspgan", wins, [*SIM, "graspgan"]), *study()[3:5]])


def test_headline_leaves_out_random_commands_and_other_worlds() -> None:
    others = [result("random", 5), result("sim-only", 5, SIM, world="sim"), result("sim-only", 1, SIM)]
    assert headline(others).startswith("With no real label, sim-only grasps in 20.0%")
    assert headline([]) == "No evaluation has finished yet."
    assert headline(study()[3:5]).startswith("With 100% of the real labels, real-only grasps in 80.0%")


# Figures


def size_of(png: bytes) -> tuple[int, int]:
    return PillowImage.open(io.BytesIO(png)).size


def test_figures_show_their_data() -> None:
    cells = pool(study())
    logs = {"run": {"loss": ([0.0, 1.0, 2.0], [3.0, 2.0, 1.0])}}
    pairs = {"a": predictions(study())}
    for png in (
        figures.success_bars(cells),
        figures.label_curve(cells),
        figures.training_curves(logs),
        figures.reliability_diagram(pairs),
    ):
        assert size_of(png)[0] == round(canvas.WIDTH * canvas.DPI)
    assert figures.success_bars(cells) == figures.success_bars(cells)  # equal data, equal bytes
    assert figures.success_bars(cells) != figures.success_bars(pool([*study()[:5], result("x", 5, SIM, labels=0.02)]))
    assert size_of(figures.success_bars(cells))[1] > size_of(figures.success_bars(cells[:2]))[1]


def test_figures_survive_little_data() -> None:
    for cells in ([], pool(study()[:1]), pool(study()[3:4])):
        assert size_of(figures.success_bars(cells))
        assert size_of(figures.label_curve(cells))
    assert size_of(figures.training_curves({"constant": {"loss": ([0.0], [1.0])}}))
    assert size_of(figures.reliability_diagram({"few": (np.array([0.5]), np.array([True]))}))


def test_too_few_predictions_make_no_diagram() -> None:
    whole = result("sim-only", 2, SIM)
    titles = [
        [figure.title for figure in report.result_figures(pool([replace(whole, records=whole.records[:count])]))]
        for count in (9, 10)
    ]
    assert titles == [["Success rates"], ["Success rates", "Predicted and observed success"]]


def test_a_figure_is_written_whole(tmp_path: Path) -> None:
    png = figures.success_bars(pool(study()))
    figures.save_png(png, tmp_path / "figures" / "bars.png")
    assert (tmp_path / "figures" / "bars.png").read_bytes() == png


def test_log_lines_become_curves_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"step": 25, "loss": 2.0, "stage": "warm"}\n{"step": 50, "loss": 1, "auc": 0.6, "done": true}\n'
        '{"loss": 7.0}\n[1]\n{"step": 75, "lo'
    )
    assert figures.read_log(path) == {"loss": ([25.0, 50.0], [2.0, 1.0]), "auc": ([50.0], [0.6])}


def test_smoothing_is_a_centred_mean_that_passes_over_gaps() -> None:
    values = np.array([0.0, 3.0, 6.0, np.nan, 9.0])
    assert figures.smooth(values, share=0.4) == pytest.approx([1.5, 3.0, 4.5, 7.5, 9.0])
    assert figures.smooth(values[:3], share=0.0).tolist() == [0.0, 3.0, 6.0]


# The report


class Page(HTMLParser):
    """What a test wants to know of a page; refuses tags that don't match."""

    VOID = ("meta", "img", "br", "link", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def full_input() -> ReportInput:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(2)]
    return ReportInput(
        "A <study> & more",
        results=study(),
        figures=[
            *report.result_figures(pool(study())),
            ReportFigure("Extra figure", "Extra caption", figures.success_bars([])),
        ],
        grids=[ImageGrid("Looks", "Grid caption", [GridRow("simulation", pictures), GridRow("stand-in", pictures)])],
        logs={"train graspgan": {"loss": ([0.0, 1.0], [2.0, 1.0])}},
        timings={"collect": 7260.0, "train": 30.0},
        configurations={"train": {"steps": 5, "note": "</pre><script>alert(1)</script>"}},
        warnings=["Stage 'adapt' is missing."],
    )


def test_the_report_holds_everything_and_needs_nothing(tmp_path: Path) -> None:
    inputs = full_input()
    path = build_report(inputs, tmp_path)
    assert path == tmp_path / "report.html"
    text = path.read_text()
    page = Page(text)
    words = " ".join(page.text.split())
    assert headline(inputs.results) in words
    for part in (
        "A <study> & more",
        "No robot was involved in any number or picture on this page.",
        "600 grasp attempts in the stand-in reality.",
        "Stage 'adapt' is missing.",
        "graspgan+consistency against consistency",
        "Extra caption",
        "Grid caption",
        "2 h 1 min",
        "30.0 s",
        "sum of stages2 h 2 min",
        '"steps": 5',
        "Each policy was trained once",
        "real-only needs",
        "corrected p",
    ):
        assert part in words
    for sentence in ingredient_findings(inputs.results):
        assert sentence in words
    images = page.all("img")
    assert len(images) == 3 + 1 + 4 + 1  # results, extra, grid, training
    assert all(str(image["src"]).startswith("data:image/png;base64,") and image["alt"] for image in images)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert "http://" not in text
    assert "https://" not in text
    anchors = {str(link["href"])[1:] for link in page.all("a") if str(link["href"]).startswith("#")}
    sections = {"guide", "results", "labels", "findings", "pictures", "training", "timings", "made-with"}
    assert anchors == sections | {"success-rates", "success-against-real-labels"}
    assert anchors <= {attributes.get("id") for _, attributes in page.tags}
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in text


def test_the_report_carries_the_table_and_the_pictures_unchanged() -> None:
    inputs = full_input()
    page = Page(render(inputs))
    (link,) = [link for link in page.all("a") if link.get("download") == "table.csv"]
    assert base64.b64decode(str(link["href"]).partition(",")[2]).decode() == csv_text(inputs.results)
    first = next(image for image in page.all("img") if image["alt"] == "simulation, picture 1")
    assert np.array_equal(np.asarray(opened(str(first["src"]))), inputs.grids[0].rows[0].images[0])


def opened(uri: str) -> PillowImage.Image:
    return PillowImage.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_large_pictures_are_carried_small() -> None:
    ramp = np.linspace(0, 255, 472).astype(np.uint8)
    uri = report.picture_uri(np.dstack([np.tile(ramp, (236, 1))] * 3))
    small = opened(uri)
    assert small.size == (report.PICTURE_SIDE, report.PICTURE_SIDE // 2)
    ends = np.asarray(small.convert("RGB"))[:, [0, -1]].mean(axis=(0, 2))
    assert ends == pytest.approx([0, 255], abs=8)
    assert len(uri) < 8_000


def test_equal_inputs_give_equal_reports() -> None:
    inputs = ReportInput("A run", results=study()[:2])
    assert render(inputs) == render(inputs)


def test_a_report_of_nothing_but_logs_has_no_empty_sections() -> None:
    page = Page(render(ReportInput("A run", logs={"train": {"loss": ([0.0, 1.0], [2.0, 1.0])}})))
    assert [section.get("id") for section in page.all("section")] == ["training", "made-with"]
    assert page.all("table") == []


def test_the_report_does_not_deny_a_robot_it_knows_nothing_about() -> None:
    assert report.setting([result("a", 1, world="my_cell")]) == "100 grasp attempts in the world 'my_cell'."
    assert "No robot" in report.setting([result("a", 1, world="sim")])
    assert "stands in for a real cell" in report.setting(study())


def test_runs_that_log_other_metrics_get_figures_of_their_own() -> None:
    grasp, gan = {"loss": ([0.0, 1.0], [2.0, 1.0])}, {"generator": ([0.0, 1.0], [2.0, 1.0])}
    found = report.training_figures({"a": grasp, "b": gan, "c": grasp, "empty": {}})
    assert [figure.title for figure in found] == ["a, c", "b"]
    many = report.training_figures({f"run {k:02}": grasp for k in range(len(canvas.PALETTE) + 1)})
    assert [figure.title.count("run") for figure in many] == [len(canvas.PALETTE), 1]  # a colour for each run


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.21, "8.2 s"), (185, "3 min 5 s"), (3599.6, "1 h 0 min"), (7830, "2 h 10 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_runs_that_nobody_has_evaluated_have_a_page_with_their_pictures_and_curves(tmp_path: Path) -> None:
    run = tmp_path / "runs/adapter"
    write_json(run / "config.json", {"kind": "adapter", "config": {"method": "histogram"}, "inputs": {}})
    (run / "log.jsonl").write_text("".join(f'{{"step": {k}, "critic": {k / 9}}}\n' for k in (1, 2, 3)))
    save_png(np.full((8, 8, 3), 77, np.uint8), run / "grid.png")
    for folder in (run, tmp_path / "runs"):
        assert main(["report", str(folder)]) == 0
        text = (folder / "report.html").read_text()
        assert png_uri((run / "grid.png").read_bytes()) in text
        assert 'id="training"' in text
        assert "histogram" in text
    assert main(["report", str(tmp_path / "empty")]) == 2


@pytest.mark.parametrize("preset", ["tiny", "transfer-tiny"])
def test_a_study_tells_what_it_was_made_of(tmp_path: Path, preset: str) -> None:
    study = read_study(preset)
    write_json(tmp_path / RESOLVED, to_json(study))
    assert plan(study_of(tmp_path), tmp_path, 3) == plan(study, tmp_path, 3)
    write_json(tmp_path / RESOLVED, to_json(study) | {"trials": 0})
    with pytest.raises(UserError, match="trials"):
        study_of(tmp_path)


def test_a_study_of_which_nothing_has_run_has_nothing_to_report(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"kind": "study", "config": {"preset": "tiny", "seed": 0}, "inputs": {}})
    write_json(tmp_path / RESOLVED, to_json(read_study("tiny")))
    assert main(["report", str(tmp_path)]) == 2
