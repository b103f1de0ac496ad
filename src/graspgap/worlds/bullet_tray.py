"""A tray of five boxes, which a PyBullet cell can have in place of the published one; readable without pybullet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from graspgap.objects.parts import Vector, triple

DEPTH = 0.1
"""Thickness of the floor [m], downwards from z = 0: thin things can't be pushed through it."""


@dataclass(frozen=True)
class BoxTray:
    """A tray whose walls may lean outwards. Lengths in metres, base frame."""

    centre: tuple[float, float] = (0.55, 0.0)
    """x and y of the middle of its floor."""
    size: tuple[float, float] = (0.35, 0.33)
    """Of its floor along x and y, between the feet of the walls."""
    wall_height: float = 0.05
    wall_thickness: float = 0.012
    lean: float = 0.0
    """Of the walls outwards, from upright [degrees]."""

    def holds(self, x: float, y: float) -> bool:
        """Whether a place is over the floor."""
        return abs(x - self.centre[0]) < self.size[0] / 2 and abs(y - self.centre[1]) < self.size[1] / 2


class Board(NamedTuple):
    """A box of the tray."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    """Half its sides, in its own frame."""
    turn: Float[np.ndarray, "3 3"]
    """From its own frame to the base frame."""


def floor(tray: BoxTray) -> Board:
    """What objects lie on: its top is z = 0."""
    half = (tray.size[0] / 2 + tray.wall_thickness, tray.size[1] / 2 + tray.wall_thickness, DEPTH / 2)
    return Board((*tray.centre, -DEPTH / 2), half, np.eye(3))


def walls(tray: BoxTray) -> list[Board]:
    """Four boards, long along their own y, each with its inner face through the edge of the floor."""
    lean = np.radians(tray.lean)
    up, out = np.array([np.sin(lean), 0, np.cos(lean)]), np.array([np.cos(lean), 0, -np.sin(lean)])
    half_height = tray.wall_height / np.cos(lean) / 2
    found = []
    for quarter in range(4):
        across, along = tray.size if quarter % 2 == 0 else tray.size[::-1]
        foot: Vector = (across / 2, 0.0, 0.0)
        turn = Rotation.from_euler("z", 90 * quarter, degrees=True).as_matrix()
        centre = turn @ (foot + half_height * up + tray.wall_thickness / 2 * out) + (*tray.centre, 0.0)
        reach = along / 2 + tray.wall_height * np.tan(lean) + tray.wall_thickness  # to the ends of its neighbours
        half = (tray.wall_thickness / 2, float(reach), float(half_height))
        found.append(Board(triple(centre), half, turn @ np.stack([out, (0, 1, 0), up], axis=1)))
    return found
