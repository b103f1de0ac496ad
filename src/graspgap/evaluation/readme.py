"""Keep the tables of a Markdown file equal to the result files: `python -m graspgap.evaluation.readme README.md`.

A table stands between `<!-- results FOLDER -->` and `<!-- end -->`; the folder is relative to the Markdown file. The
rows of a benchmark stand after `<!-- benchmark FILE:column,column -->`. `selection FOLDER` is the study of the scores
in it. `curve FOLDER:PICTURE.png` draws success against real labels, to a picture beside the Markdown file; `objects
FOLDER:PICTURE.png` simulation's objects by randomization. `pairs FOLDER` has the pairs of arms that its study names.
`costs FOLDER` is what training took, by the `costs.csv` of the studies in it. `paper FOLDER` has a row for each of the
paper's findings, `claims FOLDER` for each claim in them. `orderings FOLDER,FOLDER` has the arms that two worlds share,
`arms FOLDER,FOLDER:ARM,ARM@SHARE` chosen ones, with a column for each folder. `targets FOLDER` has how far the targets
are met, `targets-again FOLDER,FOLDER` the same at a second look, where the intervals of both looks hold together.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from graspgap.errors import UserError
from graspgap.evaluation.efficiency import efficiency_markdown
from graspgap.evaluation.figures import save_png
from graspgap.evaluation.findings import headline, ingredient_comparisons, main_cells
from graspgap.evaluation.gap import gap_markdown
from graspgap.evaluation.orderings import orderings_markdown
from graspgap.evaluation.paper import claims_markdown, paper_markdown, targets_markdown
from graspgap.evaluation.power import power_note
from graspgap.evaluation.ranking import ranking_markdown, ranking_table, rankings, scored_studies
from graspgap.evaluation.report import ReportFigure, curve_figure, simulation_figure
from graspgap.evaluation.results import EvaluationResult, find_results
from graspgap.evaluation.study_file import RESOLVED, studies_below
from graspgap.evaluation.study_report import chosen_comparisons, compared_below
from graspgap.evaluation.tables import Cell, comparisons_markdown, markdown, pool, results_markdown
from graspgap.evaluation.training_costs import FILE_NAME as COSTS
from graspgap.evaluation.training_costs import costs_below, costs_markdown
from graspgap.evaluation.transfer import arms_markdown, transfer_markdown
from graspgap.files import read_json, write_text

SECOND_LOOK = 0.975
"""Confidence of each of two looks at one question, so that both together have 95% (Bonferroni)."""
Maker = Callable[[list[EvaluationResult]], str]
MAKERS: dict[str, Maker] = {
    "results": lambda results: results_markdown(pool(results)),
    "comparisons": lambda results: comparisons_markdown(ingredient_comparisons(results)),
    "headline": headline,
    "power": lambda results: power_note(main_cells(pool(results))),
    "efficiency": lambda results: efficiency_markdown(main_cells(pool(results))),
    "paper": lambda results: paper_markdown(main_cells(pool(results))),
    "claims": lambda results: claims_markdown(main_cells(pool(results))),
    "targets": lambda results: targets_markdown(main_cells(pool(results))),
    "targets-again": lambda results: targets_markdown(main_cells(pool(results)), SECOND_LOOK),
    "gap": lambda results: gap_markdown(pool(results)),
    "transfer": lambda results: transfer_markdown(pool(results)),
    "orderings": lambda results: orderings_markdown(pool(results)),
}
"""What is made of the results in a folder, or in several, joined by commas, by the name in the mark."""


def filled(text: str, base: Path) -> str:
    """The Markdown text with every marked table and figure made anew.

    Raises:
        UserError: if a folder holds no results, or a benchmark's file lacks a column.
    """

    _below.cache_clear()

    def fill(match: re.Match[str]) -> str:
        start, kind, words, end = match.groups()
        body = OTHERS[kind](base, words) if kind in OTHERS else MAKERS[kind](_results(base, words))
        return f"{start}{body.rstrip()}\n{end}"

    return re.sub(rf"(<!-- ({'|'.join([*MAKERS, *OTHERS])}) (\S+) -->\n).*?(<!-- end -->)", fill, text, flags=re.DOTALL)


def _results(base: Path, folders: str) -> list[EvaluationResult]:
    results = [result for name in folders.split(",") for result in _below(base / name)]
    if not results:
        raise UserError(f"{base / folders} holds no results.json, expected by a table of the Markdown file")
    return results


@cache
def _below(folder: Path) -> list[EvaluationResult]:
    """Several tables are made of one folder's results."""
    return find_results(folder)


def _figure(draw: Callable[[list[Cell]], ReportFigure | None]) -> Callable[[Path, str], str]:
    """Draw a figure of the cells of one world, and show it."""

    def show(base: Path, words: str) -> str:
        folders, _, picture = words.partition(":")
        found = draw(main_cells(pool(_results(base, folders))))
        if found is None:
            raise UserError(f"{base / folders} has no arms for {picture}, expected by a figure of the Markdown file")
        save_png(found.png, base / picture)
        return f"![{found.title}. {found.caption}]({picture})"

    return show


def _pairs(base: Path, folder: str) -> str:
    """The pairs that the study in the folder, or those of its seeds, name."""
    cells = main_cells(pool(_results(base, folder)))
    if not studies_below(base / folder):
        raise UserError(f"{base / folder} holds no {RESOLVED}, expected by a table of the Markdown file")
    return comparisons_markdown(chosen_comparisons(compared_below(base / folder), cells))


def _benchmark(base: Path, words: str) -> str:
    """The chosen columns of a benchmark's rows; blank where a row has none."""
    name, _, columns = words.partition(":")
    chosen = columns.split(",")
    rows = read_json(base / name, "a benchmark")["rows"]
    missing = sorted(set(chosen).difference(*rows))
    if missing:
        raise UserError(f"{base / name} has no column '{missing[0]}', expected by a table of the Markdown file")
    header = [column.replace("_", " ") for column in chosen]
    entries = [[_text(row.get(column)) for column in chosen] for row in rows]
    return markdown(header, "l" + "r" * (len(chosen) - 1), entries)


def _arms(base: Path, words: str) -> str:
    folders, _, names = words.partition(":")
    columns = [main_cells(pool(_results(base, folder))) for folder in folders.split(",")]
    return arms_markdown(columns, names.split(","))


def _selection(base: Path, folder: str) -> str:
    studies = scored_studies(base / folder)
    if not studies:
        raise UserError(
            f"{base / folder} holds no policy with both scores and trials: run 'graspgap score' and 'evaluate'"
        )
    return ranking_markdown(ranking_table(rankings(*studies)))


def _costs(base: Path, folder: str) -> str:
    costs = costs_below(base / folder)
    if not costs:
        raise UserError(f"{base / folder} holds no {COSTS}, expected by a table of the Markdown file")
    return costs_markdown(costs)


def _text(value: object) -> str:
    return "" if value is None else str(value)


OTHERS: dict[str, Callable[[Path, str], str]] = {
    "selection": _selection,
    "benchmark": _benchmark,
    "curve": _figure(curve_figure),
    "objects": _figure(simulation_figure),
    "pairs": _pairs,
    "arms": _arms,
    "costs": _costs,
}
"""What is made of other words than folders of results."""


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        write_text(path, filled(path.read_text(encoding="utf-8"), path.parent))
