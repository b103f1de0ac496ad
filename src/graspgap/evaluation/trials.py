"""Closed-loop attempts with unseen objects: the only measure that counts."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graspgap.collection.policies import PolicyChoice, make_policy
from graspgap.config import to_json
from graspgap.errors import UserError
from graspgap.evaluation.film import film_attempt, keep_first, save_film
from graspgap.evaluation.results import FILE_NAME, AttemptRecord, EvaluationResult, load, save
from graspgap.files import read_json, write_json
from graspgap.parallel import choose_workers, run_pieces
from graspgap.runs import begin_run
from graspgap.settings import build
from graspgap.worlds.catalog import WorldChoice, cached_world, is_robot, processes
from graspgap.worlds.standin_names import TRAINING

PIECE = 12
"""Attempts per resumable piece."""


@dataclass(frozen=True)
class TrialSettings:
    """Everything that an attempt of an evaluation depends on, besides its number."""

    world: WorldChoice = field(default_factory=lambda: WorldChoice(name="standin", split="test"))
    policy: PolicyChoice = field(default_factory=PolicyChoice)
    seed: int = 1000
    """Evaluation seed: it fixes the scenes, which all policies share."""
    steps_per_attempt: int = 4
    attempts_per_scene: int = 3


PIECES = "pieces"
"""Folder of the attempts of an evaluation, a file for each few of them."""


@dataclass(frozen=True)
class Arm:
    """What a study notes about the policy that is evaluated."""

    name: str = ""
    """Empty: the policy's name."""
    real_labels: float = 0.0
    """Fraction of real labels that training was given."""
    real_label_count: int = 0
    seed: int = 0
    """Training seed."""
    ingredients: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Held:
    """What the file of a piece holds."""

    records: tuple[AttemptRecord, ...]
    objects: dict[str, list[str]]


@dataclass(frozen=True)
class _Piece:
    out: Path
    attempts: range
    settings: TrialSettings
    films: int = 0
    """Successes and failures to film, of each as many. A robot's alone: others can be made again."""

    @property
    def path(self) -> Path:
        return self.out / PIECES / f"{self.attempts.start:06d}-{self.attempts.stop:06d}.json"

    def read(self) -> tuple[list[AttemptRecord], dict[str, list[str]]]:
        """Its records, and the objects of each scene.

        Raises:
            UserError: if the file is damaged.
        """
        found = read_json(self.path, "a piece of evaluation")
        found = {"records": found, "objects": {}} if isinstance(found, list) else found  # written by version 0.1.0
        held = build(_Held, found, self.path, "delete it and run the same command again")
        return list(held.records), held.objects


def _held(out: Path) -> int:
    """Attempts that the evaluation in `out` holds; where its results are damaged, those of its pieces, of which they
    are made again."""
    if not (out / FILE_NAME).exists():
        return 0
    try:
        return load(out).attempts
    except UserError:
        return max((int(path.stem.partition("-")[2]) for path in (out / PIECES).glob("*-*.json")), default=0)


def evaluate(
    out: Path,
    settings: TrialSettings,
    attempts: int,
    arm: Arm,
    workers: int = 0,
    facts: dict[str, Any] | None = None,
    films: int = 0,
) -> EvaluationResult:
    """Run attempts 0 to `attempts` - 1 and write `results.json`; resumes. `facts` go into its config.

    `films`: keep films of the first so many successes and failures, of a robot, whose attempts can't be made again
    as `filming.film_evaluation` does.

    Raises:
        UserError: if a setting is refused, or `out` holds something else.
    """
    if attempts < 1:
        raise UserError(f"--attempts {attempts} asks for nothing: give at least 1")
    workers = choose_workers(processes(settings.world, workers))
    chosen = make_policy(settings.policy, settings.steps_per_attempt)
    chosen.check(cached_world(settings.world).spec)
    begin_run(out, "evaluation", settings, {"policy": chosen.identity}, places=["policy.name"])
    held_before = _held(out)
    if held_before > attempts:
        raise UserError(
            f"{out} holds {held_before} attempts, --attempts {attempts} would lose some: give {held_before} or more"
        )
    robot = is_robot(settings.world)
    size = 1 if robot else PIECE  # a robot's attempts are dear
    films = films if robot else 0
    pieces = [_Piece(out, range(i, min(i + size, attempts)), settings, films) for i in range(0, attempts, size)]
    missing = [piece for piece in pieces if not piece.path.exists()]
    held = [record for piece in pieces if piece.path.exists() for record in piece.read()[0]]
    succeeded = sum(record.success for record in held)
    run_pieces(_run_piece, missing, workers, f"evaluate {arm.name}".strip(), attempts, len(held), succeeded)
    read = [piece.read() for piece in pieces]
    records = [record for held, _ in read for record in held]
    result = EvaluationResult(
        arm=arm.name or chosen.policy.name,
        real_labels=arm.real_labels,
        real_label_count=arm.real_label_count,
        seed=arm.seed,
        evaluation_seed=settings.seed,
        world=settings.world.place + (TRAINING if settings.world.split == "train" else ""),
        records=records,
        ingredients=list(arm.ingredients),
        config=json.loads(
            json.dumps({"evaluation": to_json(settings), "policy_identity": chosen.identity, **(facts or {})})
        ),
        wall_seconds=round(sum(record.seconds for record in records), 2),
        scene_objects={scene: names for _, objects in read for scene, names in objects.items()},
    )
    save(result, out)
    if films:
        keep_first(out, films)
    return result


def _run_piece(piece: _Piece) -> tuple[int, int]:
    settings = piece.settings
    world = cached_world(settings.world)
    policy = make_policy(settings.policy, settings.steps_per_attempt).policy
    records: list[AttemptRecord] = []
    objects: dict[str, list[str]] = {}
    for k in piece.attempts:
        start = time.perf_counter()
        film = film_attempt(
            world, policy, settings.seed, k, settings.steps_per_attempt, settings.attempts_per_scene, after=False
        )
        attempt = film.attempt
        if attempt.objects:
            objects[str(attempt.scene)] = attempt.objects
        if piece.films:
            save_film(piece.out, film)
        records.append(
            AttemptRecord(
                attempt=k,
                scene=attempt.scene,
                success=attempt.outcome.success,
                object_name=attempt.outcome.object_name,
                steps=len(attempt.images),
                predicted=attempt.predicted[-1] if attempt.predicted else None,
                seconds=round(time.perf_counter() - start, 3),
            )
        )
    write_json(piece.path, {"records": [asdict(record) for record in records], "objects": objects})
    return len(records), sum(record.success for record in records)
