"""Read columns of one shard into arrays; whatever is damaged becomes one clear error."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float32, Int64, UInt8, UInt16

from graspgap.datasets.pictures import decode_depth, decode_mask, decode_picture
from graspgap.datasets.schema import OPTIONAL_COLUMNS, arrow_schema
from graspgap.errors import UserError
from graspgap.files import sha256
from graspgap.locations import Location, for_arrow

LENGTHS = "images.list.element.path"
"""A column that is nearly empty, read for the number of pictures in each row."""

DEEP = ("depth_before", "depths")
"""Columns of 16-bit pictures."""


KNOWN = {field.name: field.type for field in arrow_schema({}, OPTIONAL_COLUMNS)}
"""Types of all columns."""
ALWAYS = {"attempt", "seed", "scene", "world", "policy", "image_before", "images"}
"""Columns without a missing value."""
AGAIN = "run the command that made the dataset again"
"""What brings a shard back."""
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)
"""What Arrow raises about a damaged file."""


def damaged(path: Location, found: object, expected: str) -> UserError:
    """The error of a shard that is not as meta.json says."""
    return UserError(f"{path} is damaged ({found}; expected {expected}): delete it and {AGAIN}")


def read_columns(path: Location, columns: Sequence[str], rows: int) -> pa.Table:
    """The named columns of a shard that must have `rows` rows.

    Raises:
        UserError: if the shard is missing, damaged, or has another number of rows.
    """
    try:
        where, filesystem = for_arrow(path)
        with pq.ParquetFile(where, filesystem=filesystem, page_checksum_verification=True) as file:
            require_columns(file.schema_arrow, columns, path)
            table = file.read(list(columns))
        if table.num_columns < len(columns):  # a list whose items have another name
            raise damaged(path, "columns that are laid out otherwise", "lists of 'element'")
    except FileNotFoundError:
        raise UserError(f"{path} is missing (expected {rows} rows): {AGAIN}") from None
    except UNREADABLE as error:
        why = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise damaged(path, why, f"{rows} rows") from None
    if table.num_rows != rows:
        raise damaged(path, f"{table.num_rows} rows", f"{rows} rows")
    require_values(table, path)
    return table


def require_columns(found: pa.Schema, columns: Sequence[str], path: Location) -> None:
    """Refuse a shard that lacks a column, or holds other values there than `schema.COLUMNS` says.

    Raises:
        UserError: names the column.
    """
    for name in {column.partition(".")[0] for column in columns}:
        place = found.get_field_index(name)
        if place < 0 or found.field(place).type != KNOWN[name]:
            what = f"of {found.field(place).type}" if place >= 0 else "that is missing, or there twice"
            raise damaged(path, f"a column '{name}' {what}", f"{KNOWN[name]}")


def require_values(table: pa.Table, path: Location) -> None:
    """Refuse a table that lacks values which every attempt has.

    Raises:
        UserError: names the column.
    """
    for name in ALWAYS & set(table.column_names):
        if table[name].null_count:
            raise damaged(path, f"'{name}' is missing in {table[name].null_count} rows", "it in each")


def successes(path: Location, rows: int) -> int:
    """How many attempts of a shard succeeded.

    Raises:
        UserError: as `read_columns`.
    """
    return pc.sum(read_columns(path, ["success"], rows)["success"]).as_py() or 0


def check_size(path: Location, entry: dict[str, Any]) -> None:
    """Compare the size of a shard with its entry in meta.json.

    Raises:
        UserError: if the shard is missing or of another size.
    """
    if not path.exists():
        raise UserError(f"{path} is missing (expected {entry['rows']} rows): {AGAIN}")
    if path.stat().st_size != entry["bytes"]:
        raise damaged(path, f"{path.stat().st_size} bytes", f"{entry['bytes']} bytes, {entry['rows']} rows")


def check_hash(path: Location, entry: dict[str, Any]) -> None:
    """Compare a shard with its entry in meta.json, byte by byte.

    Raises:
        UserError: if the shard is missing or differs.
    """
    check_size(path, entry)
    found = sha256(path)
    if found != entry["sha256"]:
        raise damaged(path, f"SHA-256 {found[:12]}", f"{entry['sha256'][:12]}, {entry['rows']} rows")


def decoded(
    column: pa.ChunkedArray, shape: tuple[int, ...], path: Location, deep: bool = False
) -> Iterator[UInt8[np.ndarray, "*size"] | UInt16[np.ndarray, "h w"]]:
    """The pictures of a column of pictures, or of lists of pictures, one by one: [3, h, w] RGB, masks [h, w], or
    `deep` ones [h, w] of 16 bits.

    Raises:
        UserError: if a picture is damaged or of another shape.
    """
    decode = decode_depth if deep else decode_mask if len(shape) == 2 else _decode_channels
    structs = column.combine_chunks()
    if pa.types.is_list(structs.type):
        structs = structs.flatten()
    for row, data in enumerate(_blobs(structs.field("bytes"))):
        try:
            picture = decode(data)
        except UserError as error:
            raise damaged(path, f"picture {row}: {error}", "a PNG") from None
        if picture.shape != shape:
            raise damaged(path, f"picture {row} has shape {picture.shape}", f"{shape}")
        yield picture


def _decode_channels(data: bytes | memoryview) -> UInt8[np.ndarray, "3 h w"]:
    return decode_picture(data).transpose(2, 0, 1)


def _blobs(column: pa.BinaryArray) -> Iterator[memoryview]:
    """The values of a column of bytes without a copy; null is empty."""
    if not len(column):
        return
    _, offsets, values = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].tolist()
    data = memoryview(values) if values else memoryview(b"")
    for start, end in itertools.pairwise(bounds):
        yield data[start:end]


def decode_into(
    out: UInt8[np.ndarray, "f *size"] | UInt16[np.ndarray, "f h w"], column: pa.ChunkedArray, path: Location
) -> None:
    """Decode a column of pictures, or of lists of pictures, to `out`: [f, 3, h, w] RGB, masks [f, h, w], or pictures
    [f, h, w] of 16 bits.

    Raises:
        UserError: if a picture is damaged or of another size, or there are more or fewer than `out` takes.
    """
    count = 0
    for picture in decoded(column, out.shape[1:], path, deep=out.dtype == np.uint16):
        if count < len(out):
            out[count] = picture
        count += 1
    if count != len(out):
        raise damaged(path, f"{count} pictures", f"{len(out)}")


def flat_floats(column: pa.ChunkedArray, width: int) -> Float32[np.ndarray, "f width"]:
    """A column of lists of `width` numbers as one array, a row per servo step."""
    return np.asarray(column.combine_chunks().flatten().flatten()).reshape(-1, width)


def lengths(column: pa.ChunkedArray) -> Int64[np.ndarray, "n"]:
    """Number of items in each list of a column."""
    return np.asarray(pc.list_value_length(column).combine_chunks(), dtype=np.int64)


def integers(table: pa.Table, name: str) -> Int64[np.ndarray, "n"]:
    """An integer column."""
    return np.asarray(table[name].combine_chunks(), dtype=np.int64)


def pairs(table: pa.Table, name: str) -> Int64[np.ndarray, "n 2"]:
    """(seed, `name`) of each row: what tells scenes, or attempts, of one world apart."""
    return np.stack([integers(table, "seed"), integers(table, name)], axis=1)
