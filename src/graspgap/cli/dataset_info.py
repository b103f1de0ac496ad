"""`graspgap dataset info PATH`"""

from __future__ import annotations

import json
from dataclasses import dataclass

from rich.console import Console
from tyro.conf import FlagCreatePairsOff, Positional

from graspgap.cli.place import Place
from graspgap.datasets.summary import as_table, summary


@dataclass(frozen=True)
class Config:
    path: Positional[Place]
    """Dataset folder."""
    json: FlagCreatePairsOff[bool] = False
    """Print JSON instead of a table."""


def run(config: Config) -> None:
    """Print what the dataset holds."""
    facts = summary(config.path)
    if config.json:
        print(json.dumps(facts, indent=2))
    else:
        Console().print(as_table(facts))
