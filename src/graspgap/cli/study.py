"""`graspgap study OUT --preset NAME`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from graspgap.cli.checks import at_least
from graspgap.errors import choose
from graspgap.evaluation.plans import PLANS
from graspgap.evaluation.stages import finished_seconds, run_stages
from graspgap.evaluation.study_report import write_study_report
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run


@dataclass(frozen=True)
class _Identity:
    preset: str
    seed: int


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Study folder; a study that was stopped resumes."""
    preset: str = "demo"
    """`demo` (about half an hour on two cores), `demo-long` (about two hours), `methods` (every method, some hours),
    `transfer` (between `sim` and `bullet`, about half an hour, extra `bullet`); `tiny` and `transfer-tiny` only prove
    that they run."""
    seed: int = 0
    """Seed of all data, training and evaluation."""
    workers: int = 0
    """Cores to use; 0: all."""
    plan: bool = False
    """Show the stages and what is done already, and stop."""


def run(config: Config) -> None:
    """Run what has not finished, write the report, print the table."""
    plan = PLANS[choose("--preset", config.preset, PLANS)]
    at_least("--seed", config.seed, 0)
    workers = choose_workers(config.workers)
    stages = plan(config.out, config.seed)
    if config.plan:
        table = Table("stage", "done", "command")
        for stage in stages:
            seconds = finished_seconds(config.out, stage)
            table.add_row(stage.name, "" if seconds is None else f"{seconds:.0f} s", " ".join(stage.arguments))
        Console().print(table)
        return
    begin_run(config.out, "study", _Identity(config.preset, config.seed))
    run_stages(config.out, stages, workers)
    report = write_study_report(config.out, stages)
    Console().print((config.out / "table.md").read_text(encoding="utf-8"), markup=False, soft_wrap=True)
    print(f"table:  {config.out / 'table.csv'}\nreport: {report}")
