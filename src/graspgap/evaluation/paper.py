"""The findings of Bousmalis et al. 2017, as claims about arms of the studies `bench` and `ablations`, with verdicts.

A claim is judged by the interval of the paired difference of success rates, so that it holds or fails only where the
attempts tell; a finding is reproduced if all of its claims hold, and not if one of them fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from graspgap.evaluation.ingredients import SIMULATION
from graspgap.evaluation.results import sample
from graspgap.evaluation.statistics import Interval, bootstrap_interval
from graspgap.evaluation.tables import Cell, best_by_the_others, compare, in_points, leader, markdown, percent

MARGIN = 0.05
"""Smaller differences count as none: the paper's cells of 612 attempts don't tell less apart."""
REPRODUCED, NOT, INCONCLUSIVE, MISSING = "reproduced", "not reproduced", "inconclusive", "not measured"
SHORT = {REPRODUCED: "yes", NOT: "no", INCONCLUSIVE: "open"}
"""Whether a claim holds."""
MANY = 6
"""More claims of one finding than these are counted, not listed, in a row."""

Place = tuple[str, float]
"""An arm and its share of the real labels."""


@dataclass(frozen=True)
class Claim:
    """What is said of two arms: the first is `ahead` of the second, `as good` as it, or `alike`."""

    kind: str
    first: Place
    second: Place
    optional: bool = False
    """Left out where it was not measured."""

    def judged(self, difference: Interval) -> str:
        """Whether it holds, from the difference of first and second with its 95% interval."""
        low, high = difference.low, difference.high
        if self.kind == "ahead":
            return REPRODUCED if low > 0 else NOT if high < 0 else INCONCLUSIVE
        if self.kind == "as good":
            return REPRODUCED if low > -MARGIN else NOT if high < -MARGIN else INCONCLUSIVE
        alike = low > -MARGIN and high < MARGIN
        return REPRODUCED if alike else NOT if low > MARGIN or high < -MARGIN else INCONCLUSIVE


@dataclass(frozen=True)
class Finding:
    """One of the paper's, in our words."""

    number: int
    words: str
    claims: tuple[Claim, ...]


def _ahead(first: Place, second: Place) -> Claim:
    return Claim("ahead", first, second)


WITH_DANN = "graspgan+dann"
"""The paper's method has DANN and batch statistics per domain beside GraspGAN; `graspgan` is the pixels' part alone."""
FEW = (0.01, 0.02, 0.1, 0.5, 1.0)
ALL = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MAIN = ("sim", "randomized+dbn", "graspgan")
"""Simulation as it is, randomized, and made real by GraspGAN: the mixes that finding 3 can't do without."""
MIXES = {
    "sim": FEW,
    "randomized+dbn": FEW,
    "dann": (0.02, 0.1),
    "pixelda": (0.02,),
    "graspgan": ALL,
    WITH_DANN: (0.02, 0.1),
    "randomized-graspgan+consistency": ALL,
    "identified-graspgan+consistency": (0.01, 0.02),
}
"""Simulation mixed with real labels: all that `bench` has, by arm and share."""
FINDINGS = (
    Finding(
        1,
        "With no real label simulation alone is far behind randomized simulation, and that far behind GraspGAN, which "
        "is about as good as a tenth of the real labels alone.",
        (
            _ahead(("randomized", 0.0), ("sim-only", 0.0)),
            _ahead(("graspgan", 0.0), ("randomized", 0.0)),
            Claim("ahead", (WITH_DANN, 0.0), ("randomized", 0.0), optional=True),
            Claim("as good", ("graspgan", 0.0), ("real-only", 0.1)),
            Claim("as good", (WITH_DANN, 0.0), ("real-only", 0.1), optional=True),
        ),
    ),
    Finding(
        2,
        "With 2% of the labels, simulation and GraspGAN are at least as good as all labels alone: 50 times fewer.",
        (
            Claim("as good", ("graspgan", 0.02), ("real-only", 1.0)),
            Claim("as good", (WITH_DANN, 0.02), ("real-only", 1.0), optional=True),
        ),
    ),
    Finding(
        3,
        "Every mix with simulation is ahead of real-only training with as many labels.",
        tuple(
            Claim("ahead", (arm, share), ("real-only", share), optional=arm not in MAIN or share not in FEW)
            for arm, shares in MIXES.items()
            for share in shares
        ),
    ),
    Finding(
        4,
        "Procedural objects in simulation are at least as good as realistic ones.",
        tuple(
            Claim("as good", (f"{procedural}{kind}", 0.0), (f"everyday{kind}", 0.0))
            for procedural in ("prisms", "published")  # ours, and the original's own
            for kind in ("", "-both", "+graspgan")
        ),
    ),
    Finding(
        5,
        "Randomized looks help without adaptation and add nothing with it; randomized dynamics change little.",
        (
            _ahead(("prisms-appearance", 0.0), ("prisms", 0.0)),
            Claim("alike", ("prisms-appearance+graspgan", 0.0), ("prisms+graspgan", 0.0)),
            Claim("alike", ("prisms-dynamics", 0.0), ("prisms", 0.0)),
            Claim("alike", ("prisms-dynamics+graspgan", 0.0), ("prisms+graspgan", 0.0)),
        ),
    ),
    Finding(
        6,
        "Adaptation of features and of pixels both help; together they are best at few labels.",
        (
            _ahead(("dann", 0.0), ("sim-only", 0.0)),
            _ahead(("graspgan", 0.0), ("sim-only", 0.0)),
            *(_ahead(("graspgan+dann", share), (arm, share)) for share in (0.0, 0.02) for arm in ("dann", "graspgan")),
        ),
    ),
)
"""The six, as orderings: the paper's figures are those of its own robots and objects."""


