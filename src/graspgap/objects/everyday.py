"""Everyday household shapes, generated: what the stand-in reality grasps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from graspgap.errors import UserError
from graspgap.objects import families
from graspgap.objects.families import Draft
from graspgap.objects.model import ObjectModel, Part, Split, part_volume
from graspgap.seeding import generator

TRAIN_OBJECTS = 240
TEST_OBJECTS = 36

TRAIN_FAMILIES: dict[str, Callable[[np.random.Generator], Draft]] = {
    "bottle": families.bottle,
    "can": families.can,
    "mug": families.mug,
    "jar": families.jar,
    "carton": families.carton,
    "soap": families.soap,
    "pen": families.pen,
    "screwdriver": families.screwdriver,
    "hammer": families.hammer,
    "apple": families.apple,
    "banana": families.banana,
    "lemon": families.lemon,
    "ball": families.ball,
    "brick": families.brick,
    "spoon": families.spoon,
    "cup": families.cup,
}
TEST_ONLY_FAMILIES: dict[str, Callable[[np.random.Generator], Draft]] = {
    "pear": families.pear,
    "wrench": families.wrench,
    "tube": families.squeeze_tube,
    "remote": families.remote_control,
}
"""Kinds of objects that training never sees. Half of the test objects are of these, half new ones of known kinds."""


class Everyday:
    """240 training and 36 test objects. Object `everyday-train-017` depends on its name alone."""

    name = "everyday"

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> list[ObjectModel]:
        """`count` different objects of the split.

        Raises:
            UserError: if the split has fewer.
        """
        total = TEST_OBJECTS if split == "test" else TRAIN_OBJECTS
        if count > total:
            raise UserError(f"{count} different objects were asked for; the {split} split of 'everyday' has {total}")
        return [make(f"everyday-{split}-{number:03d}") for number in rng.choice(total, count, replace=False)]


@lru_cache(maxsize=TRAIN_OBJECTS + TEST_OBJECTS)
def make(name: str) -> ObjectModel:
    """The object of this name, its origin at its centre of mass."""
    rng = generator(0, name)
    number = int(name.rsplit("-", 1)[1])
    if "-train-" in name:
        kinds, turn = TRAIN_FAMILIES, number
    else:
        kinds, turn = (TRAIN_FAMILIES, TEST_ONLY_FAMILIES)[number % 2], number // 2
    draft = list(kinds.values())[turn % len(kinds)](rng)
    volumes = np.array([part_volume(part) for part in draft.parts])
    middle = volumes @ np.array([part.position for part in draft.parts]) / volumes.sum()
    parts = tuple(_shifted(part, middle) for part in draft.parts)
    surfaces = tuple(replace(surface, vertices=surface.vertices - middle) for surface in draft.surfaces)
    mass = float(np.clip(volumes.sum() * draft.density, 0.015, 0.35))
    return ObjectModel(name, parts, mass, surfaces, draft.surfaces[0].color, draft.friction)


def _shifted(part: Part, middle: np.ndarray) -> Part:
    x, y, z = np.array(part.position) - middle
    return replace(part, position=(float(x), float(y), float(z)))
