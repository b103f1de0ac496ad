"""`graspgap rounds OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.checks import NOT_NEGATIVE, at_least
from graspgap.datasets import open_dataset
from graspgap.evaluation.rounds import RoundsConfig, plan_rounds
from graspgap.evaluation.stages import run_stages
from graspgap.evaluation.study_report import write_report
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run
from graspgap.settings import in_range


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Folder to write; a command that was stopped resumes."""
    rounds: OmitArgPrefixes[RoundsConfig] = field(default_factory=RoundsConfig)
    """What the rounds are made of."""
    workers: int = 0
    """Cores to use; 0: all."""


def run(config: Config) -> None:
    """Run what has not finished, and say what share of each round succeeded."""
    settings = config.rounds
    for option in ("rounds", "attempts", "steps"):
        at_least(f"--{option}", getattr(settings, option), 1)
    at_least("--seed", settings.seed, 0)
    at_least("--trials", settings.trials, 0)
    in_range("--noise", settings.noise, NOT_NEGATIVE)
    workers = choose_workers(config.workers)
    begin_run(config.out, "rounds", settings)
    run_stages(config.out, plan_rounds(settings, config.out), workers)
    for number in range(settings.rounds):
        meta = open_dataset(config.out / f"data/round{number}").meta
        share = meta["successes"] / meta["attempts"]
        print(f"round {number}: {share:.1%} of {meta['attempts']} attempts succeeded while collecting")
    if settings.trials:
        print(f"report: {write_report(config.out)}")
