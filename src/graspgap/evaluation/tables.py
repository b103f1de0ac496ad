"""Tables made from results: the CSV of all evaluations, rates pooled over training seeds, paired comparisons."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graspgap.errors import UserError
from graspgap.evaluation.ingredients import completed
from graspgap.evaluation.results import EvaluationResult, attempts_by_key, sample
from graspgap.evaluation.statistics import (
    Difference,
    Interval,
    holm,
    mcnemar_test,
    rate_difference,
    rate_interval,
    seed_spread,
)
from graspgap.files import write_text
from graspgap.worlds.standin_names import STANDIN

COLUMNS = ("arm", "real_labels", "seed", "attempts", "successes", "rate", "low95", "high95")
"""Columns of `table.csv`: one row for each evaluation, with its Wilson interval."""


def csv_text(results: Sequence[EvaluationResult]) -> str:
    """`table.csv` of the results, one row each, in the order of arm, real labels and training seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in sorted(results, key=lambda item: (item.real_labels, item.arm, item.seed, item.evaluation_seed)):
        rate = result.interval
        numbers = [f"{value:.4f}" for value in (rate.value, rate.low, rate.high)]
        labels = f"{result.real_labels:g}"
        writer.writerow(
            [_place(result.arm, result.world), labels, result.seed, result.attempts, result.successes, *numbers]
        )
    return out.getvalue()


def write_csv(results: Sequence[EvaluationResult], path: Path) -> None:
    """Write `table.csv` atomically."""
    write_text(path, csv_text(results))


@dataclass(frozen=True)
class Cell:
    """All results of one arm at one number of real labels in one world, pooled over training seeds."""

    arm: str
    world: str
    real_labels: float
    """Fraction of the real labels, 0 to 1."""
    label_count: int
    ingredients: frozenset[str]
    results: list[EvaluationResult]
    rate: Interval
    """Pooled success rate; its interval holds the doubt about scenes and training seeds."""

    @property
    def recipe(self) -> str:
        """The arm with its real labels, wherever it was tried."""
        return f"{self.arm}, {percent(self.real_labels)} real labels" if self.real_labels else self.arm

    @property
    def name(self) -> str:
        """The arm with its real labels, as it is called in sentences and figures."""
        return _place(self.recipe, self.world)

    @property
    def place(self) -> str:
        """The arm as it is called in tables, which have a column for its real labels."""
        return _place(self.arm, self.world)

    @property
    def trained(self) -> bool:
        """Whether the arm learned from anything; random commands didn't."""
        return bool(self.ingredients or self.real_labels)

    @property
    def label_free(self) -> bool:
        """Whether the arm learned, and from no real label."""
        return self.trained and not self.real_labels

    @property
    def attempts(self) -> int:
        return sum(result.attempts for result in self.results)

    @property
    def successes(self) -> int:
        return sum(result.successes for result in self.results)

    @property
    def seeds(self) -> list[int]:
        """Training seeds."""
        return sorted({result.seed for result in self.results})

    @property
    def spread(self) -> float:
        """Standard deviation of the rate between training seeds, see `seed_spread`; NaN for one seed."""
        return seed_spread(sample(self.results))


def pool(results: Sequence[EvaluationResult]) -> list[Cell]:
    """Results grouped by arm, real labels and world; few labels first, then by success rate.

    Raises:
        UserError: if two results hold the same attempt.
    """
    groups: dict[tuple[str, float, str], list[EvaluationResult]] = {}
    for result in results:
        if result.attempts:
            groups.setdefault((result.arm, result.real_labels, result.world), []).append(result)
    cells = [_cell(arm, group) for (arm, _, _), group in groups.items()]
    return sorted(cells, key=lambda cell: (cell.real_labels, cell.rate.value, cell.arm))


