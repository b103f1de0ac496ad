"""What the headers of mesh files claim, checked against the files' sizes before anything is allocated for it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

MOST_GROUPS = 10_000
"""Materials, meshes or nodes of a file: each costs a reader milliseconds."""
MOST_HEADER = 2**16
"""Bytes of a PLY file's header."""


class Unsound(ValueError):
    """The file can't be what it claims."""


def check_obj(data: bytes) -> None:
    """Text, not too many materials."""
    if b"\0" in data:
        raise Unsound("binary data in a text file")
    if data.count(b"usemtl") > MOST_GROUPS:
        raise Unsound(f"more than {MOST_GROUPS} changes of material")


def check_stl(data: bytes) -> None:
    """A binary file is as long as its number of triangles says; text begins with `solid`."""
    count = struct.unpack_from("<I", data, 80)[0] if len(data) >= 84 else -1
    if len(data) != 84 + 50 * count and not data.lstrip().lower().startswith(b"solid"):
        raise Unsound(f"{len(data)} bytes, expected {84 + 50 * max(count, 0)}")


def check_ply(data: bytes) -> None:
    """Each row takes at least a byte."""
    end = data.find(b"end_header", 0, MOST_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise Unsound("no PLY header")
    for line in data[:end].decode("latin-1").splitlines():
        words = line.split()
        if words[:1] == ["element"]:
            if len(words) != 3 or not words[2].isascii() or not words[2].isdigit() or len(words[2]) > 12:
                raise Unsound(f"header line '{line[:60]}'")
            if int(words[2]) > len(data) - end:
                raise Unsound(f"{words[2]} rows of '{words[1][:20]}' in {len(data) - end} bytes")


def check_glb(data: bytes) -> None:
    """Chunks end with the file, accessors hold no more values than the file has bytes, nodes are a tree."""
    if len(data) < 20:
        raise Unsound("no GLB header")
    magic, version, length, chunk, kind = struct.unpack_from("<4sIII4s", data)
    if magic != b"glTF" or version != 2 or kind != b"JSON":
        raise Unsound("no GLB header of version 2")
    if length > len(data) or 20 + chunk > len(data):
        raise Unsound(f"{len(data)} bytes of {max(length, 20 + chunk)}")
    try:
        header = json.loads(data[20 : 20 + chunk])
    except (ValueError, RecursionError):
        raise Unsound("its JSON is damaged") from None
    parts = {key: _records(header, key) for key in ("accessors", "nodes", "meshes", "scenes", "materials")}
    if max(map(len, parts.values())) > MOST_GROUPS:
        raise Unsound(f"more than {MOST_GROUPS} records")
    for accessor in parts["accessors"]:
        count = accessor.get("count", 0)
        if not isinstance(count, int) or not 0 <= count <= len(data):
            raise Unsound(f"{str(count)[:20]} values in {len(data)} bytes")
    if sum(len(_records(mesh, "primitives")) for mesh in parts["meshes"]) > MOST_GROUPS:
        raise Unsound(f"more than {MOST_GROUPS} records")
    _check_tree(parts["nodes"])


def _records(header: Any, key: str) -> list[dict[str, Any]]:
    """A list of records of a JSON header."""
    found = header.get(key, []) if isinstance(header, dict) else None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise Unsound(f"its JSON has no list of records '{key}'")
    return found


def _check_tree(nodes: list[dict[str, Any]]) -> None:
    """No node is below itself or below two others: copies of copies would be endless."""
    below: set[int] = set()
    for node in nodes:
        children = node.get("children", [])
        if not isinstance(children, list) or not all(isinstance(c, int) and 0 <= c < len(nodes) for c in children):
            raise Unsound("nodes with children that are not there")
        if len(set(children)) < len(children) or below & set(children):
            raise Unsound("nodes with several parents")
        below |= set(children)
    reached = 0
    waiting = [index for index in range(len(nodes)) if index not in below]
    while waiting:
        reached += 1
        waiting += nodes[waiting.pop()].get("children", [])
    if reached < len(nodes):
        raise Unsound("nodes in a circle")


CHECKS: dict[str, Callable[[bytes], None]] = {"obj": check_obj, "stl": check_stl, "ply": check_ply, "glb": check_glb}
"""By a file's suffix. Each raises Unsound."""
