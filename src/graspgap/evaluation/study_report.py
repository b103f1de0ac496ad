"""Gather what a study wrote into its report: table.csv, table.md, figures and report.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graspgap.datasets import open_dataset
from graspgap.deployment.predictor import NetworkPredictor
from graspgap.errors import UserError
from graspgap.evaluation.figures import Curves, read_log, save_png, score_scatter
from graspgap.evaluation.findings import main_cells
from graspgap.evaluation.gallery import film_study, galleries
from graspgap.evaluation.pictures import GRID, adaptation_rows, drawing_policy
from graspgap.evaluation.ranking import ranking_markdown, ranking_table, rankings, scatters, scored_studies
from graspgap.evaluation.report import GridRow, ImageGrid, ReportFigure, ReportInput, build_report, result_figures
from graspgap.evaluation.results import find_results
from graspgap.evaluation.stages import Stage, finished_seconds, needed
from graspgap.evaluation.study import plan
from graspgap.evaluation.study_file import seeds_below, studies_below, study_of
from graspgap.evaluation.tables import Cell, Comparison, compare, named_place, pool, results_markdown, write_csv
from graspgap.evaluation.training_costs import costs_below, mean_costs, update_costs
from graspgap.files import read_json, write_text
from graspgap.runs import CONFIG, read_run
from graspgap.settings import entry
from graspgap.tensors import choose_device
from graspgap.training.adapt import load_adapter
from graspgap.training.log import LOG, read_warnings

MASKS = (
    " Masks that the policy draws come from the network that chooses the grasps: it was taught simulation's masks on "
    "adapted pictures, and never saw one of reality."
)


def write_report(out: Path, **more: Any) -> Path:
    """Write `table.csv`, `table.md`, the result figures and `report.html` from all evaluations below `out`; where there
    are none yet, what is known of the adapter and policy runs there.

    `more`: fields of `ReportInput` besides.

    Raises:
        UserError: if there is nothing.
    """
    results = find_results(out)
    if not results:
        return _write_runs_report(out)
    cells = pool(results)
    write_csv(results, out / "table.csv")
    write_text(out / "table.md", results_markdown(cells))
    main = main_cells(cells)
    figures = result_figures(main)
    for number, figure in enumerate(figures, start=1):
        save_png(figure.png, out / "figures" / f"{number}-{figure.title.lower().replace(' ', '-')}.png")
    made = {"title": f"graspgap: {out.name}", "results": results, "figures": figures, "galleries": galleries(out)}
    more = made | more
    more |= {"comparisons": chosen_comparisons(compared_below(out), main), "costs": mean_costs(costs_below(out))}
    more |= selection(out)
    return build_report(ReportInput(**more), out)


def _write_runs_report(out: Path) -> Path:
    """The report of runs that nobody has evaluated yet: their pictures, curves, warnings and configurations."""
    if not out.is_dir():
        raise UserError(f"{out} is no folder: expected one that 'graspgap evaluate' or 'graspgap study' has written to")
    runs = sorted(path.parent for pattern in (LOG, f"*/{LOG}", f"*/*/{LOG}") for path in out.glob(pattern))
    if not runs:
        raise UserError(f"{out} holds no results.json and no run: run 'graspgap evaluate' or 'graspgap study' first")
    names = {str(run.relative_to(out)) if run != out else out.resolve().name: run for run in runs}
    pictures = {name: run / GRID for name, run in names.items() if (run / GRID).exists()}
    caption = "Pairs (before, now): simulation, its masks, what the adapter makes of them; below, other attempts."
    return build_report(
        ReportInput(
            title=f"graspgap: {out.resolve().name}",
            figures=[ReportFigure(name, caption, path.read_bytes()) for name, path in pictures.items()],
            logs={name: read_log(run / LOG) for name, run in names.items()},
            configurations={name: read_json(run / CONFIG, "a run") for name, run in names.items()},
            warnings=[f"{name}, {warning}." for name, run in names.items() for warning in read_warnings(run / LOG)],
        ),
        out,
    )


def write_study_report(out: Path) -> Path:
    """The report of the study in `out`, with its timings, training curves, pictures and configurations; or of the
    seeds of one, whose folders lie in it: timings and warnings are of all seeds, the rest is of the first.

    Raises:
        UserError: if the record of a study there is damaged.
    """
    timings: dict[str, float] = {}
    warnings: list[str] = []
    shown: dict[str, Any] = {}
    seeds = [] if (out / CONFIG).exists() else seeds_below(out)
    for folder in seeds or [out]:
        preset, seed = identity(folder)
        stages = plan(study_of(folder), folder, seed)
        seconds = {stage.name: finished_seconds(folder, stage) for stage in stages}
        done = {name for name, took in seconds.items() if took is not None}
        missing = [stage.name for stage in needed(stages, done)]
        if missing:
            named = f"{folder.name}: " if seeds else ""
            warnings.append(f"{named}{len(missing)} of {len(stages)} stages have not finished: {', '.join(missing)}.")
        for path in sorted(folder.glob("*/*/" + LOG)):
            warnings += [f"{path.parent.relative_to(out)}, {warning}." for warning in read_warnings(path)]
        update_costs(folder, stages)
        home = f"{folder.name}/" if seeds else ""
        timings |= {home + name: took for name, took in seconds.items() if took is not None}
        if not shown:
            grids, lost = adaptation_grids(folder, stages)
            shown = _shown(out, folder) | {"grids": grids}
            warnings += lost
    warnings += [] if seeds else film_study(out)  # seeds' own reports have filmed theirs
    return write_report(out, title=f"graspgap study: {preset}", timings=timings, warnings=warnings, **shown)


def identity(folder: Path) -> tuple[str, int]:
    """Preset and seed of the study in a folder.

    Raises:
        UserError: if its record is damaged.
    """
    path, fix = folder / CONFIG, "restore it, or choose another folder"
    known = read_run(folder, "study")["config"]
    return entry(known, "preset", str, path, fix), entry(known, "seed", int, path, fix)


def _shown(out: Path, folder: Path) -> dict[str, Any]:
    """Training curves and configurations of a study, named from `out` on."""
    logs: dict[str, Curves] = {
        str(path.parent.relative_to(out)): read_log(path) for path in sorted(folder.glob("*/*/" + LOG))
    }
    configurations = {
        str(path.parent.relative_to(out)): read_json(path, "a run") for path in sorted(folder.glob("*/*/" + CONFIG))
    }
    return {"logs": logs, "configurations": configurations}


def compared_below(out: Path) -> list[tuple[str, str]]:
    """Pairs of arms that the study in `out`, or those of its seeds there, ask to compare."""
    return list(dict.fromkeys(pair for folder in studies_below(out) for pair in study_of(folder).compare))


def chosen_comparisons(pairs: Sequence[tuple[str, str]], cells: Sequence[Cell]) -> list[Comparison]:
    """Of these pairs, each arm as `named_place` reads it, as far as both were tried."""
    known = {(cell.arm, cell.real_labels): cell for cell in cells}
    places = [(named_place(first), named_place(second)) for first, second in pairs]
    found = [compare(known[first], known[second]) for first, second in places if {first, second} <= known.keys()]
    return [item for item in found if item is not None]


def _drawing_policy(out: Path, stages: Sequence[Stage], adapter: Stage) -> NetworkPredictor | None:
    """The first finished policy of an adapter that masks taught, and so can draw them."""
    for stage in stages:
        found = stage.arguments[0] == "train" and stage.option("--adapter") == adapter.arguments[1]
        if found and finished_seconds(out, stage) is not None:
            return drawing_policy(out / stage.name)
    return None


def selection(out: Path) -> dict[str, Any]:
    """The study of the scores below `out`, where something was scored and tried, as arguments of `ReportInput`; also
    as `selection.md` and, of one seed, figures."""
    studies = scored_studies(out)
    if not studies:
        return {}
    found = rankings(*studies)
    table, shown = ranking_table(found), []
    write_text(out / "selection.md", ranking_markdown(table))
    panels = scatters(studies[0], found) if len(studies) == 1 else {}  # other studies' scores have another judge
    for kind, own in panels.items():
        title = f"Scores of {'adapters' if kind == 'adapter' else 'policies'} and true success"
        caption = "A point for each run, best correlation first. + : higher should be better; - : lower should be."
        shown.append(ReportFigure(title, caption, score_scatter(own)))
        save_png(shown[-1].png, out / "figures" / f"selection-{kind}.png")
    return {"selection": table, "selection_figures": shown}


def adaptation_grids(out: Path, stages: Sequence[Stage]) -> tuple[list[ImageGrid], list[str]]:
    """One grid for each finished adapter: simulation, masks, adapted, reality. And a warning for each that can't be
    drawn any more, as when data was deleted."""
    grids, warnings = [], []
    for stage in stages:
        if stage.arguments[0] == "adapt" and finished_seconds(out, stage) is not None:
            try:
                grids.append(_adaptation_grid(out, stages, stage))
            except UserError as error:
                warnings.append(f"No pictures of {stage.name}: {error}.")
    return grids, warnings


def _adaptation_grid(out: Path, stages: Sequence[Stage], stage: Stage) -> ImageGrid:
    device = choose_device("cpu")
    sim = open_dataset(stage.option("--sim")).limit(40).simulated(extras=False)
    real = open_dataset(stage.option("--real")).limit(40).unlabelled()
    policy = _drawing_policy(out, stages, stage)
    method = load_adapter(out / stage.name, device, sim.images.shape[-1])
    rows = adaptation_rows(method, sim, real, device, policy=policy)
    return ImageGrid(
        title=f"What the adapter {stage.name} makes of simulation",
        caption="Each pair is (before, now) of one attempt. The rows simulation, masks and adapted show the same "
        "attempts; what is below shows others." + (MASKS if policy else ""),
        rows=[GridRow(label, images) for label, images in rows.items()],
    )
