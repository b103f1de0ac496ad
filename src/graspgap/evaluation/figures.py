"""Figures of the report, as PNG bytes: success rates, label curves, training curves, reliability."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from graspgap.evaluation.findings import real_only_curve
from graspgap.evaluation.statistics import reliability, wilson_interval
from graspgap.evaluation.tables import Cell
from graspgap.files import atomic

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8A8A00", "#555555")
"""Colours that stay apart for colour-blind readers (Okabe and Ito 2008), the yellow darkened for white paper."""
INK, FAINT = "#222222", "#D9D9D9"
WIDTH = 6.0
"""Width of a figure [inches]; narrow, so that its text stays readable on a phone."""
DPI = 160
FONT = 9
FEWEST = 10
"""Attempts that a bin of the reliability diagram needs to be drawn."""

Curves = Mapping[str, tuple[list[float], list[float]]]
"""Steps and values of each metric of a training log."""


def success_bars(cells: Sequence[Cell]) -> bytes:
    """Success rate of every cell with its 95% interval, cells without real labels in another colour."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * max(1, len(cells))), layout="constrained")
    axes = _axes(figure)
    places = np.arange(len(cells))[::-1]
    rates = np.array([100 * cell.rate.value for cell in cells])
    low, high = ([100 * getattr(cell.rate, end) for cell in cells] for end in ("low", "high"))
    colours = [PALETTE[1] if cell.real_labels else PALETTE[0] for cell in cells]
    axes.barh(places, rates, color=colours, height=0.66)
    axes.errorbar(rates, places, xerr=[rates - low, high - rates], fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    for place, rate, end in zip(places, rates, high, strict=True):
        axes.text(end + 1.2, place, f"{rate:.1f}", va="center", color=INK, fontsize=FONT)
    axes.set_yticks(places, [cell.name for cell in cells])
    axes.set_xlim(0, min(112.0, max([*high, 10.0]) * 1.12))
    axes.set_xlabel("successful attempts [%], with 95% interval")
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    _colour_key(axes, cells)
    return _png(figure)


def _colour_key(axes: Axes, cells: Sequence[Cell]) -> None:
    """A key for the colours of the bars, where both occur."""
    if len({bool(cell.real_labels) for cell in cells}) == 2:
        for colour, label in ((PALETTE[0], "no real labels"), (PALETTE[1], "with real labels")):
            axes.bar(0, 0, color=colour, label=label)
        _key(axes)


def label_curve(cells: Sequence[Cell], bands: int = 2) -> bytes:
    """Success against the number of labelled real attempts.

    One line for each set of ingredients with real labels (real-only among them), and a horizontal band for each of the
    `bands` best arms that need none.
    """
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = _axes(figure)
    lines: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.label_count):
        if cell.label_count > 0:
            lines.setdefault(cell.arm, []).append(cell)
    real_only = {cell.arm for cell in real_only_curve(cells)}
    ordered = sorted(lines, key=lambda arm: (arm not in real_only, arm))
    for index, arm in enumerate(ordered):
        counts = [cell.label_count for cell in lines[arm]]
        rates = np.array([100 * cell.rate.value for cell in lines[arm]])
        ends = np.array([[100 * cell.rate.low, 100 * cell.rate.high] for cell in lines[arm]]).T
        style = {"color": INK, "linewidth": 2.2} if arm in real_only else {"color": PALETTE[index % len(PALETTE)]}
        axes.errorbar(counts, rates, yerr=[rates - ends[0], ends[1] - rates], marker="o", capsize=3, label=arm, **style)
    unlabelled = sorted((cell for cell in cells if not cell.label_count), key=lambda cell: -cell.rate.value)
    for index, cell in enumerate(unlabelled[:bands]):
        colour = PALETTE[(len(ordered) + index) % len(PALETTE)]
        axes.axhspan(100 * cell.rate.low, 100 * cell.rate.high, color=colour, alpha=0.13, linewidth=0)
        axes.axhline(100 * cell.rate.value, color=colour, linestyle="--", label=f"{cell.arm}, no real labels")
    if lines:
        axes.set_xscale("log")
        counts = sorted({cell.label_count for group in lines.values() for cell in group})
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.set_xticks([], minor=True)
    axes.set_xlabel("labelled real attempts (logarithmic)")
    axes.set_ylabel("successful attempts [%]")
    axes.set_ylim(bottom=0)
    axes.grid(color=FAINT, linewidth=0.8)
    _key(axes)
    return _png(figure)


