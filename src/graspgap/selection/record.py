"""The record of scores, `scores.json`, and the table that ranks by one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graspgap.errors import UserError
from graspgap.evaluation.tables import markdown
from graspgap.files import read_json, write_json
from graspgap.provenance import hardware, versions
from graspgap.selection.table import DEFAULTS, KINDS, Score
from graspgap.settings import checked, entry

FILE_NAME = "scores.json"
AGAIN = "score again"
FORMAT = 1
"""Version of the file; it grows when a reader of the older one could misread the newer."""
NONE = "none"
"""In place of an adapter: simulation as it is."""


@dataclass(frozen=True)
class RunScores:
    """Every score of one adapter or policy."""

    name: str
    """Name of its folder, `none`, or RUN@STEP for a snapshot."""
    kind: str
    """`adapter` or `policy`."""
    sha256: str
    """Of its weights; empty for `none`."""
    sim: str
    """Hash of the meta.json of the simulated dataset that it was trained on; empty if there was none."""
    adapter: str
    """The adapter that a policy was trained with, by name."""
    features: list[str]
    """Feature-level methods of a policy."""
    real_labels: int
    """Real labels that a policy was given."""
    seed: int
    """Training seed."""
    pictures: dict[str, int]
    """Pairs of pictures looked at, of `sim` and `real`."""
    values: dict[str, float | None]
    """Scores by name, of `ADAPTER_SCORES` or `POLICY_SCORES`; None where one doesn't exist."""


def save(folder: Path, runs: Sequence[RunScores], facts: dict[str, Any]) -> Path:
    """Write `scores.json` into `folder` atomically, with what each score is; returns its path. `facts`: settings and
    inputs."""
    scores = {kind: {name: asdict(score) for name, score in table.items()} for kind, table in KINDS.items()}
    path = folder / FILE_NAME
    made_with = {"versions": versions(), "hardware": hardware()}
    held = {"scores": scores, "defaults": DEFAULTS, "runs": [asdict(run) for run in runs]}
    write_json(path, {"format": FORMAT, "kind": "scores"} | facts | held | made_with)
    return path


def load(path: Path) -> list[RunScores]:
    """The scored runs of a `scores.json`.

    Raises:
        UserError: if it is missing, of another format, or incomplete.
    """
    value = read_json(path, "a folder of scores")
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("kind") != "scores":
        raise UserError(f"{path} holds no scores of format {FORMAT}: score again with this version of graspgap")
    runs: list[Any] = entry(value, "runs", list, path, AGAIN)
    return [run_scores(run, path, AGAIN) for run in runs]


def run_scores(values: Any, path: Path, fix: str) -> RunScores:
    """The scores of one run in JSON.

    Raises:
        UserError: if `path`, which held them, is damaged; it says what to do, `fix`.
    """
    return RunScores(**checked(RunScores, values, path, fix))


def find_scores(folder: Path) -> list[RunScores]:
    """The runs of all `scores.json` in `folder` and below, sorted by path."""
    return [run for path in sorted(folder.rglob(FILE_NAME)) for run in load(path)]


def ranked(runs: Sequence[RunScores], kind: str, by: str) -> list[RunScores]:
    """Runs of one kind, best first by the score `by`; those without it last."""
    score = KINDS[kind][by]
    return sorted((run for run in runs if run.kind == kind), key=lambda run: goodness(run, by, score), reverse=True)


def goodness(run: RunScores, name: str, score: Score) -> float:
    """The score with the sign that makes higher better; minus infinity where there is none."""
    value = run.values.get(name)
    return -math.inf if value is None else value if score.higher else -value


def ranked_markdown(runs: Sequence[RunScores], kind: str, by: str) -> str:
    """Ranked runs with all scores, `by` first. + and - tell whether higher or lower is better."""
    names = [by, *(name for name in KINDS[kind] if name != by)]
    header = [kind, *(f"{words(name)} ({'+' if KINDS[kind][name].higher else '-'})" for name in names)]
    rows = [[run.name, *(_text(run.values.get(name)) for name in names)] for run in ranked(runs, kind, by)]
    return markdown(header, "l" + "r" * len(names), rows)


def words(name: str) -> str:
    """A score's name as tables have it."""
    return name.replace("_", " ")


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
