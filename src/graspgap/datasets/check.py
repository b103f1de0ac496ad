"""Is a dataset folder whole? Its meta.json, the bytes of its shards, and the rows in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.compute as pc

from graspgap.config import from_json
from graspgap.contract import Camera, Workspace
from graspgap.datasets import shards
from graspgap.datasets.schema import FORMAT, FORMAT_VERSION, arrow_schema, groups_of
from graspgap.datasets.shards import AGAIN
from graspgap.errors import UserError
from graspgap.files import read_json
from graspgap.locations import Location
from graspgap.progress import progress
from graspgap.settings import check_table

T = TypeVar("T")
LARGEST = 8192
"""Pixels of a side of a picture, at most: memory for them is taken before they are read."""


def read_meta(folder: Location) -> dict[str, Any]:
    """The content of meta.json of a dataset folder.

    Raises:
        UserError: if the folder is missing, empty, unfinished, no dataset, or of a later format.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: expected a dataset made by 'graspgap collect' or 'graspgap import'")
    if not (folder / "meta.json").exists():
        if any((folder / "data").glob("shard-*.parquet")):
            raise UserError(f"{folder} is unfinished (it has shards, but no meta.json): {AGAIN}")
        raise UserError(
            f"{folder} is not a graspgap dataset: it has no meta.json; make one of it by 'graspgap import' ('graspgap "
            "import images FOLDER OUT' of pictures)"
        )
    meta = read_json(folder / "meta.json", "a graspgap dataset")
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise UserError(f"{folder} is not a graspgap dataset: its meta.json doesn't say format '{FORMAT}'")
    version = meta.get("version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise UserError(f"{folder} has format version {version}, expected at most {FORMAT_VERSION}: upgrade graspgap")
    try:
        _check_meta(meta)
    except UserError as error:
        raise UserError(f"{folder / 'meta.json'} is damaged ({error}): make the dataset again") from None
    return meta


@dataclass(frozen=True)
class _Facts:
    """What readers use of meta.json. Later versions may add to it."""

    version: int
    world: str
    is_reality: bool
    image_size: int
    attempts: int
    frames: int
    scenes: int
    successes: int
    has_labels: bool
    has_masks: bool
    has_poses: bool
    has_layers: bool = False
    has_canonical: bool = False


@dataclass(frozen=True)
class _Entry:
    """A shard in meta.json."""

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Counts:
    """Attempts of a policy in meta.json."""

    attempts: int
    successes: int


@dataclass(frozen=True)
class _Origin:
    """A dataset that one was made from, in meta.json."""

    path: str
    config: dict[str, Any]


def fields_of(kind: type[T], facts: dict[str, Any]) -> T:
    """The dataclass `kind` of what meta.json says of it; what later versions may have added is left out."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return from_json(kind, {name: value for name, value in facts.items() if name in known})


def _check_meta(meta: dict[str, Any]) -> None:
    """Refuse what `writer.finish` doesn't write."""
    _check_facts(_Facts, meta, "it")
    if not 1 <= meta["image_size"] <= LARGEST:
        raise UserError(f"pictures of {meta['image_size']} pixels, expected 1 to {LARGEST}")
    for name in ("camera", "workspace", "config", "versions"):
        if name not in meta:
            raise UserError(f"it has no '{name}'")
    for name, kind in (("camera", Camera), ("workspace", Workspace)):
        if meta[name] is not None:  # nobody has said
            _check_facts(kind, meta[name], name)
    for name in ("config", "policies", "notes", "versions", "hardware"):
        if not isinstance(meta.get(name, {}), dict):
            raise UserError(f"'{name}' is no table")
    for name, counts in meta.get("policies", {}).items():
        _check_facts(_Counts, counts, f"policy '{name}'")
    _check_origins(meta["config"])
    entries = meta.get("shards")
    if not isinstance(entries, list) or not entries:
        raise UserError("no shards are listed")
    for entry in entries:
        _check_facts(_Entry, entry, "a shard")
        parts = Path(entry["file"]).parts
        if not parts or Path(entry["file"]).is_absolute() or ".." in parts or "\0" in entry["file"]:
            raise UserError(f"a shard is at '{entry['file']}', expected a file in the folder")
        if entry["rows"] < 1:
            raise UserError(f"a shard has {entry['rows']} rows, expected 1 or more")


def _check_origins(config: dict[str, Any]) -> None:
    """Refuse a dataset made from others that doesn't say from which, and so on."""
    waiting = [config]
    while waiting:
        origins = waiting.pop().get("made_from", [])
        if not isinstance(origins, list):
            raise UserError("'made_from' is no list")
        for origin in origins:
            _check_facts(_Origin, origin, "an entry of 'made_from'")
            waiting.append(origin["config"])


def _check_facts(kind: type, table: Any, where: str) -> None:
    """Refuse a table without the fields of `kind`, or with other values there."""
    if not isinstance(table, dict):
        raise UserError(f"{where} is no table")
    check_table(kind, {field.name: table[field.name] for field in fields(kind) if field.name in table}, where)


def verify(folder: Location) -> dict[str, Any]:
    """Check a dataset folder from end to end; returns its meta.

    Every shard must have the SHA-256 of meta.json, all of its pictures and masks must decode, and no (seed, attempt)
    may occur twice.

    Raises:
        UserError: names how many shards are damaged and the first of them, or what else is wrong.
    """
    meta = read_meta(folder)
    known = {Path(entry["file"]).name for entry in meta["shards"]}
    strangers = sorted(path for path in (folder / "data").glob("*.parquet") if path.name not in known)
    if strangers:
        raise UserError(f"{strangers[0]} is not in meta.json, but other programs would read it: delete it")
    attempts = []

    def check(path: Location, entry: dict[str, Any]) -> None:
        shards.check_hash(path, entry)
        attempts.append(_check_rows(path, entry, meta))

    check_shards(folder, meta, check)
    found, counts = np.unique(np.concatenate(attempts), axis=0, return_counts=True)
    twice = found[counts > 1]
    if len(twice):
        seed, attempt = twice[0]
        raise UserError(
            f"{folder} has {len(twice)} attempts more than once, first attempt {attempt} of seed {seed}: make it again"
        )
    return meta


def check_shards(folder: Location, meta: dict[str, Any], check: Callable[[Location, dict[str, Any]], None]) -> None:
    """`check` (path, entry of meta.json) every shard, with progress.

    Raises:
        UserError: names how many shards `check` refused, and why the first of them.
    """
    refused = []
    with progress("verify", len(meta["shards"]), unit="shards") as advance:
        for entry in meta["shards"]:
            try:
                check(folder / entry["file"], entry)
            except UserError as error:
                refused.append(str(error))
            advance(1)
    if refused:
        raise UserError(f"{folder}: {len(refused)} of {len(meta['shards'])} shards are damaged; first {refused[0]}")


def _check_rows(path: Location, entry: dict[str, Any], meta: dict[str, Any]) -> np.ndarray:
    """Decode all rows of a shard; returns (seed, attempt) of each."""
    groups = groups_of(meta)
    table = shards.read_columns(path, arrow_schema({}, groups).names, entry["rows"])
    size = meta["image_size"]
    columns: dict[str, tuple[int, ...]] = {"image_before": (3, size, size), "images": (3, size, size)}
    counted = ["masks", "poses", "commands"]
    if meta["has_masks"]:
        columns |= {"mask_before": (size, size), "masks": (size, size)}
    if "layers" in groups:
        columns |= dict.fromkeys(("instances_before", "instances", "depth_before", "depths"), (size, size))
        counted += ["instances", "depths"]
    if "canonical" in groups:
        columns |= dict.fromkeys(("canonical_before", "canonicals"), (3, size, size))
        counted += ["canonicals"]
    for name, shape in columns.items():
        for _ in shards.decoded(table[name], shape, path, deep=name in shards.DEEP):
            pass
    for name in counted:
        same = pc.equal(pc.list_value_length(table[name]), pc.list_value_length(table["images"]))
        if pc.all(same).as_py() is False:
            raise shards.damaged(path, f"a row has more or fewer {name} than pictures", "one for each")
    return shards.pairs(table, "attempt")
