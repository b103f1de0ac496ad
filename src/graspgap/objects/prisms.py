"""Random prisms: boxes joined at random places and angles, from an endless supply (Bousmalis et al. 2017)."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from graspgap.errors import UserError
from graspgap.objects.graspable import check_graspable
from graspgap.objects.model import ObjectModel, Part, Split, part_volume
from graspgap.objects.parts import bounds, centre_of_mass, shifted, triple, wxyz
from graspgap.objects.prism_looks import textured
from graspgap.seeding import generator

TEST_EVERY = 10
"""Ids divisible by this are the test split; training never draws them."""
ROUND = ("cylinder", "capsule", "ellipsoid")
"""What a smooth part is."""
MOST_DRAWS = 200
"""A prism beyond the size limits is drawn again at most so often."""


@dataclass(frozen=True)
class PrismConfig:
    """Sizes of random prisms. Lengths in metres."""

    parts: tuple[int, int] = (2, 4)
    """Fewest and most boxes."""
    thickness: tuple[float, float] = (0.018, 0.032)
    """Range of a box's two shorter sides: within the gripper's reach."""
    length: tuple[float, float] = (0.035, 0.085)
    """Range of a box's longest side."""
    extent: tuple[float, float] = (0.03, 0.09)
    """Limits of the longest extent of the whole, along the axes of its first box."""
    width: float = 0.045
    """Limit of its second longest extent, so that the gripper can span it however it lies."""
    density: tuple[float, float] = (250.0, 900.0)
    """[kg/m^3]"""
    mass: tuple[float, float] = (0.02, 0.3)
    """Limits of the mass [kg]."""
    smooth: float = 0.0
    """Share of the parts that are a cylinder, capsule or ellipsoid inside their box."""
    textured: float = 0.0
    """Share of the prisms with pictures on their surfaces, in the worlds that draw surfaces; `sim` and `bullet` draw
    parts in one colour, and patterns only by randomization."""


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
        """The prism with this id.

        Raises:
            UserError: if no prism of the configured sizes is found, or no gripper can pick it up.
        """
        rng, config = generator(number, "prism"), self.config
        round_rng = generator(number, "prism", "smooth")  # apart, so that the boxes are those of any other `smooth`
        for _ in range(MOST_DRAWS):
            parts = self._draw(rng, round_rng)
            _, middle, longest = np.sort(np.ptp(bounds(parts), axis=0))
            if config.extent[0] <= longest <= config.extent[1] and middle <= config.width:
                break
        else:
            raise UserError(f"no prism of sizes {config} in {MOST_DRAWS} draws: widen `extent`, `width` or `length`")
        centre = centre_of_mass(parts)
        volume = sum(part_volume(part) for part in parts)
        mass = float(np.clip(volume * rng.uniform(*config.density), *config.mass))
        color = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.0))
        parts = [shifted(part, -centre) for part in parts]
        thing = ObjectModel(f"prism-{number}", tuple(parts), mass, color=color)
        looks_rng = generator(number, "prism", "looks")
        if looks_rng.uniform() < config.textured:
            surfaces, color = textured(thing.parts, looks_rng)
            thing = replace(thing, surfaces=surfaces, color=color)
        return check_graspable(thing, f"prism {number} of sizes {config}")

    def _draw(self, rng: np.random.Generator, round_rng: np.random.Generator) -> list[Part]:
        """Boxes, or round bodies inside them, each but the first with its centre inside another."""
        config = self.config
        boxes: list[tuple[np.ndarray, np.ndarray, Rotation]] = []
        kinds: list[str] = []
        for index in range(rng.integers(config.parts[0], config.parts[1] + 1)):
            kinds.append(str(round_rng.choice(ROUND)) if round_rng.uniform() < config.smooth else "box")
            half = np.array([*rng.uniform(*config.thickness, 2), rng.uniform(*config.length)]) / 2
            turn, centre = Rotation.identity(), np.zeros(3)
            if index:
                half[2] *= rng.uniform(0.5, 0.9)
                turn = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * [0.5, 0.5, np.pi])
                if rng.uniform() < 0.5:
                    turn = turn * Rotation.from_euler("x", 90, degrees=True)
                host = rng.integers(len(boxes))
                host_half, host_centre, host_turn = boxes[host]
                within = 0.9 if kinds[host] == "box" else 0.5  # the corners of its box lie outside a round body
                centre = host_centre + host_turn.apply(rng.uniform(-within, within, 3) * host_half)
            boxes.append((half, centre, turn))
        return [_part(kind, *box) for kind, box in zip(kinds, boxes, strict=True)]


def _part(kind: str, half: np.ndarray, centre: np.ndarray, turn: Rotation) -> Part:
    """A box, or the round body inside it whose axis is the box's longest."""
    place, rotation = triple(centre), wxyz(turn)
    radius, length = float(half[:2].min()), float(half[2])
    if kind == "cylinder":
        return Part("cylinder", (radius, length), place, rotation)
    if kind == "capsule" and length > radius:
        return Part("capsule", (radius, length - radius), place, rotation)
    return Part("ellipsoid" if kind != "box" else "box", triple(half), place, rotation)
