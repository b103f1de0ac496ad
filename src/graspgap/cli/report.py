"""`graspgap report OUT`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from graspgap.evaluation.plans import PLANS
from graspgap.evaluation.study_report import write_report, write_study_report
from graspgap.files import read_json
from graspgap.runs import CONFIG, read_run


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Folder of a study, or of any evaluations; the report is written into it."""


def run(config: Config) -> None:
    """Write the report again."""
    found = read_json(config.out / CONFIG, "a graspgap run") if (config.out / CONFIG).exists() else {}
    if found and found.get("kind") != "rounds":
        identity = read_run(config.out, "study")["config"]
        report = write_study_report(config.out, PLANS[identity["preset"]](config.out, identity["seed"]))
    else:
        report = write_report(config.out)
    print(f"report: {report}")
