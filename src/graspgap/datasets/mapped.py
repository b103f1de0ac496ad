"""Pictures of views: in memory, or in files that are mapped into it, where they are more than memory holds.

Mapped pictures are decoded once, into a folder of the cache. A batch then reads the rows that it needs: it is the same
to the bit, and a run resumes as exactly. The operating system keeps as much of the files in memory as is free.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from graspgap.caches import CACHE, cache_folder
from graspgap.errors import UserError
from graspgap.provenance import memory_bytes

Shapes = dict[str, tuple[tuple[int, ...], type[np.generic]]]
"""Shape and type of arrays by name."""
Arrays = dict[str, np.ndarray]

SHARE = 4
"""A view whose pictures take more than this part of the memory is mapped: a run opens up to four."""


def most_in_memory() -> int:
    """The largest view that is held in memory [bytes of pictures]."""
    return memory_bytes() // SHARE or 4 * 2**30


def in_memory(shapes: Shapes) -> Arrays:
    """Arrays to be filled."""
    return {name: np.empty(shape, kind) for name, (shape, kind) in shapes.items()}


def size(shapes: Shapes) -> int:
    """Bytes of arrays of these shapes."""
    return sum(int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize for shape, kind in shapes.values())


def mapped(shapes: Shapes, key: str, fill: Callable[[Arrays], None]) -> Arrays:
    """Read-only arrays in files of the cache, filled by `fill` the first time. `key` says what they are made from.

    Raises:
        UserError: if the disk has no room for them.
    """
    known = hashlib.sha256(f"{key} {sorted(shapes)}".encode()).hexdigest()[:24]
    folder = cache_folder() / "pictures" / known
    if not folder.exists():
        _make(folder, shapes, fill)
    return {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in shapes}


def _make(folder: Path, shapes: Shapes, fill: Callable[[Arrays], None]) -> None:
    """Fill the files under a temporary name, then rename their folder."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        files = {name: _file(temporary / f"{name}.npy", *shape) for name, shape in shapes.items()}
        fill({**files})
        for file in files.values():
            file.flush()
        try:
            temporary.replace(folder)
        except OSError:
            if not folder.exists():  # else another run was faster
                raise
    except OSError as error:
        raise UserError(
            f"can't keep {size(shapes) / 1e9:.1f} GB of decoded pictures in {folder.parent} "
            f"({error.strerror or error}): free the disk, or name a folder on another one in ${CACHE}"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _file(path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> np.memmap:
    """A new .npy file whose room on the disk is taken at once: to run out of it later would kill the process."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
