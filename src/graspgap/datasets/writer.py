"""Write a dataset folder: `data/shard-00000.parquet` and so on, then `meta.json` and a dataset card `README.md`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graspgap.contract import Camera, Workspace, WorldSpec
from graspgap.datasets.card import card
from graspgap.datasets.pictures import decode_picture
from graspgap.datasets.schema import FORMAT, FORMAT_VERSION, Attempt, arrow_schema, to_row
from graspgap.errors import UserError
from graspgap.files import atomic, sha256, write_json, write_text
from graspgap.provenance import hardware, versions

_HASH_KEY = b"graspgap_config"
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


def shard_path(folder: Path, index: int) -> Path:
    """Path of shard `index` (from 0)."""
    return folder / "data" / f"shard-{index:05d}.parquet"


def write_shard(folder: Path, index: int, rows: Sequence[Attempt], settings: str = "") -> Path:
    """Write `rows` as shard `index`, complete or not at all. Equal arguments give equal bytes.

    Keep a shard's pictures well under 2 GB before compression (for 64 pixels, thousands of attempts).
    `settings` is the `config_hash` of what made them, kept in the shard for `shard_done`.

    Raises:
        UserError: if `rows` is empty, an attempt is malformed (`schema.to_row`), or the disk is full.
    """
    path = shard_path(folder, index)
    if not rows:
        raise UserError(f"{path} would hold no attempts: give at least one row")
    encoded = [to_row(row) for row in rows]
    schema = arrow_schema({_HASH_KEY.decode(): settings}, layers="depths" in encoded[0])
    columns = [pa.array([row.get(field.name) for row in encoded], type=field.type) for field in schema]
    table = pa.Table.from_arrays(columns, schema=schema)
    with atomic(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=3,
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
            row_group_size=len(rows),
        )
    return path


def write_rows(folder: Path, rows: Iterable[Attempt], per_shard: int = 256, settings: str = "") -> int:
    """Write all `rows` as shards of `per_shard` rows, holding one shard in memory; returns the number of shards.

    Raises:
        UserError: as `write_shard`.
    """
    index, iterator = 0, iter(rows)
    while part := list(islice(iterator, per_shard)):
        write_shard(folder, index, part, settings)
        index += 1
    return index


def shard_done(folder: Path, index: int, expected_rows: int, settings: str = "") -> bool:
    """Whether shard `index` is there, readable and has `expected_rows` rows; reads its footer alone.

    Raises:
        UserError: if the shard was made with other settings: writing on would mix two datasets.
    """
    path = shard_path(folder, index)
    if not path.exists():
        return False
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False
    if _settings(footer) != settings:
        raise UserError(f"{path} was made with other settings: choose another folder, or delete {folder} to start anew")
    return bool(footer.num_rows == expected_rows)


def finish(
    folder: Path,
    config: Mapping[str, Any],
    spec: WorldSpec | ImportedSpec,
    shards: int,
    notes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write `meta.json` and `README.md` of a folder with `shards` complete shards; returns the meta.

    `config` is the resolved configuration of the command, JSON-able; `notes` holds further facts (skipped files).

    Raises:
        UserError: if a shard is missing, damaged, one too many, or made with other settings than the first.
    """
    paths = [shard_path(folder, index) for index in range(shards)]
    strangers = sorted(set((folder / "data").glob("*.parquet")) - set(paths))
    if strangers:
        raise UserError(f"{strangers[0]} is not one of the {shards} shards of this dataset: delete it and run again")
    facts = [_shard_facts(path) for path in paths]
    for path, fact in zip(paths, facts, strict=True):
        if fact["settings"] != facts[0]["settings"]:
            raise UserError(f"{path} was made with other settings than {paths[0]}: delete {folder} and run again")
        if fact["size"] != spec.image_size:
            raise UserError(
                f"{path} has pictures of {fact['size']} pixels, but world '{spec.name}' says {spec.image_size}: "
                "correct image_size in its spec"
            )
    meta = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "world": spec.name,
        "is_reality": spec.is_reality,
        "image_size": spec.image_size,
        "attempts": sum(fact["rows"] for fact in facts),
        "frames": sum(fact["frames"] for fact in facts),
        "scenes": len(set().union(*(fact["scenes"] for fact in facts))),
        "successes": sum(fact["successes"] for fact in facts),
        "has_labels": all(fact["labels"] for fact in facts),
        "has_masks": all(fact["masks"] for fact in facts),
        "has_poses": all(fact["poses"] for fact in facts),
        "camera": None if spec.camera is None else asdict(spec.camera),
        "workspace": None if spec.workspace is None else asdict(spec.workspace),
        "config": dict(config),
        "notes": dict(notes or {}),
        "versions": versions(),
        "hardware": hardware(),
        "shards": [
            {"file": f"data/{path.name}", "rows": fact["rows"], "bytes": path.stat().st_size, "sha256": sha256(path)}
            for path, fact in zip(paths, facts, strict=True)
        ],
    }
    write_text(folder / "README.md", card(meta))
    write_json(folder / "meta.json", meta)
    return meta


def _settings(footer: pq.FileMetaData) -> str:
    return (footer.metadata or {}).get(_HASH_KEY, b"").decode()


def _shard_facts(path: Path) -> dict[str, Any]:
    """Counts of one shard, and the size of its first picture."""
    try:
        with pq.ParquetFile(path) as file:
            footer = file.metadata
            table = file.read(["seed", "scene", "success", "poses", *(f"{name}.list.element.path" for name in _LISTS)])
            first = next(file.iter_batches(batch_size=1, columns=["image_before"]))
        size = decode_picture(first["image_before"][0]["bytes"].as_py()).shape[0]
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the same command again, it makes what is missing") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run the same command again") from None
    return {
        "rows": table.num_rows,
        "settings": _settings(footer),
        "frames": pc.sum(pc.list_value_length(table["images"])).as_py(),
        "scenes": set(zip(table["seed"].to_pylist(), table["scene"].to_pylist(), strict=True)),
        "successes": pc.sum(table["success"]).as_py() or 0,
        "labels": table["success"].null_count == 0,
        "masks": table["masks"].null_count == 0,
        "poses": table["poses"].null_count == 0,
        "size": size,
    }
