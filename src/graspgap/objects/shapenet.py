"""Objects from a ShapeNetCore v2 folder of the user: models of things, made graspable in size."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from graspgap.errors import UserError, choose
from graspgap.files import read_json
from graspgap.objects.convex import CoacdConfig, check_installed, convex_parts
from graspgap.objects.graspable import SPAN
from graspgap.objects.hulls import hull
from graspgap.objects.mesh_files import read_mesh
from graspgap.objects.model import ObjectModel, Part, Split, part_volume
from graspgap.objects.named import NamedObjects
from graspgap.objects.parts import centre_of_mass
from graspgap.objects.scanned import drawn_surface, flat_color
from graspgap.seeding import generator

MODEL = "models/model_normalized.obj"
TAXONOMY = "taxonomy.json"
TEST_SHARE = 0.1
"""A model is a test object if the draw that its id seeds is below this."""


@dataclass(frozen=True)
class ShapeNetConfig:
    """Which models, and how they become objects. Lengths in metres."""

    category: tuple[str, ...] = ()
    """Synset ids or names, with all kinds below them; empty: all."""
    count: int | None = None
    """Only so many models, those that their ids draw first; None: all."""
    size: tuple[float, float] = (0.06, 0.13)
    """Range of the longest extent, drawn for each model. What would be thicker than the gripper's span is smaller."""
    density: tuple[float, float] = (150.0, 700.0)
    """Range of the mass per volume of the convex parts [kg/m^3], drawn for each model: most things are hollow."""
    mass: tuple[float, float] = (0.015, 0.5)
    """Limits of the mass [kg]."""
    triangles: int = 1500
    """About as many are kept of what is drawn."""
    texture: int = 128
    """Longest side of a texture [pixels]."""
    coacd: CoacdConfig = field(default_factory=CoacdConfig)


class ShapeNet(NamedObjects):
    """The models of a folder `SYNSET/MODEL/models/model_normalized.obj`, with `taxonomy.json` beside the synsets.

    Model `SYNSET-MODEL` and its split depend on its files and its name alone. It is turned from y up to z up, collides
    as CoACD's convex parts, which are cached outside the folder, and is skipped if it is broken.
    """

    name = "shapenet"
    skips = True

    def __init__(self, folder: Path, config: ShapeNetConfig | None = None) -> None:
        """Lists the folder.

        Raises:
            UserError: if the folder is missing or holds no model, a category is unknown, or CoACD isn't installed.
        """
        super().__init__()
        check_installed()
        self.folder, self.config, self.where = folder, config or ShapeNetConfig(), str(folder)
        if not folder.is_dir():
            raise UserError(f"ShapeNet folder {folder} does not exist: give the one that holds {TAXONOMY}")
        synsets = sorted(path.name for path in folder.iterdir() if re.fullmatch(r"\d{8}", path.name) and path.is_dir())
        if self.config.category:
            wanted = find_synsets(folder, self.config.category)
            synsets = [synset for synset in synsets if synset in wanted]
        models = [path for synset in synsets for path in sorted((folder / synset).iterdir())]
        self._folders = {f"{path.parent.name}-{path.name}": path for path in models if (path / MODEL).is_file()}
        if not self._folders:
            what = f" of category {'+'.join(self.config.category)}" if self.config.category else ""
            raise UserError(f"ShapeNet folder {folder} holds no model{what}: expected SYNSET/ID/{MODEL}")
        if self.config.count is not None:
            order = sorted(self._folders, key=lambda name: generator(0, "shapenet count", name).uniform())
            self._folders = {name: self._folders[name] for name in sorted(order[: self.config.count])}

    def names(self, split: Split) -> list[str]:
        """Names of all models of a split, sorted; a tenth, drawn by their ids, are the test split."""
        return [name for name in self._folders if is_test(self._folders[name].name) == (split == "test")]

    def source(self, name: str) -> Path:
        """The mesh file of a model."""
        return self._folders[name] / MODEL

    def _load(self, name: str) -> ObjectModel:
        config, path, rng = self.config, self.source(name), generator(0, "shapenet", name)
        mesh = read_mesh(path, self._folders[name])
        hulls = [hull(points) for points in convex_parts(path, mesh, config.coacd)]
        points = [corners for corners in hulls if corners is not None]
        if not points:
            raise UserError(f"{path} has no volume, expected a solid: leave it away")
        extents = np.sort(np.ptp(np.concatenate(points), axis=0))
        scale = min(rng.uniform(*config.size) / extents[2], 0.9 * SPAN / extents[0])
        upright = np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)]) * scale  # y up to z up
        mesh.vertices = np.asarray(mesh.vertices) @ upright.T
        solids = [corners for corners in (hull(corners @ upright.T) for corners in points) if corners is not None]
        if not solids:
            raise UserError(f"{path} has only parts without volume at {extents[2] * scale:.3g} m: leave it away")
        centre = centre_of_mass([Part("mesh", vertices=corners) for corners in solids])
        parts = tuple(Part("mesh", vertices=corners - centre) for corners in solids)
        mass = float(np.clip(rng.uniform(*config.density) * sum(map(part_volume, parts)), *config.mass))
        surface = drawn_surface(mesh, path, centre, config.triangles, config.texture)
        surface = replace(surface, smooth=False)
        return ObjectModel(name, parts, mass, (surface,), flat_color(surface))


def is_test(model: str) -> bool:
    """Whether a model id is in the test split."""
    return bool(generator(0, "shapenet split", model).uniform() < TEST_SHARE)


def find_synsets(folder: Path, categories: tuple[str, ...]) -> set[str]:
    """Ids of the synsets that are called so, and of all below them.

    Raises:
        UserError: if the taxonomy is missing or damaged, or a category is unknown.
    """
    records = _records(folder / TAXONOMY)
    called: dict[str, set[str]] = {}
    for synset, (names, _) in records.items():
        for word in (synset, *names):
            called.setdefault(word, set()).add(synset)
    found: set[str] = set()
    waiting = [synset for word in categories for synset in called[choose("ShapeNet category", word, called)]]
    while waiting:
        synset = waiting.pop()
        if synset not in found:
            found.add(synset)
            waiting += records[synset][1] if synset in records else ()
    return found


def _records(path: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Names and children of each synset of a taxonomy."""
    taxonomy: Any = read_json(path, "a ShapeNetCore v2 folder")
    try:
        return {
            str(record["synsetId"]): (
                [name.strip() for name in str(record["name"]).split(",")],
                [str(child) for child in record["children"]],
            )
            for record in taxonomy
        }
    except (TypeError, KeyError):
        raise UserError(
            f"{path} is no list of records with synsetId, name and children: restore it, or leave `category` away"
        ) from None
