"""`graspgap import rosbag FOLDER OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.importing import checked, show
from graspgap.datasets.import_rosbag import RosbagMapping, import_rosbag


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """Folder with MCAP files of ROS 2, searched with its sub-folders; or one file."""
    out: Positional[Path]
    """Dataset folder to write."""
    mapping: Path | None = None
    """TOML file with the options below; an option that is given here wins."""
    options: OmitArgPrefixes[RosbagMapping] = field(default_factory=RosbagMapping)


def run(config: Config) -> None:
    """Import, and say what was taken and skipped."""
    options = checked(config.options)
    show(config.out, import_rosbag(config.folder, config.out, options))