def once(cells: Sequence[Cell]) -> list[Cell]:
    """The cells without those whose attempts, with what was predicted, are all another's: arms that came to one policy,
    as `adabn` and `dbn` do where nothing learns from real pictures, are one result. The last of them is kept."""
    kept: dict[Any, Cell] = {}
    for cell in cells:
        attempts = [
            (result.seed, result.evaluation_seed, record.attempt, record.success, record.predicted)
            for result in cell.results
            for record in result.records
        ]
        predicted = all(record.predicted is not None for result in cell.results for record in result.records)
        kept[(cell.world, cell.real_labels, *sorted(attempts)) if predicted else cell.name] = cell
    return list(kept.values())


def _cell(arm: str, group: list[EvaluationResult]) -> Cell:
    """Results of one number of real labels in one world as a cell; the first one's ingredients stand for all."""
    return Cell(
        arm=arm,
        world=group[0].world,
        real_labels=group[0].real_labels,
        label_count=max(item.real_label_count for item in group),
        ingredients=completed(group[0].ingredients),
        results=group,
        rate=rate_interval(sample(group)),
    )


def leader(cells: Sequence[Cell]) -> Cell:
    """The cell with the highest rate. As its own attempts choose it, its rate leans to the high side."""
    return max(cells, key=lambda cell: cell.rate.value)


def best_by_the_others(cells: Sequence[Cell]) -> Cell | None:
    """The best of cells of one number of real labels, chosen for each evaluation seed by the attempts of the others.

    The best of many arms is partly the luckiest, so the attempts that choose it overrate it; these never judge what
    they chose. For each evaluation seed the arm with the highest rate on other evaluation seeds, of other training
    seeds, is taken (an earlier cell where two are equal), and what it did with this one is its share of the new cell,
    whose name holds every arm that was chosen, the most often chosen first.

    None unless every evaluation seed can be chosen for: then there are at least two.
    """
    chosen: dict[str, list[EvaluationResult]] = {}
    for evaluation_seed in sorted({result.evaluation_seed for cell in cells for result in cell.results}):
        own = {cell.arm: [each for each in cell.results if each.evaluation_seed == evaluation_seed] for cell in cells}
        seeds = {each.seed for group in own.values() for each in group}
        # No policy that met this evaluation seed has a say, so nothing of it has.
        others = {cell.arm: [each for each in cell.results if each.seed not in seeds] for cell in cells}
        rates = {arm: sample(group).rate for arm, group in others.items() if group and own[arm]}
        if not rates:
            return None
        chosen_arm = max(rates, key=lambda arm: rates[arm])
        chosen.setdefault(chosen_arm, []).extend(own[chosen_arm])
    if not chosen:
        return None
    names = sorted(chosen, key=lambda arm: -len(chosen[arm]))
    return _cell(" or ".join(names), [each for name in names for each in chosen[name]])


def named_place(name: str) -> tuple[str, float]:
    """The arm and its share of the real labels of `arm`, or of `arm@share`.

    Raises:
        UserError: if the share is no number.
    """
    arm, _, share = name.partition("@")
    try:
        return arm, float(share or 0)
    except ValueError:
        raise UserError(f"'{name}' names no share of the real labels: write {arm}@0.02 for 2%") from None


def results_markdown(cells: Sequence[Cell]) -> str:
    """Success rates as a Markdown table; with the spread between training seeds where there are several."""
    several = any(len(cell.seeds) > 1 for cell in cells)
    rows = []
    for cell in cells:
        row = [
            cell.place,
            f"{cell.label_count} ({percent(cell.real_labels)})" if cell.real_labels else "0",
            str(len(cell.seeds)),
            f"{cell.successes}/{cell.attempts}",
            f"{100 * cell.rate.value:.1f}%",
            f"{100 * cell.rate.low:.1f} to {100 * cell.rate.high:.1f}",
        ]
        rows.append([*row, spread_text(cell)] if several else row)
    header = ["arm", "real labels", "training seeds", "successes", "success", "95% interval"]
    header += ["between seeds"] if several else []
    return markdown(header, "l" + "r" * (len(header) - 1), rows)


def spread_text(cell: Cell) -> str:
    """The spread between training seeds in points, empty where it isn't known."""
    spread = cell.spread
    return "" if math.isnan(spread) else f"± {100 * spread:.1f}"