def verdict(judged: Iterable[str]) -> str:
    """Of a finding, from those of its claims."""
    found = list(judged)
    for word in (NOT, MISSING, INCONCLUSIVE):
        if word in found:
            return word
    return REPRODUCED


def judge(claim: Claim, cells: Sequence[Cell]) -> tuple[str, Interval | None]:
    """The verdict on a claim, and the difference that it rests on; None where it wasn't measured."""
    known = {(cell.arm, cell.real_labels): cell for cell in cells}
    first, second = known.get(claim.first), known.get(claim.second)
    comparison = compare(first, second) if first and second else None
    if comparison is None:
        return MISSING, None
    return claim.judged(comparison.difference), comparison.difference


Judged = list[tuple[Finding, list[tuple[Claim, str, Interval | None]]]]
"""Each finding with its claims, the verdicts on them, and the differences that these rest on."""


def judge_all(cells: Sequence[Cell]) -> Judged:
    """Every finding by the cells of one world. A bootstrap for each claim: made once for all that is told of them."""
    judged = [(finding, [(claim, *judge(claim, cells)) for claim in finding.claims]) for finding in FINDINGS]
    return [
        (finding, [one for one in claims if not (one[0].optional and one[1] == MISSING)]) for finding, claims in judged
    ]


def paper_rows(judged: Judged) -> list[list[str]]:
    """A row for each finding: number, what the paper found, what was found here, verdict; a header first.

    Of a finding that makes many claims, their number by verdict; `claim_rows` has each.
    """
    rows = [["", "the paper", "here: difference in points with its 95% interval", "verdict"]]
    for finding, claims in judged:
        words = [word for _, word, _ in claims]
        lines = [_line(claim, word, difference) for claim, word, difference in claims if difference is not None]
        if len(lines) > MANY:
            lines = [f"of {len(lines)} such claims: {_counted(words)}"]
        lines += [f"{words.count(MISSING)} of {len(words)} not measured"] if MISSING in words else []
        rows.append([str(finding.number), finding.words, "; ".join(lines), verdict(words)])
    return rows


def _counted(words: Sequence[str]) -> str:
    return ", ".join(f"{words.count(word)} {short}" for word, short in SHORT.items() if word in words)


def claim_rows(judged: Judged) -> list[list[str]]:
    """A row for each claim that was measured: claim, number of its finding, difference in points, its interval, whether
    it holds; a header first."""
    rows = [["claim", "finding", "difference (points)", "95% interval", "holds"]]
    for finding, claims in judged:
        for claim, word, difference in claims:
            if difference is not None:
                rows.append([_claimed(claim), str(finding.number), *in_points(difference), SHORT[word]])
    return rows


