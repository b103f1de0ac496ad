"""How many attempts tell policies apart, and how many labels an arm saves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graspgap.evaluation.efficiency import efficiencies, efficiency_markdown, efficiency_rows
from graspgap.evaluation.gap import gap_rows
from graspgap.evaluation.power import attempts_to_tell, difference_told, measured_design, power_note
from graspgap.evaluation.results import AttemptRecord, EvaluationResult
from graspgap.evaluation.statistics import mcnemar_test
from graspgap.evaluation.tables import pool


def drawn(
    rng: np.random.Generator, attempts: int, difference: float, disagreement: float
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of two policies on the same attempts."""
    kind = rng.random(attempts)
    first = kind < (disagreement + difference) / 2
    second = (kind >= (disagreement + difference) / 2) & (kind < disagreement)
    both = (kind >= disagreement) & (rng.random(attempts) < 0.5)
    return first | both, second | both


@pytest.mark.parametrize(("difference", "disagreement"), [(0.1, 0.4), (0.2, 0.3), (0.08, 0.15)])
def test_so_many_attempts_find_the_difference_four_times_out_of_five(difference: float, disagreement: float) -> None:
    rng = np.random.default_rng(0)
    attempts = round(attempts_to_tell(difference, disagreement))
    found = [mcnemar_test(*drawn(rng, attempts, difference, disagreement)).p < 0.05 for _ in range(400)]
    assert 0.68 < np.mean(found) < 0.88  # the exact test is a little more careful than the formula's


def test_the_difference_told_is_the_other_way_round() -> None:
    for attempts in (100, 600, 5000):
        told = difference_told(attempts, 0.4, 1.3)
        assert attempts_to_tell(told, 0.4, 1.3) == pytest.approx(attempts, rel=1e-3)
    assert difference_told(3, 0.4) == 0.4  # so few tell nothing
    with pytest.raises(ValueError, match="disagreement"):
        attempts_to_tell(0.5, 0.4)


def result(arm: str, outcomes: np.ndarray, labels: float = 0.0, per_scene: int = 3, seed: int = 0) -> EvaluationResult:
    records = [AttemptRecord(k, k // per_scene, bool(won), None, 4, None, 0.1) for k, won in enumerate(outcomes)]
    ingredients = [] if arm == "real-only" else ["simulation"]
    return EvaluationResult(arm, labels, round(1000 * labels), seed, 1000, "standin", records, ingredients)


def test_the_design_is_read_from_the_results() -> None:
    rng = np.random.default_rng(3)
    first, second = drawn(rng, 600, 0.1, 0.4)
    cells = pool([result("a", first), result("b", second)])
    found = measured_design(cells)
    assert found is not None
    assert found.attempts == 600
    assert found.disagreement == pytest.approx(np.mean(first != second))
    assert found.effect == pytest.approx(1, abs=0.35)
    assert "5 points apart" in power_note(cells)
    assert "600 tell" in power_note(cells)
    repeated = [result(name, np.repeat(one[::3], 3)) for name, one in (("a", first), ("b", second))]
    alike = measured_design(pool(repeated))  # attempts of a scene end alike: worth a third
    assert alike is not None
    assert alike.effect == pytest.approx(3, abs=0.8)


def test_without_pairs_nothing_is_said() -> None:
    rng = np.random.default_rng(3)
    assert power_note(pool([result("a", rng.random(30) < 0.5)])) == ""
    assert power_note([]) == ""


def curve() -> list[EvaluationResult]:
    def with_rate(rate: float) -> np.ndarray:
        return np.arange(300) % 100 < 100 * rate

    points = [result("real-only", with_rate(rate), labels) for labels, rate in ((0.01, 0.2), (0.1, 0.4), (1.0, 0.6))]
    return [
        *points,
        result("none", with_rate(0.5)),
        result("few", with_rate(0.6), 0.02),
        result("best", with_rate(0.7), 0.02),
        result("worst", with_rate(0.1)),
    ]


def test_labels_saved_are_those_that_real_only_training_needs() -> None:
    found = {item.cell.arm: item for item in efficiencies(pool(curve()))}
    assert found["none"].needed.value == pytest.approx(1000**0.5 * 10, rel=0.01)  # halfway between 100 and 1,000
    assert found["none"].times is None
    assert found["few"].times is not None
    assert found["few"].times.value == pytest.approx(50)
    rows = {row[0]: row for row in efficiency_rows(pool(curve()))}
    assert rows["few"][:3] == ["few", "20 (2%)", "1,000"]
    assert rows["few"][4] == "50"
    assert (rows["best"][2], rows["best"][4]) == ("more than 1,000", "over 50")
    assert rows["worst"][2] == "at most 10"
    assert rows["none"][4] == ""
    assert "| few | 20 (2%) | 1,000 |" in efficiency_markdown(pool(curve()))


def test_without_a_curve_no_labels_are_counted() -> None:
    assert efficiency_rows(pool(curve()[2:])) == []


def test_the_gap_is_told_factor_by_factor() -> None:
    def tried(arm: str, world: str, rate: float) -> EvaluationResult:
        return replace(result(arm, np.arange(300) % 100 < 100 * rate), world=world)

    worlds = {"standin": 0.2, "standin with sim's look": 0.5, "standin with sim's look+camera": 0.7}
    results = [tried("sim-only", world, rate) for world, rate in worlds.items()]
    results += [tried("other", "standin", 0.4), tried("sim-only", "standin2", 0.9), tried("sim-only", "sim", 0.9)]
    rows = gap_rows(pool(results))
    assert [row[0] for row in rows] == ["simulation's in the stand-in", "nothing", "look", "look, camera"]
    assert [row[1].split()[0] for row in rows] == ["sim-only", "20.0%", "50.0%", "70.0%"]
    assert {len(row) for row in rows} == {2}
    assert gap_rows(pool([tried("a", "standin", 0.5), tried("a", "sim", 0.5)])) == []
