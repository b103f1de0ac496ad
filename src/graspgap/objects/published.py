"""The 1,000 procedural objects that the authors of the original work released with PyBullet (`random_urdfs`)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from graspgap.errors import UserError
from graspgap.objects.hulls import hull, joined, solid_part
from graspgap.objects.model import ObjectModel, Part, Split
from graspgap.objects.named import NamedObjects
from graspgap.objects.parts import centre_of_mass, shifted
from graspgap.objects.wavefront import obj_groups

PACKAGE, FOLDER = "pybullet_data", "random_urdfs"
TEST_EVERY = 10
"""Ids divisible by this are the test split, as in the original."""
BROKEN = frozenset({"168", "295", "297", "602", "824"})
"""Left out of the lists: the first was released with places that are not numbers, the others as slivers shorter than
2 cm."""


@dataclass(frozen=True)
class PublishedConfig:
    """How the released hulls become parts."""

    exact: bool = False
    """The released hulls as they are: 9.6 an object and up to 127; else those of `joined` and `boxiness`."""
    joined: float = 0.05
    """Neighbouring hulls are joined as long as that adds at most this share of an object's volume."""
    boxiness: float = 0.75
    """A hull that fills more than this share of the box around it becomes a box of the same volume."""


class Published(NamedObjects):
    """The released objects: ids ending in 0 are the test split (100), the others train (895; five are broken).

    They are read from the installed pybullet_data, which the extra `bullet` brings, or from a folder of that layout:
    `NNN/NNN.obj` with convex groups, `NNN/NNN.urdf` with scale, mass and colour.
    """

    name = "published"

    def __init__(self, folder: Path | None = None, config: PublishedConfig | None = None) -> None:
        """Lists the folder.

        Raises:
            UserError: if pybullet_data isn't installed or the folder holds no such object.
        """
        super().__init__()
        self.config = config or PublishedConfig()
        self.folder = folder or installed_folder()
        self.where = "object set 'published'" if folder is None else str(folder)
        ids = sorted(path.stem for path in self.folder.glob("[0-9][0-9][0-9]/*.urdf") if path.stem == path.parent.name)
        self._ids = [number for number in ids if folder is not None or number not in BROKEN]
        if not self._ids:
            raise UserError(f"{self.folder} holds no object: expected NNN/NNN.urdf and NNN/NNN.obj, as {FOLDER} has")

    def names(self, split: Split) -> list[str]:
        """Names of all objects of a split, sorted."""
        return [f"published-{i}" for i in self._ids if (int(i) % TEST_EVERY == 0) == (split == "test")]

    def _load(self, name: str) -> ObjectModel:
        number = name.removeprefix("published-")
        path = self.folder / number / f"{number}.obj"
        if not path.is_file():
            raise UserError(f"{path} is missing: restore it, or install pybullet again")
        scale, mass, color = read_urdf(path.with_suffix(".urdf"))
        hulls = [corners for corners in (hull(scale * points) for points in obj_groups(path)) if corners is not None]
        if not hulls:
            raise UserError(f"{path} has no part with a volume: restore it")
        if self.config.exact:
            parts = [Part("mesh", vertices=corners) for corners in hulls]
        else:
            parts = [solid_part(corners, self.config.boxiness) for corners in joined(hulls, self.config.joined)]
        centre = centre_of_mass(parts)
        return ObjectModel(name, tuple(centred(part, centre) for part in parts), mass, color=color)


def centred(part: Part, centre: np.ndarray) -> Part:
    """The part in a frame whose origin is `centre`."""
    if part.vertices is None:
        return shifted(part, -centre)
    return Part("mesh", vertices=part.vertices - centre)


def installed_folder() -> Path:
    """Where the released objects are on this machine.

    Raises:
        UserError: if pybullet_data isn't installed.
    """
    found = find_spec(PACKAGE)  # without importing it
    places = list(found.submodule_search_locations or ()) if found else []
    if not places or not (Path(places[0]) / FOLDER).is_dir():
        raise UserError(
            "object set 'published' comes with the extra `bullet`: pip install 'graspgap[bullet]', on Python 3.11"
        )
    return Path(places[0]) / FOLDER


def read_urdf(path: Path) -> tuple[float, float, tuple[float, float, float]]:
    """Scale of the mesh, mass [kg] and colour of an object.

    Raises:
        UserError: if the file is damaged.
    """
    try:
        link = ElementTree.parse(path).getroot()
        values = {
            what: [float(value) for value in _attribute(link, where, what).split()]
            for where, what in ((".//collision//mesh", "scale"), (".//inertial/mass", "value"), (".//color", "rgba"))
        }
        scale, _, _ = values["scale"]
        (mass,) = values["value"]
        r, g, b, _ = values["rgba"]
    except (ElementTree.ParseError, KeyError, ValueError):
        raise UserError(f"{path} lacks a mesh's scale, a mass or a colour: restore it") from None
    return scale, mass, (r, g, b)


def _attribute(root: ElementTree.Element, where: str, what: str) -> str:
    found = root.find(where)
    if found is None:
        raise KeyError(where)
    return found.attrib[what]
