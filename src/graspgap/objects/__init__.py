"""What is grasped: procedural prisms, everyday shapes, folders of meshes, and their train and test splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graspgap.errors import choose
from graspgap.objects.everyday import Everyday
from graspgap.objects.model import ObjectSet
from graspgap.objects.prisms import Prisms

OBJECT_SETS: dict[str, Callable[[], ObjectSet]] = {"everyday": Everyday, "prisms": Prisms}
"""Object sets by name."""


def make_object_set(name_or_folder: str) -> ObjectSet:
    """The object set of this name, or that of a folder of meshes: whatever is a folder or is written with a separator.

    Raises:
        UserError: if the name is unknown, or the folder holds no objects.
    """
    folder = Path(name_or_folder)
    if name_or_folder not in OBJECT_SETS and ("/" in name_or_folder or "\\" in name_or_folder or folder.is_dir()):
        from graspgap.objects.meshes import MeshFolder  # slow to import, seldom used

        return MeshFolder(folder)
    return OBJECT_SETS[choose("--objects", name_or_folder, OBJECT_SETS)]()
