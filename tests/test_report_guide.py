"""What the report advises, and its figures of ablations and kinds of objects."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graspgap.contract import Camera, SemanticClass
from graspgap.datasets.view import MASK_COLOURS
from graspgap.deployment.predictor import NetworkPredictor
from graspgap.errors import UserError
from graspgap.evaluation import figures
from graspgap.evaluation.canvas import wrapped
from graspgap.evaluation.families import FamilyCount, family_bars, family_counts, object_rows
from graspgap.evaluation.figures import label_curve
from graspgap.evaluation.guide import COSTS, NOT_MEASURED, Advice, Cost, guide
from graspgap.evaluation.heat_map import Entry, HeatTable, heat_map, heat_table, ingredient_table, simulation_table
from graspgap.evaluation.pictures import predicted_masks
from graspgap.evaluation.readme import filled
from graspgap.evaluation.report import ReportInput, object_figures, render, result_figures
from graspgap.evaluation.results import EvaluationResult, save
from graspgap.evaluation.stages import Stage, record_path
from graspgap.evaluation.study_report import write_report
from graspgap.evaluation.tables import pool
from graspgap.evaluation.training_costs import mean_costs, update_costs
from graspgap.files import write_json
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.objects.kinds import kind_of
from test_report import SIM, Page, result, size_of, study

RANDOMIZED = [*SIM, "randomization"]


def words_of(results: list[EvaluationResult], costs: dict | None = None) -> dict[str, tuple[str, str]]:
    """Sentences and figure by the first words of the situation."""
    found = guide(pool(results), costs)
    return {advice.situation.split(" (")[0]: (" ".join(advice.sentences), advice.figure) for advice in found}


# The guide


def test_each_kind_of_data_gets_its_best_arm() -> None:
    found = words_of([*study(), result("randomized", 2, RANDOMIZED)])
    blind, figure = found["No real pictures at all"]
    assert blind.startswith("Take randomized: it grasps in 40.0% (95% interval ")
    assert "the best of 2 tried" in blind
    assert figure == "Success rates"
    looking, _ = found["Real pictures without labels"]
    assert looking.startswith("Take graspgan+consistency: it grasps in 60.0%")
    assert "clearly more than randomized, which needs no real picture (+20.0 points" in looking
    few, figure = found["A few real labels"]
    assert few.startswith("Take graspgan+real: it grasps in 80.0%")
    assert figure == "Success against real labels"
    many, _ = found["Many real labels"]
    assert many.startswith("Only real-only was tried: it grasps in 80.0%")
    assert "graspgan+consistency grasps in 60.0% without any. Real-only training needs about 1,400" in many
    assert "Labels together with simulation were not tried." in many
    assert "Labels together" not in few
    situations = [advice.situation for advice in guide(pool(study()))]
    assert "A few real labels (100, 2% of those that there were)" in situations


def test_what_was_not_measured_is_said() -> None:
    found = words_of([result("sim-only", 1, SIM), result("real-only", 3, labels=1.0)])
    assert found["Real pictures without labels"] == (NOT_MEASURED, "")
    assert found["A few real labels"] == (NOT_MEASURED, "")
    assert found["Many real labels"][0].startswith("Only real-only was tried")
    assert found["Many real labels"][1] == "Success rates"  # one number of labels is no curve
    assert "Its training time was not measured." in found["No real pictures at all"][0]


def test_arms_that_are_not_told_apart_are_named_with_what_they_cost() -> None:
    rng = np.random.default_rng(0)
    best = result("cut", 2, [*SIM, "cut"])
    level = [replace(record, success=bool(rng.random() < 0.38)) for record in best.records]
    same = replace(best, arm="fourier", ingredients=[*SIM, "fourier"], records=level)
    worse = result("mmd", 0, [*SIM, "mmd"])
    costs = {("cut", 0.0): Cost(300.0, 90.0), ("fourier", 0.0): Cost(0.0, 95.0), ("mmd", 0.0): Cost(0.0, 1.0)}
    text, _ = words_of([best, same, worse, result("sim-only", 1, SIM)], costs)["Real pictures without labels"]
    assert "Not told apart from it by these attempts: fourier (" in text
    assert "mmd" not in text
    assert "Training took 6.5 min, 5.0 min of it for the adapter; the quickest of these is fourier, 1.6 min." in text


def test_labels_that_bring_less_than_none_are_advised_against() -> None:
    results = [result("sim-only", 4, SIM), result("real-only", 1, labels=0.1), result("real-only", 4, labels=1.0)]
    found = words_of(results)
    assert "clearly less than sim-only, which needs no label" in found["A few real labels"][0]
    assert "take sim-only here, too" in found["A few real labels"][0]
    assert "No clear gain over sim-only" in found["Many real labels"][0]


def test_front_ends_from_simulation_alone_need_no_real_picture() -> None:
    found = words_of([result("rcan", 3, [*RANDOMIZED, "rcan"]), result("dann", 2, [*SIM, "dann"])])
    assert "rcan" in found["No real pictures at all"][0]
    assert "No clear gain" not in found["Real pictures without labels"][0]
    assert "clearly less than rcan" in found["Real pictures without labels"][0]


def test_simulators_give_no_advice_about_reality() -> None:
    assert guide(pool([result("sim-only", 3, SIM, world="sim")])) == []
    assert guide(pool([result("random", 3)])) == []
    assert guide(pool([result("mine", 3, SIM, world="my_cell")]))[0].sentences[0].startswith("Only mine was tried")


def test_the_page_leads_from_advice_to_what_supports_it() -> None:
    costs = {("graspgan+consistency", 0.0): Cost(30.0, 400.0)}
    figures = result_figures(pool(study()))
    page = Page(render(ReportInput("A run", results=study(), figures=figures, costs=costs)))
    ids = {attributes.get("id") for _, attributes in page.tags}
    links = {str(link["href"])[1:] for link in page.all("a") if str(link["href"]).startswith("#")}
    assert {"success-rates", "success-against-real-labels"} <= links <= ids
    assert COSTS.lower().replace(" ", "-") in ids
    assert "7 min 10 s" in page.text
    assert all(isinstance(advice, Advice) for advice in guide(pool(study())))


def test_adapting_the_pictures_is_paid_by_all_who_share_them(tmp_path: Path) -> None:
    """Not by the first policy alone, in whose training it happens."""
    adapter, sim = tmp_path / "adapters/a", str(tmp_path / "data/sim")
    stages = [Stage("adapters/a", ("adapt", str(adapter)))]
    for name, kind, seconds in (("first", "train adapting", 70.0), ("second", "train dbn", 30.0)):
        policy = str(tmp_path / "policies" / name)
        words = ("train", policy, "--sim", sim, "--adapter", str(adapter))
        stages.append(Stage(f"policies/{name}", words, work=(kind, 10)))
        trial = ("evaluate", str(tmp_path / "trials" / name), "--policy", policy, "--arm.name", name)
        stages.append(Stage(f"trials/{name}", trial))
        write_json(record_path(tmp_path, stages[-2]), {"arguments": [], "seconds": seconds})
    write_json(record_path(tmp_path, stages[0]), {"arguments": [], "seconds": 200.0})
    write_json(adapter / "adapted-x.json", {"sim": sim, "cpu_seconds": 40.0})
    write_json(adapter / "adapted-y.json", {"sim": "another", "cpu_seconds": 5.0})
    costs = mean_costs(update_costs(tmp_path, stages))
    assert costs == {("first", 0.0): Cost(240.0, 30.0), ("second", 0.0): Cost(240.0, 30.0)}


def test_costs_come_from_the_stages_of_a_study_and_outlive_them(tmp_path: Path) -> None:
    def stage(name: str, *words: str) -> Stage:
        return Stage(name, (words[0], str(tmp_path / name), *words[1:]))

    adapter = stage("adapters/a", "adapt")
    stages = [adapter]
    for seed, seconds in ((0, 10.0), (1, 30.0)):
        policy = stage(f"policies/p{seed}", "train", "--adapter", str(tmp_path / "adapters/a"))
        words = ["--policy", str(tmp_path / policy.name), "--arm.name", "graspgan", "--arm.real-labels", "0.1"]
        trial = stage(f"trials/p{seed}", "evaluate", *words, "--arm.seed", str(seed))
        stages += [policy, trial]
        record = {"arguments": list(policy.arguments), "seconds": 99.0, "cpu_seconds": seconds}
        write_json(record_path(tmp_path, policy), record)
    stages.append(stage("trials/random", "evaluate", "--policy", "random", "--arm.name", "random"))
    assert update_costs(tmp_path, stages) == []  # the adapter has not finished
    assert not (tmp_path / "costs.csv").exists()
    write_json(record_path(tmp_path, adapter), {"arguments": list(adapter.arguments), "seconds": 5.0})
    assert mean_costs(update_costs(tmp_path, stages)) == {("graspgan", 0.1): Cost(5.0, 20.0)}
    record_path(tmp_path, stages[1]).unlink()
    write_json(record_path(tmp_path, stages[3]), {"arguments": list(stages[3].arguments), "seconds": 50.0})
    assert mean_costs(update_costs(tmp_path, stages)) == {("graspgan", 0.1): Cost(5.0, 30.0)}
    assert filled(f"<!-- costs {tmp_path.name} -->\n<!-- end -->", tmp_path.parent).splitlines()[3] == (
        "| graspgan | 10% | 0.1 | 0.5 |"
    )
    save(result("graspgan", 1, [*SIM, "graspgan"], labels=0.1), tmp_path / "trials/p0")
    assert "Training took 35 s, 5 s of it for the adapter" in write_report(tmp_path).read_text()
    (tmp_path / "costs.csv").write_text("arm,seed\na,b\n")
    with pytest.raises(UserError, match=r"costs\.csv is damaged"):
        update_costs(tmp_path, stages)


# Ablations


def test_cells_that_fall_together_are_pooled() -> None:
    cells = pool([result("a", 1, labels=0.1), result("a", 4, labels=1.0), result("b", 2, world="sim")])
    table = heat_table(cells, "arm", lambda cell: cell.arm, "world", lambda cell: cell.world)
    assert (table.rows, table.columns) == (["b", "a"], ["sim", "standin"])
    assert table.entries == {("b", "sim"): Entry(0.4, 100), ("a", "standin"): Entry(0.5, 200)}


def apart(arm: str, ingredients: list[str]) -> EvaluationResult:
    """As often as others, but by another policy."""
    return result(arm, 2, ingredients, predicted=zlib.crc32(arm.encode()) / 2**32)


def test_the_ablation_holds_what_was_crossed_and_nothing_else() -> None:
    arms = {
        "sim-only": SIM,
        "dann": [*SIM, "dann"],
        "cut": [*SIM, "cut"],
        "cut+dann": [*SIM, "cut", "dann"],
        "mmd": [*SIM, "mmd"],
        "randomized": RANDOMIZED,
    }
    results = [apart(arm, ingredients) for arm, ingredients in arms.items()]
    table = ingredient_table(pool([*results, result("cut", 2, [*SIM, "cut", "mmd"], labels=1.0)]))
    assert table is not None
    assert (list(table.rows), list(table.columns)) == (["plain", "cut"], ["nothing", "dann"])
    assert len(table.entries) == 4
    assert ingredient_table(pool(results[:3])) is None
    assert ingredient_table([]) is None


def test_objects_and_looks_of_simulation_need_no_real_picture() -> None:
    arms = {
        "sim-only": SIM,
        "objects": [*SIM, "published objects", "appearance randomization"],
        "rcan": [*RANDOMIZED, "rcan"],
        "dann": [*SIM, "dann"],
        "objects+dann": [*SIM, "published objects", "appearance randomization", "dann"],
        "maskless": [*SIM, "graspgan-no-masks"],
    }
    results = [apart(arm, ingredients) for arm, ingredients in arms.items()]
    found = words_of(results)
    assert "the best of 3 tried" in found["No real pictures at all"][0]
    assert "the best of 3 tried" in found["Real pictures without labels"][0]
    table = ingredient_table(pool(results))
    assert table is not None
    assert (list(table.rows), list(table.columns)) == (
        ["plain", "appearance randomization+published objects"],
        ["nothing", "dann"],
    )


def test_objects_and_what_is_randomized_are_crossed() -> None:
    kinds = {"": [], "looks": ["appearance randomization"], "both": ["randomization"]}
    objects = {"": [], "published": ["published objects"], "graspgan": ["graspgan"]}
    results = [
        apart(f"{name} {kind}", [*SIM, *objects[name], *kinds[kind]])
        for name in objects
        for kind in kinds
        if (name, kind) != ("published", "both")
    ]
    more = [apart("dann", [*SIM, "dann"]), apart("everyday", [*SIM, "everyday objects"])]
    table = simulation_table(pool([*results, *more, result("labels", 2, SIM, labels=1.0)]))
    assert table is not None
    own = "simulation's own objects"
    assert list(table.rows) == [own, "published objects", f"{own}, graspgan"]
    assert list(table.columns) == ["nothing", "appearance", "looks and physics"]
    assert len(table.entries) == 8
    assert simulation_table(pool(more)) is None


def test_a_heat_map_shows_its_numbers_and_turns_what_is_too_wide() -> None:
    entries = {
        (row, column): Entry(0.1 * k, 100) for k, (row, column) in enumerate([("a", "x"), ("a", "y"), ("b", "x")])
    }
    table = HeatTable("rows", "columns", ["a", "b"], ["x", "y"], entries)
    png = heat_map(table)
    assert png == heat_map(table)
    assert png != heat_map(replace(table, entries={**entries, ("b", "x"): Entry(0.2, 101)}))
    assert png != heat_map(replace(table, entries={**entries, ("b", "y"): Entry(0.1, 100)}))
    columns = [f"c{k}" for k in range(9)]
    wide = HeatTable("rows", "columns", ["a"], columns, {("a", name): Entry(0.5, 1) for name in columns})
    assert size_of(heat_map(wide))[1] > 2 * size_of(png)[1]
    assert size_of(heat_map(HeatTable("rows", "columns", [], [], {})))


# Kinds of objects


def lying(wins: int, objects: dict[str, list[str]]) -> EvaluationResult:
    return replace(result("a", wins, SIM), scene_objects=objects)


def test_kinds_are_counted_against_how_often_they_lay_there() -> None:
    bins = {"0": ["mug", "fork", "fork"], "1": ["mug", "duck"]}
    counts = family_counts([lying(2, bins)])  # five attempts of each scene, two of which hold a mug; 18 scenes unknown
    assert counts == [FamilyCount("mug", 4, 10), FamilyCount("duck", 0, 5), FamilyCount("fork", 0, 10)]
    assert counts[0].share == 0.4
    assert family_counts([result("a", 2)]) == []
    many = {"0": [f"thing {k}" for k in range(41)]}
    assert family_counts([lying(0, many)]) == []
    assert size_of(family_bars(counts))[1] > size_of(family_bars(counts[:1]))[1]


def test_objects_are_listed_one_by_one() -> None:
    names = ["everyday-test-001", "everyday-test-002", "mug"]
    _, *rows = object_rows([lying(0, {"0": names, "1": names[:1]})])
    assert sorted(row[:4] for row in rows) == [
        ["everyday-test-001", "0", "10", "0%"],
        ["everyday-test-002", "0", "5", "0%"],
        ["mug", "0", "5", "0%"],
    ]
    held = lying(5, {"0": ["mug", "fork"]})  # the first five attempts hold a mug
    assert [row[:4] for row in object_rows([held])[1:]] == [["mug", "5", "5", "100%"], ["fork", "0", "5", "0%"]]
    page = render(ReportInput("title", results=[held]))
    assert "Every object: a" in page
    assert "<td>fork</td>" in page


def test_everyday_objects_have_families() -> None:
    assert kind_of("everyday-test-001") == "pear"
    for own in ("my mug", "everyday", "everyday-thingd.stl", "everyday-test-1.stl", "workshop-"):
        assert kind_of(own) == own


def test_kinds_are_shown_of_the_best_arm_without_labels_if_enough_is_known() -> None:
    bins = {str(scene): ["mug", "fork", "duck"] for scene in range(20)}
    few = {"0": ["mug"]}
    best, other = lying(3, bins), replace(result("b", 5, labels=1.0), scene_objects=bins)
    (figure,) = object_figures(pool([best, other]))
    assert figure.caption.startswith("a: how often an object of each kind was held")
    assert object_figures(pool([lying(3, few)])) == []


# Curves and masks


def test_long_names_are_broken_where_they_are_joined() -> None:
    assert wrapped("graspgan+consistency", 12) == "graspgan+\nconsistency"
    assert wrapped("real-only, 10% real labels", 17) == "real-only, 10%\nreal labels"
    assert max(map(len, wrapped("x" * 100, 10).split("\n"))) == 24


def test_a_label_curve_of_many_arms_stays_legible() -> None:
    fractions = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
    arms = {"real-only": [], "sim": SIM, "a": [*SIM, "cut"], "b": [*SIM, "dann"], "c": [*SIM, "cut", "dann"]}
    results = [result(arm, 2, ingredients, labels=f) for arm, ingredients in arms.items() for f in fractions]
    cells = pool([*results, result("a", 1, [*SIM, "cut"])])
    assert size_of(label_curve(cells))[1] > size_of(label_curve(cells[:5]))[1]  # room for names
    counts = [round(fraction * 5000) for fraction in fractions]
    kept = figures._apart(counts)
    assert kept[-1] == 5000
    assert 1 < len(kept) < len(counts)
    zero = figures._left_of(counts)
    assert 0 < zero < counts[0]


def test_of_many_lines_the_short_ones_are_left_out() -> None:
    long = [result(f"arm {k}", k, SIM, labels=share) for k in range(1, 5) for share in (0.01, 0.02, 0.1, 1.0)]
    long += [result("real-only", 1, labels=share) for share in (0.01, 1.0)]
    short = [result(f"short {k}", 2, [*SIM, "dann"], labels=0.02) for k in range(2)]
    assert label_curve(pool([*long, *short])) == label_curve(pool(long))
    few = [cell for cell in long if cell.arm != "arm 4"]
    assert label_curve(pool([*few, *short])) != label_curve(pool(few))


def test_masks_are_drawn_as_large_as_the_pictures() -> None:
    net = GraspNet(GraspNetConfig().fitted(32, Camera()))
    with torch.no_grad():
        net.segmenter.weight.zero_()
        net.segmenter.bias.zero_()
        net.segmenter.bias[SemanticClass.OBJECT] = 1
        net.segmenter.bias[len(SemanticClass) + SemanticClass.ARM] = 1
    policy = NetworkPredictor(net, Domain.REALITY)
    before, now = predicted_masks(policy, np.zeros((1, 6, 32, 32), dtype=np.uint8), policy.domain)
    assert before.shape == (32, 32, 3)
    assert (before == MASK_COLOURS[SemanticClass.OBJECT]).all()
    assert (now == MASK_COLOURS[SemanticClass.ARM]).all()
