"""Random prisms: boxes joined at random places and angles, from an endless supply (Bousmalis et al. 2017)."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from graspgap.objects.model import ObjectModel, Part, Split
from graspgap.seeding import generator

TEST_EVERY = 10
"""Ids divisible by this are the test split; training never draws them."""


@dataclass(frozen=True)
class PrismConfig:
    """Sizes of random prisms. Lengths in metres."""

    parts: tuple[int, int] = (2, 4)
    """Fewest and most boxes."""
    thickness: tuple[float, float] = (0.02, 0.045)
    """Range of a box's two shorter sides: within the gripper's reach."""
    length: tuple[float, float] = (0.04, 0.11)
    """Range of a box's longest side."""
    density: tuple[float, float] = (250.0, 900.0)
    """[kg/m^3]"""
    mass: tuple[float, float] = (0.02, 0.3)
    """Limits of the mass [kg]."""


class Prisms:
    """An endless set of random prisms. Object `prism-<id>` depends on its id alone."""

    name = "prisms"

    def __init__(self, config: PrismConfig | None = None) -> None:
        self.config = config or PrismConfig()

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> list[ObjectModel]:
        """`count` different prisms whose ids `rng` draws; ids divisible by 10 are the test split."""
        ids: list[int] = []
        while len(ids) < count:
            number = int(rng.integers(1, 10**7)) * TEST_EVERY
            number += 0 if split == "test" else int(rng.integers(1, TEST_EVERY))
            if number not in ids:
                ids.append(number)
        return [self.make(number) for number in ids]

    def make(self, number: int) -> ObjectModel:
        """The prism with this id."""
        rng, config = generator(number, "prism"), self.config
        boxes: list[tuple[np.ndarray, np.ndarray, Rotation]] = []
        for index in range(rng.integers(config.parts[0], config.parts[1] + 1)):
            half = np.array([*rng.uniform(*config.thickness, 2), rng.uniform(*config.length)]) / 2
            if index:
                half[2] *= rng.uniform(0.5, 0.9)
            turn = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * [0.5, 0.5, np.pi] if index else [0, 0, 0])
            if index and rng.uniform() < 0.5:
                turn = turn * Rotation.from_euler("x", 90, degrees=True)
            centre = np.zeros(3)
            if index:
                host_half, host_centre, host_turn = boxes[rng.integers(len(boxes))]
                centre = host_centre + host_turn.apply(rng.uniform(-0.9, 0.9, 3) * host_half)
            boxes.append((half, centre, turn))
        volumes = np.array([np.prod(2 * half) for half, _, _ in boxes])
        middle = volumes @ np.array([centre for _, centre, _ in boxes]) / volumes.sum()
        mass = float(np.clip(volumes.sum() * rng.uniform(*config.density), *config.mass))
        parts = tuple(
            Part("box", tuple(map(float, half)), _point(centre - middle), _wxyz(turn)) for half, centre, turn in boxes
        )
        color = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.0))
        return ObjectModel(f"prism-{number}", parts, mass, color=color)


def _point(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values
    return float(x), float(y), float(z)


def _wxyz(turn: Rotation) -> tuple[float, float, float, float]:
    x, y, z, w = turn.as_quat()
    return float(w), float(x), float(y), float(z)
