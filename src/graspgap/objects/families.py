"""Sets of generated objects: families that draw variants of a kind, and a split with kinds that training never sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from graspgap.objects.draft import Draft
from graspgap.objects.model import ObjectModel, Split
from graspgap.objects.named import NamedObjects
from graspgap.seeding import generator

Family = Callable[[np.random.Generator], Draft]


@dataclass(frozen=True)
class Kinds:
    """What a set of generated objects is made of. Object `NAME-train-017` depends on its name alone."""

    name: str
    train: Mapping[str, Family]
    """Families of training objects, and of every second test object."""
    unseen: Mapping[str, Family]
    """Families of the other test objects."""
    counts: Mapping[Split, int]
    """Objects of each split; none is in both."""
    stride: int
    """The test objects of known families take every so-manieth of them: it shares no factor with their number."""
    mass: tuple[float, float] = (0.015, 0.35)
    """Limits of an object's mass [kg]."""
    scale: float = 1.0
    """Size of the objects over that of their drafts."""

    def names(self, split: Split) -> list[str]:
        """Names of all objects of a split."""
        return [f"{self.name}-{split}-{number:03d}" for number in range(self.counts[split])]

    def family_of(self, name: str) -> str:
        """The family of an object: training goes round its families; test objects are by turns new ones of those,
        spread over them, and ones of unseen families."""
        number, known, unseen = int(name.rsplit("-", 1)[1]), list(self.train), list(self.unseen)
        if "-train-" in name:
            return known[number % len(known)]
        return unseen[number // 2 % len(unseen)] if number % 2 else known[number // 2 * self.stride % len(known)]

    def make(self, name: str) -> ObjectModel:
        """The object of this name, its origin at its centre of mass."""
        draw = {**self.train, **self.unseen}[self.family_of(name)]
        return draw(generator(0, name)).model(name, self.mass, self.scale)


class FamilySet(NamedObjects):
    """The objects of some `Kinds`."""

    def __init__(self, kinds: Kinds) -> None:
        super().__init__()
        self.kinds, self.name, self.where = kinds, kinds.name, f"object set '{kinds.name}'"

    def names(self, split: Split) -> list[str]:
        """Names of all objects of a split."""
        return self.kinds.names(split)

    def _load(self, name: str) -> ObjectModel:
        return self.kinds.make(name)
