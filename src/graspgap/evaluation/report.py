"""One HTML file that tells the whole story of a study: it needs no network, no script and no other file."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image as PillowImage

from graspgap.contract import Image
from graspgap.evaluation import figures
from graspgap.evaluation.canvas import PALETTE
from graspgap.evaluation.efficiency import efficiency_rows
from graspgap.evaluation.families import family_bars, family_counts, object_rows
from graspgap.evaluation.figures import Curves
from graspgap.evaluation.findings import headline, ingredient_comparisons, ingredient_findings, main_cells
from graspgap.evaluation.gallery import LEGEND, Gallery
from graspgap.evaluation.gap import gap_rows
from graspgap.evaluation.guide import COSTS, Cost, guide
from graspgap.evaluation.heat_map import HeatTable, heat_map, ingredient_table, simulation_table
from graspgap.evaluation.paper import MISSING, claim_rows, judge_all, paper_rows, targets
from graspgap.evaluation.power import power_note
from graspgap.evaluation.results import EvaluationResult, predictions
from graspgap.evaluation.tables import Cell, Comparison, csv_text, distinct, leader, p_text, percent, pool, together
from graspgap.evaluation.transfer import transfer_table
from graspgap.files import write_text
from graspgap.provenance import hardware, versions
from graspgap.worlds.standin_names import SIMULATORS, in_words, is_standin

FILE_NAME = "report.html"
FEWEST_LYING = 200
"""Objects that must have lain in the bin, over all attempts, for a figure of their kinds."""
PICTURE_SIDE = 128
"""Pixels of a side of the grids' pictures, at most: those of two dozen adapters at 472 pixels are hundreds of MB."""
RELIABILITY_LIMIT = 4
"""Policies in the reliability diagram: more can't be told apart."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure with the sentence that says what it shows."""

    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class GridRow:
    """Pictures that belong together, shown side by side."""

    label: str
    images: list[Image]


@dataclass(frozen=True)
class ImageGrid:
    """Rows of pictures; pictures above each other should show the same thing."""

    title: str
    caption: str
    rows: list[GridRow]


@dataclass(frozen=True)
class ReportInput:
    """All that a report shows; whatever is empty is left out of it.

    The headline, tables and findings are made from `results`.
    """

    title: str
    results: list[EvaluationResult] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    """Comparisons to show besides those of arms that differ in one ingredient."""
    figures: list[ReportFigure] = field(default_factory=list)
    """Figures to show besides those of the training logs; see `result_figures`."""
    selection: list[list[str]] = field(default_factory=list)
    """How well each label-free score ranks the runs, a header row first; see `ranking.ranking_table`."""
    selection_figures: list[ReportFigure] = field(default_factory=list)
    galleries: list[Gallery] = field(default_factory=list)
    """Films; see `gallery.galleries`."""
    grids: list[ImageGrid] = field(default_factory=list)
    logs: Mapping[str, Curves] = field(default_factory=dict)
    """Training logs by the name of the run; see `figures.read_log`."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Wall time of each stage [s], in the order they ran."""
    costs: Mapping[tuple[str, float], Cost] = field(default_factory=dict)
    """What one policy costs to train, by arm and fraction of real labels."""
    configurations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Resolved configuration of each stage, JSON-able."""
    versions: Mapping[str, str] = field(default_factory=versions)
    hardware: Mapping[str, str | int | float] = field(default_factory=hardware)
    warnings: list[str] = field(default_factory=list)
    """What a reader must know before believing the numbers, e.g. stages that are missing."""
    created: str = ""
    """When the report was made, in words; left out if empty, so that equal inputs give equal files."""


def build_report(inputs: ReportInput, out: Path) -> Path:
    """Write the report to `out`, atomically; a folder gets `report.html`. Returns the file's path."""
    path = out / FILE_NAME if out.is_dir() or not out.suffix else out
    write_text(path, render(inputs))
    return path


