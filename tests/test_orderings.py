"""Orderings of arms in two worlds: counted where both tell, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graspgap.errors import UserError
from graspgap.evaluation.orderings import orderings, orderings_markdown
from graspgap.evaluation.results import AttemptRecord, EvaluationResult
from graspgap.evaluation.tables import pool

ATTEMPTS = 300


def tried(world: str, **wins: int) -> list[EvaluationResult]:
    """Arms by how many of 300 attempts they win; `a_2` with 2% of the labels."""
    found = []
    for name, won in wins.items():
        arm, _, share = name.partition("_")
        records = [AttemptRecord(k, k // 3, (7 * k) % ATTEMPTS < won, None, 4, None, 0.1) for k in range(ATTEMPTS)]
        found.append(EvaluationResult(arm, float(share or 0) / 100, 0, 0, 1000, world, records, ["simulation"]))
    return found


def test_pairs_are_counted_where_both_worlds_tell_them_apart() -> None:
    here = tried("standin", a=200, b=100, c=102, d=20, alone=250)
    there = tried("standin2", a=150, b=60, c=220, d=10)
    found = orderings(pool([*here, *there]))
    assert [first.arm for first, _ in found.arms] == ["a", "c", "b", "d"]
    # b and c are alike in the first world; a is ahead of c here and behind it there.
    assert (found.same, found.opposite) == (4, 1)
    assert found.correlation.value == pytest.approx(0.8)  # one swap of neighbours among four
    text = orderings_markdown(pool([*here, *there]))
    assert "5 are told apart in both worlds after correction for their number: 4 in the same order, 1 in" in text
    assert "| arm | in standin | in standin2 |" in text
    assert "alone" not in text


def test_pairs_are_counted_after_correction_for_their_number_and_random_commands_are_no_arm() -> None:
    close = {"a": 150, "b": 138}  # p is 0.007 by itself
    two = [tried(world, **close) for world in ("standin", "standin2")]
    assert orderings(pool([*two[0], *two[1]])).same == 1
    more = {f"c{number}": 20 for number in range(6)}
    many = [tried(world, **close, **more) for world in ("standin", "standin2")]
    found = orderings(pool([*many[0], *many[1]]))
    assert (found.same, found.opposite) == (12, 0)  # a and b against each c, not against each other
    untrained = [replace(result, arm="random", ingredients=[]) for result in (*two[0][:1], *two[1][:1])]
    assert len(orderings(pool([*two[0], *two[1], *untrained])).arms) == 2


def test_shares_of_labels_are_arms_of_their_own() -> None:
    both = [tried(world, a=100, a_2=200) for world in ("standin", "standin2")]
    found = orderings(pool([*both[0], *both[1]]))
    assert [first.recipe for first, _ in found.arms] == ["a, 2% real labels", "a"]
    assert (found.same, found.opposite) == (1, 0)


@pytest.mark.parametrize("worlds", [("standin",), ("standin", "standin2")])
def test_one_world_or_one_arm_orders_nothing(worlds: tuple[str, ...]) -> None:
    results = [replace(tried("standin", a=100)[0], world=world) for world in worlds]
    with pytest.raises(UserError, match="no two worlds share two arms"):
        orderings(pool(results))
