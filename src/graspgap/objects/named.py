"""Sets of objects that each have a name: listed at once, made when first drawn."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

import numpy as np

from graspgap.errors import UserError
from graspgap.objects.graspable import check_graspable
from graspgap.objects.model import ObjectModel, Split

LOG = logging.getLogger("graspgap.objects")


class NamedObjects(ABC):
    """An `ObjectSet` whose objects are listed by name and kept once made."""

    name: str
    where: str
    """What the set is called in messages."""
    skips: bool = False
    """Whether `sample` draws another object in place of one that can't be used."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        """Objects that were skipped so far, and why."""
        self._models: dict[str, ObjectModel] = {}

    @abstractmethod
    def names(self, split: Split) -> list[str]:
        """Names of all objects of a split, sorted."""

    @abstractmethod
    def _load(self, name: str) -> ObjectModel:
        """The object of this name, whether or not it can be grasped."""

    def source(self, name: str) -> object:
        """Where an object is from, as messages name it."""
        return f"object '{name}' of {self.where}"

    def make(self, name: str) -> ObjectModel:
        """The object of this name.

        Raises:
            UserError: if it can't be used: its files are damaged, or no gripper can pick it up.
        """
        if name in self.refused:
            raise UserError(self.refused[name])
        if name not in self._models:
            try:
                self._models[name] = check_graspable(self._load(name), self.source(name))
            except UserError as error:
                self.refused[name] = str(error)
                raise
        return self._models[name]

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> list[ObjectModel]:
        """`count` different objects of the split; where the set `skips`, others in place of those it can't use.

        Raises:
            UserError: if the split has fewer, or an object can't be used and the set doesn't skip it.
        """
        names, known = self.names(split), len(self.refused)
        if count > len(names):
            raise UserError(
                f"{count} objects asked for, the {split} split of {self.where} has {len(names)}: "
                "add objects or ask for fewer"
            )
        things = self._draw(rng, count, names, self.skips)
        for reason in list(self.refused.values())[known:]:
            LOG.warning("%s: skipped, %d so far: %s", self.where, len(self.refused), reason)
        if len(things) < count:
            raise UserError(
                f"{count} objects asked for, the {split} split of {self.where} has {len(names)}, of which only "
                f"{len(things)} can be used: add objects or ask for fewer"
            )
        return things

    def usable(self, rng: np.random.Generator, count: int, split: Split) -> list[ObjectModel]:
        """As `sample`, but of any set those it can use, fewer if there are no more; `refused` says why."""
        names = self.names(split)
        return self._draw(rng, min(count, len(names)), names, skip=True)

    def _draw(self, rng: np.random.Generator, count: int, names: list[str], skip: bool) -> list[ObjectModel]:
        """`count` different objects of these names."""
        things: list[ObjectModel] = []
        waiting = rng.choice(len(names), count, replace=False).tolist()
        left = sorted(set(range(len(names))) - set(waiting))
        while waiting:
            try:
                things.append(self.make(names[waiting.pop(0)]))
            except UserError:
                if not skip:
                    raise
                if left:
                    waiting.append(left.pop(int(rng.integers(len(left)))))
        return things

    def check(self) -> None:
        """Load every object now, so that a bad one is found before work begins; `refused` then lists all skipped.

        Raises:
            UserError: for the first object that can't be used, or if the set skips those and none is left.
        """
        names = sorted({*self.names("train"), *self.names("test")})
        for name in names:
            try:
                self.make(name)
            except UserError:
                if not self.skips:
                    raise
        if len(self.refused) == len(names):
            raise UserError(f"none of the {len(names)} objects of {self.where} can be used: {self.refused[names[0]]}")
