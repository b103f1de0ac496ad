"""Do the same arms come in the same order in two worlds? What was found in one of them may hold for it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from graspgap.errors import UserError
from graspgap.evaluation.statistics import Interval, rank_correlation
from graspgap.evaluation.tables import Cell, compare, markdown, together
from graspgap.evaluation.transfer import rate_entry

LEVEL = 0.05
"""Chance of telling any pair of a world apart if all arms were alike."""


@dataclass(frozen=True)
class Orderings:
    """Arms that were tried in two worlds, trained for each of them by one recipe."""

    arms: list[tuple[Cell, Cell]]
    """Each arm in the first and in the second world, best in the first one first."""
    same: int
    """Pairs of arms that both worlds tell apart, in one order: p is at most `LEVEL`, corrected for all pairs of a
    world."""
    opposite: int
    """Such pairs in opposite orders."""
    correlation: Interval
    """Spearman's rank correlation of the success rates, with its interval over arms."""


def orderings(cells: Sequence[Cell]) -> Orderings:
    """Compare the two worlds that share most trained arms; the one with more cells is the first.

    Raises:
        UserError: if no two worlds share two arms.
    """
    worlds = sorted(
        {cell.world for cell in cells}, key=lambda world: (-sum(cell.world == world for cell in cells), world)
    )
    found = {(cell.arm, cell.real_labels, cell.world): cell for cell in cells}

    def shared(first: str, second: str) -> list[tuple[Cell, Cell]]:
        own = [cell for cell in cells if cell.world == first and cell.trained]
        others = [(cell, found.get((cell.arm, cell.real_labels, second))) for cell in own]
        return [(cell, other) for cell, other in others if other]

    arms = max((shared(*pair) for pair in combinations(worlds, 2)), key=len, default=[])
    if len(arms) < 2:
        raise UserError("no two worlds share two arms: give the results of two studies with the same arms")
    arms.sort(key=lambda pair: -pair[0].rate.value)
    one, other = ([pair[world] for pair in arms] for world in range(2))
    signs, others = _signs(one), _signs(other)
    both = [signs[pair] * others[pair] for pair in signs.keys() & others.keys()]
    rates, other_rates = (np.array([cell.rate.value for cell in cells]) for cells in (one, other))
    return Orderings(arms, both.count(1), both.count(-1), rank_correlation(rates, other_rates))


def _signs(cells: Sequence[Cell]) -> dict[tuple[int, int], int]:
    """Of the pairs of cells of one world that its attempts tell apart, by their places: 1 if the first is ahead, -1 if
    it is behind."""
    pairs = list(combinations(range(len(cells)), 2))
    found = {pair: item for pair in pairs if (item := compare(cells[pair[0]], cells[pair[1]]))}
    told = zip(found, together(list(found.values())), strict=True)
    return {pair: int(np.sign(item.difference.value)) for pair, item in told if item.corrected <= LEVEL}


def orderings_markdown(cells: Sequence[Cell]) -> str:
    """`orderings` in a sentence and a table."""
    found = orderings(cells)
    worlds = [cell.world for cell in found.arms[0]]
    rows = [[pair[0].recipe, *map(rate_entry, pair)] for pair in found.arms]
    told, value = found.same + found.opposite, found.correlation
    text = (
        f"Of the pairs of these {len(found.arms)} arms, {told} are told apart in both worlds after correction for "
        f"their number: {found.same} in the same order, {found.opposite} in opposite ones. "
        f"Rank correlation of the success rates: {value.value:+.2f} "
        f"(95% interval over arms {value.low:+.2f} to {value.high:+.2f})."
    )
    return f"{text}\n\n{markdown(['arm', *(f'in {world}' for world in worlds)], 'lrr', rows)}"
