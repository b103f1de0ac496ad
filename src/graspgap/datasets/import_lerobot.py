"""Folders of LeRobotDataset (v3.0, v2.1) as a dataset: labelled where poses, success and the moment of the grasp are
mapped, else unlabelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64, Int64

from graspgap.config import LATER
from graspgap.contract import MAX_SERVO_STEPS, GraspAttempt, GraspOutcome
from graspgap.datasets.frames import closing, one_bit, spread
from graspgap.datasets.importing import Advance, Report, Skip, Unit, run_import
from graspgap.datasets.lerobot_folder import Episode, LerobotFolder, numbers
from graspgap.datasets.pictures import square
from graspgap.datasets.poses import FrameConfig, check_frame, to_poses
from graspgap.datasets.schema import Attempt, PictureRow
from graspgap.errors import UserError, choose


@dataclass(frozen=True)
class LerobotMapping:
    """Which features of the dataset are read. Pictures are cut to their central square and resized by area."""

    images: tuple[str, ...] = ()
    """Cameras, each of which makes rows of its own. May be left out where there is one."""
    before: str | None = field(default=None, metadata=LATER)
    """Camera whose first picture is `image_before`; none: the first of the row's own camera, which then is no step."""
    pose: str | None = None
    """Feature with the gripper pose of each frame; none: pictures alone."""
    pose_index: tuple[int, ...] = ()
    """Where x, y, z and the rotation are among its numbers; empty: they are all of them, in this order."""
    frame: FrameConfig = field(default_factory=FrameConfig)
    target: str | None = None
    """Feature with the gripper pose that is commanded, laid out as `pose`: the target of a grasp. None: the pose
    that was reached, which tells how the attempt went (see docs/decisions.md)."""
    success: str | None = None
    """Feature of frames, whose last value counts, or column of meta/episodes, with how the grasp ended; none:
    unlabelled."""
    grasp: Literal["unknown", "last-frame", "gripper"] = "unknown"
    """When the fingers close: what comes after is no part of the attempt. Must be said where there is a `success`."""
    gripper: str | None = None
    """Feature with the opening of the gripper, or its command."""
    gripper_index: int = 0
    """Its place in that feature."""
    closed: Literal["below", "above"] = "below"
    """The side of `threshold` on which fingers are closed."""
    threshold: float = 0.5
    image_size: int = 64
    """Pictures become image_size x image_size pixels."""
    frames_per_attempt: int = MAX_SERVO_STEPS
    """Pictures per row, spread evenly over the episode, or over what comes before the grasp."""
    attempts_per_episode: int = 1
    """Rows per episode and camera, whose pictures interleave; 1 where there is a `success`."""
    scene: str | None = field(default=None, metadata=LATER)
    """Column of meta/episodes with the number of the scene; none: each episode is a scene of its own."""


def import_lerobot(source: Path, out: Path, mapping: LerobotMapping | None = None) -> dict[str, Any]:
    """Import the folder `source` to the dataset `out`; an episode is a scene. Resumes.

    `image_before` is the first picture of the episode, unless it has a camera of its own. Everything that is mapped
    must be there: an episode without its success, with a picture that is damaged or a gripper that doesn't point down
    is skipped and counted.

    Raises:
        UserError: if the folder or a file in it is damaged or of another kind, the mapping names a feature that
            doesn't exist or contradicts itself, no row comes of it, or `out` holds something else.
    """
    mapping = mapping or LerobotMapping()
    return run_import(out, source, _Episodes(source, mapping), mapping, mapping.image_size)


