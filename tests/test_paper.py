"""Verdicts on the paper's findings: they follow from the attempts, and nothing is claimed that they don't tell."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from graspgap.evaluation.paper import (
    FINDINGS,
    INCONCLUSIVE,
    MISSING,
    NOT,
    REPRODUCED,
    Claim,
    claim_rows,
    claims_markdown,
    gap_closed,
    judge,
    judge_all,
    paper_markdown,
    paper_rows,
    targets,
    targets_markdown,
    verdict,
)
from graspgap.evaluation.results import AttemptRecord, EvaluationResult
from graspgap.evaluation.statistics import Interval
from graspgap.evaluation.study_file import read_study
from graspgap.evaluation.tables import Cell, best_by_the_others, pool

ATTEMPTS = 1200


def result(arm: str, rate: float, labels: float = 0.0) -> EvaluationResult:
    rng = np.random.default_rng(7)  # the same luck for all arms: they differ by their rates alone
    won = rng.permutation(ATTEMPTS) < rate * ATTEMPTS
    records = [AttemptRecord(k, k // 3, bool(each), None, 4, None, 0.1) for k, each in enumerate(won)]
    ingredients = [] if arm == "real-only" else ["simulation"]
    return EvaluationResult(arm, labels, round(1000 * labels), 0, 1000, "standin", records, ingredients)


def cells(**rates: float) -> list[Cell]:
    """Cells by name, `graspgan_2` with 2% of the labels."""
    found = []
    for name, rate in rates.items():
        arm, _, share = name.partition("_")
        found.append(result(arm.replace("0", "-"), rate, float(share or 0) / 100))
    return pool(found)


@pytest.mark.parametrize(
    ("kind", "low", "high", "word"),
    [
        ("ahead", 0.01, 0.2, REPRODUCED),
        ("ahead", -0.01, 0.2, INCONCLUSIVE),
        ("ahead", -0.2, -0.01, NOT),
        ("as good", -0.04, 0.2, REPRODUCED),
        ("as good", -0.06, 0.2, INCONCLUSIVE),
        ("as good", -0.2, -0.01, INCONCLUSIVE),  # it may be 4 points, which count as none
        ("as good", -0.2, -0.06, NOT),
        ("alike", -0.04, 0.04, REPRODUCED),
        ("alike", -0.04, 0.06, INCONCLUSIVE),
        ("alike", 0.01, 0.2, INCONCLUSIVE),
        ("alike", 0.06, 0.2, NOT),
        ("alike", -0.2, -0.06, NOT),
    ],
)
def test_a_claim_is_judged_by_its_interval(kind: str, low: float, high: float, word: str) -> None:
    assert Claim(kind, ("a", 0.0), ("b", 0.0)).judged(Interval((low + high) / 2, low, high)) == word


def test_a_finding_needs_all_of_its_claims() -> None:
    assert verdict([REPRODUCED, REPRODUCED]) == REPRODUCED
    assert verdict([REPRODUCED, INCONCLUSIVE]) == INCONCLUSIVE
    assert verdict([REPRODUCED, MISSING, INCONCLUSIVE]) == MISSING
    assert verdict([NOT, MISSING]) == NOT


@pytest.mark.parametrize("names", [("bench", "ablations"), ("paper",)])
def test_findings_are_about_arms_that_the_studies_have(names: tuple[str, ...]) -> None:
    known: set[tuple[str, float]] = set()
    for name in names:
        known |= {(arm.name, share) for arm in read_study(name).arms for share in arm.real_labels}
    for finding in FINDINGS:
        claims = [claim for claim in finding.claims if "bench" in names or not claim.optional]
        assert {place for claim in claims for place in (claim.first, claim.second)} <= known, finding.number


def test_every_mix_of_the_reference_study_is_held_against_as_many_labels_alone() -> None:
    arms = [arm for arm in read_study("bench").arms if arm.sim]
    mixes = {(arm.name, share) for arm in arms for share in arm.real_labels if share}
    (finding,) = [finding for finding in FINDINGS if finding.number == 3]
    assert {claim.first for claim in finding.claims} == mixes
    assert all(claim.second == ("real-only", claim.first[1]) for claim in finding.claims)


def test_verdicts_follow_the_attempts() -> None:
    measured = cells(sim0only=0.2, randomized=0.4, graspgan=0.6, real0only_10=0.5, real0only_100=0.7, graspgan_2=0.5)
    rows = {row[0]: row for row in paper_rows(judge_all(measured))[1:]}
    assert rows["1"][3] == REPRODUCED
    assert "randomized ahead of sim-only: +20.0 (" in rows["1"][2]
    assert rows["2"][3] == NOT
    assert "graspgan 2% as good as real-only 100%: -20.0" in rows["2"][2]
    with_dann = judge_all([*measured, *cells(**{"graspgan+dann": 0.3})])
    assert {row[0]: row for row in paper_rows(with_dann)}["1"][3] == NOT
    assert rows["4"][3] == MISSING
    assert "6 of 6 not measured" in rows["4"][2]
    swapped = {row[0]: row for row in paper_rows(judge_all(cells(sim0only=0.4, randomized=0.2)))[1:]}
    assert swapped["1"][3] == NOT
    assert "| 2 | With 2% of the labels" in paper_markdown(measured)


def test_many_claims_are_counted_and_each_is_told_elsewhere() -> None:
    shares = (1, 2, 10, 50, 100)
    rates = {f"real0only_{share}": 0.4 for share in shares} | {f"sim_{share}": 0.6 for share in shares}
    measured = cells(**rates, graspgan_1=0.2, graspgan_2=0.4)
    third = paper_rows(judge_all(measured))[3]
    assert third[2:] == ["of 7 such claims: 5 yes, 1 no, 1 open; 8 of 15 not measured", NOT]
    rows = [row for row in claim_rows(judge_all(measured))[1:] if row[1] == "3"]
    assert [row[0] for row in rows][:2] == ["sim 1% ahead of real-only 1%", "sim 2% ahead of real-only 2%"]
    assert [row[4] for row in rows] == ["yes"] * 5 + ["no", "open"]
    assert rows[0][2] == "+20.0"
    assert "| sim 1% ahead of real-only 1% | 3 | +20.0 | " in claims_markdown(measured)


def test_what_was_not_tried_on_the_same_attempts_is_not_judged() -> None:
    first, second = result("a", 0.5), replace(result("b", 0.5), evaluation_seed=1001)
    assert judge(Claim("alike", ("a", 0.0), ("b", 0.0)), pool([first, second])) == (MISSING, None)


def test_the_gap_closed_is_a_share_of_the_way() -> None:
    by_name = {cell.arm: cell for cell in cells(sim0only=0.2, graspgan=0.5, real0only_100=0.6)}
    found = gap_closed(by_name["graspgan"], by_name["sim-only"], by_name["real-only"])
    assert found.value == pytest.approx(0.75, abs=0.01)
    assert 0.6 < found.low < 0.75 < found.high < 0.9


def over_seeds(arm: str, *rates: float, labels: float = 0.0) -> list[EvaluationResult]:
    """Results of training seeds 0, 1 and so on, each on scenes of its own."""
    return [
        replace(result(arm, rate, labels), seed=seed, evaluation_seed=1000 + seed) for seed, rate in enumerate(rates)
    ]


def test_the_best_arm_never_judges_itself() -> None:
    steady, lucky = over_seeds("steady", 0.5, 0.5, 0.5), over_seeds("lucky", 0.9, 0.3, 0.3)
    found = best_by_the_others(pool([*lucky, *steady]))
    assert found is not None
    # Seed 0 shows the lucky arm the worse one of the others; seeds 1 and 2 are deceived by its seed 0.
    assert found.arm == "lucky or steady"
    assert {(each.arm, each.seed) for each in found.results} == {("steady", 0), ("lucky", 1), ("lucky", 2)}
    assert found.rate.value == pytest.approx((0.5 + 0.3 + 0.3) / 3, abs=0.01)
    assert max(cell.rate.value for cell in pool([*lucky, *steady])) == pytest.approx(0.5, abs=0.01)


def test_the_best_arm_needs_others_to_choose_it() -> None:
    assert best_by_the_others([]) is None
    assert best_by_the_others(cells(graspgan=0.5, dann=0.4)) is None
    one_policy = [replace(result("graspgan", 0.5), evaluation_seed=seed) for seed in (1000, 1001)]
    assert best_by_the_others(pool(one_policy)) is None  # other scenes, but nothing else
    same_scenes = [replace(result("graspgan", 0.5), seed=seed) for seed in (0, 1)]
    assert best_by_the_others(pool(same_scenes)) is None  # other policies, but nothing else


def test_targets_are_judged_by_arms_that_others_chose() -> None:
    base, goal = over_seeds("sim-only", 0.1, 0.1, 0.1), over_seeds("real-only", 0.5, 0.5, 0.5, labels=1.0)
    lucky, steady = over_seeds("lucky", 0.95, 0.3, 0.3), over_seeds("steady", 0.5, 0.5, 0.5)
    rows = targets(pool([*base, *goal, *lucky, *steady]))
    assert rows[1][1] == "lucky or steady (chosen by the other seeds)"
    closed = (np.mean([0.5, 0.3, 0.3]) - 0.1) / (0.5 - 0.1)
    assert float(rows[1][2].split("%")[0]) == pytest.approx(100 * closed, abs=1)
    assert rows[1][3] != "met"
    few = [over_seeds(arm, *rates, labels=0.02) for arm, rates in (("a", (0.5, 0.5)), ("b", (0.4, 0.4)))]
    row = targets(pool([*goal[:2], *few[0], *few[1]]))[1]
    assert (row[1], row[3]) == ("a (chosen by the other seeds)", "met")
    assert row[2].startswith("+0.0 points (")


def test_targets_are_met_or_not() -> None:
    names = {
        "sim0only": 0.2,
        "graspgan": 0.6,
        "graspgan_2": 0.62,
        "sim_2": 0.3,
        "graspgan_1": 0.3,
        "real0only_100": 0.6,
    }
    rows = targets(cells(**names))[1:]
    assert [row[1:2] + row[3:] for row in rows] == [
        ["graspgan", "met"],  # nothing else was there to choose
        ["graspgan (chosen by its own attempts)", "met"],
        ["graspgan", "not met"],
    ]
    assert rows[0][2].startswith("100% (")
    assert "50 times fewer" in targets_markdown(cells(**names))
    assert targets(cells(graspgan=0.5))[1:] == []
    no_gap = targets(cells(sim0only=0.7, graspgan=0.8, real0only_100=0.0))
    assert no_gap[1:] == []


def test_a_second_look_asks_more_of_both_ways_to_measure_a_target() -> None:
    measured = cells(**{"sim0only": 0.2, "graspgan": 0.5, "graspgan_2": 0.58, "real0only_100": 0.6})
    for once, twice in zip(targets(measured)[1:], targets(measured, 0.975)[1:], strict=True):
        (low, high), (lower, higher) = (
            [float(end) for end in re.findall(r"[-+]?\d+\.\d", row[2].partition("(")[2])] for row in (once, twice)
        )
        assert lower <= low < high <= higher
        assert higher - lower > high - low
    assert targets(measured, 0.975)[0][2] == "measured, 97.5% interval"
