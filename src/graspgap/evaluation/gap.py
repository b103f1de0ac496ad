"""What the gap is made of: the same policies in the stand-in as it is, and where it has a factor of simulation's."""

from __future__ import annotations

from collections.abc import Sequence

from graspgap.evaluation.statistics import Interval
from graspgap.evaluation.tables import Cell, markdown
from graspgap.worlds.standin_names import STANDIN, is_standin


def gap_rows(cells: Sequence[Cell]) -> list[list[str]]:
    """A row for each stand-in with factors of simulation's, the plain one first, a column for each arm that was tried
    in several of them, a header first. Empty where none was."""
    found = {(cell.world, cell.arm): cell for cell in cells if not cell.real_labels and _is_first(cell.world)}
    worlds = sorted({world for world, _ in found}, key=lambda world: (world != STANDIN, world.count("+"), world))
    arms = [
        arm for arm in dict.fromkeys(cell.arm for cell in cells) if sum((world, arm) in found for world in worlds) > 1
    ]
    if not arms:
        return []
    rows = [["simulation's in the stand-in", *arms]]
    for world in worlds:
        entries = [found.get((world, arm)) for arm in arms]
        if any(entries):
            name = world.partition("sim's ")[2].replace("+", ", ") or "nothing"
            rows.append([name, *(_text(cell.rate) if cell else "" for cell in entries)])
    return rows


def gap_markdown(cells: Sequence[Cell]) -> str:
    """`gap_rows` in Markdown."""
    header, *rows = gap_rows(cells)
    return markdown(header, "l" + "r" * (len(header) - 1), rows)


def _is_first(world: str) -> bool:
    return is_standin(world) and (world == STANDIN or "sim's" in world)


def _text(rate: Interval) -> str:
    return f"{100 * rate.value:.1f}% ({100 * rate.low:.1f} to {100 * rate.high:.1f})"
