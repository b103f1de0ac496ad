"""The record of one evaluation, `results.json`: one policy, one world, some attempts, and all that explains them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from graspgap.errors import UserError
from graspgap.evaluation.statistics import Interval, Sample, wilson_interval
from graspgap.files import read_json, write_json
from graspgap.provenance import hardware, versions
from graspgap.seeding import SEEDS
from graspgap.settings import check_table

FILE_NAME = "results.json"
FORMAT = 1
"""Version of the file; it grows when a reader of the older one could misread the newer."""
LATER_FIELD = "scene_objects"
"""What files of format 1 may lack."""


@dataclass(frozen=True)
class AttemptRecord:
    """How one attempt of the evaluation went."""

    attempt: int
    """Number of the attempt; with the evaluation seed it fixes the scene, so equal numbers can be paired."""
    scene: int
    """Attempts of equal evaluation seed and scene start from the same settled objects."""
    success: bool
    object_name: str | None
    """Which object was held, where the world knows it."""
    steps: int
    """Servo steps used before the fingers closed."""
    predicted: float | None
    """C at the moment of closing, in [0, 1]; None for policies that predict nothing."""
    seconds: float
    """Wall time of the attempt [s]."""


@dataclass(frozen=True)
class EvaluationResult:
    """One policy's evaluation. Counts, rate and interval follow from the records."""

    arm: str
    """Which recipe made the policy, e.g. "sim+consistency"."""
    real_labels: float
    """Fraction of the labelled real attempts that training was given, 0 to 1."""
    real_label_count: int
    """The same as a number of attempts."""
    seed: int
    """Training seed."""
    evaluation_seed: int
    """Seed of the scenes. Only results of the same evaluation seed can be paired."""
    world: str
    records: list[AttemptRecord]
    ingredients: list[str] = field(default_factory=list)
    """What the recipe is made of besides real labels, e.g. ["simulation", "consistency"]: arms that differ in one show
    what it adds. Real-only training and random commands have none."""
    config: dict[str, Any] = field(default_factory=dict)
    """Resolved configuration of the evaluation and of the policy's training."""
    wall_seconds: float = 0.0
    """Wall time of the whole evaluation [s]."""
    versions: dict[str, str] = field(default_factory=versions)
    hardware: dict[str, str | int | float] = field(default_factory=hardware)
    scene_objects: dict[str, list[str]] = field(default_factory=dict)
    """Names of the objects that lay in the bin, by scene, where the world tells; empty in older files."""

    @property
    def attempts(self) -> int:
        return len(self.records)

    @property
    def successes(self) -> int:
        return sum(record.success for record in self.records)

    @property
    def interval(self) -> Interval:
        """Success rate with its 95% Wilson interval."""
        return wilson_interval(self.successes, self.attempts)


def save(result: EvaluationResult, folder: Path) -> Path:
    """Write `results.json` into `folder` atomically; returns its path."""
    interval = result.interval
    counts = {"attempts": result.attempts, "successes": result.successes}
    rates = {"rate": _finite(interval.value), "low95": interval.low, "high95": interval.high}
    path = folder / FILE_NAME
    write_json(path, {"format": FORMAT} | counts | rates | asdict(result))
    return path


def load(path: Path) -> EvaluationResult:
    """Read a `results.json`, or the one in a folder.

    Raises:
        UserError: if it is missing, of another format, incomplete, or if its counts disagree with its records.
    """
    path = path / FILE_NAME if path.is_dir() else path
    value = read_json(path, "an evaluation")
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = value.get("format") if isinstance(value, dict) else None
        raise UserError(f"{path} has format {found}, expected {FORMAT}: evaluate again with this version of graspgap")
    names = [item.name for item in fields(EvaluationResult)]
    try:
        arguments = {name: value[name] for name in names if name != LATER_FIELD or name in value}
        check_table(EvaluationResult, arguments, "it")
        arguments["records"] = [AttemptRecord(**record) for record in value["records"]]
        result = EvaluationResult(**arguments)
        stored = (value["attempts"], value["successes"])
    except (KeyError, TypeError, UserError) as error:
        raise UserError(f"{path} is not a complete evaluation ({error}): evaluate again") from None
    if stored != (result.attempts, result.successes):
        raise UserError(
            f"{path} says {stored[1]} successes of {stored[0]}, "
            f"but its records hold {result.successes} of {result.attempts}: evaluate again"
        )
    numbers = [result.seed, result.evaluation_seed, result.real_label_count]
    numbers += [number for record in result.records for number in (record.attempt, record.scene)]
    if not (all(0 <= number < SEEDS for number in numbers) and 0 <= result.real_labels <= 1):
        raise UserError(f"{path} has a seed, a number or a share of labels that none can be: evaluate again")
    return result


def find_results(folder: Path) -> list[EvaluationResult]:
    """All evaluations in `folder` and below, sorted by path."""
    return [load(path) for path in sorted(folder.rglob(FILE_NAME))]


def sample(results: Sequence[EvaluationResult], pairs: Iterable[tuple[int, int, int]] | None = None) -> Sample:
    """The attempts of several results of one policy recipe as one sample for the statistics.

    Args:
        results: evaluations, usually of several training seeds.
        pairs: (training seed, evaluation seed, attempt) keys to take, in this order; all of them if None.
    """
    found = attempts_by_key(results)
    keys = list(found) if pairs is None else list(pairs)
    chosen = [found[key] for key in keys]
    return Sample(
        outcomes=np.array([record.success for record in chosen], dtype=bool),
        scenes=np.array(
            [_scene_id(key[1], record.scene) for key, record in zip(keys, chosen, strict=True)], dtype=np.int64
        ),
        seeds=np.array([key[0] for key in keys], dtype=np.int64),
    )


def attempts_by_key(results: Sequence[EvaluationResult]) -> dict[tuple[int, int, int], AttemptRecord]:
    """Every attempt by (training seed, evaluation seed, attempt).

    Raises:
        UserError: if two results hold the same attempt: one of them would be counted twice.
    """
    found: dict[tuple[int, int, int], AttemptRecord] = {}
    for result in results:
        for record in result.records:
            key = (result.seed, result.evaluation_seed, record.attempt)
            if key in found:
                raise UserError(
                    f"two results of arm '{result.arm}' with training seed {key[0]} and evaluation seed {key[1]} "
                    f"hold attempt {key[2]}: remove one of them"
                )
            found[key] = record
    return found


def predictions(results: Sequence[EvaluationResult]) -> tuple[np.ndarray, np.ndarray]:
    """Predicted C at closing (float64[n]) and outcome (bool[n]) of every attempt that has a prediction."""
    records = [record for result in results for record in result.records if record.predicted is not None]
    predicted = np.array([record.predicted for record in records], dtype=np.float64)
    return predicted, np.array([record.success for record in records], dtype=bool)


def _scene_id(evaluation_seed: int, scene: int) -> int:
    """One number for a scene of an evaluation seed: scenes of different seeds are different scenes."""
    return (evaluation_seed << 32) + scene


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
