"""Which kinds of objects are grasped: how often each was held, against how often it lay in the bin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from graspgap.evaluation.canvas import FAINT, FONT, INK, PALETTE, WIDTH, only_axes, png_bytes
from graspgap.evaluation.results import EvaluationResult
from graspgap.evaluation.statistics import wilson_interval
from graspgap.objects.kinds import kind_of

MOST = 40
"""Kinds that a figure has room for."""


@dataclass(frozen=True)
class FamilyCount:
    """One kind of object."""

    family: str
    held: int
    lay: int
    """Objects of this kind that lay in the bin, summed over attempts."""

    @property
    def share(self) -> float:
        """Held, of those that lay there."""
        return self.held / self.lay


def family_counts(results: Sequence[EvaluationResult]) -> list[FamilyCount]:
    """Kinds by their share, the best first; empty where nothing is known of any, or there are more than `MOST`."""
    counts = counted(results, kind_of)
    return counts if len(counts) <= MOST else []


def object_rows(results: Sequence[EvaluationResult]) -> list[list[str]]:
    """A row for each object, the one most often held first: name, how often it was held and lay in the bin, the share
    and its interval (Wilson's) in percent; a header first."""
    rows = [["object", "held", "lay in the bin", "share", "95% interval"]]
    for count in counted(results, str):
        rate = wilson_interval(count.held, count.lay)
        ends = f"{100 * rate.low:.0f} to {100 * rate.high:.0f}"
        rows.append([count.family, str(count.held), str(count.lay), f"{100 * rate.value:.0f}%", ends])
    return rows


def counted(results: Sequence[EvaluationResult], kind: Callable[[str], str]) -> list[FamilyCount]:
    """Kinds of objects, as `kind` tells them by their names, by their share, the best first. Attempts of scenes whose
    objects aren't known are left out."""
    held: Counter[str] = Counter()
    lay: Counter[str] = Counter()
    for result in results:
        for record in result.records:
            names = result.scene_objects.get(str(record.scene))
            if not names:
                continue
            lay.update(kind(name) for name in names)
            if record.success and record.object_name:
                held[kind(record.object_name)] += 1
    counts = [FamilyCount(family, held[family], number) for family, number in lay.items()]
    return sorted(counts, key=lambda count: (-count.share, count.family))


def family_bars(counts: Sequence[FamilyCount]) -> bytes:
    """A bar for each kind: held, of those that lay in the bin, with Wilson's interval; a line at the mean."""
    figure = Figure(figsize=(WIDTH, 0.7 + 0.21 * max(1, len(counts))), layout="constrained")
    axes = only_axes(figure)
    places = np.arange(len(counts))[::-1]
    intervals = [wilson_interval(count.held, count.lay) for count in counts]
    shares = np.array([100 * interval.value for interval in intervals])
    low, high = ([100 * getattr(interval, end) for interval in intervals] for end in ("low", "high"))
    axes.barh(places, shares, color=PALETTE[0], height=0.7)
    sizes = np.clip([shares - low, high - shares], 0, None)
    axes.errorbar(shares, places, xerr=sizes, fmt="none", ecolor=INK, elinewidth=0.9)
    for place, count, end in zip(places, counts, high, strict=True):
        axes.text(end + 0.6, place, f"{count.held}/{count.lay:,}", va="center", color=INK, fontsize=FONT - 2)
    mean = 100 * sum(count.held for count in counts) / max(1, sum(count.lay for count in counts))
    axes.axvline(mean, color=PALETTE[4], linestyle="--", linewidth=1)
    axes.set_yticks(places, [count.family for count in counts])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max([*high, 1.0]) * 1.25)
    axes.set_ylim(-0.7, len(counts) - 0.3)
    axes.set_xlabel("held, of those that lay in the bin [%]")
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    return png_bytes(figure)
