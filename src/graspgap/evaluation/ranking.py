"""Do the scores that need no real label follow true success? A study of them over the arms of a study.

A score is of use if runs that it prefers succeed more often (Spearman's rank correlation), and if the run that it
prefers most is a good one (regret: the best run's success less its own). True success is measured by the test objects
that no score may see, in the stand-in; it is known to a few points itself, which bounds what any score can reach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from graspgap.evaluation.figures import Scatter
from graspgap.evaluation.results import FILE_NAME, load
from graspgap.evaluation.statistics import Interval, rank_correlation
from graspgap.evaluation.study_file import MOST_SEEDS, studies_below
from graspgap.evaluation.tables import markdown
from graspgap.selection.record import RunScores, find_scores, goodness, words
from graspgap.selection.table import KINDS

CHANCE = "(at random)"
"""In place of a score: the regret of picking any run, on average."""


@dataclass(frozen=True)
class ScoredRun:
    """A run with what became of it."""

    run: RunScores
    rate: float
    """True success rate: the policy's own; for an adapter, that of the policy that was trained with it, without
    feature-level methods, on the simulation that it was trained on (the mean, where there are several)."""


@dataclass(frozen=True)
class Ranking:
    """How well one score ranks the runs of one kind."""

    kind: str
    score: str
    runs: int
    correlation: Interval
    """Of goodness (the score with the sign that makes higher better) with success; the interval is over runs."""
    regret: float
    """The best run's success rate less that of the run that the score prefers; of several, their mean."""
    pick: str
    """The preferred run; of several studies, that of each."""


def scored_runs(folder: Path) -> list[ScoredRun]:
    """Every scored run below `folder` that was tried, with its success rate. A trial belongs to the policy whose folder
    has its name. Policies that learned from real labels are left out, and of several with the same weights all but
    one."""
    runs = find_scores(folder)
    rates = {path.parent.name: load(path).interval.value for path in sorted(folder.rglob(FILE_NAME))}
    policies = [run for run in runs if run.kind == "policy" and run.name in rates and not run.real_labels]
    policies = list({run.sha256: run for run in policies}.values())
    found = [ScoredRun(run, rates[run.name]) for run in policies]
    alone: dict[tuple[str, str], list[float]] = {}
    for run in policies:
        if not run.features:
            alone.setdefault((run.adapter, run.sim), []).append(rates[run.name])
    for run in runs:
        if run.kind == "adapter" and (run.name, run.sim) in alone:
            found.append(ScoredRun(run, float(np.mean(alone[run.name, run.sim]))))
    return found


def rankings(*studies: Sequence[ScoredRun]) -> list[Ranking]:
    """One for each score that at least two runs have, adapters first, best correlation first; then chance.

    Of several studies, the seeds of one: means over them, of the recipes that each has a run of. Scores are compared
    within a study, as each has a judge of its own.
    """
    found = []
    for kind, table in KINDS.items():
        own = [_by_recipe([each for each in runs if each.run.kind == kind], len(studies)) for runs in studies]
        recipes = [recipe for recipe in own[0] if all(recipe in runs for runs in own)]
        if len(recipes) < 2:
            continue
        rates = np.array([[runs[recipe].rate for recipe in recipes] for runs in own])
        best = rates.max(axis=1)
        of_kind = []
        for name, score in table.items():
            good = np.array([[goodness(runs[recipe].run, name, score) for recipe in recipes] for runs in own])
            known = np.isfinite(good).all(axis=0)
            if known.sum() < 2:
                continue
            top = [np.flatnonzero(row == row.max()) for row in good]
            regret = float(np.mean(best - [row[places].mean() for row, places in zip(rates, top, strict=True)]))
            correlation = rank_correlation(good[:, known], rates[:, known])
            picks = ", ".join(dict.fromkeys(recipes[places[0]][0] for places in top))
            of_kind.append(Ranking(kind, name, int(known.sum()), correlation, regret, picks))
        of_kind.sort(key=lambda each: math.inf if math.isnan(each.correlation.value) else -each.correlation.value)
        chance = Interval(0.0, -1.0, 1.0)
        found += [*of_kind, Ranking(kind, CHANCE, len(recipes), chance, float(np.mean(best - rates.mean(axis=1))), "")]
    return found


def _by_recipe(runs: Sequence[ScoredRun], studies: int) -> dict[tuple[str, int], ScoredRun]:
    """The runs by their names (of several studies, without the study's seed) and how many before have the same: no
    adapter at all is scored on each simulated dataset."""
    found: dict[tuple[str, int], ScoredRun] = {}
    for each in runs:
        name = each.run.name
        base, seed, number = name.rpartition("-seed")
        if studies > 1 and seed and number.isdigit():
            policy = int(number) % MOST_SEEDS
            name = f"{base}-seed{policy}" if policy else base
        found[name, sum(name == other for other, _ in found)] = each
    return found


def scored_studies(folder: Path) -> list[list[ScoredRun]]:
    """`scored_runs` of the study in `folder`, or of those of several seeds below it, as far as they have any."""
    return [runs for runs in map(scored_runs, studies_below(folder) or [folder]) if runs]


def ranking_table(found: Sequence[Ranking]) -> list[list[str]]:
    """`rankings` in words, a header row first."""
    header = ["score", "ranks", "runs", "Spearman", "95% interval", "regret (points)", "picks"]
    return [header, *map(_row, found)]


def ranking_markdown(table: Sequence[list[str]]) -> str:
    """`ranking_table` in Markdown."""
    header, *rows = table
    return markdown(header, "llrrrrl", rows)


def _row(ranking: Ranking) -> list[str]:
    correlation, regret = ranking.correlation, f"{100 * ranking.regret:.1f}"
    kind = {"adapter": "adapters", "policy": "policies"}[ranking.kind]
    if ranking.score == CHANCE:
        return [CHANCE, kind, str(ranking.runs), "", "", regret, ""]
    value = "" if math.isnan(correlation.value) else f"{correlation.value:+.2f}"
    ends = f"{correlation.low:+.2f} to {correlation.high:+.2f}"
    return [words(ranking.score), kind, str(ranking.runs), value, ends, regret, ranking.pick]


def scatters(runs: Sequence[ScoredRun], ranked: Sequence[Ranking]) -> dict[str, list[Scatter]]:
    """Panels for `figures.score_scatter` by what was scored, in the order of the runs' `rankings`."""
    found: dict[str, list[Scatter]] = {}
    for ranking in ranked:
        if ranking.score == CHANCE:
            continue
        score = KINDS[ranking.kind][ranking.score]
        own = [each for each in runs if each.run.kind == ranking.kind]
        values = np.array([math.nan if (v := each.run.values.get(ranking.score)) is None else v for each in own])
        rates: Float[np.ndarray, " n"] = np.array([each.rate for each in own])
        known = ~np.isnan(values)
        title = f"{words(ranking.score)} ({'+' if score.higher else '-'})"
        found.setdefault(ranking.kind, []).append(Scatter(title, values[known], rates[known]))
    return found
