"""Valid files, changed at random: bytes, and the values that a format holds, put together again so that they are read.

Everything is a function of the generator that is given.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tfrecord import example_pb2
from tfrecord.writer import TFRecordWriter

Rng = np.random.Generator
Files = dict[str, bytes]
"""Path inside a folder to content."""

NUMBERS = (0, 1, -1, 2, 255, 256, 1000, 65535, 2**31 - 1, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 10**12)
FLOATS = (0.5, -0.0, 1e-300, 1e300, -1e30, float("nan"), float("inf"), float("-inf"))
PATTERNS = ("{0.__class__}", "{chunk_index:99999999}")
TEXTS = ("", "x", "0", "../../x", "/etc/hostname", "a\0b", "é\u2028\n", *PATTERNS, "A" * 300)
TREES = (None, True, False, [], {}, [[]], [1, 2], {"": 0}, [None], [[1, 2], [3]], {"a": {"b": [1.5, "c"]}})
WORDS = ("nan", "inf", "-inf", "true", "07:32:00", "1979-05-27", "0", "1", "-1", "7", "0.5", "1e300", "9999999999")
LITERALS = (*WORDS, '""', '"x"', "[]", "[1]", "[[1]]", "[1,2,3]", '["x"]', "[0,1,2,5]", '["x","y","z"]', "{}", "{a=1}")
"""Of TOML."""
ARROW = (pa.string(), pa.float32(), pa.int8(), pa.bool_(), pa.null(), pa.large_string(), pa.binary())


def pick(rng: Rng, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def of_bytes(data: bytes, rng: Rng) -> bytes:
    """A few bytes flipped, set, cut out, put in, doubled, cut off; or lengths that lie."""
    if not data:
        return rng.bytes(int(rng.integers(1, 40)))
    place = int(rng.integers(len(data)))
    size = int(min(len(data) - place, rng.integers(1, 1 + pick(rng, (1, 4, 16, 200)))))
    how = int(rng.integers(8))
    if how == 0:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        return bytes(changed)
    if how == 1:
        changed = bytearray(data)
        for at in rng.integers(0, len(data), int(rng.integers(1, 12))):
            changed[at] = pick(rng, (0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))))
        return bytes(changed)
    if how == 2:
        return data[:place]
    if how == 3:
        return data[:place] + data[place + size :]
    if how == 4:
        return data[:place] + rng.bytes(size) + data[place:]
    if how == 5:
        return data[: place + size] + data[place:]
    if how == 6:
        kind = pick(rng, ("<I", ">I", "<Q", ">Q", "<H", ">H", "B"))
        width = struct.calcsize(kind)
        lie = struct.pack(kind, pick(rng, NUMBERS) % 2 ** (8 * width))
        return data[:place] + lie + data[place + width :]
    other = int(rng.integers(len(data)))
    return data[:place] + data[other : other + size] + data[place + size :]


def leaf(rng: Rng) -> Any:
    """A value that somebody may write where another was expected."""
    return pick(rng, pick(rng, (NUMBERS, FLOATS, TEXTS, TREES)))


def of_tree(value: Any, rng: Rng) -> Any:
    """A tree of maps and lists with one place changed."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.12:
        if isinstance(value, bytes) and rng.random() < 0.7:
            return of_bytes(value, rng)
        if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.5:
            return pick(rng, (*NUMBERS, *FLOATS, -value, value + 1, value * 1000, str(value)))
        return leaf(rng)
    if isinstance(value, list):
        at, how, changed = int(rng.integers(len(value))), int(rng.integers(8)), list(value)
        if how == 0:
            del changed[at]
        elif how == 1:
            changed.insert(at, value[at])
        elif how == 2:
            changed.append(leaf(rng))
        else:
            changed[at] = of_tree(value[at], rng)
        return changed
    key, how = pick(rng, list(value)), int(rng.integers(10))
    if how == 0:
        return {name: one for name, one in value.items() if name != key}
    if how == 1:
        return {(pick(rng, TEXTS) if name == key else name): one for name, one in value.items()}
    if how == 2:
        return value | {pick(rng, TEXTS): leaf(rng)}
    if how == 3:
        return value | {key: value[pick(rng, list(value))]}
    return value | {key: of_tree(value[key], rng)}


