"""The table of a study that tries policies in several worlds: what one of them is worth in another."""

from __future__ import annotations

from collections.abc import Sequence

from graspgap.errors import UserError
from graspgap.evaluation.tables import Cell, markdown, named_place, percent


def transfer_table(cells: Sequence[Cell]) -> list[list[str]]:
    """Success rates with 95% intervals: a row for each arm, a column for each world, a header row first.

    Empty unless an arm was tried in several worlds.
    """
    found = {(cell.arm, cell.world): cell for cell in cells if not cell.real_labels}
    worlds, arms = sorted({world for _, world in found}, reverse=True), sorted({arm for arm, _ in found})
    if len(worlds) < 2 or len(found) <= max(len(arms), len(worlds)):
        return []
    rows = [[arm, *(rate_entry(found.get((arm, world))) for world in worlds)] for arm in arms]
    return [["policy", *(f"in {world}" for world in worlds)], *rows]


def transfer_markdown(cells: Sequence[Cell]) -> str:
    """`transfer_table` in Markdown."""
    header, *rows = transfer_table(cells)
    return markdown(header, "l" + "r" * (len(header) - 1), rows)


def arms_markdown(columns: Sequence[Sequence[Cell]], names: Sequence[str]) -> str:
    """Chosen arms as a Markdown table with a column for each group of cells, of one world each. A name is an arm's, or
    `arm@share` where it was given real labels.

    Raises:
        UserError: if no group has an arm of one of the names.
    """
    rows = []
    for name in names:
        arm, share = named_place(name)
        own = [
            next((cell for cell in cells if (cell.arm, cell.real_labels) == (arm, share)), None) for cells in columns
        ]
        known = next((cell for cell in own if cell), None)
        if known is None:
            raise UserError(f"arm '{name}' was not tried, expected by a table of the Markdown file: correct its name")
        rows.append([arm, percent(known.real_labels) if share else "none", *map(rate_entry, own)])
    header = ["arm", "real labels", *(f"in {cells[0].world}" for cells in columns)]
    return markdown(header, "l" + "r" * (len(header) - 1), rows)


def rate_entry(cell: Cell | None) -> str:
    """A cell in a table whose columns are worlds; empty for one that was not measured."""
    if cell is None:
        return ""
    rate = cell.rate
    return f"{100 * rate.value:.1f}% ({100 * rate.low:.1f} to {100 * rate.high:.1f}), {cell.successes}/{cell.attempts}"
