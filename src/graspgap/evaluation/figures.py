"""Figures of the report, as PNG bytes: success rates, label curves, training curves, reliability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from graspgap.evaluation.canvas import FAINT, FONT, INK, PALETTE, WIDTH, clean, key, only_axes, png_bytes, wrapped
from graspgap.evaluation.findings import real_only_curve
from graspgap.evaluation.statistics import monotone, reliability, wilson_interval
from graspgap.evaluation.tables import Cell
from graspgap.files import atomic
from graspgap.training.log import read_entries

FEWEST = 10
"""Attempts that a bin of the reliability diagram needs to be drawn."""

MOST_LINES = 6
"""Of a label curve, before short ones are left out."""
MARKERS = "osD^vPX*"
"""Of the lines of a label curve, for readers who see no colours."""

Curves = Mapping[str, tuple[list[float], list[float]]]
"""Steps and values of each metric of a training log."""


def success_bars(cells: Sequence[Cell]) -> bytes:
    """Success rate of every cell with its 95% interval, cells without real labels in another colour."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.3 * max(1, len(cells))), layout="constrained")
    axes = only_axes(figure)
    places = np.arange(len(cells))[::-1]
    rates = np.array([100 * cell.rate.value for cell in cells])
    low, high = ([100 * getattr(cell.rate, end) for cell in cells] for end in ("low", "high"))
    colours = [PALETTE[1] if cell.real_labels else PALETTE[0] for cell in cells]
    axes.barh(places, rates, color=colours, height=0.66)
    axes.errorbar(rates, places, xerr=[rates - low, high - rates], fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    for place, rate, end in zip(places, rates, high, strict=True):
        axes.text(end + 1.2, place, f"{rate:.1f}", va="center", color=INK, fontsize=FONT)
    both = len({bool(cell.real_labels) for cell in cells}) == 2  # then a key says what the share is of
    names = [cell.name.replace(" real labels", "") if both else cell.name for cell in cells]
    axes.set_yticks(places, [wrapped(name) for name in names])
    axes.set_ylim(-0.6, max(1, len(cells)) - 0.4)
    axes.set_xlim(0, min(112.0, max([*high, 10.0]) * 1.12))
    axes.set_xlabel("successful attempts [%], with 95% interval")
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    if both:
        for colour, label in ((PALETTE[0], "no real labels"), (PALETTE[1], "with real labels")):
            axes.bar(0, 0, color=colour, label=label)
        key(axes)
    return png_bytes(figure)


def label_curve(cells: Sequence[Cell], bands: int = 2) -> bytes:
    """Success against the number of labelled real attempts.

    A line with the band of its intervals for each arm with real labels, from the same arm without labels where there is
    one; and a dashed line for each of the `bands` best other arms that need none, its interval at 0. Every line has its
    name at its end. Of more than `MOST_LINES` arms, those are left out that were given fewer than half as many
    different numbers of labels as another.
    """
    lines: dict[str, list[Cell]] = {}
    for cell in sorted((cell for cell in cells if cell.label_count > 0), key=lambda cell: cell.label_count):
        lines.setdefault(cell.arm, []).append(cell)
    real_only = {cell.arm for cell in real_only_curve(cells)}
    if len(lines) > MOST_LINES:
        longest = max(map(len, lines.values()))
        lines = {arm: line for arm, line in lines.items() if arm in real_only or 2 * len(line) >= longest}
    unlabelled = sorted((cell for cell in cells if not cell.label_count), key=lambda cell: -cell.rate.value)
    for cell in unlabelled:
        if cell.arm in lines:
            lines[cell.arm].insert(0, cell)
    others = [cell for cell in unlabelled if cell.arm not in lines and cell.ingredients][:bands]
    counts = sorted({cell.label_count for group in lines.values() for cell in group if cell.label_count})
    zero = _left_of(counts)
    figure = Figure(figsize=(WIDTH, 3.5 + 0.22 * max(0, len(lines) + len(others) - 4)), layout="constrained")
    axes = only_axes(figure)
    names: list[tuple[float, str, str]] = []
    ordered = sorted(lines, key=lambda arm: (arm not in real_only, arm))
    for index, arm in enumerate(ordered):
        colour = INK if arm in real_only else PALETTE[index % len(PALETTE)]
        places = [cell.label_count or zero for cell in lines[arm]]
        rates, low, high = (np.array([100 * end for end in ends]) for ends in zip(*map(_ends, lines[arm]), strict=True))
        if len(places) > 1:
            axes.fill_between(places, low, high, color=colour, alpha=0.12, linewidth=0)
        else:
            axes.errorbar(places, rates, yerr=[rates - low, high - rates], color=colour, capsize=2)
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(places, rates, color=colour, marker=marker, markersize=4, linewidth=2.2 if arm in real_only else 1.6)
        names.append((rates[-1], arm, colour))
    for index, cell in enumerate(others):
        colour = PALETTE[(len(ordered) + index) % len(PALETTE)]
        rate, lowest, highest = (100 * end for end in _ends(cell))
        shift = zero * (1.0 + 0.12 * index)  # intervals side by side
        axes.errorbar([shift], [rate], yerr=[[rate - lowest], [highest - rate]], color=colour, marker="o", markersize=4)
        axes.axhline(rate, color=colour, linestyle="--", linewidth=1)
        names.append((rate, cell.arm, colour))
    if counts:
        axes.set_xscale("log")
        axes.set_xlim(zero / 1.25, counts[-1] * 1.06)
        ticks = [zero, *_apart(counts)] if zero != counts[0] else _apart(counts)
        axes.set_xticks(ticks, ["0" if count == zero else f"{count:,}" for count in ticks])
        axes.set_xticks([], minor=True)
    axes.set_xlabel("labelled real attempts (logarithmic)")
    axes.set_ylabel("successful attempts [%]")
    axes.set_ylim(bottom=0)
    axes.grid(color=FAINT, linewidth=0.8)
    _name_lines(axes, names, figure.get_figheight())
    return png_bytes(figure)


def _ends(cell: Cell) -> tuple[float, float, float]:
    """Rate, and the ends of its interval."""
    return cell.rate.value, cell.rate.low, cell.rate.high


def _left_of(counts: Sequence[int]) -> float:
    """Where 0 labels are drawn on a logarithmic axis: a sixth of it to the left of the fewest."""
    if not counts:
        return 1.0
    return counts[0] / max(2.0, (counts[-1] / counts[0]) ** (1 / 5))


def _apart(counts: Sequence[int], share: float = 0.16) -> list[int]:
    """The counts whose labels don't run into the next one's, from the greatest down, on a logarithmic axis."""
    kept = [counts[-1]]
    width = share * math.log(counts[-1] / _left_of(counts))
    for count in reversed(counts[:-1]):
        if math.log(kept[-1] / count) >= width:
            kept.append(count)
    return kept[::-1]


def _name_lines(axes: Axes, names: Sequence[tuple[float, str, str]], inches: float) -> None:
    """Names at the right end of lines, moved apart as little as can be where they would cover each other.

    Args:
        names: height, name and colour of each.
        inches: height of the figure.
    """
    if not names:
        return
    top = axes.get_ylim()[1]
    heights, texts, colours = zip(*((at, wrapped(name, 17), colour) for at, name, colour in sorted(names)), strict=True)
    tall = np.array([text.count("\n") + 1 for text in texts]) * 0.042 * top * 3.5 / inches
    above = np.cumsum(tall) - (tall + tall[0]) / 2  # centres of names that stand on one another, from the lowest one's
    lowest = monotone(np.array(heights) - above, np.ones(len(tall)))  # as near to their lines as can be
    places = np.maximum(np.minimum(lowest, top - tall[-1] / 2 - above[-1]), tall[0] / 2) + above
    for text, place, colour in zip(texts, places, colours, strict=True):
        axes.annotate(
            text,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            color=colour,
            fontsize=FONT - 0.5,
            va="center",
            linespacing=1.0,
            annotation_clip=False,
        )


def read_log(path: Path) -> Curves:
    """Numbers of a training log, by metric."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for row in read_entries(path):
        for name, value in row.items():
            if name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool):
                steps, values = curves.setdefault(name, ([], []))
                steps.append(float(row["step"]))
                values.append(float(value))
    return curves


def training_curves(runs: Mapping[str, Curves], columns: int = 2, limit: int = 12) -> bytes:
    """A panel for each of the first `limit` metrics that vary, a line for each run; thin: raw, thick: smoothed."""
    names = list(dict.fromkeys(name for curves in runs.values() for name in curves))
    varying = [
        name for name in names if any(len(set(curves[name][1])) > 1 for curves in runs.values() if name in curves)
    ]
    shown = varying[:limit] or ["loss"]
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(WIDTH, 1.8 * rows + 0.2 * len(runs)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(grid.flat, shown, strict=False):
        clean(axes)
        for index, (run, curves) in enumerate(runs.items()):
            if name in curves:
                steps, values = np.array(curves[name][0]), np.array(curves[name][1])
                colour = PALETTE[index % len(PALETTE)]
                axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
                axes.plot(steps, smooth(values), color=colour, linewidth=1.6, label=wrapped(run, 26))
        axes.set_title(name, fontsize=FONT + 1, loc="left")
        axes.grid(color=FAINT, linewidth=0.6)
        axes.set_xlabel("step")
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    handles = {label: line for axes in grid.flat for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper center", ncols=2, frameon=False, fontsize=FONT
    )
    return png_bytes(figure)


def smooth(values: Float[np.ndarray, " n"], share: float = 0.05) -> Float[np.ndarray, " n"]:
    """Centred moving average over `share` of the values; at the ends over what there is. NaN values are left out."""
    half = int(len(values) * share / 2)
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    index = np.arange(len(values))
    left, right = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    sums, counts = total[right] - total[left], count[right] - count[left]
    return np.divide(sums, counts, out=np.full(len(values), math.nan), where=counts > 0)


def drawable(predicted: Float[np.ndarray, " n"], outcomes: Bool[np.ndarray, " n"]) -> bool:
    """Whether a reliability diagram has anything to draw of these attempts."""
    return bool((reliability(predicted, outcomes).counts >= FEWEST).any())


def reliability_diagram(policies: Mapping[str, tuple[Float[np.ndarray, "..."], Bool[np.ndarray, "..."]]]) -> bytes:
    """Observed against predicted success of each policy, in the bins that hold `FEWEST` attempts or more.

    The key gives the expected calibration error over all bins [points].

    Args:
        policies: predicted probability of success and outcome of each attempt, by name.
    """
    figure = Figure(figsize=(WIDTH, WIDTH * 0.75 + 0.2 * len(policies)), layout="constrained")
    axes = only_axes(figure)
    axes.plot([0, 100], [0, 100], color=INK, linestyle=":", linewidth=1, label="perfect")
    for index, (name, (predicted, outcomes)) in enumerate(policies.items()):
        bins = reliability(predicted, outcomes)
        many = bins.counts >= FEWEST
        x, y = 100 * bins.predicted[many], 100 * bins.observed[many]
        ends = [wilson_interval(round(rate * n / 100), int(n)) for rate, n in zip(y, bins.counts[many], strict=True)]
        errors = [[rate - 100 * end.low for rate, end in zip(y, ends, strict=True)]]
        errors.append([100 * end.high - rate for rate, end in zip(y, ends, strict=True)])
        colour = PALETTE[index % len(PALETTE)]
        label = wrapped(f"{name} ({100 * bins.error:.1f} points)", 50)
        sizes = np.clip(np.reshape(errors, (2, len(y))), 0, None)
        axes.errorbar(x, y, yerr=sizes, fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.45)
        axes.plot(x, y, color=colour, marker=MARKERS[index % len(MARKERS)], markersize=4, label=label)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xlabel("predicted success when closing [%]")
    axes.set_ylabel("successful attempts [%]")
    axes.grid(color=FAINT, linewidth=0.8)
    key(axes, columns=1)
    return png_bytes(figure)


@dataclass(frozen=True)
class Scatter:
    """Scores and true success of runs, for one panel of `score_scatter`."""

    title: str
    scores: Float[np.ndarray, " n"]
    rates: Float[np.ndarray, " n"]
    """In [0, 1]."""


def score_scatter(panels: Sequence[Scatter], columns: int = 2) -> bytes:
    """A panel for each score: success against the score, a point for each run; on a logarithmic axis where positive
    scores differ by a factor of more than 10."""
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(WIDTH, 1.9 * rows + 0.2), layout=ConstrainedLayoutEngine(h_pad=0.1))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        clean(axes)
        axes.scatter(panel.scores, 100 * panel.rates, color=PALETTE[0], s=16)
        axes.set_title(panel.title, fontsize=FONT, loc="left")
        axes.grid(color=FAINT, linewidth=0.6)
        if 0 < 10 * panel.scores.min(initial=math.inf) < panel.scores.max(initial=0):
            axes.set_xscale("log")
        else:
            axes.locator_params(axis="x", nbins=4)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    figure.supylabel("successful attempts [%]", fontsize=FONT)
    return png_bytes(figure)


def save_png(png: bytes, path: Path) -> None:
    """Write a figure atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(png)