def of_json(data: bytes, rng: Rng) -> bytes:
    return json.dumps(of_tree(json.loads(data), rng)).encode("utf-8", errors="surrogatepass")


def of_lines(data: bytes, rng: Rng) -> bytes:
    """A line of JSON Lines changed."""
    lines = data.splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = of_json(lines[at], rng)
    return b"\n".join(lines)


def of_msgpack(data: bytes, rng: Rng) -> bytes:
    value = of_tree(msgpack.unpackb(data, strict_map_key=False), rng)
    try:
        return bytes(msgpack.packb(value))
    except (OverflowError, ValueError, TypeError):
        return of_bytes(data, rng)


def of_toml(data: bytes, rng: Rng) -> bytes:
    """A line of TOML with another value or key, doubled, moved or gone."""
    lines = data.decode().splitlines()
    at, how = int(rng.integers(len(lines))), int(rng.integers(8))
    line = lines[at]
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(int(rng.integers(len(lines))), line)
    elif how == 2:
        lines[at] = re.sub(r"\w+", pick(rng, ("x", "frame", "images", "K", "safety", "low")), line, count=1)
    elif how == 3:
        lines.insert(at, pick(rng, ("[frame]", "[x]", "[[frame]]", "a.b = 1", "frame.turn = 1")))
    else:
        lines[at] = f"{line.partition('=')[0].rstrip()} = {pick(rng, LITERALS)}" if "=" in line else pick(rng, LITERALS)
    return "\n".join(lines).encode()


def of_csv(data: bytes, rng: Rng) -> bytes:
    """A cell of a table changed."""
    lines = data.decode().splitlines()
    at = int(rng.integers(len(lines)))
    cells = lines[at].split(",")
    column = int(rng.integers(len(cells)))
    how = int(rng.integers(6))
    if how == 0:
        del cells[column]
    elif how == 1:
        cells.insert(column, "1")
    else:
        cells[column] = str(leaf(rng))
    lines[at] = ",".join(cells)
    return "\n".join(lines).encode("utf-8", errors="replace")


