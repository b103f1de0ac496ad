"""Robot episodes in the RLDS form (TFRecord files of TensorFlow Datasets) as an unlabelled dataset, without TensorFlow.

An episode is one record; its field `steps/...` holds the values of all its steps one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from graspgap.contract import MAX_SERVO_STEPS, Image
from graspgap.datasets.frames import spread
from graspgap.datasets.importing import Advance, Report, Skip, Unit, run_import
from graspgap.datasets.pictures import decode_whole_picture, square
from graspgap.datasets.poses import FrameConfig, to_poses
from graspgap.datasets.schema import PictureRow
from graspgap.datasets.tfrecords import Fields, find_files, read_record, record_offsets, require_fields
from graspgap.errors import UserError


@dataclass(frozen=True)
class RldsMapping:
    """Which fields of an episode are read. Pictures are cut to their central square and resized by area."""

    images: tuple[str, ...] = ("steps/observation/image_0",)
    """Fields with encoded pictures (PNG, JPEG), one per step; each field, a camera, makes rows of its own."""
    pose: str | None = None
    """Field with the gripper pose of each step, in metres and radians in the frame of the robot's base, pointing down;
    none: pictures alone. A row with a pose that is not finite is skipped."""
    pose_index: tuple[int, int, int, int] = (0, 1, 2, 5)
    """Where x, y, z and yaw are among the values of `pose`."""
    image_size: int = 64
    """Pictures become image_size x image_size pixels."""
    frames_per_attempt: int = MAX_SERVO_STEPS
    """Pictures per row, spread evenly over the episode."""
    attempts_per_episode: int = 1
    """Rows per episode and camera; their pictures interleave."""


def import_rlds(source: Path, out: Path, mapping: RldsMapping | None = None) -> dict[str, Any]:
    """Import the episodes of all TFRecord files below `source` to the dataset `out`; an episode is a scene. Resumes.

    `image_before` is the first picture of the episode. Cameras that show nothing (one colour) or can't be decoded are
    skipped; their number is in the meta that is returned, under "notes".

    Raises:
        UserError: if there are no TFRecord files, one is damaged, a field of the mapping doesn't exist or is of
            another kind, no picture is left, or `out` holds something else.
    """
    mapping = mapping or RldsMapping()
    return run_import(out, source, _Episodes(source, mapping), mapping, mapping.image_size)


class _Episodes:
    kind, counted = "rlds", "bytes"

    def __init__(self, source: Path, mapping: RldsMapping) -> None:
        files = find_files(source)
        if not files:
            raise UserError(
                f"{source} has no TFRecord files: expected a folder of TensorFlow Datasets (name-train.tfrecord-...)"
            )
        self.source, self.mapping = source, mapping
        self.places = [(path, *place) for path in files for place in record_offsets(path)]
        if not self.places:
            raise UserError(f"{files[0]} is empty: expected RLDS episodes; download it again")
        self.units = [Unit(f"{path.name} at byte {offset}", size) for path, offset, size in self.places]
        self.nothing = f"{source} has no picture in {', '.join(mapping.images)} that shows anything: map other fields"
        self._episode(0)

    def read(self, unit: int, advance: Advance) -> Iterator[PictureRow | Skip]:
        path, mapping = self.places[unit][0], self.mapping
        episode = self._episode(unit)
        recorded = None if mapping.pose is None else _poses(episode, mapping, path)
        for camera in mapping.images:
            rows = _attempts(episode, camera, mapping)
            if isinstance(rows, str):
                yield Skip(rows, f"{self.units[unit].name}, {camera}")
                continue
            for before, images, steps in rows:
                poses, why = None, ""
                if recorded is not None:
                    with np.errstate(invalid="ignore"):  # some bytes are a NaN that signals
                        values = recorded[steps].astype(np.float64)
                    poses, why = to_poses(values, FrameConfig(), f"'{mapping.pose}'")
                if why:
                    yield Skip(why, f"{self.units[unit].name}, {camera}")
                else:
                    yield PictureRow(0, 0, before, images, self.kind, poses)

    def notes(self, report: Report) -> dict[str, Any]:
        return {"source": str(self.source), "episodes": report.units, "skipped": report.skips}

    def _episode(self, unit: int) -> Fields:
        path, offset, _ = self.places[unit]
        episode = read_record(path, offset)
        _check_fields(episode, self.mapping, path)
        return episode


def _attempts(
    episode: Fields, camera: str, mapping: RldsMapping
) -> list[tuple[Image, list[Image], Int64[np.ndarray, "t"]]] | str:
    """(image_before, images, their steps) of each row that one camera of an episode gives; or why it gives none."""
    data = episode[camera]
    steps = spread(len(data), mapping.frames_per_attempt * mapping.attempts_per_episode)
    try:
        before, *pictures = [square(decode_whole_picture(data[k]), mapping.image_size) for k in (0, *steps)]
    except (UserError, IndexError):
        return "not a whole PNG or JPEG picture"
    if all(np.ptp(picture) == 0 for picture in pictures):
        return "camera shows one colour"
    count = mapping.attempts_per_episode
    return [(before, pictures[first::count], steps[first::count]) for first in range(min(count, len(steps)))]


def _poses(episode: Fields, mapping: RldsMapping, path: Path) -> Float32[np.ndarray, "steps 4"]:
    steps = len(episode[mapping.images[0]])
    if not steps:
        return np.zeros((0, 4), dtype=np.float32)
    values = np.asarray(episode[mapping.pose or ""])
    if values.dtype != np.float32 or len(values) % steps or len(values) // steps <= max(mapping.pose_index):
        raise UserError(
            f"{path} has {len(values)} values of '{mapping.pose}' in an episode of {steps} steps: "
            f"expected numbers, at least {max(mapping.pose_index) + 1} a step; map another field or pose index"
        )
    return values.reshape(steps, -1)[:, list(mapping.pose_index)]


def _check_fields(episode: Fields, mapping: RldsMapping, path: Path) -> None:
    require_fields(episode, (*mapping.images, *([mapping.pose] if mapping.pose else [])), path)
    for name in mapping.images:
        if not isinstance(episode[name], list):
            raise UserError(
                f"field '{name}' of {path.name} holds numbers, expected encoded pictures: map another field"
            )
