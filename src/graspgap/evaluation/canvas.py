"""What all figures of the report share: size, colours, letters, and the way into PNG bytes."""

from __future__ import annotations

import io
import textwrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8A8A00", "#555555")
"""Colours that stay apart for colour-blind readers (Okabe and Ito 2008), the yellow darkened for white paper."""
INK, FAINT = "#222222", "#D9D9D9"
WIDTH = 4.4
"""Width of a figure [inches]; narrow, so that its text stays readable on a phone, where it is about 9 cm wide."""
DPI = 220
FONT = 9

LONGEST = 24
"""Letters of a line that a figure has room for beside what it shows."""


def wrapped(name: str, width: int = 24) -> str:
    """A long name on several lines of about `width` letters, broken where it is joined; anywhere beyond `LONGEST`."""
    spaced = name.replace("+", "+ ")
    width = max(width, min(LONGEST, max(map(len, spaced.split()), default=1)))
    lines = textwrap.wrap(spaced, width, break_on_hyphens=False)
    return "\n".join(line.replace("+ ", "+") for line in lines)


def only_axes(figure: Figure) -> Axes:
    """The one pair of axes of a figure."""
    axes = figure.add_subplot()
    clean(axes)
    return axes


def key(axes: Axes, columns: int = 2) -> None:
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


def clean(axes: Axes) -> None:
    """The common style: no box, grid behind the data, dark text."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=FONT)
    axes.xaxis.label.set_fontsize(FONT)
    axes.yaxis.label.set_fontsize(FONT)


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG; equal figures give equal bytes."""
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(out, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return out.getvalue()
