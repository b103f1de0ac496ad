"""What the numbers say, in plain sentences that are made from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

from graspgap.evaluation.ingredients import SIMULATION
from graspgap.evaluation.results import EvaluationResult, sample
from graspgap.evaluation.statistics import CurvePoint, Interval, label_efficiency
from graspgap.evaluation.tables import (
    Cell,
    Comparison,
    best_by_the_others,
    compare,
    in_points,
    leader,
    once,
    p_text,
    percent,
    pool,
)
from graspgap.worlds.standin_names import STANDIN, is_standin

SIMULATION_ALONE = frozenset({SIMULATION})


def headline(results: Sequence[EvaluationResult]) -> str:
    """The main number in one sentence: the best arm without real labels, and what it is worth in real labels.

    The best arm is chosen by the same attempts that give its rate, so the number leans to the high side when many arms
    come close; with several seeds a sentence tells what arms that the other seeds choose reach.
    """
    pooled = pool(results)
    cells = main_cells(pooled)
    if not cells:
        return "No evaluation has finished yet."
    worlds, trained = {cell.world for cell in pooled}, [cell for cell in pooled if cell.trained]
    if len(cells) < len(pooled) and not is_standin(cells[0].world) and all(_home(cell) in worlds for cell in trained):
        return across_worlds(pooled)
    unlabelled = [cell for cell in cells if cell.label_free]
    top = leader(unlabelled or cells)
    with_what = "no real label" if unlabelled else f"{percent(top.real_labels)} of the real labels"
    text = f"With {with_what}, {top.arm} grasps in {rate_text(top.rate)} of its attempts"
    worth = labels_worth(top, cells) if unlabelled else None
    base = next((cell for cell in unlabelled if cell.ingredients == SIMULATION_ALONE), None)
    if base is not None and base is not top:
        text += f"; simulation alone in {100 * base.rate.value:.1f}%"
    text += f". {worth}" if worth else "."
    blind = best_by_the_others(unlabelled)
    if blind is not None and blind.arm != top.arm:
        text += f" Chosen for each seed by the others' attempts, {blind.arm} in {rate_text(blind.rate)}."
    return text


def _home(cell: Cell) -> str:
    """The world where an arm was trained, as its name tells: that of `from sim-both` is `sim`."""
    return cell.arm.removeprefix("from ").split("-")[0]


def across_worlds(cells: Sequence[Cell]) -> str:
    """What the best policy of each world loses in another one, in a sentence each.

    As in `headline`, the best is chosen by the attempts that give its rate.
    """
    sentences = []
    for home in sorted({cell.world for cell in cells}, reverse=True):
        own = [cell for cell in cells if cell.world == home == _home(cell) and cell.trained]
        if not own:
            continue
        top = leader(own)
        others = [cell for cell in cells if cell.arm == top.arm and cell.world != home]
        there = [f"{rate_text(top.rate)} of its attempts there"]
        there += [f"{rate_text(cell.rate)} in {cell.world}" for cell in others]
        sentences.append(f"The best policy trained in {home} grasps in {', '.join(there)}.")
    return " ".join(sentences)


def main_cells(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of the world that the headline is about: the stand-in reality, else the world with most cells."""
    worlds = [cell.world for cell in cells]
    main = STANDIN if STANDIN in worlds else max(worlds, key=worlds.count, default="")
    return [cell for cell in cells if cell.world == main]


def labels_worth(cell: Cell, cells: Sequence[Cell]) -> str | None:
    """How many real labels real-only training needs to do as well as `cell`; None without a real-only curve."""
    curve = real_only_curve(cells)
    if len(curve) < 2 or cell in curve:
        return None
    points = [CurvePoint(point.label_count, sample(point.results)) for point in curve]
    found = label_efficiency(points, sample(cell.results))
    fewest, most = points[0].labels, points[-1].labels

    def text(labels: float, prefix: str = "") -> str:
        if labels <= fewest:
            return f"at most {fewest:,}"
        return f"more than {most:,}" if math.isinf(labels) else prefix + two_digits(labels)

    ends = text(found.low), text(found.high)
    inside = fewest < found.value < math.inf
    around = f" (95% interval: {' to '.join(ends)})" if inside or ends[0] != ends[1] else ""
    return f"Real-only training needs {text(found.value, 'about ')} labelled attempts for that{around}."


