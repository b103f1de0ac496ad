"""What an aligned camera is worth: three policies that differ in the camera of their simulation alone.

    pip install -e . -c constraints.txt
    python benchmarks/align_worth.py runs/align

In the stand-in, whose true camera is known to the judge alone. The operator believes the camera to be

    aligned   where `graspgap align` finds it, from pictures of the stand-in with the gripper at reported poses
    nominal   where simulation has it by default: about 4 cm and 2 degrees off
    wrong     6 cm and 4 degrees off

Each belief is a file for `--camera` of `graspgap collect` (randomized simulation) and of `graspgap evaluate`. Same
seeds, steps and scenes. It resumes. Result files are copied to `results/align`, what the cameras are off and the paired
differences to `benchmarks/results/align_worth.json`.
"""

from __future__ import annotations

from common import CORES, begin, save, table

# isort: split
import json
import os
import shutil
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import tyro
from scipy.spatial.transform import Rotation

from align import TRUTHS, clicked_camera, off
from graspgap.contract import Camera
from graspgap.evaluation.results import FILE_NAME, find_results
from graspgap.evaluation.stages import Stage, run_stages
from graspgap.evaluation.tables import compare, p_text, pool
from graspgap.files import write_json, write_text
from graspgap.worlds.standin import NOMINAL_CAMERA, TRUE_CAMERA

ARMS = ("aligned", "nominal", "wrong")
OFF, TURNED = 0.06, 4.0
"""How far the wrong camera is from the true one [m], further out in the nominal camera's direction, and by how much it
is turned about the vertical [degrees]."""


@dataclass(frozen=True)
class Config:
    """The recipe, the same for each camera."""

    out: tyro.conf.Positional[Path]
    """Folder for the runs."""
    attempts: int = 2500
    """Simulated attempts."""
    steps: int = 800
    """Training steps."""
    trials: int = 300
    """Closed-loop attempts."""
    training_seeds: tuple[int, ...] = (0,)
    data_seed: int = 60
    evaluation_seed: int = 1600
    pictures: int = 15
    """To align with."""
    click: float = 1.5
    """Standard deviation of a click [pixels]."""
    size: int = 640
    """Pixels of a side of the pictures that are clicked."""
    workers: int = 0
    """Cores; 0: all."""
    results: Path = Path(__file__).parent.parent / "results" / "align"
    """Folder to copy the result files to."""


def wrong_camera() -> Camera:
    """The true camera, moved and turned, with the operator's field of view. Its error on the floor (7.5 cm) is about
    the median of those of random directions (7.0 cm of 400)."""
    true = TRUTHS["standin"].place
    away = np.subtract(NOMINAL_CAMERA.position, true)
    position = true + OFF * away / np.linalg.norm(away)
    sight = np.subtract(TRUE_CAMERA.target, TRUE_CAMERA.position)
    target = position + Rotation.from_euler("z", TURNED, degrees=True).apply(sight)
    return Camera(tuple(position.tolist()), tuple(target.tolist()), NOMINAL_CAMERA.fov, TRUE_CAMERA.roll)


def cameras(config: Config) -> dict[str, Path]:
    """A camera file for each arm, made once."""
    folder = config.out / "cameras"
    paths = {name: folder / f"{name}.json" for name in ARMS}
    folder.mkdir(parents=True, exist_ok=True)
    if not paths["aligned"].exists():
        found = clicked_camera(folder, "standin", config.data_seed, config.pictures, config.click, config.size)
        write_text(paths["aligned"], found.read_text())
    for name, camera in (("nominal", NOMINAL_CAMERA), ("wrong", wrong_camera())):
        write_json(paths[name], asdict(camera))
    return paths


def plan(config: Config, files: dict[str, Path]) -> list[Stage]:
    """The commands."""
    stages = []
    for arm, file in files.items():
        data = f"data/{arm}"
        words = ["collect", str(config.out / data), "--world", "sim", "--camera", str(file), "--randomize", "both"]
        words += ["--attempts", str(config.attempts), "--seed", str(config.data_seed)]
        stages.append(Stage(data, tuple(words), (), ("collect sim randomized", config.attempts)))
        for seed in config.training_seeds:
            policy, trials = f"policies/{arm}-seed{seed}", f"trials/{arm}-seed{seed}"
            words = ["train", str(config.out / policy), "--sim", str(config.out / data)]
            words += ["--steps", str(config.steps), "--seed", str(seed)]
            stages.append(Stage(policy, tuple(words), (data,), ("train", config.steps)))
            words = ["evaluate", str(config.out / trials), "--policy", str(config.out / policy), "--camera", str(file)]
            words += ["--attempts", str(config.trials), "--seed", str(config.evaluation_seed), "--arm.name", arm]
            words += ["--arm.seed", str(seed), "--arm.ingredients", "simulation", "randomization", f"{arm} camera"]
            stages.append(Stage(trials, tuple(words), (policy,), ("evaluate standin", config.trials)))
    return stages


def main() -> None:
    """Align, collect, train, evaluate, compare, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    if CORES:
        os.sched_setaffinity(0, CORES)
    files = cameras(config)
    views = [{"camera": arm, **off(file, "standin", config.size)} for arm, file in files.items()]
    print(table(views))
    run_stages(config.out, plan(config, files), config.workers)
    for path in (config.out / "trials").glob(f"*/{FILE_NAME}"):
        to = config.results / path.parent.name
        to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / FILE_NAME)
    cells = {cell.arm: cell for cell in pool(find_results(config.out / "trials"))}
    rows = []
    for one, other in combinations(ARMS, 2):
        found = compare(cells[one], cells[other])
        assert found is not None
        points = [f"{100 * value:+.1f}" for value in (found.difference.low, found.difference.high)]
        rows.append(
            {
                "cameras": f"{one} against {other}",
                "success": f"{found.first_rate:.1%} against {found.second_rate:.1%}",
                "points": f"{100 * found.difference.value:+.1f}",
                "95%_interval": " to ".join(points),
                "McNemar_p": p_text(found.p),
                "attempts": found.attempts,
            }
        )
    print(table(rows))
    settings = json.loads(json.dumps(asdict(config), default=str)) | {"off_m": OFF, "turned_degrees": TURNED}
    settings = {name: value for name, value in settings.items() if name not in ("out", "results")}
    save("align_cameras", settings, views, load, cores=len(CORES))
    print(save("align_worth", settings, rows, load, cores=len(CORES)))


if __name__ == "__main__":
    main()
