"""Do the same arms come in the same order in two worlds? What was found in one of them may hold for it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from graspgap.errors import UserError
from graspgap.evaluation.statistics import Interval, rank_correlation
from graspgap.evaluation.tables import Cell, compare, markdown
from graspgap.evaluation.transfer import rate_entry


@dataclass(frozen=True)
class Orderings:
    """Arms that were tried in two worlds, trained for each of them by one recipe."""

    arms: list[tuple[Cell, Cell]]
    """Each arm in the first and in the second world, best in the first one first."""
    same: int
    """Pairs of arms that both worlds tell apart, in one order: the intervals of paired differences leave out 0."""
    opposite: int
    """Such pairs in opposite orders."""
    correlation: Interval
    """Spearman's rank correlation of the success rates, with its interval over arms."""


def orderings(cells: Sequence[Cell]) -> Orderings:
    """Compare the two worlds that share most arms; the one with more cells is the first.

    Raises:
        UserError: if no two worlds share two arms.
    """
    worlds = sorted(
        {cell.world for cell in cells}, key=lambda world: (-sum(cell.world == world for cell in cells), world)
    )
    found = {(cell.arm, cell.real_labels, cell.world): cell for cell in cells}

    def shared(first: str, second: str) -> list[tuple[Cell, Cell]]:
        own = [cell for cell in cells if cell.world == first]
        others = [(cell, found.get((cell.arm, cell.real_labels, second))) for cell in own]
        return [(cell, other) for cell, other in others if other]

    arms = max((shared(*pair) for pair in combinations(worlds, 2)), key=len, default=[])
    if len(arms) < 2:
        raise UserError("no two worlds share two arms: give the results of two studies with the same arms")
    arms.sort(key=lambda pair: -pair[0].rate.value)
    same = opposite = 0
    for one, other in combinations(arms, 2):
        found_here = [compare(first, second) for first, second in zip(one, other, strict=True)]
        signs = [np.sign(item.difference.value) for item in found_here if item and item.clear]
        if len(signs) == 2:
            same += signs[0] == signs[1]
            opposite += signs[0] != signs[1]
    first, second = (np.array([cell.rate.value for cell in column]) for column in zip(*arms, strict=True))
    return Orderings(arms, int(same), int(opposite), rank_correlation(first, second))


def orderings_markdown(cells: Sequence[Cell]) -> str:
    """`orderings` in a sentence and a table."""
    found = orderings(cells)
    worlds = [cell.world for cell in found.arms[0]]
    rows = [[pair[0].recipe, *map(rate_entry, pair)] for pair in found.arms]
    told, value = found.same + found.opposite, found.correlation
    text = (
        f"Of the pairs of these {len(found.arms)} arms, {told} are told apart in both worlds: "
        f"{found.same} in the same order, {found.opposite} in opposite ones. "
        f"Rank correlation of the success rates: {value.value:+.2f} "
        f"(95% interval over arms {value.low:+.2f} to {value.high:+.2f})."
    )
    return f"{text}\n\n{markdown(['arm', *(f'in {world}' for world in worlds)], 'lrr', rows)}"