def real_only_curve(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that were trained on labelled real attempts and nothing else, few labels first."""
    chosen = [cell for cell in cells if not cell.ingredients and cell.label_count > 0]
    return sorted(chosen, key=lambda cell: cell.label_count)


def ingredient_pairs(cells: Sequence[Cell]) -> list[tuple[str, Cell, Cell]]:
    """(what is added, with it, without it) for pairs of cells of equal real labels and world.

    They are the pairs that differ in one ingredient, and those that add several at once to a baseline: to simulation
    alone, or to as many real labels alone.
    """
    pairs = []
    for with_it, without in permutations(cells, 2):
        added = sorted(with_it.ingredients - without.ingredients)
        same = (with_it.real_labels, with_it.world) == (without.real_labels, without.world)
        baseline = without.ingredients == SIMULATION_ALONE or (not without.ingredients and without.real_labels)
        if same and without.ingredients < with_it.ingredients and (len(added) == 1 or baseline):
            pairs.append((added, with_it, without))
    pairs.sort(key=lambda pair: (len(pair[0]), pair[0], pair[1].real_labels, pair[2].name, pair[1].name))
    return [(joined(added), with_it, without) for added, with_it, without in pairs]


def joined(ingredients: Sequence[str]) -> str:
    """The ingredients in words."""
    return ingredients[0] if len(ingredients) == 1 else " and ".join(ingredients) + " together"


def ingredient_comparisons(results: Sequence[EvaluationResult]) -> list[Comparison]:
    """Comparison of every pair of arms that differ in one ingredient and share attempts."""
    found = [compare(with_it, without) for _, with_it, without in ingredient_pairs(once(pool(results)))]
    return [item for item in found if item is not None]


def ingredient_findings(results: Sequence[EvaluationResult]) -> list[str]:
    """One sentence for each pair of arms that differ in one ingredient, then one on what to make of their number."""
    sentences, compared = [], 0
    for ingredient, with_it, without in ingredient_pairs(once(pool(results))):
        comparison = compare(with_it, without)
        if comparison is None:
            sentences.append(f"{ingredient}: {with_it.name} and {without.name} share no attempts, so nothing is said.")
            continue
        compared += 1
        sentences.append(f"{ingredient}: {comparison_sentence(comparison)}")
    if compared > 1:
        sentences.append(
            f"Of {compared} comparisons at 95% each, about {compared / 20:.1f} would look clear "
            "even if no ingredient did anything."
        )
    return sentences


def comparison_sentence(comparison: Comparison) -> str:
    """What a paired comparison shows."""
    difference = comparison.difference
    points, ends = in_points(difference)
    rates = f"{100 * comparison.first_rate:.1f}% against {100 * comparison.second_rate:.1f}% for {comparison.second}"
    facts = f"{rates}, {comparison.attempts} paired attempts, p {p_equals(comparison.p)}"
    if not comparison.clear:
        return f"no clear difference ({points} points, 95% interval {ends}): {comparison.first} reaches {facts}."
    verb = "adds" if difference.value > 0 else "costs"
    return f"{verb} {abs(100 * difference.value):.1f} points (95% interval {ends}): {comparison.first} reaches {facts}."


def two_digits(count: float) -> str:
    """A count that is known roughly: 1357 as "1,400"."""
    return f"{float(f'{count:.2g}'):,.0f}"


def rate_text(rate: Interval) -> str:
    """A rate with its interval, in percent."""
    return f"{100 * rate.value:.1f}% (95% interval {100 * rate.low:.1f} to {100 * rate.high:.1f})"


def p_equals(p: float) -> str:
    """A p value with its sign of comparison."""
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"
