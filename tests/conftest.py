"""A world that needs no physics: a bin with one object, a gripper, and a camera, drawn as squares."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from graspgap.contract import (
    Camera,
    GraspOutcome,
    MotorCommand,
    Observation,
    SemanticClass,
    Workspace,
    WorldSpec,
    apply_command,
    checked_command,
)
from graspgap.datasets.writer import finish, write_shard
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy, ScriptedPolicy
from graspgap.seeding import generator
from graspgap.worlds import lock

settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.load_profile("same")

SIM = WorldSpec("paper", 32, Workspace(), Camera(), has_masks=True, has_state=True, is_reality=False)
REAL = replace(SIM, name="paper-reality", has_masks=False, has_state=False, is_reality=True)

lock.FOLDER = Path(tempfile.mkdtemp())  # other processes of pytest drive robots of the same names


class PaperWorld:
    """One square object; a grasp within 3 cm of it succeeds."""

    def __init__(self, spec: WorldSpec = SIM) -> None:
        self.spec = spec

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        self.rng = generator(seed, "paper")
        space = self.spec.workspace
        self.thing = generator(seed if scene_seed is None else scene_seed, "thing").uniform(space.low, space.high)
        self.thing[2] = 0.02
        start = self.rng.uniform((*space.low[:2], 0.2, -1.5), (*space.high[:2], 0.25, 1.5))
        self.pose = space.clip(start)
        return self.observe()

    def observe(self) -> Observation:
        before, mask_before = self._draw(False)
        now, mask_now = self._draw(True)
        masks = (mask_before, mask_now) if self.spec.has_masks else (None, None)
        return Observation(before, now, self.pose, *masks)

    def _draw(self, arm: bool) -> tuple[np.ndarray, np.ndarray]:
        size = self.spec.image_size
        mask = np.full((size, size), SemanticClass.BIN, np.uint8)
        self._square(mask, self.thing, SemanticClass.OBJECT)
        if arm:
            self._square(mask, self.pose[:3], SemanticClass.ARM)
        palette = np.array([[0, 0, 0], [120, 90, 60], [230, 230, 230], [40, 160, 60]], np.uint8)
        return palette[mask], mask

    def _square(self, mask: np.ndarray, point: np.ndarray, value: int) -> None:
        column, row = ((self.spec.camera.project(point) + 1) / 2 * self.spec.image_size).astype(int)
        mask[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = value

    def move(self, command: MotorCommand) -> None:
        self.pose = self.spec.workspace.clip(apply_command(self.pose, checked_command(command)))

    def grasp(self) -> GraspOutcome:
        success = bool(np.linalg.norm(self.pose[:2] - self.thing[:2]) < 0.03)
        return GraspOutcome(success, "thing" if success else None)

    def record(self) -> dict[str, Any]:
        return {"objects": ["thing"], "randomization": {}}

    def object_positions(self) -> np.ndarray:
        return self.thing[None]

    def close(self) -> None:
        pass


def make_dataset(folder: Path, spec: WorldSpec, attempts: int = 40, seed: int = 0) -> Path:
    """A dataset of the paper world."""
    policy = ScriptedPolicy(4) if spec.has_state else RandomPolicy(4)
    rows = [run_attempt(PaperWorld(spec), policy, seed, k, per_scene=4) for k in range(attempts)]
    write_shard(folder, 0, rows)
    finish(folder, {"seed": seed}, spec, 1)
    return folder


@pytest.fixture(scope="session")
def sim_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 simulated attempts with masks and labels."""
    return make_dataset(tmp_path_factory.mktemp("sim") / "data", SIM)


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 attempts that count as real: no masks."""
    return make_dataset(tmp_path_factory.mktemp("real") / "data", REAL, seed=7)
