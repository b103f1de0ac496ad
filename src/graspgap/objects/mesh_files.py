"""Mesh files read with care: nothing outside the object's folder, no more memory than a file's size warrants."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from graspgap.errors import UserError
from graspgap.objects.mesh_checks import CHECKS, Unsound

logging.getLogger("trimesh").addHandler(logging.NullHandler())  # what it has to say, a UserError says

LARGEST = 256 * 2**20
"""Bytes of a mesh file."""
LARGEST_TEXTURE = 64 * 2**20
"""Bytes of a texture's file, and pixels."""
MOST_FACES = 2_000_000
FARTHEST = 1e6
"""No vertex is farther from the origin: beyond, squares of areas overflow."""
TEXTURES = (".mtl", ".png", ".jpg", ".jpeg", ".bmp", ".tga", ".webp")
"""What else a mesh file may have read."""
BESIDE = ("materials/textures", "textures", "images")
"""Folders of an object's folder in which a texture that isn't where the file says is looked for."""


class InFolder(trimesh.resolvers.Resolver):
    """Gives a mesh the materials and textures of its object's folder, and nothing else."""

    def __init__(self, mesh: Path, folder: Path) -> None:
        self.start, self.folder = mesh.parent, folder.resolve()

    def get(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: if there is none of that name inside the folder, after links have been followed.
        """
        name = name.strip().strip('"').replace("\\", "/")
        for path in (self.start / name, *(self.folder / beside / Path(name).name for beside in BESIDE)):
            if path.suffix.lower() in TEXTURES and readable(path, self.folder, LARGEST_TEXTURE):
                return path.read_bytes()
        raise FileNotFoundError(name)

    def write(self, name: str, data: Any) -> None:
        """Never."""
        raise PermissionError(name)

    def namespaced(self, namespace: str) -> InFolder:
        """Itself: no file has a folder of its own."""
        return self

    def keys(self) -> list[str]:
        """None: files are asked for by name."""
        return []


def readable(path: Path, folder: Path, most: int) -> bool:
    """Whether a path is a file of at most `most` bytes inside a folder (resolved), links followed."""
    try:
        real = path.resolve()
        return real.is_relative_to(folder) and real.is_file() and real.stat().st_size <= most
    except (OSError, ValueError, RuntimeError):  # too long, not a name, links in a circle
        return False


def read_mesh(path: Path, folder: Path) -> trimesh.Trimesh:
    """The triangles of a mesh file, all finite and with valid indices, facing outwards where it is closed.

    Raises:
        UserError: if the file leads out of `folder`, is too large, damaged, or has no faces.
    """
    if not readable(path, folder.resolve(), LARGEST):
        raise UserError(
            f"{path} is no file of at most {LARGEST >> 20} MB inside {folder}: copy it there, or simplify it"
        )
    data = path.read_bytes()
    kind = path.suffix.lower().removeprefix(".")
    try:
        CHECKS[kind](data)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            loaded: Any = trimesh.load(io.BytesIO(data), file_type=kind, resolver=InFolder(path, folder), force="mesh")
    except Unsound as error:
        raise UserError(f"{path} can't be read as a mesh ({error}): export it again") from None
    except Exception as error:  # a reader may raise anything on a damaged file
        why = f"{type(error).__name__}: {error}"[:120]
        raise UserError(f"{path} can't be read as a mesh ({why}): export it again") from None
    if not isinstance(loaded, trimesh.Trimesh) or not len(loaded.faces):
        raise UserError(f"{path} has no faces, expected a triangle mesh: export it with its surface")
    if len(loaded.faces) > MOST_FACES:
        raise UserError(f"{path} has {len(loaded.faces)} faces, expected at most {MOST_FACES}: simplify it")
    faces = np.asarray(loaded.faces)
    if np.shape(loaded.vertices)[1:] != (3,):
        raise UserError(f"{path} has vertices without x, y and z: export it again")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.min() < 0 or faces.max() >= len(loaded.vertices):
        raise UserError(f"{path} has faces of vertices that it lacks: export it again")
    if not np.isfinite(loaded.vertices).all() or np.abs(loaded.vertices).max() > FARTHEST:
        raise UserError(f"{path} has vertices that are not finite, or beyond {FARTHEST:g}: export it again")
    if loaded.is_watertight and loaded.volume < 0:
        loaded.invert()
    return loaded
