"""The convex groups of an OBJ file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from graspgap.errors import UserError

LARGEST = 64 * 2**20
"""Bytes; convex parts are a few kilobytes."""


def obj_groups(path: Path) -> list[Float[np.ndarray, "_ 3"]]:
    """The vertices that the faces of each `o` group of an OBJ file use; of each `g` group, where there is no `o`.

    Raises:
        UserError: if the file is too large, is not an OBJ file, or has no faces or places that are not finite.
    """
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path} is larger than {LARGEST >> 20} MB, expected convex parts: simplify them")
    vertices: list[list[float]] = []
    groups: list[set[int]] = [set()]
    lines = [line.split() or [""] for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    mark = "o" if any(line[0] == "o" for line in lines) else "g"
    try:
        for kind, *values in lines:
            if kind == mark:
                groups.append(set())
            elif kind == "v":
                vertices.append([float(value) for value in values[:3]])
            elif kind == "f":
                numbers = [int(value.split("/")[0]) for value in values]
                groups[-1].update(n - 1 if n > 0 else len(vertices) + n for n in numbers)
        points = np.array(vertices, dtype=np.float64).reshape(-1, 3)
        used = [index for group in groups for index in group]
        if min(used, default=0) < 0 or max(used, default=-1) >= len(points):
            raise IndexError
    except (ValueError, IndexError, OverflowError):
        raise UserError(f"{path} is not a valid OBJ file: export the convex parts again") from None
    if not used:
        raise UserError(f"{path} has no faces, expected convex parts: export it again, or remove it")
    if not np.isfinite(points[used]).all() or np.abs(points[used]).max() > 1e6:
        raise UserError(f"{path} has vertices that are not finite, or beyond 1e6: export it again")
    return [points[sorted(group)] for group in groups if group]