def render(inputs: ReportInput) -> str:
    """The report as HTML text."""
    environment = Environment(
        loader=PackageLoader("graspgap.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "png": png_uri,
        "picture": picture_uri,
        "webp": webp_uri,
        "csv": lambda text: _data_uri("text/csv", text.encode()),
        "duration": duration,
        "share": percent,
        "points": lambda value: f"{100 * value:+.1f}",
        "hundred": lambda value: f"{100 * value:.1f}",
        "p": p_text,
        "slug": lambda title: title.lower().replace(" ", "-"),
        "json": lambda value: json.dumps(value, indent=2),
    }
    cells = pool(inputs.results)
    main = main_cells(cells)
    judged, best = judge_all(main), best_arm(main) if main else None
    ordered = sorted(cells, key=lambda cell: cell not in main)  # stable: the main world first
    return environment.get_template("report.html.j2").render(
        inputs=inputs,
        headline=headline(inputs.results) if inputs.results else "",
        setting=setting(inputs.results),
        cells=ordered,
        table=csv_text(inputs.results),
        seeds=max((len(cell.seeds) for cell in cells), default=0),
        guide=guide(cells, inputs.costs),
        cost_title=COSTS,
        films_legend=LEGEND,
        findings=ingredient_findings(inputs.results),
        comparisons=together(distinct(ingredient_comparisons(inputs.results), inputs.comparisons)),
        power=power_note(main),
        efficiency=efficiency_rows(main),
        targets=_measured(targets(main)),
        paper=_measured([row for row in paper_rows(judged) if row[-1] != MISSING]),
        claims=_measured(claim_rows(judged)),
        gap=gap_rows(cells),
        transfer=transfer_table([cell for cell in cells if "sim's" not in cell.world]),
        figures=inputs.figures,
        objects=_measured(object_rows(best.results)) if best else [],
        object_arm=best.name if best else "",
        training=training_figures(inputs.logs),
        longest=max(inputs.timings.values(), default=0.0),
    )


def _measured(rows: list[list[str]]) -> list[list[str]]:
    """The rows, unless there is none below the header."""
    return rows if len(rows) > 1 else []


def setting(results: Sequence[EvaluationResult]) -> str:
    """Where the attempts were made, and that no robot made them, as far as that is known."""
    if not results:
        return ""
    worlds = sorted({result.world for result in results})
    attempts = sum(result.attempts for result in results)
    names = [in_words(world) for world in worlds]
    where = f"{attempts:,} grasp attempts in {' and '.join(names)}."
    if any(map(is_standin, worlds)):
        where += (
            " A stand-in is a simulation too, one that looks and behaves differently from the one"
            " that policies are trained in; it stands in for a real cell."
        )
    if all(is_standin(world) or world in SIMULATORS for world in worlds):
        where += " No robot was involved in any number or picture on this page."
    return where


def result_figures(cells: Sequence[Cell]) -> list[ReportFigure]:
    """Bars, the label curve, the ablation, kinds of objects and the reliability diagram of the cells, as far as they
    have what these show."""
    if not cells:
        return []
    found = [
        ReportFigure(
            "Success rates",
            "Every arm, few real labels first. The lines are 95% intervals: the wider of a bootstrap over scenes and "
            "training seeds and of Wilson's interval.",
            figures.success_bars(cells),
        )
    ]
    found += [curve_figure(cells)] if any(cell.label_count for cell in cells) else []
    found += [figure for figure in (ingredient_figure(cells), simulation_figure(cells)) if figure]
    found += object_figures(cells)
    best = sorted(cells, key=lambda cell: -cell.rate.value)
    predicted = {cell.name: predictions(cell.results) for cell in best}
    shown = {name: pair for name, pair in predicted.items() if figures.drawable(*pair)}
    if shown:
        caption = (
            "What the network predicts when the fingers close, against what happens, for the best arms. A servo seeks "
            "out what its network overrates, so points below the dotted line are the rule. In brackets: expected "
            "calibration error. "
            f"Bins of fewer than {figures.FEWEST} attempts are not drawn."
        )
        chosen = dict(list(shown.items())[:RELIABILITY_LIMIT])
        found.append(ReportFigure("Predicted and observed success", caption, figures.reliability_diagram(chosen)))
    return found


def ingredient_figure(cells: Sequence[Cell]) -> ReportFigure | None:
    """Heat map of pixel-level by feature-level adaptation; None where the arms don't cross the two."""
    what = "what is done to the pictures that they learn from, by what is asked of their features"
    return _crossed_figure("Pictures and features", ingredient_table(cells), what)


def simulation_figure(cells: Sequence[Cell]) -> ReportFigure | None:
    """Heat map of simulation's objects, plain and adapted, by randomization; None where arms don't cross the two."""
    what = "which objects simulation shows, and how its pictures are adapted, by what is randomized"
    return _crossed_figure("Objects and randomization", simulation_table(cells), what)


def _crossed_figure(title: str, table: HeatTable | None, what: str) -> ReportFigure | None:
    caption = f"Success [%] and number of attempts of arms without real labels: {what}. Blank: not measured."
    return ReportFigure(title, caption, heat_map(table)) if table else None


def curve_figure(cells: Sequence[Cell]) -> ReportFigure:
    """Success against real labels, of cells some of which have them."""
    caption = (
        "What real labels buy, with bands of 95% intervals. Black: real labels alone. Dashed, with the interval at "
        "0: the best arms that use none."
    )
    return ReportFigure("Success against real labels", caption, figures.label_curve(cells))


def best_arm(cells: Sequence[Cell]) -> Cell:
    """The arm with the highest rate, without real labels where there is one."""
    return leader([cell for cell in cells if cell.label_free] or cells)


def object_figures(cells: Sequence[Cell]) -> list[ReportFigure]:
    """Which kinds of objects the best arm, without real labels where there is one, holds; where that is known."""
    top = best_arm(cells)
    counts = family_counts(top.results)
    if sum(count.lay for count in counts) < FEWEST_LYING:
        return []
    caption = (
        f"{top.name}: how often an object of each kind was held, of the times that one lay in the bin, with Wilson's "
        "interval; dashed: the mean. A failure names no object, so this doesn't tell whether a kind is avoided or "
        "missed; and as an attempt can hold one object of several, even a perfect policy stays far below 100%."
    )
    return [ReportFigure("Kinds of objects", caption, family_bars(counts))]


def training_figures(logs: Mapping[str, Curves]) -> list[ReportFigure]:
    """Training curves: runs that log the same metrics share a figure, as far as there are colours."""
    groups: dict[frozenset[str], dict[str, Curves]] = {}
    for run, curves in logs.items():
        if curves:
            groups.setdefault(frozenset(curves), {})[run] = curves
    found = []
    for runs in groups.values():
        names = list(runs)
        for start in range(0, len(names), len(PALETTE)):
            chosen = {name: runs[name] for name in names[start : start + len(PALETTE)]}
            png = figures.training_curves(chosen)
            found.append(ReportFigure(", ".join(chosen), "Thin: as logged. Thick: moving average.", png))
    return found


def duration(seconds: float) -> str:
    """Seconds in words: "8.2 s", "3 min 5 s", "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def png_uri(png: bytes) -> str:
    """PNG bytes as a data URI."""
    return _data_uri("image/png", png)


def webp_uri(webp: bytes) -> str:
    """WebP bytes as a data URI."""
    return _data_uri("image/webp", webp)


def picture_uri(image: Image) -> str:
    """A picture as a data URI: up to `PICTURE_SIDE` pixels without loss, else scaled down to that, and compressed."""
    out, picture = io.BytesIO(), PillowImage.fromarray(image)
    if max(picture.size) <= PICTURE_SIDE:
        picture.save(out, format="PNG", optimize=True)
        return png_uri(out.getvalue())
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    picture.save(out, format="WEBP", quality=85)
    return webp_uri(out.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
