"""What is drawn of a mesh file: few triangles and a small texture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
from jaxtyping import Float, UInt8

from graspgap.errors import UserError
from graspgap.objects.mesh_files import LARGEST_TEXTURE
from graspgap.objects.model import Surface
from graspgap.objects.thinning import thinned

GREY = (0.7, 0.7, 0.7)


def drawn_surface(
    mesh: trimesh.Trimesh, path: Path, centre: Float[np.ndarray, "3"], triangles: int, texels: int
) -> Surface:
    """The mesh with about `triangles` triangles and a texture of at most `texels` a side, its origin at `centre`.

    A texture that can't be decoded is left away.

    Raises:
        UserError: if nothing is left of its triangles; names `path`.
    """
    uv, texture, color = _looks(mesh)
    vertices, faces, uv = thinned(
        np.asarray(mesh.vertices, dtype=np.float64) - centre, np.asarray(mesh.faces, dtype=np.int64), uv, triangles
    )
    if not len(faces):
        raise UserError(f"{path} has no faces but specks and copies: export it with its surface")
    if texture is not None and max(texture.shape[:2]) > texels:
        height, width = (max(1, side * texels // max(texture.shape[:2])) for side in texture.shape[:2])
        texture = np.asarray(cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return Surface(vertices, faces, uv, texture, color, roughness=0.5)


def flat_color(surface: Surface) -> tuple[float, float, float]:
    """The colour of an object's parts where they are drawn flat."""
    color = surface.color if surface.texture is None else surface.texture.mean(axis=(0, 1)) / 255
    return float(color[0]), float(color[1]), float(color[2])


def _looks(
    mesh: trimesh.Trimesh,
) -> tuple[Float[np.ndarray, "n 2"] | None, UInt8[np.ndarray, "h w 3"] | None, tuple[float, float, float]]:
    """Texture coordinates and picture, or the main colour in linear RGB."""
    visual: Any = mesh.visual
    if visual.kind == "texture" and visual.uv is not None:
        uv, texture = np.asarray(visual.uv, dtype=np.float64), _picture(visual.material)
        if texture is not None and uv.shape == (len(mesh.vertices), 2) and np.isfinite(uv).all():
            outside = (uv < 0) | (uv > 1)
            return np.where(outside, uv % 1.0, uv), texture, GREY
    main = visual.material.main_color if visual.kind == "texture" else visual.main_color
    values = np.clip(np.nan_to_num(np.asarray(main, dtype=np.float64)[:3] / 255), 0, 1)
    r, g, b = (float(value) ** 2.2 for value in values)
    return None, None, (r, g, b)


def _picture(material: Any) -> UInt8[np.ndarray, "h w 3"] | None:
    """The picture of a material; None if it has none that can be decoded."""
    if isinstance(material, trimesh.visual.material.SimpleMaterial):
        picture = material.image
    else:
        picture = material.baseColorTexture
    if picture is None or picture.width * picture.height > LARGEST_TEXTURE:
        return None
    try:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError):  # Pillow's, for damaged files
        return None
