"""Mesh files that are damaged, absurd or lie about themselves."""

from __future__ import annotations

import json
import struct

import numpy as np
import trimesh

CUBE = trimesh.creation.box(extents=(0.04, 0.05, 0.06))
BIG = 2**31 - 1


def exported(kind: str) -> bytes:
    if kind == "ascii.stl":
        return str(trimesh.exchange.stl.export_stl_ascii(CUBE)).encode()
    if kind == "ascii.ply":
        return bytes(trimesh.exchange.ply.export_ply(CUBE, encoding="ascii"))
    data = CUBE.export(file_type=kind)
    return data.encode() if isinstance(data, str) else bytes(data)


SOUND = {kind: exported(kind) for kind in ("obj", "stl", "ply", "glb", "ascii.stl", "ascii.ply")}


def obj(vertices: str, faces: str = "f 1 2 3\nf 1 4 2\nf 2 4 3\nf 1 3 4", head: str = "") -> bytes:
    return f"{head}\n{vertices}\n{faces}\n".encode()


TETRAHEDRON = "v 0 0 0\nv 0.05 0 0\nv 0 0.05 0\nv 0 0 0.05"


def glb(header: object, binary: bytes = b"\0" * 64) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def accessor(**values: object) -> dict[str, object]:
    """The header of one triangle mesh whose accessor is as given."""
    return {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": 64}],
        "bufferViews": [{"buffer": 0, "byteLength": 64}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"} | values],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }


def ply(rows: str, count: object = 4, faces: object = 4, kind: str = "ascii", prop: str = "float") -> bytes:
    head = f"ply\nformat {kind} 1.0\nelement vertex {count}\nproperty {prop} x\nproperty {prop} y\nproperty {prop} z\n"
    return f"{head}element face {faces}\nproperty list uchar int vertex_indices\nend_header\n{rows}\n".encode()


PLY_ROWS = "0 0 0\n.05 0 0\n0 .05 0\n0 0 .05\n3 0 1 2\n3 0 3 1\n3 1 3 2\n3 0 2 3"


def hostile_files() -> dict[str, bytes]:
    """Files by name; the suffix is what the reader goes by."""
    files: dict[str, bytes] = {}
    for kind, data in SOUND.items():
        suffix = kind.split(".")[-1]
        name = kind.replace(".", "_")
        for part in (
            0,
            1,
            4,
            11,
            19,
            20,
            60,
            83,
            84,
            100,
            len(data) // 3,
            len(data) // 2,
            len(data) - 5,
            len(data) - 1,
        ):
            files[f"{name}_cut_{part}.{suffix}"] = data[:part]
        for other in ("obj", "stl", "ply", "glb"):
            if other != suffix:
                files[f"{name}_named_{other}.{other}"] = data
        flipped = bytearray(data)
        for place in np.random.default_rng(len(data)).integers(0, len(data), 12):
            flipped[place] ^= 0xFF
        files[f"{name}_flipped.{suffix}"] = bytes(flipped)
        files[f"{name}_twice.{suffix}"] = data + data
    junk = np.random.default_rng(0).bytes(5000)
    for suffix in ("obj", "stl", "ply", "glb"):
        files[f"junk_{suffix}.{suffix}"] = junk
        files[f"zeros_{suffix}.{suffix}"] = bytes(3000)
        files[f"text_{suffix}.{suffix}"] = b"hello world\n" * 50
        files[f"utf16_{suffix}.{suffix}"] = SOUND["obj"].decode().encode("utf-16")
        files[f"newlines_{suffix}.{suffix}"] = b"\n" * 5000
        files[f"zip_{suffix}.{suffix}"] = b"PK\x03\x04" + junk
    odd = {
        "huge": TETRAHEDRON.replace("0.05", "1e300"),
        "large": TETRAHEDRON.replace("0.05", "1e30"),
        "overflow": TETRAHEDRON.replace("0.05", "1e999"),
        "nan": TETRAHEDRON.replace("0.05", "nan"),
        "one_nan": TETRAHEDRON.replace("v 0.05", "v nan"),
        "inf": TETRAHEDRON.replace("0.05", "inf"),
        "tiny": TETRAHEDRON.replace("0.05", "1e-30"),
        "denormal": TETRAHEDRON.replace("0.05", "1e-310"),
        "points_in_one": TETRAHEDRON.replace("0.05", "0"),
        "words": TETRAHEDRON.replace("0.05", "five"),
        "long_number": TETRAHEDRON.replace("0.05", "9" * 5000),
        "two_values": "v 0 0\nv 1 0\nv 0 1\nv 1 1",
        "unicode": TETRAHEDRON.replace("0.05", "٠.٠٥"),  # noqa: RUF001
        "hex": TETRAHEDRON.replace("0.05", "0x1p-5"),
    }
    files |= {f"obj_{name}.obj": obj(vertices) for name, vertices in odd.items()}
    faces = {
        "beyond": "f 1 2 9",
        "far_beyond": f"f 1 2 {BIG}",
        "past_64_bits": f"f 1 2 {2**70}",
        "zero": "f 0 1 2",
        "negative": "f -4 -3 -2\nf -4 -1 -3\nf -3 -1 -2\nf -4 -2 -1",
        "negative_beyond": "f -1 -2 -99",
        "one_corner": "f 1",
        "no_corner": "f",
        "same_corner": "f 1 1 1\nf 2 2 2",
        "slashes": "f 1//// 2//// 3////",
        "bad_uv": "f 1/9/9 2/9/9 3/9/9",
        "words": "f one two three",
        "polygon": "f " + " ".join(["1 2 3 4"] * 5000),
        "many_groups": "\n".join(f"usemtl m{n}\nf 1 2 3" for n in range(20_000)),
        "continued": "f 1 2 \\\n" * 3000,
        "lines_only": "l 1 2 3",
        "inside_out": "f 3 2 1\nf 2 4 1\nf 3 4 2\nf 4 3 1",
    }
    files |= {f"obj_faces_{name}.obj": obj(TETRAHEDRON, rows) for name, rows in faces.items()}
    files["obj_itself.obj"] = obj(TETRAHEDRON, head="mtllib obj_itself.obj\ncall obj_itself.obj\nusemtl a")
    files["obj_flat.obj"] = obj("v 0 0 0\nv 0.05 0 0\nv 0 0.05 0\nv 0.05 0.05 0", "f 1 2 3\nf 2 4 3")
    files["obj_speck.obj"] = obj(TETRAHEDRON.replace("0.05", "1e-5"))
    files["obj_long_line.obj"] = b"v " + b"0 " * 200_000 + b"\n"
    files["obj_no_faces.obj"] = obj(TETRAHEDRON, "")
    files["obj_latin1.obj"] = obj(TETRAHEDRON, head="# caf").replace(b"caf", b"caf\xe9\xff\xfe")
    stl = SOUND["stl"]
    for count in (0, 1, 11, 13, 10**6, 2**31, 2**32 - 1):
        files[f"stl_counts_{count}.stl"] = stl[:80] + struct.pack("<I", count) + stl[84:]
    for value in ("nan", "inf", "3e38"):
        corners = np.frombuffer(stl[84:], dtype=[("f", "<f4", 12), ("a", "<u2")]).copy()
        corners["f"][0, 3:6] = float(value)
        files[f"stl_{value}.stl"] = stl[:84] + corners.tobytes()
    files["stl_endless.stl"] = b"solid a\nfacet normal 0 0 0\nouter loop\n" + b"vertex 0 0 0\n" * 3000
    for name, data in {
        "absurd_vertices": ply(PLY_ROWS, count=10**11),
        "absurd_faces": ply(PLY_ROWS, faces=10**11),
        "past_64_bits": ply(PLY_ROWS, count=2**70),
        "negative": ply(PLY_ROWS, count=-4),
        "million": ply(PLY_ROWS, faces=1_000_000),
        "binary_million": ply(PLY_ROWS, faces=1_000_000, kind="binary_little_endian"),
        "binary_text": ply(PLY_ROWS, kind="binary_little_endian"),
        "unknown_format": ply(PLY_ROWS, kind="morse"),
        "unknown_type": ply(PLY_ROWS, prop="quaternion"),
        "no_end": ply(PLY_ROWS).replace(b"end_header", b""),
        "beyond": ply(PLY_ROWS.replace("3 0 1 2", "3 0 1 99")),
        "negative_index": ply(PLY_ROWS.replace("3 0 1 2", "3 0 1 -7")),
        "long_list": ply(PLY_ROWS.replace("3 0 1 2", "200 0 1 2")),
        "nan": ply(PLY_ROWS.replace(".05", "nan")),
        "no_elements": b"ply\nformat ascii 1.0\nend_header\n",
        "texture_outside": ply(PLY_ROWS).replace(b"1.0\n", b"1.0\ncomment TextureFile ../../secret.png\n", 1),
    }.items():
        files[f"ply_{name}.ply"] = data
    sound = accessor()
    for name, header in {
        "count": accessor(count=10**12),
        "count_negative": accessor(count=-1),
        "count_text": accessor(count="many"),
        "count_no_view": {**accessor(), "accessors": [{"componentType": 5126, "count": 10**10, "type": "VEC3"}]},
        "type": accessor(type="MAT9"),
        "component": accessor(componentType=1),
        "view": accessor(bufferView=77),
        "offset": accessor(byteOffset=10**9),
        "circle": sound | {"nodes": [{"children": [1]}, {"children": [0], "mesh": 0}]},
        "own_child": sound | {"nodes": [{"children": [0], "mesh": 0}]},
        "copies": sound | {"nodes": [{"children": [n + 1, n + 1]} for n in range(40)] + [{"mesh": 0}]},
        "missing_child": sound | {"nodes": [{"children": [5]}]},
        "missing_mesh": sound | {"nodes": [{"mesh": 9}]},
        "file": sound | {"buffers": [{"byteLength": 64, "uri": "../../secret.txt"}]},
        "passwd": sound | {"buffers": [{"byteLength": 64, "uri": "/etc/passwd"}]},
        "image": sound | {"images": [{"uri": "../../secret.png"}], "textures": [{"source": 0}]},
        "deep": b"[" * 100_000,
        "list": b"[]",
        "null": b"null",
        "broken": b'{"meshes": ',
        "matrix": sound | {"nodes": [{"mesh": 0, "matrix": [float("inf")] * 16}]},
        "meshes_text": sound | {"meshes": "many"},
    }.items():
        files[f"glb_{name}.glb"] = glb(header)
    good = SOUND["glb"]
    for name, place, value in (("length", 8, BIG), ("chunk", 12, BIG), ("chunk_short", 12, 3), ("version", 4, 9)):
        files[f"glb_{name}.glb"] = good[:place] + struct.pack("<I", value) + good[place + 4 :]
    return files