def _line(claim: Claim, word: str, difference: Interval) -> str:
    points, ends = in_points(difference)
    return f"{_claimed(claim)}: {points} ({ends}), {SHORT[word]}"


def _claimed(claim: Claim) -> str:
    first, second = (_name(place) for place in (claim.first, claim.second))
    return f"{first} {claim.kind} {'of' if claim.kind == 'ahead' else 'as'} {second}"


def _name(place: Place) -> str:
    arm, share = place
    return f"{arm} {percent(share)}" if share else arm


def paper_markdown(cells: Sequence[Cell]) -> str:
    """`paper_rows` of the cells of one world in Markdown."""
    header, *rows = paper_rows(judge_all(cells))
    return markdown(header, "llll", rows)


def claims_markdown(cells: Sequence[Cell]) -> str:
    """`claim_rows` of the cells of one world in Markdown."""
    header, *rows = claim_rows(judge_all(cells))
    return markdown(header, "lrrrl", rows)


def gap_closed(arm: Cell, base: Cell, goal: Cell, confidence: float = 0.95) -> Interval:
    """Share of the way from `base` to `goal` (simulation alone, all real labels alone) that `arm` goes, with the
    interval of a bootstrap over scenes and seeds; below 0 it is worse than `base`."""

    def share(rates: np.ndarray) -> np.ndarray:
        way = rates[:, 2] - rates[:, 1]
        return np.divide(rates[:, 0] - rates[:, 1], way, out=np.full(len(rates), np.nan), where=way > 0)

    samples = [sample(cell.results) for cell in (arm, base, goal)]
    return bootstrap_interval(samples, share, confidence)


def targets(cells: Sequence[Cell], confidence: float = 0.95) -> list[list[str]]:
    """How far the three targets are met: of the gap closed without labels at least 90%; as good as all labels with 2%,
    and with 1%, of them. A header first; rows of what wasn't measured are left out.

    Of several arms the one that is held against the target is chosen for each evaluation seed by the attempts of the
    others (`best_by_the_others`), or, where there are no others, by the attempts that judge it; the row says which.
    """
    known = {(cell.arm, cell.real_labels): cell for cell in cells}
    rows = [["target", "arm", f"measured, {100 * confidence:g}% interval", "verdict"]]
    base, goal = known.get(("sim-only", 0.0)), known.get(("real-only", 1.0))
    best = _best([cell for cell in cells if cell is not base], 0.0)
    if base and goal and best and goal.rate.value > base.rate.value:  # else there is no gap to close
        cell, words = best
        share = gap_closed(cell, base, goal, confidence)
        word = "met" if share.low >= 0.9 else "not met" if share.high < 0.9 else "open"
        measured = f"{100 * share.value:.0f}% ({100 * share.low:.1f} to {100 * share.high:.1f})"
        rows.append(["no label: 90% of the gap from sim-only to all labels closed", words, measured, word])
    for fraction in (0.02, 0.01):
        best = _best(cells, fraction)
        comparison = compare(best[0], goal, confidence) if best and goal else None
        if best is None or comparison is None:
            continue
        points, ends = in_points(comparison.difference)
        word = Claim("as good", (best[0].arm, fraction), ("real-only", 1.0)).judged(comparison.difference)
        rows.append(
            [
                f"{percent(fraction)} of the labels as good as all: {1 / fraction:.0f} times fewer",
                best[1],
                f"{points} points ({ends})",
                {REPRODUCED: "met", NOT: "not met"}.get(word, "open"),
            ]
        )
    return rows


def _best(cells: Sequence[Cell], fraction: float) -> tuple[Cell, str] | None:
    """The best arm with simulation at a share of the labels, and what it is called in a row."""
    own = [cell for cell in cells if cell.real_labels == fraction and SIMULATION in cell.ingredients]
    if len(own) < 2:
        return (own[0], own[0].arm) if own else None
    blind = best_by_the_others(own)
    if blind is not None:
        return blind, f"{blind.arm} (chosen by the other seeds)"
    return (top := leader(own)), f"{top.arm} (chosen by its own attempts)"


def targets_markdown(cells: Sequence[Cell], confidence: float = 0.95) -> str:
    """`targets` in Markdown."""
    header, *rows = targets(cells, confidence)
    return markdown(header, "llrl", rows)