@dataclass(frozen=True)
class Comparison:
    """Two cells on the attempts they share."""

    first: str
    second: str
    attempts: int
    first_rate: float
    """Success rate on the shared attempts, which may differ from the whole cell's."""
    second_rate: float
    difference: Difference
    """First minus second, with its scene bootstrap interval."""
    mcnemar: float
    """P of the exact McNemar test, which takes attempts as independent."""
    corrected: float = math.nan
    """`p`, corrected for the number of comparisons (Holm); NaN where it stands alone."""

    @property
    def p(self) -> float:
        """The larger of McNemar's and that by scenes and training seeds, which has no meaning where all of one arm's
        attempts end alike."""
        return max(self.mcnemar, self.difference.p)

    @property
    def clear(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return not self.difference.holds(0.0)


def _objects(cell: Cell) -> set[str]:
    """Object sets that it was tried with; "" is the world's own, and where nothing is recorded."""
    worlds = [result.config.get("evaluation", {}).get("world", {}) for result in cell.results]
    return {str(world.get("objects", "")) for world in worlds}


def compare(first: Cell, second: Cell, confidence: float = 0.95) -> Comparison | None:
    """Compare two cells on the attempts of equal training seed, evaluation seed, number and scene; `confidence` is that
    of the difference's interval.

    None if they share no attempts, or were evaluated in different worlds or with different objects.
    """
    if first.world != second.world or _objects(first) != _objects(second):
        return None
    ours, others = attempts_by_key(first.results), attempts_by_key(second.results)
    shared = [key for key, record in ours.items() if key in others and others[key].scene == record.scene]
    if not shared:
        return None
    one, other = sample(first.results, shared), sample(second.results, shared)
    test = mcnemar_test(one.outcomes, other.outcomes)
    difference = rate_difference(one, other, confidence)
    return Comparison(first.name, second.name, len(shared), one.rate, other.rate, difference, test.p)


def distinct(comparisons: Sequence[Comparison], chosen: Sequence[Comparison]) -> list[Comparison]:
    """Both lists as one, each pair once, as `chosen` has it where both do."""
    pairs = {frozenset((item.first, item.second)) for item in chosen}
    return [*(item for item in comparisons if frozenset((item.first, item.second)) not in pairs), *chosen]


def together(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons as one family: p values corrected for their number."""
    values = holm([item.p for item in comparisons])
    return [replace(item, corrected=value) for item, value in zip(comparisons, values, strict=True)]


def in_points(difference: Interval) -> tuple[str, str]:
    """A difference of success rates in points with its sign, such as `+4.7`, and its interval, `-5.0 to +15.8`."""
    value, low, high = (f"{100 * each:+.1f}" for each in (difference.value, difference.low, difference.high))
    return value, f"{low} to {high}"


def comparisons_markdown(comparisons: Sequence[Comparison]) -> str:
    """Paired differences as a Markdown table, p values corrected for their number beside them."""
    rows = [
        [
            f"{item.first} against {item.second}",
            *in_points(item.difference),
            p_text(item.mcnemar),
            p_text(item.p),
            p_text(item.corrected),
            str(item.attempts),
        ]
        for item in together(comparisons)
    ]
    header = ["pair", "difference (points)", "95% interval", "McNemar p", "p", "corrected p", "attempts"]
    return markdown(header, "lrrrrrr", rows)


def _place(name: str, world: str) -> str:
    """The name, with the world where it was evaluated unless that is the stand-in reality."""
    return name if world == STANDIN else f"{name} in {world}"


def percent(fraction: float) -> str:
    """0.02 as "2%", 0.005 as "0.5%"."""
    return f"{100 * fraction:.3g}%"


def p_text(p: float) -> str:
    """A p value to three digits, "< 0.001" below."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown(header: Sequence[str], align: str, rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; `align` holds l or r for each column. Lines of a cell are joined, since a row is one line."""
    rule = ["---" if side == "l" else "---:" for side in align]
    lines = [header, rule, *[[" ".join(cell.replace("|", "\\|").splitlines()) for cell in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
