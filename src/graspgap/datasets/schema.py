"""One row per grasp attempt: the columns of a shard, and how an attempt becomes a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, UInt16

from graspgap.contract import DEPTH_UNIT, GraspAttempt, Image, command_between
from graspgap.datasets.pictures import encode_png
from graspgap.errors import UserError

FORMAT = "graspgap-dataset"
FORMAT_VERSION = 1
"""Version of the shards and of meta.json; a reader refuses a later one."""

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class Column:
    """The type of a column."""

    arrow: pa.DataType
    feature: dict[str, Any]
    """The same type in the words of Hugging Face `datasets`."""


def value_of(arrow: pa.DataType, name: str) -> Column:
    """One value: its type for Arrow, and its name for `datasets`."""
    return Column(arrow, {"dtype": name, "_type": "Value"})


def list_of(item: Column, length: int = -1) -> Column:
    """A list, of this many items unless they may be any number."""
    feature: dict[str, Any] = {"feature": item.feature, "_type": "List"}
    if length >= 0:
        feature["length"] = length
    return Column(pa.list_(item.arrow, length), feature)


_INT, _TEXT = value_of(pa.int64(), "int64"), value_of(pa.string(), "string")
_FLOAT = value_of(pa.float32(), "float32")
IMAGE = Column(_PICTURE, {"_type": "Image"})

COLUMNS: dict[str, Column] = {
    "attempt": _INT,
    "seed": _INT,
    "scene": _INT,
    "world": _TEXT,
    "policy": _TEXT,
    "image_before": IMAGE,
    "mask_before": IMAGE,
    "images": list_of(IMAGE),
    "masks": list_of(IMAGE),
    "poses": list_of(list_of(_FLOAT, 4)),
    "commands": list_of(list_of(_FLOAT, 5)),
    "success": value_of(pa.bool_(), "bool"),
    "object_name": _TEXT,
    "objects": list_of(_TEXT),
    "randomization": _TEXT,
    "predicted": list_of(_FLOAT),
}
"""Null where it is unknown: masks (a real camera), poses and commands (bare pictures), success (unlabelled)."""
OPTIONAL_COLUMNS: dict[str, dict[str, Column]] = {
    "layers": {
        "instances_before": IMAGE,
        "instances": list_of(IMAGE),
        "depth_before": IMAGE,
        "depths": list_of(IMAGE),
    },
    "canonical": {"canonical_before": IMAGE, "canonicals": list_of(IMAGE)},
}
"""Groups of columns that are only in the shards of a world that was asked for them; meta.json tells which
(`has_layers`, `has_canonical`). Depth is a 16-bit picture in units of `DEPTH_UNIT`."""


def groups_in(names: Collection[str]) -> tuple[str, ...]:
    """Which of `OPTIONAL_COLUMNS` are among these columns."""
    return tuple(group for group, columns in OPTIONAL_COLUMNS.items() if columns.keys() <= set(names))


def groups_of(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of `OPTIONAL_COLUMNS` a dataset has, by its meta.json."""
    return tuple(group for group in OPTIONAL_COLUMNS if meta.get(f"has_{group}", False))


def arrow_schema(extra: dict[str, str], groups: Collection[str] = ()) -> pa.Schema:
    """Schema of a shard with these groups of `OPTIONAL_COLUMNS`. Its metadata says to Hugging Face `datasets` which
    columns are pictures, and holds `extra`."""
    columns = dict(COLUMNS)
    for group in groups:
        columns |= OPTIONAL_COLUMNS[group]
    return schema_of(columns, extra)


def schema_of(columns: Mapping[str, Column], extra: dict[str, str]) -> pa.Schema:
    """Schema of a Parquet file with these columns, in the words of Arrow and of Hugging Face `datasets`."""
    features = {name: column.feature for name, column in columns.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}}), **extra}
    return pa.schema([(name, column.arrow) for name, column in columns.items()], metadata=metadata)


@dataclass(frozen=True)
class PictureRow:
    """Unlabelled pictures as one row: what a camera saw, where nobody noted how a grasp ended."""

    attempt: int
    scene: int
    image_before: Image
    images: list[Image]
    world: str
    poses: Float32[np.ndarray, "t 4"] | None = None
    """Gripper poses (x, y, z [m], yaw [rad]) of `images`, where they are known."""
    policy: str = "unknown"
    seed: int = 0
    objects: list[str] = field(default_factory=list)

    @property
    def commands(self) -> Float32[np.ndarray, "t 5"] | None:
        """Motor command from each pose to the last one; None without poses."""
        return None if self.poses is None else command_between(self.poses, self.poses[-1:])


