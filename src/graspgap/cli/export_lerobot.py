"""`graspgap export lerobot DATA OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.checks import at_least
from graspgap.cli.place import Place
from graspgap.datasets.export_lerobot import LerobotExport, export_lerobot
from graspgap.datasets.lerobot_layout import MAPPING
from graspgap.errors import UserError


@dataclass(frozen=True)
class Config:
    data: Positional[Place]
    """Dataset folder, labelled or not."""
    out: Positional[Path]
    """Folder to write; a command that was stopped resumes."""
    options: OmitArgPrefixes[LerobotExport] = field(default_factory=LerobotExport)


def run(config: Config) -> None:
    """Export, and say what came of it."""
    at_least("--fps", config.options.fps, 1)
    if not 0 <= config.options.crf <= 51:
        raise UserError(f"--crf {config.options.crf} is out of range: give 0 (nearly no loss) to 51")
    info = export_lerobot(config.data, config.out, config.options)
    print(
        f"{config.out}: {info['total_episodes']} episodes, {info['total_frames']} frames; "
        f"graspgap import lerobot takes it back with --mapping {config.out / MAPPING}"
    )
