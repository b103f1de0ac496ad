"""Datasets from datasets: merge, split, sample. Attempts keep their seed, number and scene, reality stays reality."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from graspgap.contract import Camera, Workspace
from graspgap.datasets import shards
from graspgap.datasets.check import fields_of, read_meta
from graspgap.datasets.reader import Dataset, open_dataset
from graspgap.datasets.schema import OPTIONAL_COLUMNS, arrow_schema, groups_of
from graspgap.datasets.writer import ImportedSpec, config_hash, finish, shard_done, shard_path, write_table
from graspgap.errors import UserError, choose
from graspgap.files import atomic, sha256
from graspgap.locations import Location
from graspgap.progress import progress
from graspgap.runs import begin_run

HAS = ("has_labels", "has_masks", "has_poses", *(f"has_{group}" for group in OPTIONAL_COLUMNS))
ALIKE = ("world", "is_reality", "image_size", "camera", "workspace", *HAS)
"""What datasets must agree on to be merged."""
UNITS = ("scene",)
"""What a split keeps whole: attempts of one scene began alike, so they may not stand on both sides."""


@dataclass(frozen=True)
class Origin:
    """A dataset that another one was made from."""

    path: str
    meta_sha256: str
    attempts: int
    """Attempts taken from it."""
    parts: tuple[str, ...]
    """How they were chosen, in words; empty: all of them."""
    config: dict[str, Any]
    """The `config` of its meta.json."""


@dataclass(frozen=True)
class Recombined:
    """The `config` of a dataset that was made from others."""

    made_from: tuple[Origin, ...]


def merge(out: Location, sources: Sequence[Location]) -> dict[str, Any]:
    """One dataset with the shards of all `sources`, copied byte for byte; returns its meta. Resumes.

    Raises:
        UserError: if sources differ in one of `ALIKE` or hold the same attempt, a shard is damaged, or `out` holds
            something else.
    """
    if len(sources) < 2:
        raise UserError(f"merging into {out} needs at least 2 datasets: name them after it")
    metas = [read_meta(source) for source in sources]
    for source, meta in zip(sources, metas, strict=True):
        _check_alike(sources[0], metas[0], source, meta)
    _check_disjoint([open_dataset(source) for source in sources])
    config = Recombined(tuple(_origin(*pair) for pair in zip(sources, metas, strict=True)))
    begin_run(out, "dataset", config)
    pieces = [
        (source / entry["file"], entry) for source, meta in zip(sources, metas, strict=True) for entry in meta["shards"]
    ]
    with progress("merge", len(pieces), unit="shards") as advance:
        for index, (path, entry) in enumerate(pieces):
            target = shard_path(out, index)
            if not (target.exists() and sha256(target) == entry["sha256"]):
                shards.check_hash(path, entry)
                with atomic(target) as temporary, path.open("rb") as from_file, temporary.open("wb") as to_file:
                    shutil.copyfileobj(from_file, to_file)
            advance(1)
    return finish(out, asdict(config), _spec(metas[0]), len(pieces), mixed=True)


def split(
    out: Location, rest: Location, source: Location, fraction: float, seed: int = 0, by: str = "scene"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`fraction` of the scenes of `source`, drawn by `seed`, as the dataset `out`, and all others as `rest`.

    `by` is one of `UNITS`. Returns both metas. Resumes.

    Raises:
        UserError: if `fraction` is not inside (0, 1), a side would be empty, or a folder holds something else.
    """
    choose("--by", by, UNITS)
    if not 0 < fraction < 1:
        raise UserError(f"--fraction {fraction} must be between 0 and 1")
    if out == rest:
        raise UserError(f"{out} can't be both sides of a split: name two folders")
    parts = open_dataset(source).split_by_scene(1 - fraction, seed)
    first, second = (_rewrite(*pair) for pair in zip((out, rest), parts, strict=True))
    return first, second


def sample(out: Location, source: Location, attempts: int, seed: int = 0) -> dict[str, Any]:
    """`attempts` attempts of `source`, drawn by `seed`, as the dataset `out`; returns its meta. Resumes.

    Smaller samples are subsets of larger ones of the same seed.

    Raises:
        UserError: if there are fewer attempts than that, or `out` holds something else.
    """
    data = open_dataset(source)
    if attempts > len(data):
        raise UserError(f"{source} holds {len(data)} attempts, --attempts {attempts} asks for more: give fewer")
    return _rewrite(out, data.limit(attempts, seed))


def _rewrite(out: Location, part: Dataset) -> dict[str, Any]:
    """The rows of a part of a dataset as a dataset of its own, in shards as long as the longest of the source."""
    origin = _origin(part.path, part.meta, part)
    config = Recombined((origin,))
    begin_run(out, "dataset", config)
    settings = config_hash({"meta": origin.meta_sha256, "parts": origin.parts})
    size = max(entry["rows"] for entry in part.meta["shards"])
    starts = range(0, len(part), size)
    with progress(f"write {out.name}", len(part), unit="attempts") as advance:
        for index, start in enumerate(starts):
            rows = part.rows[start : start + size]
            if not shard_done(out, index, len(rows), settings):
                write_table(out, index, _take(part, rows), settings)
            advance(len(rows))
    return finish(out, asdict(config), _spec(part.meta), len(starts))


def _take(part: Dataset, rows: Int64[np.ndarray, "k"]) -> pa.Table:
    """All columns of these rows of the folder, as they are stored."""
    columns = arrow_schema({}, groups_of(part.meta)).names
    tables, start = [], 0
    for entry in part.meta["shards"]:
        here = rows[(rows >= start) & (rows < start + entry["rows"])] - start
        if len(here):
            table = shards.read_columns(
                part.path / entry["file"],
                columns,
                entry["rows"],
            )
            tables.append(table.take(pa.array(here)))
        start += entry["rows"]
    return pa.concat_tables(tables)


def _origin(path: Location, meta: dict[str, Any], part: Dataset | None = None) -> Origin:
    attempts, parts = (meta["attempts"], ()) if part is None else (len(part), part.parts)
    return Origin(str(path), sha256(path / "meta.json"), attempts, parts, meta["config"])


def _spec(meta: dict[str, Any]) -> ImportedSpec:
    camera, workspace = meta["camera"], meta["workspace"]
    return ImportedSpec(
        meta["world"],
        meta["image_size"],
        None if camera is None else fields_of(Camera, camera),
        None if workspace is None else fields_of(Workspace, workspace),
        meta["is_reality"],
    )


def _check_alike(first: Location, wanted: dict[str, Any], other: Location, found: dict[str, Any]) -> None:
    for key in ALIKE:
        mine, its = wanted.get(key, False), found.get(key, False)  # False: a group of columns that came later
        if mine != its:
            raise UserError(f"{first} has {key} = {mine}, {other} has {key} = {its}: merge datasets that agree in it")


def _check_disjoint(sources: Sequence[Dataset]) -> None:
    keys = np.concatenate([source.keys for source in sources])
    owner = np.repeat(np.arange(len(sources)), [len(source) for source in sources])
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    same = np.flatnonzero((keys[order[1:]] == keys[order[:-1]]).all(axis=1))
    if len(same):
        row = order[same[0]]
        one, two = sorted((owner[row], owner[order[same[0] + 1]]))
        raise UserError(
            f"{sources[one].path} and {sources[two].path} both hold attempt {keys[row, 1]} of seed {keys[row, 0]}: "
            "attempts are told apart by seed and number, collect one of them with another --seed"
        )
