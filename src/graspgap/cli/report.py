"""`graspgap report OUT`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from graspgap.evaluation.study_file import seeds_below
from graspgap.evaluation.study_report import write_report, write_study_report
from graspgap.files import read_json
from graspgap.runs import CONFIG
from graspgap.settings import entry


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Folder of a study, of evaluations, or of adapter and policy runs (or one of these); the report is written into
    it."""


def run(config: Config) -> None:
    """Write the report again."""
    path, fix = config.out / CONFIG, "restore it, or choose another folder"
    kind = entry(read_json(path, "a graspgap run"), "kind", str, path, fix) if path.exists() else ""
    study = kind not in ("rounds", "evaluation", "adapter", "policy") if kind else seeds_below(config.out)
    report = write_study_report(config.out) if study else write_report(config.out)
    print(f"report: {report}")
