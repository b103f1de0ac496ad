"""What is grasped: procedural prisms, the published objects, everyday and workshop shapes, meshes, ShapeNet; and their
splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graspgap.errors import UserError, choose
from graspgap.objects import options as read
from graspgap.objects.everyday import EVERYDAY
from graspgap.objects.families import FamilySet
from graspgap.objects.model import ObjectSet
from graspgap.objects.options import Reader, read_options, split_choice
from graspgap.objects.prisms import PrismConfig, Prisms
from graspgap.objects.workshop import WORKSHOP


@dataclass(frozen=True)
class Kind:
    """How a set is made from what the user wrote."""

    make: Callable[[Path | None, dict[str, Any]], ObjectSet]
    """From its folder and options."""
    options: Mapping[str, Reader] = field(default_factory=dict)
    folder: str = "none"
    """Whether it takes a folder: `none`, `may`, `must`."""


def _prisms(folder: Path | None, values: dict[str, Any]) -> ObjectSet:
    return Prisms(PrismConfig(**values))


def _everyday(folder: Path | None, values: dict[str, Any]) -> ObjectSet:
    return FamilySet(EVERYDAY)


def _workshop(folder: Path | None, values: dict[str, Any]) -> ObjectSet:
    return FamilySet(WORKSHOP)


def _published(folder: Path | None, values: dict[str, Any]) -> ObjectSet:
    from graspgap.objects.published import Published, PublishedConfig

    return Published(folder, PublishedConfig(**values))


def _meshes(folder: Path | None, values: dict[str, Any]) -> ObjectSet:
    from graspgap.objects.meshes import MeshFolder, MeshFolderConfig  # slow to import, seldom used

    assert folder is not None
    return MeshFolder(folder, MeshFolderConfig(**values))


def _shapenet(folder: Path | None, values: dict[str, Any]) -> ObjectSet:
    from graspgap.objects.shapenet import ShapeNet, ShapeNetConfig

    assert folder is not None
    return ShapeNet(folder, ShapeNetConfig(**values))


OBJECT_SETS: dict[str, Kind] = {
    "everyday": Kind(_everyday),
    "workshop": Kind(_workshop),
    "prisms": Kind(
        _prisms,
        {
            "parts": read.part_span,
            "thickness": read.span,
            "length": read.span,
            "extent": read.span,
            "width": read.number,
            "density": read.span,
            "mass": read.span,
            "smooth": read.share,
            "textured": read.share,
        },
    ),
    "published": Kind(_published, {"exact": read.flag}, folder="may"),
    "meshes": Kind(
        _meshes,
        {
            "parts": read.one_of("hull", "coacd"),
            "holes": read.one_of("refuse", "hull"),
            "density": read.number,
            "test_fraction": read.share,
        },
        folder="must",
    ),
    "shapenet": Kind(
        _shapenet,
        {"category": read.words, "count": read.count, "size": read.span, "density": read.span, "mass": read.span},
        folder="must",
    ),
}
"""Object sets by name. The options of a set are fields of its configuration, which say what they mean."""


def make_object_set(text: str) -> ObjectSet:
    """The object set that is written so: `NAME`, `NAME:FOLDER`, each with options `,key=value` (`NAME:key=value,...`
    without a folder), or a folder of meshes: whatever is a folder or is written with a separator.

    Raises:
        UserError: if the name, an option or its value is unknown, a folder is missing or needless, or a set can't be
            had (see there).
    """
    name, rest, given = split_choice(text)
    if text not in OBJECT_SETS and (Path(text).is_dir() or (":" not in text[2:] and ("/" in text or "\\" in text))):
        name, rest, given = "meshes", text, {}
    kind = OBJECT_SETS[choose("--objects", name, OBJECT_SETS)]
    if kind.folder == "must" and not rest:
        raise UserError(f"object set '{name}' needs a folder: --objects {name}:FOLDER")
    if kind.folder == "none" and rest:
        known = f"{name}:key=value with the options {', '.join(kind.options)}" if kind.options else name
        raise UserError(f"--objects {text} gives '{rest}', expected {known}")
    return kind.make(Path(rest).expanduser() if rest else None, read_options(name, given, kind.options))
