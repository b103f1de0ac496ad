"""`graspgap rounds OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.checks import NOT_NEGATIVE, at_least, one_camera
from graspgap.cli.stage_checks import check_stages
from graspgap.collection.policies import UNTRAINED
from graspgap.datasets import open_dataset
from graspgap.deployment.load import open_predictor
from graspgap.errors import UserError
from graspgap.evaluation.rounds import RoundsConfig, plan_rounds
from graspgap.evaluation.stages import run_stages
from graspgap.evaluation.study_report import write_report
from graspgap.locations import location
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run
from graspgap.settings import in_range
from graspgap.training.adapt import load_adapter
from graspgap.worlds.camera_file import read_camera
from graspgap.zoo import resolved


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
    _check_learning(settings)
    workers, stages = choose_workers(config.workers), plan_rounds(settings, config.out)
    check_stages(config.out, stages)
    begin_run(config.out, "rounds", settings)
    run_stages(config.out, stages, workers)
    for number in range(settings.rounds):
        meta = open_dataset(config.out / f"data/round{number}").meta
        share = meta["successes"] / meta["attempts"]
        print(f"round {number}: {share:.1%} of {meta['attempts']} attempts succeeded while collecting")
    if settings.trials:
        print(f"report: {write_report(config.out)}")


def _check_learning(settings: RoundsConfig) -> None:
    """Refuse what `train` would refuse, before the first attempt: a robot's attempts are dear."""
    for option in ("sim", "adapter", "features"):
        if settings.simulated and getattr(settings, option):
            raise UserError(f"--{option} is for rounds in a real world, and '{settings.world}' is a simulator: omit it")
    if (settings.adapter or settings.features) and not settings.sim:
        raise UserError("--adapter and --features bring simulation and reality together: give --sim DATA too")
    if settings.policy not in ("", *UNTRAINED):
        open_predictor(resolved(Path(settings.policy)))
    if settings.sim:
        sim = open_dataset(location(settings.sim))
        sim.require_simulated()
        sim.require_image_size(settings.image_size)
        if settings.camera:
            one_camera(sim.path, sim.camera, settings.camera, read_camera(Path(settings.camera)).camera)
    if settings.adapter:
        load_adapter(resolved(Path(settings.adapter)), torch.device("cpu"), settings.image_size)
