"""What is grasped: procedural prisms, everyday shapes, folders of meshes, and their train and test splits."""

from __future__ import annotations

from collections.abc import Callable

from graspgap.errors import choose
from graspgap.objects.everyday import Everyday
from graspgap.objects.model import ObjectSet
from graspgap.objects.prisms import Prisms

OBJECT_SETS: dict[str, Callable[[], ObjectSet]] = {"everyday": Everyday, "prisms": Prisms}
"""Object sets by name."""


def make_object_set(name: str) -> ObjectSet:
    """The object set of this name.

    Raises:
        UserError: if the name is unknown.
    """
    return OBJECT_SETS[choose("--objects", name, OBJECT_SETS)]()
