"""The films below a folder, as the report shows them: successes and failures of each evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graspgap.errors import UserError
from graspgap.evaluation.film import FOLDER, FilmFacts, SavedFilm, saved_films
from graspgap.evaluation.filming import film_evaluation
from graspgap.evaluation.findings import SIMULATION_ALONE, main_cells
from graspgap.evaluation.results import FILE_NAME, load
from graspgap.evaluation.tables import Cell, leader, pool

LIMIT = 8
"""Films in a row of the report; more make the page slow to open."""

LEGEND = (
    "The first successes and the first failures of an evaluation, as many of both: they say nothing about the rate. "
    "Yellow: where the servo sees the best grasp, as an open gripper, with an arrow from where the gripper is (blue). "
    "The gripper goes a part of the way, and looks again. It is drawn through the nominal camera: where the true one "
    "differs, as that of the stand-in does, marks are off by some pixels."
)


@dataclass(frozen=True)
class Shown:
    """A film in the report."""

    facts: FilmFacts
    webp: bytes


@dataclass(frozen=True)
class FilmRow:
    """Films of one outcome, the first ones of the evaluation."""

    label: str
    films: list[Shown]


@dataclass(frozen=True)
class Gallery:
    """Films of one evaluation."""

    title: str
    caption: str
    rows: list[FilmRow]


def galleries(folder: Path) -> list[Gallery]:
    """A gallery for each evaluation in `folder` and below that has films, best success rate first."""
    found = []
    for path in sorted(folder.rglob(FOLDER)):
        films = saved_films(path.parent)
        if films and (path.parent / FILE_NAME).exists():
            result = load(path.parent)
            (cell,) = pool([result])
            found.append((-cell.rate.value, _gallery(cell, films)))
    return [gallery for _, gallery in sorted(found, key=lambda pair: pair[0])]


def _gallery(cell: Cell, films: Sequence[SavedFilm]) -> Gallery:
    rows = []
    for label, success in (("Successes", True), ("Failures", False)):
        chosen = [film for film in films if film.facts.success == success]
        if chosen:
            shown = [Shown(film.facts, film.path.read_bytes()) for film in chosen[:LIMIT]]
            more = f", the first {LIMIT} of {len(chosen)} films" if len(chosen) > LIMIT else ""
            rows.append(FilmRow(label + more, shown))
    seeds = f", training seed {cell.seeds[0]}" if cell.trained else ""
    caption = f"{cell.successes} of its {cell.attempts} attempts succeeded ({100 * cell.rate.value:.0f}%)."
    return Gallery(f"{cell.name}{seeds}", caption, rows)


def film_study(out: Path, each: int = 3) -> list[str]:
    """Film the best arm without real labels and simulation alone, each with its first training seed, where the study
    still has their policies; returns why films are missing, in sentences."""
    results = {path.parent: load(path) for path in sorted(out.rglob(FILE_NAME))}
    cells = [cell for cell in main_cells(pool(list(results.values()))) if cell.label_free]
    if not cells:
        return []
    top = leader(cells)
    chosen = [top, *(cell for cell in cells if cell.ingredients == SIMULATION_ALONE and cell is not top)]
    warnings = []
    for cell in chosen:
        folder = next(path for path, result in results.items() if result == cell.results[0])
        try:
            film_evaluation(folder, each=each)
        except UserError as error:
            warnings.append(f"{cell.name} was not filmed: {error}.")
    return warnings