def read_log(path: Path) -> Curves:
    """Numbers of a training log in JSON lines, by metric. Each line holds `step`; a torn last line is left out."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(row, dict) or not isinstance(row.get("step"), (int, float)):
            continue
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
    figure = Figure(figsize=(WIDTH, 2.1 * rows + 0.2 * len(runs)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(grid.flat, shown, strict=False):
        _clean(axes)
        for index, (run, curves) in enumerate(runs.items()):
            if name in curves:
                steps, values = np.array(curves[name][0]), np.array(curves[name][1])
                colour = PALETTE[index % len(PALETTE)]
                axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
                axes.plot(steps, smooth(values), color=colour, linewidth=1.6, label=run)
        axes.set_title(name, fontsize=FONT + 1, loc="left")
        axes.grid(color=FAINT, linewidth=0.6)
        axes.set_xlabel("step")
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    handles = {label: line for axes in grid.flat for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper center", ncols=2, frameon=False, fontsize=FONT
    )
    return _png(figure)


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


def reliability_diagram(policies: Mapping[str, tuple[Float[np.ndarray, "..."], Bool[np.ndarray, "..."]]]) -> bytes:
    """Observed against predicted success of each policy, in the bins that hold `FEWEST` attempts or more.

    The key gives the expected calibration error over all bins.

    Args:
        policies: predicted probability of success and outcome of each attempt, by name.
    """
    figure = Figure(figsize=(WIDTH, WIDTH * 0.65 + 0.2 * len(policies)), layout="constrained")
    axes = _axes(figure)
    axes.plot([0, 100], [0, 100], color=INK, linestyle=":", linewidth=1, label="perfect")
    for index, (name, (predicted, outcomes)) in enumerate(policies.items()):
        bins = reliability(predicted, outcomes)
        many = bins.counts >= FEWEST
        x, y = 100 * bins.predicted[many], 100 * bins.observed[many]
        ends = [wilson_interval(round(rate * n / 100), int(n)) for rate, n in zip(y, bins.counts[many], strict=True)]
        errors = [[rate - 100 * end.low for rate, end in zip(y, ends, strict=True)]]
        errors.append([100 * end.high - rate for rate, end in zip(y, ends, strict=True)])
        colour = PALETTE[index % len(PALETTE)]
        label = f"{name} (calibration error {100 * bins.error:.1f} points)"
        sizes = np.clip(np.reshape(errors, (2, len(y))), 0, None)
        axes.errorbar(x, y, yerr=sizes, color=colour, marker="o", elinewidth=0.8, capsize=2, label=label)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xlabel("predicted success when closing [%]")
    axes.set_ylabel("successful attempts [%]")
    axes.grid(color=FAINT, linewidth=0.8)
    _key(axes, columns=1)
    return _png(figure)


@dataclass(frozen=True)
class Scatter:
    """Scores and true success of runs, for one panel of `score_scatter`."""

    title: str
    scores: Float[np.ndarray, " n"]
    rates: Float[np.ndarray, " n"]
    """In [0, 1]."""


def score_scatter(panels: Sequence[Scatter], columns: int = 3) -> bytes:
    """A panel for each score: success against the score, a point for each run."""
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(WIDTH * 1.3, 2.2 * rows + 0.2), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _clean(axes)
        axes.scatter(panel.scores, 100 * panel.rates, color=PALETTE[0], s=16)
        axes.set_title(panel.title, fontsize=FONT, loc="left")
        axes.grid(color=FAINT, linewidth=0.6)
        axes.locator_params(axis="x", nbins=4)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    figure.supylabel("successful attempts [%]", fontsize=FONT)
    return _png(figure)


def save_png(png: bytes, path: Path) -> None:
    """Write a figure atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(png)


def _axes(figure: Figure) -> Axes:
    axes = figure.add_subplot()
    _clean(axes)
    return axes


def _key(axes: Axes, columns: int = 2) -> None:
    """A key above the axes, in the order of drawing."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(handles)), key=lambda index: isinstance(handles[index], Line2D))  # curves, then bands
    axes.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=FONT,
    )


def _clean(axes: Axes) -> None:
    """The common style: no box, grid behind the data, dark text."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=FONT)
    axes.xaxis.label.set_fontsize(FONT)
    axes.yaxis.label.set_fontsize(FONT)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(out, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return out.getvalue()
