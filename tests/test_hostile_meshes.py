"""Two hundred hostile mesh files: each gives a usable object or one clear line, and touches nothing else."""

from __future__ import annotations

import os
import struct
import sys
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh
from PIL import Image

from graspgap.contract import Workspace
from graspgap.errors import UserError
from graspgap.objects.meshes import MeshFolder
from graspgap.objects.parts import bounds
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig
from hostile import SOUND, TETRAHEDRON, hostile_files

SECRET = "this is outside"

LIBRARIES = {
    "up": "mtllib ../../secret.mtl",
    "absolute": "mtllib {outside}/secret.mtl",
    "passwd": "mtllib /etc/passwd",
    "long": "mtllib " + "a" * 5000,
    "control": "mtllib a\x07\x1bb.mtl",
    "folder": "mtllib .",
    "device": "mtllib /dev/zero",
    "link": "mtllib link.mtl",
    "loop": "mtllib loop.mtl",
    "map_up": "map_Kd ../../secret.png",
    "map_absolute": "map_Kd {outside}/secret.png",
    "map_passwd": "map_Kd /etc/passwd",
    "map_device": "map_Kd /dev/zero",
    "map_link": "map_Kd link.png",
    "map_long": "map_Kd " + "b" * 5000 + ".png",
    "map_missing": "map_Kd nothing.png",
    "map_damaged": "map_Kd damaged.png",
    "map_bomb": "map_Kd bomb.png",
}


def write_library(folder: Path, trick: str, outside: Path) -> None:
    """A sound cube with texture coordinates whose materials lead elsewhere."""
    folder.mkdir()
    trick = trick.format(outside=outside)
    first = trick if trick.startswith("mtllib") else "mtllib own.mtl"
    uv = "\n".join(f"vt {n % 2} {n // 2}" for n in range(4))
    faces = "f 1/1 2/2 3/3\nf 1/1 4/4 2/2\nf 2/2 4/4 3/3\nf 1/1 3/3 4/4"
    text = f"{first}\n{TETRAHEDRON}\n{uv}\nusemtl secret\n{faces}\n"
    (folder / "textured.obj").write_text(text)
    (folder / "own.mtl").write_text(f"newmtl secret\nKd 0.5 0.5 0.5\n{trick}\n")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 200)
    head = struct.pack(">II5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0" * 50)
    for name in ("link.mtl", "link.png"):
        (folder / name).symlink_to(outside / name.replace("link", "secret"))
    (folder / "loop.mtl").symlink_to("loop.mtl")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every file that is opened, by the interpreter's own account."""
    names: list[str] = []
    active = [True]

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if active[0] and event == "open":
            names.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "")

    sys.addaudithook(note)
    yield names
    active[0] = False


def usable_or_refused(folder: Path) -> dict[str, str]:
    """What became of each object of a folder: `usable` in physics, or the line it was refused with."""
    chosen, fate = MeshFolder(folder), {}
    things = []
    for name in chosen.names("train"):
        try:
            thing = chosen.make(name)
        except UserError as error:
            fate[name] = str(error)
            continue
        assert np.isfinite(bounds(thing.parts)).all()
        assert 0 < np.ptp(bounds(thing.parts), axis=0).max() < 0.4
        assert all(np.isfinite(surface.vertices).all() for surface in thing.surfaces)
        assert all(surface.faces.max() < len(surface.vertices) for surface in thing.surfaces)
        fate[name] = "usable"
        things.append(thing)
    cell = Cell(CellConfig(), Workspace())
    cell.load(things)
    mujoco.mj_step(cell.model, cell.data, nstep=5)
    assert np.isfinite(cell.data.qpos).all()
    return fate


def tree(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.lstat().st_size) for path in folder.rglob("*")}


def test_hostile_files(tmp_path: Path, opened: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    files = hostile_files()
    assert len(files) > 180
    folder = tmp_path / "a" / "set"
    folder.mkdir(parents=True)
    for name, secret in (("secret.txt", SECRET), ("secret.png", SECRET)):
        (tmp_path / name).write_text(secret)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    before = tree(tmp_path)
    opened.clear()
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fate = usable_or_refused(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(fate) == len(files)
    for name, line in fate.items():
        assert "\n" not in line
        assert len(line) < 600
        assert line == "usable" or name in line
    assert fate["obj_faces_negative"] == fate["obj_faces_inside_out"] == "usable"
    assert sum(line == "usable" for line in fate.values()) < 70
    for name in ("ply_million", "ply_absurd_vertices", "glb_count", "glb_count_no_view", "glb_circle", "glb_copies"):
        assert "can't be read as a mesh" in fate[name]
    assert peak < 300e6
    assert tree(tmp_path) == before
    assert not [name for name in opened if "secret" in name or name.startswith(("/etc/", "/dev/"))]
    assert capfd.readouterr() == ("", "")


def test_materials_lead_nowhere(tmp_path: Path, opened: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mtl").write_text("newmtl secret\nKd 1 0 0\nmap_Kd secret.png\n")
    for place in (outside, tmp_path):
        Image.new("RGB", (8, 8), (255, 0, 0)).save(place / "secret.png")
        (place / "secret.mtl").write_text("newmtl secret\nKd 1 0 0\nmap_Kd secret.png\n")
    folder = tmp_path / "set"
    folder.mkdir()
    for name, trick in LIBRARIES.items():
        write_library(folder / name, trick, outside)
    before = tree(tmp_path)
    opened.clear()
    chosen = MeshFolder(folder)
    for name in chosen.names("train"):
        thing = chosen.make(name)
        (surface,) = thing.surfaces
        assert surface.texture is None or surface.texture[..., 0].mean() < 200  # nothing of the red picture outside
        assert thing.color[0] < 0.9
    assert tree(tmp_path) == before
    outer = [n for n in opened if "outside" in os.path.realpath(n) or n.startswith(("/etc/", "/dev/"))]
    assert not outer
    assert capfd.readouterr() == ("", "")


def bad_entries() -> dict[str, Callable[[Path], None]]:
    return {
        "folder_named_obj": lambda p: (p / "x.obj").mkdir(),
        "loop": lambda p: (p / "loop.obj").symlink_to("loop.obj"),
        "link_out": lambda p: (p / "passwd.obj").symlink_to("/etc/passwd"),
        "fifo": lambda p: os.mkfifo(p / "pipe.obj"),
        "newline": lambda p: (p / "two\nlines.obj").write_bytes(SOUND["obj"]),
        "surrogate": lambda p: Path(os.fsdecode(os.fsencode(p) + b"/\xff.obj")).write_bytes(SOUND["obj"]),
        "visual_is_folder": lambda p: (p / "thing" / "textured.obj").mkdir(parents=True),
        "dangling": lambda p: (p / "gone.obj").symlink_to("nowhere.obj"),
    }


@pytest.mark.parametrize("name", bad_entries())
def test_odd_entries_of_a_folder(tmp_path: Path, name: str) -> None:
    bad_entries()[name](tmp_path)
    with pytest.raises(UserError) as error:
        MeshFolder(tmp_path).check()
    assert "\n" not in str(error.value)
    str(error.value).encode("utf-8")


def test_a_million_faces_load(tmp_path: Path) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=8, radius=0.03)
    assert len(sphere.faces) > 1_000_000
    sphere.export(tmp_path / "ball.ply")
    thing = MeshFolder(tmp_path).make("ball")
    assert len(thing.surfaces[0].faces) <= 1500
    np.testing.assert_allclose(bounds(thing.parts)[1], 0.03, atol=1e-3)
