"""Convex parts of a mesh by CoACD (Wei et al. 2022), kept in a cache folder.

The cache is `$GRASPGAP_CACHE`, or `graspgap` in the user's cache folder: never the folder of the meshes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float

from graspgap.caches import cache_folder
from graspgap.errors import UserError
from graspgap.files import read_json, sha256, write_json
from graspgap.objects.hulls import hull
from graspgap.objects.thinning import thinned

MOST_FACES = 50_000
"""A finer mesh is thinned first: CoACD's time grows with the faces."""
STOPPED = (-2, -9, -15)
"""Exit codes of a process that was ended from outside: no fault of the mesh, so not kept."""


@dataclass(frozen=True)
class CoacdConfig:
    """Settings of CoACD: a mesh of 20,000 faces takes about 2 to 20 s."""

    threshold: float = 0.1
    """Concavity that is left, on the scale of a mesh of size 2."""
    most: int = 12
    """Most parts."""
    corners: int = 40
    """Most corners of a part."""
    resolution: int = 1000
    """Samples by which concavity is measured."""
    iterations: int = 60
    """Of the search for each cut."""
    seconds: float = 180.0
    """A mesh that takes longer is refused."""


def check_installed() -> None:
    """CoACD is there.

    Raises:
        UserError: if not; names the extra.
    """
    if find_spec("coacd") is None:
        raise UserError("convex parts of meshes need the extra `meshes`: pip install 'graspgap[meshes]'")


def convex_parts(path: Path, mesh: trimesh.Trimesh, config: CoacdConfig) -> list[Float[np.ndarray, "_ 3"]]:
    """Points of the convex parts of the mesh of a file, in its units, from the cache or decomposed now.

    They are kept by the file's SHA-256 and the settings; so is a refusal, so that nobody waits for it again.

    Raises:
        UserError: if the mesh has no volume, or CoACD is missing, fails, or takes too long.
    """
    check_installed()
    if hull(np.asarray(mesh.vertices, dtype=np.float64)) is None:  # CoACD would give a sheet some thickness
        raise UserError(f"{path} has no volume, expected a solid: give it a thickness or leave it away")
    key = hashlib.sha256(f"{sha256(path)} {json.dumps(asdict(config))}".encode()).hexdigest()
    kept = cache_folder() / "parts" / f"{key}.json"
    found = _kept(kept)
    if found is None:
        found = _decompose(mesh, config)
        write_json(kept, found)
    if isinstance(found, str):
        raise UserError(f"{path} has no convex parts: CoACD {found}; mend the mesh, or leave it away")
    return [np.array(points, dtype=np.float64) for points in found]


def _kept(path: Path) -> list[list[list[float]]] | str | None:
    """What the cache holds: parts, a refusal, or nothing that can be used."""
    if not path.is_file():
        return None
    try:
        found = read_json(path, "a list of convex parts")
        if isinstance(found, str):
            return found
        shapes = [np.array(points, dtype=np.float64).shape for points in found]
    except (UserError, ValueError, TypeError):
        return None
    return found if shapes and all(len(shape) == 2 and shape[1] == 3 for shape in shapes) else None


def _decompose(mesh: trimesh.Trimesh, config: CoacdConfig) -> list[list[list[float]]] | str:
    """Parts, or why there are none; in a process of its own, for CoACD hangs and crashes on some meshes."""
    solid = mesh.copy()
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    vertices, faces, _ = thinned(
        np.asarray(solid.vertices, dtype=np.float64), np.asarray(solid.faces, dtype=np.int64), None, MOST_FACES
    )
    settings = asdict(config)
    seconds = settings.pop("seconds")
    with tempfile.TemporaryDirectory(prefix="graspgap-coacd-") as folder:
        source, target = Path(folder) / "mesh.npz", Path(folder) / "parts.json"
        np.savez(source, vertices=vertices, faces=faces, **settings)
        command = [sys.executable, "-m", "graspgap.objects.decompose", str(source), str(target)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return f"takes longer than {seconds:g} s"
        found = _kept(target)
        if done.returncode in STOPPED:
            raise UserError(f"CoACD was stopped by signal {-done.returncode}: free memory, then run again")
        if done.returncode or found is None:
            return f"failed (exit code {done.returncode})"
    return found
