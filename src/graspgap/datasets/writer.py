"""Write a dataset folder: `data/shard-00000.parquet` and so on, then `meta.json` and a dataset card `README.md`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int64

from graspgap.contract import Camera, Workspace, WorldSpec
from graspgap.datasets.card import card
from graspgap.datasets.pictures import decode_picture
from graspgap.datasets.schema import (
    FORMAT,
    FORMAT_VERSION,
    OPTIONAL_COLUMNS,
    Attempt,
    arrow_schema,
    groups_in,
    to_row,
)
from graspgap.datasets.shards import AGAIN, UNREADABLE, damaged, pairs, require_columns, require_values
from graspgap.errors import UserError
from graspgap.files import atomic, remove_leftovers, sha256, write_json, write_text
from graspgap.locations import Location, for_arrow
from graspgap.provenance import hardware, versions

_HASH_KEY = b"graspgap_config"
_FACTS = ("seed", "scene", "policy", "success", "poses")
_LISTS = ("images", "masks")


@dataclass(frozen=True)
class ImportedSpec:
    """What a finished dataset tells about pictures that no `World` took."""

    name: str
    image_size: int
    camera: Camera | None = None
    workspace: Workspace | None = None
    is_reality: bool = True


def config_hash(config: Mapping[str, Any]) -> str:
    """Hash of the settings that decide what a shard holds; leave out those that don't (workers, total attempts)."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]


def shard_path(folder: Location, index: int) -> Location:
    """Path of shard `index` (from 0)."""
    return folder / "data" / f"shard-{index:05d}.parquet"


def write_shard(folder: Location, index: int, rows: Sequence[Attempt], settings: str = "") -> Location:
    """Write `rows` as shard `index`, complete or not at all. Equal arguments give equal bytes.

    Keep a shard's pictures well under 2 GB before compression (for 64 pixels, thousands of attempts).
    `settings` is the `config_hash` of what made them, kept in the shard for `shard_done`.

    Raises:
        UserError: if `rows` is empty, an attempt is malformed (`schema.to_row`), or the disk is full.
    """
    if not rows:
        raise UserError(f"{shard_path(folder, index)} would hold no attempts: give at least one row")
    encoded = [to_row(row) for row in rows]
    schema = arrow_schema({}, groups_in(encoded[0].keys()))
    columns = [pa.array([row.get(field.name) for row in encoded], type=field.type) for field in schema]
    return write_table(folder, index, pa.Table.from_arrays(columns, names=schema.names), settings)


def write_table(folder: Location, index: int, table: pa.Table, settings: str = "") -> Location:
    """Write the columns of `arrow_schema` as shard `index`; as `write_shard`, for rows that are encoded already.

    Raises:
        UserError: if the disk is full.
    """
    path = shard_path(folder, index)
    schema = arrow_schema({_HASH_KEY.decode(): settings}, groups_in(table.column_names))
    with atomic(path) as temporary:
        where, filesystem = for_arrow(temporary)
        pq.write_table(
            table.replace_schema_metadata(schema.metadata),
            where,
            filesystem=filesystem,
            compression="zstd",
            compression_level=3,
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
            row_group_size=table.num_rows,
        )
    return path


def write_rows(folder: Location, rows: Iterable[Attempt], per_shard: int = 256, settings: str = "") -> int:
    """Write all `rows` as shards of `per_shard` rows, holding one shard in memory; returns the number of shards.

    Raises:
        UserError: as `write_shard`.
    """
    index, iterator = 0, iter(rows)
    while part := list(islice(iterator, per_shard)):
        write_shard(folder, index, part, settings)
        index += 1
    return index


def shard_done(folder: Location, index: int, expected_rows: int, settings: str = "") -> bool:
    """Whether shard `index` is there, readable and has `expected_rows` rows; reads its footer alone.

    Raises:
        UserError: if the shard was made with other settings: writing on would mix two datasets.
    """
    path = shard_path(folder, index)
    if not path.exists():
        return False
    try:
        where, filesystem = for_arrow(path)
        footer = pq.read_metadata(where, filesystem=filesystem)
    except UNREADABLE:
        return False
    if _settings(footer) != settings:
        raise UserError(f"{path} was made with other settings: choose another folder, or delete {folder} to start anew")
    return bool(footer.num_rows == expected_rows)


