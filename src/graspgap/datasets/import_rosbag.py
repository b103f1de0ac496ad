"""MCAP files of ROS 2 (rosbag2's usual format) as an unlabelled dataset, with gripper poses if there is a topic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64

from graspgap.contract import MAX_SERVO_STEPS, Image
from graspgap.datasets.frames import natural
from graspgap.datasets.importing import Advance, Report, Skip, Unit, run_import
from graspgap.datasets.mcap_messages import (
    PICTURES,
    POSES,
    UNSTAMPED,
    Broken,
    Message,
    messages,
    picture,
    pose,
    stamp,
    topics,
)
from graspgap.datasets.pictures import square
from graspgap.datasets.poses import FrameConfig, check_frame, to_poses
from graspgap.datasets.schema import PictureRow
from graspgap.errors import UserError, choose


@dataclass(frozen=True)
class RosbagMapping:
    """Which topics are read. Pictures are cut to their central square and resized by area."""

    image: str | None = None
    """Topic of sensor_msgs/Image (rgb8, bgr8, rgba8, bgra8, mono8) or CompressedImage. May be left out where there is
    one."""
    pose: str | None = None
    """Topic of geometry_msgs/PoseStamped or Pose with the gripper's pose; none: pictures alone."""
    frame: FrameConfig = field(default_factory=lambda: FrameConfig(rotation="quat-xyzw"))
    clock: Literal["stamp", "log"] = "stamp"
    """By which time pictures and poses meet: of their headers, or of their recording, which lags by their transport."""
    apart: float = 0.05
    """A picture without a pose at most so far from it [s] is skipped."""
    every: float = 0.5
    """Seconds between the pictures that are taken; 0: all."""
    image_size: int = 64
    """Pictures become image_size x image_size pixels."""
    frames_per_attempt: int = MAX_SERVO_STEPS
    """Consecutive pictures in one row, at most."""


def import_rosbag(source: Path, out: Path, mapping: RosbagMapping | None = None) -> dict[str, Any]:
    """Import the MCAP files below `source` (or one file) to the dataset `out`; a file is a scene. Resumes.

    The first picture of a file that can be read is the `image_before` of its rows. A picture that can't be read, has no
    pose near it, or shows a gripper that doesn't point down is skipped and counted.

    Raises:
        UserError: if there are no MCAP files, one is damaged or lacks a topic, the mapping contradicts itself, no row
            comes of it, or `out` holds something else.
    """
    mapping = mapping or RosbagMapping()
    for name, value in (("--every", mapping.every), ("--apart", mapping.apart)):
        if not 0 <= value < math.inf:
            raise UserError(f"{name} {value} must be a number of seconds from 0")
    check_frame(mapping.frame)
    return run_import(out, source, _Bags(source, mapping), mapping, mapping.image_size)


class _Bags:
    kind, counted = "rosbag", "bytes"

    def __init__(self, source: Path, mapping: RosbagMapping) -> None:
        self.files = sorted([source] if source.is_file() else source.rglob("*.mcap"), key=natural)
        if not self.files:
            raise UserError(f"{source} has no MCAP files: expected *.mcap; other bags by 'ros2 bag convert'")
        self.mapping = mapping
        self.images = [self._topics(path) for path in self.files]
        self.units = [Unit(path.name, path.stat().st_size) for path in self.files]
        self.nothing = f"no row comes of {source}: see why in import.json"

    def read(self, unit: int, advance: Advance) -> Iterator[PictureRow | Skip]:
        mapping, before, rows = self.mapping, None, 0
        images: list[Image] = []
        poses: list[Float32[np.ndarray, "4"]] = []

        def row() -> PictureRow:
            assert before is not None
            made = PictureRow(0, 0, before, list(images), self.kind, np.stack(poses) if poses else None)
            images.clear()
            poses.clear()
            return made

        known = None if mapping.pose is None else self._poses(self.files[unit], mapping.pose)
        for time, found in self._pictures(unit, advance):
            name = f"{self.units[unit].name} at {time:.3f} s"
            if isinstance(found, Broken):
                yield Skip("picture can't be read", f"{name}: {found}")
                continue
            if before is None:
                before = found
                continue
            if known is not None:
                here = self._near(*known, time)
                if isinstance(here, str):
                    yield Skip(here, name)
                    continue
                poses.append(here)
            images.append(found)
            if len(images) == mapping.frames_per_attempt:
                yield row()
                rows += 1
        if images:
            yield row()
        elif not rows:
            yield Skip("file gives no row", self.units[unit].name)

    def notes(self, report: Report) -> dict[str, Any]:
        skipped = {why: reason.count for why, reason in report.skipped.items()}
        return {"source": report.source, "files": report.units, "skipped": skipped}

    def _topics(self, path: Path) -> str:
        """The topic with the pictures of a file."""
        found, mapping = topics(path), self.mapping
        cameras = sorted(topic for topic, kind in found.items() if kind in PICTURES)
        if mapping.image is None and len(cameras) != 1:
            known = ", ".join(cameras) or "none"
            raise UserError(f"{path} has {len(cameras)} topics with pictures in CDR ({known}): say which with --image")
        image = cameras[0] if mapping.image is None else choose(f"picture topic of {path.name}", mapping.image, cameras)
        if mapping.pose is not None:
            holders = sorted(topic for topic, kind in found.items() if kind in POSES)
            choose(f"pose topic of {path.name}", mapping.pose, holders)
            if found[mapping.pose] == UNSTAMPED and mapping.clock == "stamp":
                raise UserError(f"poses of {mapping.pose} have no stamp: give --clock log, or record PoseStamped")
        return image

    def _pictures(self, unit: int, advance: Advance) -> Iterator[tuple[float, Image | Broken]]:
        """(time [s], picture, or why there is none) of each picture that is due."""
        due, done = float("-inf"), 0
        for message, read in messages(self.files[unit], self.images[unit]):
            if read > done:
                advance(read - done)
                done = read
            try:
                time = self._time(message)
                if time < due - 1e-6:
                    continue
                due = max(due, time) + self.mapping.every
                yield time, square(picture(message), self.mapping.image_size)
            except Broken as error:
                yield message.logged, error

    def _time(self, message: Message) -> float:
        if self.mapping.clock == "log":
            return message.logged
        time = stamp(message)
        if time <= 0:
            raise UserError(f"messages of {message.topic} have no time stamp: give --clock log")
        return time

    def _poses(self, path: Path, topic: str) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n 7"]]:
        """(times [s], ascending; poses) of a file."""
        times, values = [], []
        for message, _ in messages(path, topic):
            try:
                times.append(self._time(message))
                values.append(pose(message))
            except Broken as error:
                raise UserError(f"{path} has a pose that can't be read ({error}): copy it again") from None
        order = np.argsort(times, kind="stable")
        return np.array(times, dtype=np.float64)[order], np.array(values, dtype=np.float64).reshape(-1, 7)[order]

    def _near(
        self, times: Float64[np.ndarray, "n"], values: Float64[np.ndarray, "n 7"], time: float
    ) -> Float32[np.ndarray, "4"] | str:
        """Our pose nearest to a time, or why there is none."""
        after = int(np.searchsorted(times, time))
        near = [k for k in (after - 1, after) if 0 <= k < len(times) and abs(times[k] - time) <= self.mapping.apart]
        if not near:
            return f"no pose within {self.mapping.apart:g} s"
        nearest = min(near, key=lambda k: abs(times[k] - time))
        poses, why = to_poses(values[nearest : nearest + 1], self.mapping.frame, f"'{self.mapping.pose}'")
        return why if poses is None else poses[0]
