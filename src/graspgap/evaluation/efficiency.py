"""How many real labels an arm saves: those that real-only training needs to do as well, beside those that it used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graspgap.evaluation.findings import real_only_curve, two_digits
from graspgap.evaluation.results import sample
from graspgap.evaluation.statistics import CurvePoint, Interval, label_efficiency
from graspgap.evaluation.tables import Cell, markdown, percent


@dataclass(frozen=True)
class Efficiency:
    """What the labels of one arm are worth."""

    cell: Cell
    needed: Interval
    """Real labels that real-only training needs to reach the arm's rate. Equal to `fewest`: at most that many;
    infinite: more than `most`."""
    fewest: int
    """The smallest number of labels that real-only training was given."""
    most: int

    @property
    def times(self) -> Interval | None:
        """How many times fewer labels the arm used; None for an arm without labels."""
        used = self.cell.label_count
        return (
            Interval(*(end / used for end in (self.needed.value, self.needed.low, self.needed.high))) if used else None
        )


def efficiencies(cells: Sequence[Cell]) -> list[Efficiency]:
    """Of all arms with simulation, few labels first; empty without a real-only curve of two points."""
    curve = real_only_curve(cells)
    if len(curve) < 2:
        return []
    points = [CurvePoint(cell.label_count, sample(cell.results)) for cell in curve]
    found = [
        Efficiency(cell, label_efficiency(points, sample(cell.results)), points[0].labels, points[-1].labels)
        for cell in cells
        if cell.ingredients and cell.world == curve[0].world
    ]
    return sorted(found, key=lambda item: (item.cell.label_count, item.needed.value, item.cell.rate.value))


def count_text(count: float, item: Efficiency) -> str:
    """A number of labels, in words where it is out of the curve's range."""
    if math.isinf(count):
        return f"more than {item.most:,}"
    return f"at most {item.fewest:,}" if count <= item.fewest else two_digits(count)


def times_text(times: float, item: Efficiency) -> str:
    """A ratio of labels, in words where it is out of the curve's range."""
    used = item.cell.label_count
    if math.isinf(times):
        return f"over {two_digits(item.most / used)}"
    if times * used <= item.fewest:
        return f"at most {item.fewest / used:.2g}"
    return two_digits(times) if times >= 10 else f"{times:.2g}"


def efficiency_rows(cells: Sequence[Cell]) -> list[list[str]]:
    """A row for each arm with simulation, a header first; empty without a real-only curve."""
    header = ["arm", "real labels used", "real-only needs", "95% interval", "times fewer", "95% interval"]
    rows = [header]
    for item in efficiencies(cells):
        used = f"{item.cell.label_count} ({percent(item.cell.real_labels)})" if item.cell.label_count else "0"
        row = [item.cell.place, used, count_text(item.needed.value, item)]
        row.append(f"{count_text(item.needed.low, item)} to {count_text(item.needed.high, item)}")
        times = item.times
        if times is None:
            row += ["", ""]
        else:
            row += [times_text(times.value, item), f"{times_text(times.low, item)} to {times_text(times.high, item)}"]
        rows.append(row)
    return rows if len(rows) > 1 else []


def efficiency_markdown(cells: Sequence[Cell]) -> str:
    """`efficiency_rows` in Markdown."""
    header, *rows = efficiency_rows(cells)
    return markdown(header, "l" + "r" * (len(header) - 1), rows)