def finish(
    folder: Location,
    config: Mapping[str, Any],
    spec: WorldSpec | ImportedSpec,
    shards: int,
    notes: Mapping[str, Any] | None = None,
    mixed: bool = False,
) -> dict[str, Any]:
    """Write `meta.json` and `README.md` of a folder with `shards` complete shards, and remove what killed workers left
    half written; returns the meta.

    `config` is the resolved configuration of the command, JSON-able; `notes` holds further facts (skipped files).
    `mixed`: the shards may come from several datasets, so each may have settings of its own.

    Raises:
        UserError: if a shard is missing, damaged, one too many, or made with other settings than the first.
    """
    names = {shard_path(folder, index).name for index in range(shards)}
    strangers = sorted(path for path in (folder / "data").glob("*.parquet") if path.name not in names)
    if strangers:
        raise UserError(f"{strangers[0]} is not one of the {shards} shards of this dataset: delete it and run again")
    totals: Counter[str] = Counter()
    made: Counter[str] = Counter()
    won: Counter[str] = Counter()
    entries, scenes = [], []
    for index in range(shards):
        path = shard_path(folder, index)
        fact = _shard_facts(path)
        if index == 0:
            settings = fact.settings
        if fact.settings != settings and not mixed:
            first = shard_path(folder, 0)
            raise UserError(f"{path} was made with other settings than {first}: delete {folder} and run again")
        if fact.size != spec.image_size:
            raise UserError(
                f"{path} has pictures of {fact.size} pixels, but world '{spec.name}' says {spec.image_size}: "
                "correct image_size in its spec"
            )
        totals.update(fact.counts)
        made.update(fact.policies)
        won.update(policy for policy, success in zip(fact.policies, fact.outcomes, strict=True) if success)
        scenes.append(fact.scenes)
        entries.append(
            {
                "file": f"data/{path.name}",
                "rows": fact.counts["attempts"],
                "bytes": path.stat().st_size,
                "sha256": sha256(path),
            }
        )
    meta = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "world": spec.name,
        "is_reality": spec.is_reality,
        "image_size": spec.image_size,
        "attempts": totals["attempts"],
        "frames": totals["frames"],
        "scenes": len(np.unique(np.concatenate(scenes), axis=0)),
        "successes": totals["successes"],
        "has_labels": totals["without labels"] == 0,
        "has_masks": totals["without masks"] == 0,
        "has_poses": totals["without poses"] == 0,
        **{f"has_{group}": totals[f"without {group}"] == 0 for group in OPTIONAL_COLUMNS},
        "policies": {name: {"attempts": made[name], "successes": won[name]} for name in sorted(made)},
        "camera": None if spec.camera is None else asdict(spec.camera),
        "workspace": None if spec.workspace is None else asdict(spec.workspace),
        "config": dict(config),
        "notes": dict(notes or {}),
        "versions": versions(),
        "hardware": hardware(),
        "shards": entries,
    }
    write_text(folder / "README.md", card(meta))
    write_json(folder / "meta.json", meta)
    remove_leftovers(folder / "data")
    return meta


@dataclass(frozen=True)
class _ShardFacts:
    """Counts of one shard, its scenes as (seed, scene), and the size of its first picture."""

    settings: str
    counts: dict[str, int]
    scenes: Int64[np.ndarray, "s 2"]
    size: int
    policies: list[str]
    """Of each row."""
    outcomes: list[bool | None]
    """Of each row; None where nobody noted it."""


def _settings(footer: pq.FileMetaData) -> str:
    return (footer.metadata or {}).get(_HASH_KEY, b"").decode()


def _shard_facts(path: Location) -> _ShardFacts:
    try:
        where, filesystem = for_arrow(path)
        with pq.ParquetFile(where, filesystem=filesystem) as file:
            footer, groups = file.metadata, groups_in(file.schema_arrow.names)
            require_columns(file.schema_arrow, [*_FACTS, *_LISTS, "image_before"], path)
            table = file.read([*_FACTS, *(f"{name}.list.element.path" for name in _LISTS)])
            require_values(table, path)
            first = next(file.iter_batches(batch_size=1, columns=["image_before"]), None)
        if first is None:
            raise damaged(path, "0 rows", "1 or more")
        size = decode_picture(first["image_before"][0]["bytes"].as_py() or b"").shape[0]
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {AGAIN}") from None
    except UNREADABLE as error:
        raise UserError(f"{path} is damaged ({error}): delete it and {AGAIN}") from None
    counts = {
        "attempts": table.num_rows,
        "frames": pc.sum(pc.list_value_length(table["images"])).as_py(),
        "successes": pc.sum(table["success"]).as_py() or 0,
        "without labels": table["success"].null_count,
        "without masks": table["masks"].null_count,
        "without poses": table["poses"].null_count,
        **{f"without {group}": 0 if group in groups else table.num_rows for group in OPTIONAL_COLUMNS},
    }
    scenes = np.unique(pairs(table, "scene"), axis=0)
    policies, outcomes = (table[name].to_pylist() for name in ("policy", "success"))
    return _ShardFacts(_settings(footer), counts, scenes, size, policies, outcomes)