def of_png(data: bytes, rng: Rng) -> bytes:
    """A chunk of a PNG changed, with its checksum made right."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return of_bytes(data, rng)
    which = int(rng.integers(len(chunks)))
    chunks[which] = (chunks[which][0], of_bytes(chunks[which][1], rng))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def framed(payloads: list[bytes]) -> bytes:
    """A TFRecord file with right checksums."""
    heads = [struct.pack("<Q", len(one)) for one in payloads]
    crc = TFRecordWriter.masked_crc
    return b"".join(head + crc(head) + one + crc(one) for head, one in zip(heads, payloads, strict=True))


def unframed(data: bytes) -> list[bytes]:
    payloads, at = [], 0
    while at + 16 <= len(data):
        size = struct.unpack("<Q", data[at : at + 8])[0]
        payloads.append(data[at + 12 : at + 12 + size])
        at += 16 + size
    return payloads


def of_tfrecord(data: bytes, rng: Rng) -> bytes:
    """A record of a TFRecord file changed, as bytes or in one of its features."""
    payloads = unframed(data)
    if not payloads:
        return of_bytes(data, rng)
    at = int(rng.integers(len(payloads)))
    if rng.random() < 0.3:
        payloads[at] = of_bytes(payloads[at], rng)
    else:
        example = example_pb2.Example()
        try:
            example.ParseFromString(payloads[at])
        except Exception:  # of an earlier change
            return framed([*payloads, payloads[0]])
        _of_features(example.features.feature, rng)
        payloads[at] = example.SerializeToString()
    return framed(payloads)


def _of_features(features: Any, rng: Rng) -> None:
    names = sorted(features)
    if not names:
        return
    name, how = pick(rng, names), int(rng.integers(7))
    values = features[name]
    kind = values.WhichOneof("kind")
    if how == 0:
        del features[name]
    elif how == 1:
        features[pick(rng, names)].CopyFrom(values)
    elif how == 2 or kind is None:
        values.ClearField(kind or "float_list")
        values.float_list.value.extend(pick(rng, ((), (1.0,), (0.0,) * 7, (float("nan"),) * 7)))
    elif how == 3:
        values.ClearField(kind)
        values.int64_list.value.extend([1] * int(rng.integers(10)))
    else:
        held = getattr(values, kind).value
        if not held:
            return
        at = int(rng.integers(len(held)))
        if how == 4:
            del held[at]
        elif how == 5:
            held.append(held[at])
        elif kind == "bytes_list":
            held[at] = pick(rng, (of_png, of_bytes))(held[at], rng)
        else:
            held[at] = pick(rng, (0, 1, -1, 3, 255)) if kind == "int64_list" else pick(rng, (*FLOATS, 2.0))


def of_parquet(data: bytes, rng: Rng) -> bytes:
    """A column of a Parquet file gone, renamed, of another type, or with another value; or rows gone or doubled."""
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError):
        return of_bytes(data, rng)
    if not table.num_columns:
        return of_bytes(data, rng)
    at, how = int(rng.integers(table.num_columns)), int(rng.integers(8))
    name, column = table.column_names[at], table.column(at)
    try:
        if how == 0:
            table = table.drop_columns([name])
        elif how == 1:
            names = table.column_names
            names[at] = pick(rng, ("x", "", *table.column_names))
            table = table.rename_columns(names)
        elif how == 2:
            rows = rng.integers(0, max(table.num_rows, 1), int(rng.integers(table.num_rows + 2)))
            table = table.take(pa.array(rows)) if table.num_rows else table
        elif how == 3:
            kind = pick(rng, ARROW)
            values = pa.nulls(table.num_rows, kind) if rng.random() < 0.5 else column.combine_chunks().cast(kind)
            table = table.set_column(at, name, values)
        else:
            values = column.to_pylist()
            if values:
                row = int(rng.integers(len(values)))
                values[row] = None if rng.random() < 0.2 else of_tree(values[row], rng)
            typed = None if rng.random() < 0.2 else column.type
            table = table.set_column(at, name, pa.array(values, typed))
        out = io.BytesIO()
        pq.write_table(table, out)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, UnicodeError):
        return of_bytes(data, rng)
    return out.getvalue()


BY_ENDING: dict[str, Callable[[bytes, Rng], bytes]] = {
    "jsonl": of_lines,
    "json": of_json,
    "msgpack": of_msgpack,
    "toml": of_toml,
    "csv": of_csv,
    "png": of_png,
    "tfrecord": of_tfrecord,
    "parquet": of_parquet,
}


def changed(files: Files, rng: Rng, more: dict[str, Callable[[bytes, Rng], bytes]]) -> Files:
    """The files with one to three changes; `more`: changes by ending of a name, besides `BY_ENDING`."""
    found = dict(files)
    by_ending = BY_ENDING | more
    for _ in range(int(rng.integers(1, 4))):
        names = sorted(found)
        if not names:
            break
        name, chance = pick(rng, names), rng.random()
        kind = next((change for end, change in by_ending.items() if f".{end}" in name), of_bytes)
        if chance < 0.03:
            del found[name]
        elif chance < 0.06:
            found[name] = found[pick(rng, names)]
        elif chance < 0.09:
            found[name] = b""
        elif chance < 0.3:
            found[name] = of_bytes(found[name], rng)
        else:
            try:
                found[name] = kind(found[name], rng)
            except Exception:  # the file holds no such values any more, after an earlier change
                found[name] = of_bytes(found[name], rng)
    return found
