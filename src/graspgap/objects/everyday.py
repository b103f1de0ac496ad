"""Everyday household shapes, generated: what the stand-in reality grasps."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from graspgap.objects import containers, goods, tools
from graspgap.objects.draft import Draft
from graspgap.objects.model import ObjectModel, Split
from graspgap.objects.named import NamedObjects
from graspgap.seeding import generator

TRAIN_OBJECTS = 240
TEST_OBJECTS = 36
SCALE = 0.8
"""Size of the objects over that of the household things they are shaped after, so that the gripper can span most of
them however it is turned."""
MASS = (0.015, 0.35)
"""Limits of an object's mass [kg]."""

Family = Callable[[np.random.Generator], Draft]

TRAIN_FAMILIES: dict[str, Family] = {
    "bottle": containers.bottle,
    "can": containers.can,
    "mug": containers.mug,
    "jar": containers.jar,
    "carton": goods.carton,
    "soap": goods.soap,
    "marker": tools.marker,
    "screwdriver": tools.screwdriver,
    "hammer": tools.hammer,
    "apple": goods.apple,
    "banana": goods.banana,
    "lemon": goods.lemon,
    "ball": goods.ball,
    "brick": goods.brick,
    "spoon": tools.spoon,
    "cup": containers.cup,
    "flask": containers.flask,
    "aerosol": containers.aerosol,
    "bowl": containers.bowl,
    "spool": containers.spool,
    "sponge": goods.sponge,
    "bolt": tools.bolt,
    "battery": tools.battery,
    "torch": tools.torch,
}
TEST_ONLY_FAMILIES: dict[str, Family] = {
    "pear": goods.pear,
    "wrench": tools.wrench,
    "tube": containers.squeeze_tube,
    "remote": goods.remote_control,
    "duck": goods.duck,
    "bulb": containers.bulb,
    "fork": tools.fork,
}
"""Kinds of objects that training never sees. Half of the test objects are of these, half new ones of known kinds."""


class Everyday(NamedObjects):
    """240 training and 36 test objects, none in both. Object `everyday-train-017` depends on its name alone."""

    name = "everyday"
    where = "object set 'everyday'"

    def names(self, split: Split) -> list[str]:
        """Names of all objects of a split."""
        return object_names(split)

    def _load(self, name: str) -> ObjectModel:
        return make(name)


def object_names(split: Split) -> list[str]:
    """Names of all objects of a split."""
    return [f"everyday-{split}-{number:03d}" for number in range(TEST_OBJECTS if split == "test" else TRAIN_OBJECTS)]


def family_of(name: str) -> str:
    """The family of an object: training goes round its families; test objects are by turns new ones of those, spread
    over them, and ones of unseen families."""
    number, known, unseen = int(name.rsplit("-", 1)[1]), list(TRAIN_FAMILIES), list(TEST_ONLY_FAMILIES)
    if "-train-" in name:
        return known[number % len(known)]
    return unseen[number // 2 % len(unseen)] if number % 2 else known[number // 2 * 5 % len(known)]


@lru_cache(maxsize=TRAIN_OBJECTS + TEST_OBJECTS)
def make(name: str) -> ObjectModel:
    """The object of this name, its origin at its centre of mass."""
    draw = (TRAIN_FAMILIES | TEST_ONLY_FAMILIES)[family_of(name)]
    return draw(generator(0, name)).model(name, MASS, SCALE)