Attempt = GraspAttempt | PictureRow
"""What a shard stores."""


def to_row(attempt: Attempt) -> dict[str, Any]:
    """The attempt as one row of `COLUMNS`, and of those `OPTIONAL_COLUMNS` that it has; its pictures as PNG.

    Raises:
        UserError: if it has no pictures, pictures of several sizes, or another number of poses, masks, layers or
            canonical pictures than pictures.
    """
    _check(attempt)
    row: dict[str, Any] = {
        "attempt": attempt.attempt,
        "seed": attempt.seed,
        "scene": attempt.scene,
        "world": attempt.world,
        "policy": attempt.policy,
        "image_before": _picture(attempt.image_before),
        "mask_before": None,
        "images": [_picture(image) for image in attempt.images],
        "masks": None,
        "poses": _rows(attempt.poses),
        "commands": _rows(attempt.commands),
        "success": None,
        "object_name": None,
        "objects": list(attempt.objects),
        "randomization": "{}",
        "predicted": None,
    }
    if isinstance(attempt, GraspAttempt):
        row["success"] = bool(attempt.outcome.success)
        row["object_name"] = attempt.outcome.object_name
        row["randomization"] = json.dumps(attempt.randomization, sort_keys=True, default=_plain)
        row["predicted"] = None if attempt.predicted is None else [float(value) for value in attempt.predicted]
        if attempt.masks is not None and attempt.mask_before is not None:
            row["mask_before"] = _picture(attempt.mask_before)
            row["masks"] = [_picture(mask) for mask in attempt.masks]
        if attempt.layers is not None and attempt.layers_before is not None:
            row["instances_before"] = _picture(attempt.layers_before.instances)
            row["instances"] = [_picture(layers.instances) for layers in attempt.layers]
            row["depth_before"] = _picture(_stored(attempt.layers_before.depth))
            row["depths"] = [_picture(_stored(layers.depth)) for layers in attempt.layers]
            canonical = [layers.canonical for layers in (attempt.layers_before, *attempt.layers)]
            known = [_picture(picture) for picture in canonical if picture is not None]
            if known:
                row["canonical_before"], *row["canonicals"] = known
    return row


def _check(attempt: Attempt) -> None:
    name = f"attempt {attempt.attempt} of world '{attempt.world}'"
    count = len(attempt.images)
    shape = attempt.image_before.shape
    if count == 0:
        raise UserError(f"{name} has no pictures: an attempt needs at least one servo step")
    if shape[0] != shape[1] or any(image.shape != shape for image in attempt.images):
        shapes = sorted({str(image.shape) for image in [attempt.image_before, *attempt.images]})
        raise UserError(f"{name} has pictures of shape {', '.join(shapes)}: all must be square and of one size")
    if attempt.poses is not None and len(attempt.poses) != count:
        raise UserError(f"{name} has {len(attempt.poses)} poses and {count} pictures: each picture needs one pose")
    if isinstance(attempt, GraspAttempt):
        if (attempt.masks is None) != (attempt.mask_before is None):
            raise UserError(f"{name} has masks for some pictures only: give mask_before and masks, or neither")
        if attempt.masks is not None and len(attempt.masks) != count:
            raise UserError(f"{name} has {len(attempt.masks)} masks and {count} pictures: each picture needs one mask")
        layers = None if attempt.layers_before is None else attempt.layers
        if layers is not attempt.layers or (layers is not None and len(layers) != count):
            raise UserError(f"{name} has layers for some pictures only: give layers_before and layers, or neither")
        if layers is not None and attempt.layers_before is not None:
            sizes = {None if it.canonical is None else it.canonical.shape for it in (attempt.layers_before, *layers)}
            if sizes not in ({None}, {shape}):
                raise UserError(f"{name} has canonical pictures for some pictures only, or of another size: give all")


def _picture(picture: np.ndarray) -> dict[str, bytes | None]:
    return {"bytes": encode_png(picture), "path": None}


def _stored(depth: Float32[np.ndarray, "h w"]) -> UInt16[np.ndarray, "h w"]:
    """Depth as it is stored: what is too far counts as nothing hit."""
    units = (depth.astype(np.float64) / DEPTH_UNIT).round()
    return np.where(units > np.iinfo(np.uint16).max, 0, units).astype(np.uint16)


def _rows(array: Float32[np.ndarray, "t k"] | None) -> list[Float32[np.ndarray, "k"]] | None:
    return None if array is None else list(array)


def _plain(value: Any) -> Any:
    """JSON-able form of a NumPy value."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
