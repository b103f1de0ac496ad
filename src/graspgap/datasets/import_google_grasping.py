"""The public grasping dataset of Levine et al. 2016 (Google Brain, TFRecord files) as a labelled dataset.

A record is an attempt. `reached_pose` of a step is where the gripper was when the step ended, which is when the picture
of the next step was taken: pictures are paired so, and that of the first step has no pose. Commands lead from the pose
of a picture to the last pose that was commanded (their v = p_T - p_t). `params` is what the cross-entropy method gave
from one step to the next, not what the network was trained on; it is kept in `randomization`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graspgap.contract import MAX_SERVO_STEPS, GraspAttempt, GraspOutcome, Image
from graspgap.datasets.frames import one_bit
from graspgap.datasets.importing import Advance, Report, Skip, Unit, run_import
from graspgap.datasets.pictures import decode_whole_picture, square
from graspgap.datasets.poses import FrameConfig, check_frame, to_poses
from graspgap.datasets.schema import Attempt
from graspgap.datasets.tfrecords import Fields, find_files, read_record, record_offsets
from graspgap.errors import UserError

STEPS = 11
"""grasp/0 to grasp/10 at most."""
OPEN = 0.01
"""A gripper whose status is above this after the attempt holds something, as one public reader says."""


@dataclass(frozen=True)
class GoogleGraspingMapping:
    """How an attempt is read. Pictures are cut to their central square and resized by area."""

    label: Literal["grasp_success", "gripper-status"] = "grasp_success"
    """Published readers differ: `grasp_success` is the dataset's own judgement, from the gripper and from pictures
    before and after the drop; `gripper-status` says success where `gripper/status` is above 0.01. Attempts without the
    field are skipped."""
    before: tuple[str, ...] = ("grasp/image/encoded", "pregrasp/image/encoded", "initial/image/encoded")
    """Fields with the picture of the bin with the arm out of view; the first that a record has is taken."""
    frame: FrameConfig = field(default_factory=lambda: FrameConfig(rotation="quat-xyzw"))
    """Their poses are base_T_endeffector [m], x y z w. Which axis their fingers open along isn't documented: `fingers`
    is our assumption, which shifts all yaws alike and no command. The point is the end effector's: set `tool`."""
    image_size: int = 64
    """Pictures become image_size x image_size pixels."""
    frames_per_attempt: int = MAX_SERVO_STEPS
    """The last so many steps become the row."""


def import_google_grasping(source: Path, out: Path, mapping: GoogleGraspingMapping | None = None) -> dict[str, Any]:
    """Import the TFRecord files below `source` (or one file) to the dataset `out`; an attempt is a scene. Resumes.

    Raises:
        UserError: if there are no TFRecord files, one is damaged or of another kind, no attempt is left, the mapping
            contradicts itself, or `out` holds something else.
    """
    mapping = mapping or GoogleGraspingMapping()
    return run_import(out, source, _Attempts(source, mapping), mapping, mapping.image_size)


class _Attempts:
    kind, counted = "google-grasping", "bytes"

    def __init__(self, source: Path, mapping: GoogleGraspingMapping) -> None:
        check_frame(mapping.frame)
        files = find_files(source)
        if not files:
            raise UserError(
                f"{source} has no TFRecord files: expected those of the dataset (....tfrecord-00000-of-...)"
            )
        self.mapping = mapping
        self.places = [(path, *place) for path in files for place in record_offsets(path)]
        if not self.places:
            raise UserError(f"{files[0]} is empty: expected grasp attempts; download it again")
        first = read_record(*self.places[0][:2])
        if not any(name.startswith("grasp/") for name in first):
            found = ", ".join(sorted(first)[:5])
            raise UserError(f"{files[0]} has no fields grasp/... (it has {found}): expected the grasping dataset")
        self.units = [Unit(f"{path.name} at byte {offset}", size) for path, offset, size in self.places]
        self.nothing = f"no row comes of {source}: see why in import.json"

    def read(self, unit: int, advance: Advance) -> Iterator[Attempt | Skip]:
        found = _attempt(read_record(*self.places[unit][:2]), self.mapping, self.kind)
        yield Skip(found, self.units[unit].name) if isinstance(found, str) else found

    def notes(self, report: Report) -> dict[str, Any]:
        skipped = {why: reason.count for why, reason in report.skipped.items()}
        axis = f"fingers open along {self.mapping.frame.fingers} of the end effector"
        return {"source": report.source, "records": report.units, "skipped": skipped, "assumed": axis}


def _attempt(fields: Fields, mapping: GoogleGraspingMapping, world: str) -> GraspAttempt | str:
    """The attempt, or why there is none."""
    success = _success(fields, mapping.label)
    if isinstance(success, str):
        return success
    data = next((fields[name] for name in mapping.before if name in fields), None)
    if data is None:
        return "no picture with the arm out of view"
    seen = [k for k in range(STEPS) if _holds(fields.get(f"grasp/{k}/image/encoded"))]
    pairs = [k for k in seen if k and _pose(fields, k - 1, "reached")][-mapping.frames_per_attempt :]
    if not pairs or pairs[-1] != seen[-1]:
        return "no picture with a pose at the last step"
    target = _pose(fields, seen[-1], "commanded")
    if target is None:
        return "no commanded pose at the last step"
    recorded = np.array([*(_pose(fields, k - 1, "reached") for k in pairs), target], dtype=np.float64)
    poses, why = to_poses(recorded, mapping.frame, "vec_quat_7")
    if poses is None:
        return why
    try:
        before, *images = [
            _picture(one, mapping) for one in (data, *(fields[f"grasp/{k}/image/encoded"] for k in pairs))
        ]
    except UserError:
        return "picture is missing or damaged"
    params = [fields.get(f"grasp/{k}/params") for k in pairs]
    known = [one.astype(np.float64).tolist() for one in params if isinstance(one, np.ndarray) and len(one)]
    kept = {"params": known} if len(known) == len(pairs) else {}
    outcome = GraspOutcome(success)
    return GraspAttempt(0, 0, 0, before, images, poses[:-1], poses[-1], outcome, world, "unknown", [], kept)


def _success(fields: Fields, label: str) -> bool | str:
    name = "grasp_success" if label == "grasp_success" else "gripper/status"
    value = fields.get(name)
    if not isinstance(value, np.ndarray) or len(value) != 1 or not np.isfinite(value[0]):
        return f"no {name}"
    if label == "gripper-status":
        return bool(value[0] > OPEN)
    bit = one_bit(value[0])
    return f"{name} is neither 0 nor 1" if bit is None else bit


def _pose(fields: Fields, step: int, which: str) -> list[float] | None:
    """The seven numbers of a pose of a step, if it has them."""
    values = fields.get(f"grasp/{step}/{which}_pose/transforms/base_T_endeffector/vec_quat_7")
    return values.tolist() if isinstance(values, np.ndarray) and len(values) == 7 else None


def _holds(data: Any) -> bool:
    """Whether a field holds one picture; that of a step that was not made may be there and be empty."""
    return isinstance(data, list) and len(data) == 1 and len(data[0]) > 0


def _picture(data: Any, mapping: GoogleGraspingMapping) -> Image:
    return square(decode_whole_picture(data[0] if _holds(data) else b""), mapping.image_size)
