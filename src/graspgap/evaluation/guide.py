"""Which method to use with the data one has, in sentences that are made from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graspgap.evaluation.findings import labels_worth, main_cells, rate_text, real_only_curve
from graspgap.evaluation.ingredients import about_simulation
from graspgap.evaluation.tables import Cell, Comparison, compare, in_points, leader, percent
from graspgap.worlds.standin_names import SIMULATORS

NOT_MEASURED = "Not measured here."
BARS, CURVE, COSTS = "Success rates", "Success against real labels", "What training costs"
"""Titles of what supports the advice."""


@dataclass(frozen=True)
class Cost:
    """Mean processor time of what makes one policy, besides its data [s]."""

    adapter: float
    """0 where there is none. Several policies may share an adapter."""
    policy: float

    @property
    def total(self) -> float:
        return self.adapter + self.policy


Costs = Mapping[tuple[str, float], Cost]
"""By arm and fraction of real labels."""


@dataclass(frozen=True)
class Advice:
    """What to do with some kind of data."""

    situation: str
    sentences: list[str]
    figure: str = ""
    """Title of the figure or table that supports it; empty: there is none."""


def guide(cells: Sequence[Cell], costs: Costs | None = None) -> list[Advice]:
    """Advice for four kinds of data, from the cells of the stand-in or of a real cell; empty where there are none.

    The best of several arms is chosen by the attempts that give its rate, so it leans to the high side; arms whose
    paired difference from the best holds 0 are named beside it.
    """
    chosen = [cell for cell in main_cells(cells) if cell.world not in SIMULATORS]
    trained = [cell for cell in chosen if cell.trained]
    if not trained:
        return []
    costs = costs or {}
    unlabelled = [cell for cell in trained if not cell.real_labels]
    blind = [cell for cell in unlabelled if _is_blind(cell)]
    looking = [cell for cell in unlabelled if not _is_blind(cell)]
    labels = sorted({cell.label_count for cell in trained if cell.label_count})
    few, many = labels[0] if len(labels) > 1 else None, labels[-1] if labels else None
    found = [Advice("No real pictures at all", *_best(blind, costs))]
    sentences, figure = _best(looking, costs)
    if looking and blind:
        sentences += _against(leader(looking), leader(blind), "which needs no real picture")
    found.append(Advice("Real pictures without labels", sentences, figure))
    found.append(_labelled("A few real labels", few, trained, costs))
    found.append(_labelled("Many real labels", many, trained, costs))
    return found


def _is_blind(cell: Cell) -> bool:
    """Whether an arm learns from no real picture: RCAN changes real pictures, but has learned from none."""
    return all(about_simulation(ingredient) or ingredient == "rcan" for ingredient in cell.ingredients)


def _labelled(situation: str, count: int | None, cells: Sequence[Cell], costs: Costs) -> Advice:
    """Advice for so many labels."""
    with_labels = [cell for cell in cells if cell.label_count and cell.label_count == count]
    sentences, figure = _best(with_labels, costs)
    if not with_labels:
        return Advice(situation, sentences)
    best = leader(with_labels)
    share = percent(best.real_labels)
    name = f"{situation} ({best.label_count:,}, {share} of those that there were)"
    unlabelled = [cell for cell in cells if not cell.real_labels]
    if unlabelled:
        top = leader(unlabelled)
        sentences += _against(best, top, "which needs no label")
        worth = labels_worth(top, cells)
        if worth and count == max(cell.label_count for cell in cells):
            sentences.append(f"{top.arm} grasps in {100 * top.rate.value:.1f}% without any. {worth}")
    if not any(cell.ingredients for cell in with_labels):
        sentences.append("Labels together with simulation were not tried.")
    curve = len({cell.label_count for cell in real_only_curve(cells)}) > 1
    return Advice(name, sentences, CURVE if curve else figure)


def _best(cells: Sequence[Cell], costs: Costs) -> tuple[list[str], str]:
    """The best cell, those that can't be told apart from it, and what they cost to train; and what shows it."""
    if not cells:
        return [NOT_MEASURED], ""
    best = leader(cells)
    sentences = [
        f"Take {best.arm}: it grasps in {rate_text(best.rate)} of its attempts, the best of {len(cells)} tried."
    ]
    if len(cells) == 1:
        sentences = [f"Only {best.arm} was tried: it grasps in {rate_text(best.rate)} of its attempts."]
    pairs = [(cell, compare(best, cell)) for cell in cells if cell is not best]
    level = [cell for cell, found in pairs if found is None or not found.clear]
    level.sort(key=lambda cell: -cell.rate.value)
    if level:
        names = _joined([f"{cell.arm} ({100 * cell.rate.value:.1f}%)" for cell in level])
        sentences.append(f"Not told apart from it by these attempts: {names}.")
    sentences.append(_cost_sentence([best, *level], costs))
    return sentences, BARS


def _against(cell: Cell, other: Cell, what: str) -> list[str]:
    """A paired comparison in sentences."""
    found = compare(cell, other)
    if found is None:
        return [f"It shares no attempts with {other.arm}, {what}."]
    points = _points(found)
    if not found.clear:
        return [f"No clear gain over {other.arm}, {what} ({points})."]
    if found.difference.value > 0:
        return [f"That is clearly more than {other.arm}, {what} ({points})."]
    return [f"That is clearly less than {other.arm}, {what} ({points}): take {other.arm} here, too."]


def _points(found: Comparison) -> str:
    points, ends = in_points(found.difference)
    return f"{points} points, 95% interval {ends}"


def _cost_sentence(cells: Sequence[Cell], costs: Costs) -> str:
    """What the first cell costs to train, and which of all costs least."""
    known = {cell.arm: costs[cell.arm, cell.real_labels] for cell in cells if (cell.arm, cell.real_labels) in costs}
    first = known.get(cells[0].arm)
    if first is None:
        return "Its training time was not measured."
    text = f"Training took {_minutes(first.total)}"
    if first.adapter:
        text += f", {_minutes(first.adapter)} of it for the adapter"
    cheapest = min(known, key=lambda arm: known[arm].total)
    if known[cheapest].total < 0.9 * first.total:
        text += f"; the quickest of these is {cheapest}, {_minutes(known[cheapest].total)}"
    return text + "."


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _joined(words: Sequence[str], most: int = 6) -> str:
    """Names in a row; of many, the first and the number of the others."""
    if len(words) > most:
        return ", ".join(words[:most]) + f" and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
