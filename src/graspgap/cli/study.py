"""`graspgap study OUT --preset NAME`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from graspgap.cli.checks import at_least
from graspgap.cli.stage_checks import check_stages
from graspgap.config import to_json
from graspgap.evaluation.report import duration
from graspgap.evaluation.results import find_results
from graspgap.evaluation.stages import Stage, expected_seconds, finished_seconds, needed, run_stages
from graspgap.evaluation.study import plan, write_cameras
from graspgap.evaluation.study_file import RESOLVED, Study, read_study
from graspgap.evaluation.study_report import write_study_report
from graspgap.files import write_json
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run


@dataclass(frozen=True)
class _Identity:
    preset: str
    seed: int


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Study folder; a study that was stopped resumes, and several commands, on several machines, may share it."""
    preset: str = "demo"
    """`demo` (about half an hour on two cores), `demo-long` (about two hours), `methods` (every method, some hours),
    `bench` (the reference study, some hours a seed), `targets` (its targets again, with arms named in advance),
    `second` (its main arms in the second stand-in), `identified` (what finding the camera is worth), `ablations`,
    `unknowns`, `snapshots`, `transfer` (between `sim` and `bullet`, about half an hour, extra `bullet`), `paper` (the
    original's size, for a cluster); `tiny` and `transfer-tiny` only prove that they run. Or a TOML file of your own:
    docs/studies.md."""
    seed: int | None = None
    """Seed of all data, training and evaluation, run in OUT itself; default: the study's seeds, each in OUT/seedN, with
    a report of all in OUT (0, in OUT itself, if it names none)."""
    workers: int = 0
    """Cores to use; 0: all."""
    only: str = ""
    """Run the stages whose names match this pattern, such as `data/*` or `*graspgan*`, and what they read."""
    scale: float = 1.0
    """Share of the attempts and steps, to try a study out; what it measures then means nothing."""
    image_size: int = 0
    """Pixels of a side of all pictures, to try a study out with fewer; 0: the study's own."""
    plan: bool = False
    """Show the stages, what is done already and how long the others will take, and stop."""


def run(config: Config) -> None:
    """Run what has not finished, write the report, print the table."""
    study = read_study(config.preset)
    at_least("--seed", config.seed or 0, 0)
    at_least("--image-size", config.image_size, 0)
    workers = choose_workers(config.workers)
    study = study.scaled(config.scale, config.image_size)
    plans = [(out, seed, plan(study, out, seed)) for out, seed in study.folders(config.out, config.seed)]
    for out, _, stages in plans:
        check_stages(out, stages)
    if config.plan:
        print(f"{config.preset}: {study.about}")
        for out, _, stages in plans:
            _show(out, stages, config.only, min(workers, 2))
        return
    for out, seed, stages in plans:
        _run_seed(config, study, out, seed, stages, workers)
    if len(plans) > 1 and find_results(config.out):
        _tell(config.out, write_study_report(config.out))


def _run_seed(config: Config, study: Study, out: Path, seed: int, stages: Sequence[Stage], workers: int) -> None:
    name = config.preset if config.scale == 1 else f"{config.preset}, scaled by {config.scale:g}"
    name += f", {config.image_size} pixels" if config.image_size else ""
    begin_run(out, "study", _Identity(name, seed))
    write_cameras(out, study, stages)
    write_json(out / RESOLVED, to_json(study))
    run_stages(out, stages, workers, config.only)
    if config.only and not find_results(out):
        print(f"{out}: done, as far as --only {config.only} goes; no policy has been tried, so nothing to report")
        return
    _tell(out, write_study_report(out))


def _tell(out: Path, report: Path) -> None:
    Console().print((out / "table.md").read_text(encoding="utf-8"), markup=False, soft_wrap=True)
    print(f"table:  {out / 'table.csv'}\nreport: {report}")


def _show(out: Path, stages: Sequence[Stage], only: str, slots: int) -> None:
    """The stages as a table, and the time that is left."""
    done = {stage.name for stage in stages if finished_seconds(out, stage) is not None}
    seconds = expected_seconds(out, stages)
    left = needed(stages, done, only)
    table = Table("stage", "time", "", "command")
    for stage in stages:
        state = "done" if stage.name in done else "" if stage in left else "not needed"
        time = duration(seconds[stage.name])
        table.add_row(stage.name, time if state == "done" else f"about {time}", state, " ".join(stage.arguments))
    Console().print(table)
    total = sum(seconds[stage.name] for stage in left)
    print(
        f"{out}: {len(done)} of {len(stages)} stages are done; {len(left)} are left: about {duration(total)} of one "
        f"core's work, {duration(total / slots)} with {slots} at a time"
    )
