"""The image offset of reality's camera that policies with the consistency loss and `dbn` measured, beside the true one.

    pip install -e ".[bullet]" -c constraints.txt
    python benchmarks/offsets.py STUDY --world standin2

STUDY is the folder of a finished study whose real dataset is called as the world, with its data and policies. The truth
is how far the true camera shows the dataset's gripper poses from where the nominal one does, on average; it is known
since the world is a stand-in. Units: half pictures, (u right, v down).
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from align import TRUTHS
from graspgap.datasets import open_dataset
from graspgap.deployment.predictor import load_predictor
from graspgap.errors import choose
from graspgap.networks.normalization import Domain
from graspgap.runs import read_run
from graspgap.worlds.standin import NOMINAL_CAMERA


@dataclass(frozen=True)
class Config:
    """What is compared."""

    study: Positional[Path]
    world: str = "standin2"
    """`standin` or `standin2`."""
    name: str = ""
    """Of the file of results, `offsets_NAME`; empty: the world."""


def text(offset: Any) -> str:
    """(u, v) to three digits."""
    return f"{offset[0]:+.3f} {offset[1]:+.3f}"


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    camera = TRUTHS[choose("--world", config.world, TRUTHS)].camera
    poses = open_dataset(config.study / "data" / config.world).unlabelled().poses
    assert poses is not None
    points = poses[:, :3]
    truth = (camera.project(points) - NOMINAL_CAMERA.project(points)).mean(axis=0)
    rows = []
    for run in sorted((config.study / "policies").iterdir()):
        if not {"consistency", "dbn"} <= read_run(run, "policy")["config"]["methods"].keys():
            continue
        net = load_predictor(run, "cpu").net
        rows.append({"policy": run.name, "measured": text(net.offset[Domain.REALITY].tolist()), "true": text(truth)})
    print(table(rows))
    settings = {"study": "/".join(config.study.resolve().parts[-2:]), "world": config.world, "poses": len(points)}
    print(save(f"offsets_{config.name or config.world}", settings, rows, load))


if __name__ == "__main__":
    main()
