"""How many attempts it takes to tell two policies apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from graspgap.evaluation.findings import two_digits
from graspgap.evaluation.results import EvaluationResult, attempts_by_key, sample
from graspgap.evaluation.statistics import bootstrap_rates
from graspgap.evaluation.tables import Cell

LEVEL, POWER = 0.05, 0.8
POINTS = 0.05
"""The difference that the note is about."""
RESAMPLES = 500


def attempts_to_tell(difference: float, disagreement: float, effect: float = 1.0) -> float:
    """Paired attempts of each of two policies at which McNemar's test finds a difference of success rates at the 5%
    level four times out of five (Connor 1987).

    Args:
        difference: of the two rates, above 0.
        disagreement: share of attempts that one policy solves and the other doesn't, at least the difference.
        effect: how many times more attempts are needed because those of a scene resemble one another, at least 1.

    Raises:
        ValueError: unless 0 < difference <= disagreement <= 1.
    """
    if not 0 < difference <= disagreement <= 1:
        raise ValueError(f"difference {difference} and disagreement {disagreement}")
    level, power = stats.norm.ppf(1 - LEVEL / 2), stats.norm.ppf(POWER)
    root = level * math.sqrt(disagreement) + power * math.sqrt(disagreement - difference**2)
    return float(effect * (root / difference) ** 2)


def difference_told(attempts: float, disagreement: float, effect: float = 1.0) -> float:
    """The difference of rates that so many attempts tell, as `attempts_to_tell`; the disagreement if none."""
    if attempts_to_tell(disagreement, disagreement, effect) > attempts:
        return disagreement
    return float(
        optimize.brentq(
            lambda x: attempts_to_tell(x, disagreement, effect) - attempts, 1e-4 * disagreement, disagreement
        )
    )


@dataclass(frozen=True)
class Design:
    """What the results say about the paired attempts of two arms, as the median over the pairs of arms."""

    attempts: int
    disagreement: float
    effect: float
    """Variance of the difference by the scene bootstrap, over that of independent attempts; at least 1."""


def measured_design(cells: Sequence[Cell]) -> Design | None:
    """Of the arms that make up a study, each with the next one, training seeds apart; None where nothing is paired."""
    found: list[tuple[int, float, float]] = []
    for first, second in itertools.pairwise(cells):
        for seed in sorted(set(first.seeds) & set(second.seeds)):
            pair = _design(_of_seed(first, seed), _of_seed(second, seed))
            if first.world == second.world and pair:
                found.append(pair)
    if not found:
        return None
    attempts, disagreement, effect = (float(np.median(values)) for values in zip(*found, strict=True))
    return Design(round(attempts), disagreement, max(1.0, effect))


def _of_seed(cell: Cell, seed: int) -> list[EvaluationResult]:
    return [result for result in cell.results if result.seed == seed]


def _design(first: Sequence[EvaluationResult], second: Sequence[EvaluationResult]) -> tuple[int, float, float] | None:
    others = attempts_by_key(second)
    shared = [key for key in attempts_by_key(first) if key in others]
    one, other = sample(first, shared), sample(second, shared)
    if len(np.unique(one.scenes)) < 2:
        return None
    disagreement = float((one.outcomes != other.outcomes).mean())
    variance = (disagreement - (one.rate - other.rate) ** 2) / len(shared)
    if variance <= 0:
        return None
    rates = bootstrap_rates([one, other], RESAMPLES, seed=0)
    return len(shared), disagreement, float(np.var(rates[:, 0] - rates[:, 1])) / variance


def power_note(cells: Sequence[Cell]) -> str:
    """In two sentences, what the attempts of one training seed can tell; empty where nothing is paired."""
    design = measured_design(cells)
    if design is None or design.disagreement < POINTS:
        return ""
    needed = attempts_to_tell(POINTS, design.disagreement, design.effect)
    told = difference_told(design.attempts, design.disagreement, design.effect)
    told_text = f"{design.attempts} tell {100 * told:.0f} points apart"
    return (
        f"Of two arms, one alone succeeds in {100 * design.disagreement:.0f}% of the attempts, and attempts of a scene "
        f"resemble one another so that {design.effect:.1f} times as many are needed as if they didn't (medians over "
        f"arms next to each other in rank). To tell {100 * POINTS:.0f} points apart at the 5% level four times out of "
        f"five takes about {two_digits(needed)} attempts per arm; {told_text}, and what differs between "
        f"training seeds comes on top."
    )
