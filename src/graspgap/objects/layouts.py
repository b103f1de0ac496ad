"""Where the mesh files of objects are, in the folders that scanners and mesh collections give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graspgap.errors import UserError

SUFFIXES = (".obj", ".stl", ".ply", ".glb")
"""Mesh files that are read."""
VISUAL, COLLISION = "textured.obj", "collision.obj"
"""Files of an object that has a folder of its own."""
INSIDE = (
    VISUAL,  # OCRTOC
    "meshes/model.obj",  # Google Scanned Objects
    "google_16k/textured.obj",  # YCB, the finer scans being slower to read and drawn no better
    "google_64k/textured.obj",
    "google_512k/textured.obj",
    "poisson/textured.obj",
    "tsdf/textured.obj",
)
"""Where the mesh to be seen is in the folder of an object: the first that is there."""


@dataclass(frozen=True)
class Source:
    """The files of one object."""

    mesh: Path
    folder: Path
    """Textures are read from inside this alone."""
    scan: bool = False
    """Whether it is in the layout of a collection of scans, which mostly have holes."""

    @property
    def collision(self) -> Path | None:
        """The file of its convex parts, if it has one."""
        path = self.mesh.with_name(COLLISION)
        return path if self.mesh.name == VISUAL and path.is_file() else None


def find_sources(folder: Path) -> dict[str, Source]:
    """The files of each object, by name, sorted: one for each sub-folder of a known layout and for each mesh file.

    A folder that is itself that of an object is a set of this object.

    Raises:
        UserError: if the folder is missing or holds no object, a sub-folder has meshes in no known layout, or two
            objects have one name or a name that can't be written.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"object folder {folder} {state}: give a folder of meshes, or the name of an object set")
    if any((folder / place).is_file() for place in INSIDE[1:]):
        return {folder.resolve().name: Source(_inside(folder) or folder, folder, scan=True)}
    sources: dict[str, Source] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name == COLLISION and (folder / VISUAL).is_file():
            continue  # of the object beside it
        source = _source(entry, folder)
        if source is None:
            continue
        name = entry.name if entry.is_dir() else entry.stem
        if not name.isprintable():
            raise UserError(f"{entry} has a name with characters that can't be written: rename it")
        if name in sources:
            other = sources[name].mesh.name
            raise UserError(f"{folder} has two objects named '{name}' ({other}, {source.mesh.name}): rename one")
        sources[name] = source
    if not sources:
        raise UserError(
            f"object folder {folder} holds no object: expected sub-folders with {VISUAL}, "
            f"or {', '.join(SUFFIXES)} files"
        )
    return sources


def _source(entry: Path, folder: Path) -> Source | None:
    """The object of an entry of a folder."""
    if entry.is_file():
        return Source(entry, folder) if entry.suffix.lower() in SUFFIXES else None
    if not entry.is_dir():
        return None
    mesh = _inside(entry)
    if mesh is None and any(file.suffix.lower() in SUFFIXES for file in entry.iterdir()):
        raise UserError(f"{entry} has meshes but no {VISUAL}: rename the one to be seen, or move the folder away")
    return Source(mesh, entry, scan=mesh.parent != entry) if mesh else None


def _inside(folder: Path) -> Path | None:
    """The mesh to be seen in the folder of an object."""
    return next((folder / place for place in INSIDE if (folder / place).is_file()), None)