class _Episodes:
    kind, counted = "lerobot", "frames"

    def __init__(self, source: Path, mapping: LerobotMapping) -> None:
        self.folder, self.mapping = LerobotFolder(source), mapping
        if not self.folder.episodes:
            raise UserError(f"{source} has no episodes: expected a finished recording")
        self.cameras = _cameras(self.folder, mapping)
        self.columns = _check(self.folder, mapping)
        self.units = [
            Unit(f"episode {episode.index}", episode.length, _scene(self.folder, episode, mapping.scene))
            for episode in self.folder.episodes
        ]
        self.nothing = f"no row comes of {source}: see why in import.json, and map other features"

    def read(self, unit: int, advance: Advance) -> Iterator[Attempt | Skip]:
        folder, mapping = self.folder, self.mapping
        episode, name = folder.episodes[unit], self.units[unit].name
        if episode.length < 1:
            yield Skip("episode is empty", name)
            return
        pictured = self.cameras if mapping.before is None else (*self.cameras, mapping.before)
        stored = [camera for camera in pictured if not folder.is_video(camera)]
        table = folder.table(episode, [*self.columns, *stored])
        success, last = None, episode.length - 1
        if mapping.success is not None:
            success = self._success(episode, table)
            if success is None:
                yield Skip("success is missing, or neither true nor false", name)
                return
            if mapping.grasp == "gripper":
                feature = mapping.gripper or ""
                openings = pick(numbers(table[feature], feature), (mapping.gripper_index,), feature)[:, 0]
                when = closing(openings, mapping.threshold, mapping.closed == "below")
                if when is None:
                    yield Skip("fingers don't close", name)
                    return
                last = when
        count = mapping.attempts_per_episode
        steps = spread(last + 1, mapping.frames_per_attempt * count, first=mapping.before is not None)
        poses, why = self._poses(table, mapping.pose, steps)
        targets, why_not = self._poses(table, mapping.target, steps[-1:])
        if why or why_not:
            yield Skip(why or why_not, name)
            return
        for camera in self.cameras:
            try:
                pictures = folder.pictures(episode, table, mapping.before or camera, [0])
                pictures += folder.pictures(episode, table, camera, steps.tolist())
            except UserError as error:
                if any(map(folder.is_video, pictured)):
                    raise
                yield Skip("picture is missing or damaged", f"{name}, {camera}: {error}")
                continue
            before, *images = [square(picture, mapping.image_size) for picture in pictures]
            for first in range(min(count, len(steps))):
                mine, here = images[first::count], None if poses is None else poses[first::count]
                if success is None or here is None:
                    yield PictureRow(0, 0, before, mine, self.kind, here)
                else:
                    target = here[-1] if targets is None else targets[-1]
                    outcome = GraspOutcome(success)
                    yield GraspAttempt(0, 0, 0, before, mine, here, target, outcome, self.kind, "unknown", [], {})

    def notes(self, report: Report) -> dict[str, Any]:
        skipped = {why: reason.count for why, reason in report.skipped.items()}
        return {"source": report.source, "version": self.folder.version, "episodes": report.units, "skipped": skipped}

    def _poses(
        self, table: pa.Table, name: str | None, steps: Int64[np.ndarray, "t"]
    ) -> tuple[Float32[np.ndarray, "t 4"] | None, str]:
        """Our poses at these steps, None if none are mapped; and why the episode has to be skipped."""
        if name is None:
            return None, ""
        values = pick(numbers(table[name], name), self.mapping.pose_index, name)
        return to_poses(values[steps], self.mapping.frame, f"'{name}'")

    def _success(self, episode: Episode, table: pa.Table) -> bool | None:
        name = self.mapping.success or ""
        if name in self.folder.features:
            value = table[name][-1].as_py()
            return one_bit(value[0] if isinstance(value, list) and len(value) == 1 else value)
        return one_bit(episode.facts.get(name))


def pick(values: Float64[np.ndarray, "t k"], index: tuple[int, ...], name: str) -> Float64[np.ndarray, "t n"]:
    """The numbers of a pose out of a feature's.

    Raises:
        UserError: if there are fewer than that.
    """
    if index and not (min(index) >= 0 and max(index) < values.shape[1]):
        raise UserError(f"'{name}' has {values.shape[1]} numbers, expected places from 0 in {index}: correct the index")
    return values[:, list(index)] if index else values


def _cameras(folder: LerobotFolder, mapping: LerobotMapping) -> tuple[str, ...]:
    if mapping.before is not None:
        choose("camera", mapping.before, folder.cameras)
    cameras = [name for name in folder.cameras if name != mapping.before]
    known = ", ".join(cameras) or "none"
    if not mapping.images and len(cameras) != 1:
        raise UserError(f"{folder.root} has {len(cameras)} cameras ({known}): say which with --images")
    for name in mapping.images:
        choose("camera", name, folder.cameras)
    return mapping.images or tuple(cameras)


def _scene(folder: LerobotFolder, episode: Episode, name: str | None) -> int | None:
    """The number of an episode's scene, None where it isn't mapped."""
    if name is None:
        return None
    value = episode.facts.get(choose("scene", name, episode.facts))
    if not isinstance(value, int) or value < 0:
        raise UserError(
            f"{folder.root}: scene '{name}' of episode {episode.index} is {value}, expected a number from 0"
        )
    return value


def _check(folder: LerobotFolder, mapping: LerobotMapping) -> list[str]:
    """The columns that the mapping reads besides pictures; refuses one that contradicts itself or the folder."""
    check_frame(mapping.frame)
    columns = []
    for what, name in (("pose", mapping.pose), ("target", mapping.target), ("gripper", mapping.gripper)):
        if name is not None:
            columns.append(choose(what, name, folder.features))
    if mapping.target is not None and mapping.pose is None:
        raise UserError("a target without poses gives no motor command: map pose too")
    if mapping.success is None:
        return columns
    facts = [name for name in folder.episodes[0].facts if "/" not in name]
    choose("success", mapping.success, [*folder.features, *facts])
    if mapping.success in folder.features:
        columns.append(mapping.success)
    if mapping.pose is None:
        raise UserError("a success without poses makes no labelled attempt, which needs motor commands: map pose too")
    if mapping.grasp == "unknown":
        raise UserError("a success needs the moment of the grasp: give --grasp last-frame, or 'gripper' and --gripper")
    if mapping.grasp == "gripper":
        if mapping.gripper is None:
            raise UserError("--grasp gripper needs the feature with its opening: give --gripper")
        match folder.features[mapping.gripper].get("shape"):
            case [int(count), *_] if not 0 <= mapping.gripper_index < count:
                raise UserError(f"'{mapping.gripper}' has {count} numbers: there is no {mapping.gripper_index} from 0")
    if mapping.attempts_per_episode != 1:
        raise UserError("an episode with a success is one attempt: leave out --attempts-per-episode")
    return columns
