"""Pictures for people: grids with labels, masks in colour, PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from graspgap.contract import Image, Mask, SemanticClass
from graspgap.datasets.pictures import encode_png
from graspgap.errors import UserError
from graspgap.files import atomic

MASK_COLOURS = {
    SemanticClass.BACKGROUND: (40, 40, 48),
    SemanticClass.BIN: (150, 120, 80),
    SemanticClass.ARM: (230, 120, 30),
    SemanticClass.OBJECT: (60, 160, 220),
}
"""RGB of each class."""

_GAP = 4
_TEXT_HEIGHT = 18


def colour_masks(mask: UInt8[np.ndarray, "*batch h w"]) -> UInt8[np.ndarray, "*batch h w 3"]:
    """Masks as RGB pictures in `MASK_COLOURS`.

    Raises:
        UserError: if a pixel is no `SemanticClass`.
    """
    if mask.size and mask.max() >= len(MASK_COLOURS):
        raise UserError(f"mask holds the value {mask.max()}, expected 0 to {len(MASK_COLOURS) - 1} (SemanticClass)")
    return np.array([MASK_COLOURS[kind] for kind in SemanticClass], dtype=np.uint8)[mask]


def image_grid(
    rows: Sequence[Sequence[UInt8[np.ndarray, "_ _ ..."]]], labels: Sequence[str] = (), scale: int = 2
) -> UInt8[np.ndarray, "grid_h grid_w 3"]:
    """RGB picture of a grid: a row of cells per entry of `rows`, its label above it; masks [h, w] are coloured.

    `labels`: none, or one per row. Each pixel becomes scale x scale pixels. Cells may differ in number and size.

    Raises:
        UserError: if there is no picture, or another number of labels than rows.
    """
    if not any(len(row) for row in rows):
        raise UserError("an image grid needs at least one picture")
    if labels and len(labels) != len(rows):
        raise UserError(f"image grid has {len(labels)} labels for {len(rows)} rows: give one per row, or none")
    cells = [[_enlarged(picture, scale) for picture in row] for row in rows]
    top = _TEXT_HEIGHT if labels else 0
    heights = [max((cell.shape[0] for cell in row), default=0) + top + _GAP for row in cells]
    width = max(sum(cell.shape[1] + _GAP for cell in row) for row in cells) + _GAP
    grid = np.full((sum(heights) + _GAP, width, 3), 255, dtype=np.uint8)
    y = _GAP
    for index, (row, height) in enumerate(zip(cells, heights, strict=True)):
        if labels:
            cv2.putText(grid, labels[index], (_GAP, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        x = _GAP
        for cell in row:
            grid[y + top : y + top + cell.shape[0], x : x + cell.shape[1]] = cell
            x += cell.shape[1] + _GAP
        y += height
    return grid


def save_png(picture: Image, path: Path) -> None:
    """Write an RGB picture as a PNG.

    Raises:
        UserError: if the disk is full or can't be written.
    """
    with atomic(path) as temporary:
        temporary.write_bytes(encode_png(picture, small=True))


def _enlarged(picture: Image | Mask, scale: int) -> UInt8[np.ndarray, "large_h large_w 3"]:
    coloured = colour_masks(picture) if picture.ndim == 2 else picture
    return coloured.repeat(scale, axis=0).repeat(scale, axis=1)
