"""A heat map of success rates: rows and columns of arms, such as object sets by randomizations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from graspgap.evaluation.canvas import FAINT, FONT, INK, WIDTH, only_axes, png_bytes, wrapped
from graspgap.evaluation.ingredients import OBJECTS, RANDOMIZATION, SIMULATION, about_features, about_simulation
from graspgap.evaluation.tables import Cell, once

NOTHING = "nothing"
COLOURS = "cividis"
"""Even steps for colour-blind readers too."""


@dataclass(frozen=True)
class Entry:
    """A cell of a table."""

    rate: float
    """In [0, 1]."""
    attempts: int


@dataclass(frozen=True)
class HeatTable:
    """Success rates by row and column; not every cell needs to have been measured."""

    row_title: str
    column_title: str
    rows: Sequence[str]
    columns: Sequence[str]
    entries: Mapping[tuple[str, str], Entry]


def heat_table(
    cells: Sequence[Cell], row_title: str, row_of: Callable[[Cell], str], column_title: str, column_of: Callable
) -> HeatTable:
    """Cells by what `row_of` and `column_of` say of them, pooled where several fall together; both in the order in
    which they first occur."""
    counts: dict[tuple[str, str], list[int]] = {}
    for cell in cells:
        place = counts.setdefault((row_of(cell), column_of(cell)), [0, 0])
        place[0] += cell.successes
        place[1] += cell.attempts
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*counts, strict=True)) if counts else ([], [])
    entries = {place: Entry(won / total, total) for place, (won, total) in counts.items()}
    return HeatTable(row_title, column_title, rows, columns, entries)


def ingredient_table(cells: Sequence[Cell]) -> HeatTable | None:
    """Arms without real labels: what is done to the pictures by what is done to the features, rows and columns with
    several entries alone. None unless two rows share two columns."""
    chosen = [cell for cell in once(cells) if SIMULATION in cell.ingredients and not cell.real_labels]
    chosen.sort(key=lambda cell: (len(cell.ingredients), sorted(cell.ingredients)))
    return _crossed(heat_table(chosen, "pictures", _pictures, "features", _features))


def simulation_table(cells: Sequence[Cell]) -> HeatTable | None:
    """Arms without real labels and with nothing done to their features: simulation's objects, and how its pictures are
    adapted, by what is randomized. None as `ingredient_table`."""
    chosen = [cell for cell in once(cells) if SIMULATION in cell.ingredients and not cell.real_labels]
    chosen = [cell for cell in chosen if _features(cell) == NOTHING]
    chosen.sort(key=lambda cell: (len(_adapted(cell)), RANDOMIZATION in cell.ingredients, _randomized(cell) != NOTHING))
    return _crossed(heat_table(chosen, "objects", _objects, "randomized", _randomized))


def _crossed(table: HeatTable) -> HeatTable | None:
    """The table without rows and columns of one entry; None unless two rows share two columns."""
    entries, before = dict(table.entries), -1
    while len(entries) != before:
        before = len(entries)
        for side in (0, 1):
            counts = Counter(place[side] for place in entries)
            entries = {place: entry for place, entry in entries.items() if counts[place[side]] > 1}
    rows, columns = (
        [name for name in names if name in {place[side] for place in entries}]
        for side, names in enumerate((table.rows, table.columns))
    )
    for row, other in combinations(rows, 2):
        if sum({(row, name), (other, name)} <= entries.keys() for name in columns) > 1:
            return HeatTable(table.row_title, table.column_title, rows, columns, entries)
    return None


def _pictures(cell: Cell) -> str:
    changed = {name for name in cell.ingredients if name != SIMULATION and not about_features(name)}
    return "+".join(sorted(changed)) or "plain"


def _features(cell: Cell) -> str:
    return "+".join(sorted(filter(about_features, cell.ingredients))) or NOTHING


def _objects(cell: Cell) -> str:
    objects = sorted(name for name in cell.ingredients if name.endswith(OBJECTS))
    return ", ".join([*(objects or ["simulation's own objects"]), *_adapted(cell)])


def _adapted(cell: Cell) -> list[str]:
    return sorted(name for name in cell.ingredients if not (about_simulation(name) or about_features(name)))


def _randomized(cell: Cell) -> str:
    kinds = sorted(name for name in cell.ingredients if name.endswith(RANDOMIZATION))
    return "+".join(kind.removesuffix(RANDOMIZATION).strip() or "looks and physics" for kind in kinds) or NOTHING


def heat_map(table: HeatTable) -> bytes:
    """Colour, success rate [%] and number of attempts of each cell; what was not measured is left white.

    A table wider than high is turned round, so that it fits a narrow page.
    """
    if len(table.columns) > max(4, len(table.rows)):
        flipped = {(column, row): entry for (row, column), entry in table.entries.items()}
        table = HeatTable(table.column_title, table.row_title, table.columns, table.rows, flipped)
    figure = Figure(figsize=(WIDTH, 1.2 + 0.48 * max(1, len(table.rows))), layout="constrained")
    axes = only_axes(figure)
    rates = [100 * entry.rate for entry in table.entries.values()]
    low, high = (min(rates), max(rates)) if rates else (0.0, 100.0)
    for (row, column), entry in table.entries.items():
        x, y = table.columns.index(column), table.rows.index(row)
        shade = (100 * entry.rate - low) / (high - low) if high > low else 0.5
        colour = colormaps[COLOURS](shade)
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=2))
        ink = INK if np.dot(colour[:3], (0.299, 0.587, 0.114)) > 0.5 else "white"
        axes.text(x, y - 0.1, f"{100 * entry.rate:.1f}", color=ink, ha="center", va="center", fontsize=FONT + 1)
        axes.text(x, y + 0.27, f"n = {entry.attempts:,}", color=ink, ha="center", va="center", fontsize=FONT - 2)
    axes.set_xlim(-0.5, max(1, len(table.columns)) - 0.5)
    axes.set_ylim(max(1, len(table.rows)) - 0.5, -0.5)
    room = max(9, 36 // max(1, len(table.columns)))
    axes.set_xticks(range(len(table.columns)), [wrapped(name, room) for name in table.columns])
    axes.set_yticks(range(len(table.rows)), [wrapped(name, 18) for name in table.rows])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(table.column_title)
    axes.set_ylabel(table.row_title)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_facecolor(FAINT if not table.entries else "white")
    return png_bytes(figure)
