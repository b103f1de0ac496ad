"""Objects from a folder of meshes, as scanners and mesh collections give them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float

from graspgap.errors import UserError
from graspgap.objects.convex import CoacdConfig, check_installed, convex_parts
from graspgap.objects.hulls import hull
from graspgap.objects.layouts import COLLISION, VISUAL, Source, find_sources
from graspgap.objects.mesh_files import read_mesh
from graspgap.objects.model import ObjectModel, Part, Split, part_volume
from graspgap.objects.named import NamedObjects
from graspgap.objects.parts import bounds, centre_of_mass
from graspgap.objects.scanned import drawn_surface, flat_color
from graspgap.objects.wavefront import obj_groups
from graspgap.seeding import generator


@dataclass(frozen=True)
class MeshFolderConfig:
    """How meshes become objects. Lengths in metres."""

    parts: str = "hull"
    """What an object without a `collision.obj` collides as: its convex `hull`, or convex parts by `coacd` (extra
    `meshes`), which leave cups and handles open."""
    holes: str = "refuse"
    """A mesh with holes and without a `collision.obj` is refused, or collides as its `hull` all the same. Scans in
    the layouts of YCB and Google do so in any case: most of them have holes."""
    density: float = 400.0
    """Mass per volume of the collision hulls [kg/m^3]: household things are mostly hollow."""
    mass: tuple[float, float] = (0.015, 0.4)
    """Limits of the mass [kg]: lighter things make contacts unstable."""
    triangles: int = 1500
    """About as many are kept of what is drawn: a path-traced picture's cost grows with them."""
    texture: int = 128
    """Longest side of a texture [pixels]."""
    test_fraction: float | None = None
    """Share of the objects that are the test split, the others train; None: all objects are in both."""
    split_seed: int = 0
    """Draws the test split. An object that is added later leaves the order of the others as it is."""
    coacd: CoacdConfig = field(default_factory=CoacdConfig)


class MeshFolder(NamedObjects):
    """One object for each sub-folder in the layout of OCRTOC (`textured.obj`, `material.mtl` and its texture;
    `collision.obj`, whose groups `o`, or else `g`, are convex parts), Google Scanned Objects (`meshes/model.obj`) or
    YCB (`google_16k/textured.obj` and its other scans), and for each mesh file (.obj, .stl, .ply, .glb) in a folder.

    Objects are named after their sub-folder or file and loaded when first drawn. What collides is a
    `collision.obj`, the convex hull, or CoACD's parts. Every object serves for both splits, unless the
    configuration asks for a `test_fraction`. A folder in one of the layouts is a set of that object.
    """

    def __init__(self, path: str | Path, config: MeshFolderConfig | None = None) -> None:
        """Lists the folder.

        Raises:
            UserError: as `layouts.find_sources` says, if `test_fraction` leaves a split empty, or CoACD is missing.
        """
        super().__init__()
        self.path, self.config = Path(path), config or MeshFolderConfig()
        self.name, self.where = self.path.resolve().name, str(path)
        self._sources = find_sources(self.path)
        self._test = self._draw_test()
        if self.config.parts == "coacd":
            check_installed()

    def names(self, split: Split) -> list[str]:
        """Names of all objects of a split, sorted."""
        if self._test is None:
            return list(self._sources)
        return [name for name in self._sources if (name in self._test) == (split == "test")]

    def source(self, name: str) -> Path:
        """The mesh file of an object."""
        return self._sources[name].mesh

    def _load(self, name: str) -> ObjectModel:
        """Refused: a mesh that can't be read, has no faces or no volume, has holes where it must not, or is elsewhere
        or of another size than its `collision.obj`."""
        source, config = self._sources[name], self.config
        mesh = read_mesh(source.mesh, source.folder)
        parts = _collision_parts(source, mesh, config)
        centre = centre_of_mass(parts)
        volume = sum(part_volume(part) for part in parts)
        mass = float(np.clip(config.density * volume, *config.mass))
        surface = drawn_surface(mesh, source.mesh, centre, config.triangles, config.texture)
        placed = tuple(Part("mesh", vertices=part.vertices - centre) for part in parts if part.vertices is not None)
        return ObjectModel(name, placed, mass, (surface,), flat_color(surface))

    def _draw_test(self) -> frozenset[str] | None:
        share, names = self.config.test_fraction, list(self._sources)
        if share is None:
            return None
        order = sorted(names, key=lambda name: generator(self.config.split_seed, "test objects", name).uniform())
        count = round(share * len(names))
        if not 0 < count < len(names):
            raise UserError(
                f"test_fraction {share} of the {len(names)} objects in {self.path} leaves a split empty: "
                "choose another share, or none to have all objects in both"
            )
        return frozenset(order[:count])


def _collision_parts(source: Source, mesh: trimesh.Trimesh, config: MeshFolderConfig) -> list[Part]:
    """The hulls of the groups of `collision.obj`; without it, of CoACD's parts or of the mesh."""
    collision = source.collision
    if collision is not None:
        parts = [_solid(points, collision) for points in obj_groups(collision)]
        _check_match(source.mesh, mesh, parts)
        return parts
    if config.parts == "coacd":
        return [_solid(points, source.mesh) for points in convex_parts(source.mesh, mesh, config.coacd)]
    part = _solid(np.asarray(mesh.vertices, dtype=np.float64), source.mesh)
    if config.holes == "refuse" and not source.scan:
        _check_closed(source.mesh, mesh)
    return [part]


def _check_closed(path: Path, mesh: trimesh.Trimesh) -> None:
    """Refuse a mesh with holes, but for the seams of its texture."""
    closed = mesh.copy()
    closed.merge_vertices(merge_tex=True, merge_norm=True)
    if not closed.is_watertight:
        raise UserError(
            f"{path} is not watertight, so its volume is unknown: close its holes, put a {COLLISION} of convex parts "
            f"beside a {VISUAL}, or take its hull with --objects meshes:FOLDER,holes=hull"
        )


def _solid(points: Float[np.ndarray, "n 3"], path: Path) -> Part:
    corners = hull(points)
    if corners is None:
        raise UserError(f"{path} has a part without volume, expected solids: give it a thickness or remove it")
    return Part("mesh", vertices=corners)


def _check_match(path: Path, mesh: trimesh.Trimesh, parts: list[Part]) -> None:
    """Refuse collision parts in other units or another frame than what is seen."""
    solid, seen = bounds(parts), np.asarray(mesh.bounds, dtype=np.float64)
    sizes = [float(np.ptp(box, axis=0).max()) for box in (solid, seen)]
    middle = solid.mean(axis=0)
    if not 0.5 <= sizes[0] / sizes[1] <= 2 or (middle < seen[0]).any() or (middle > seen[1]).any():
        raise UserError(
            f"{path.with_name(COLLISION)} is {sizes[0]:.3g} m long about {np.round(middle, 3).tolist()}, "
            f"{path.name} is {sizes[1]:.3g} m long about {np.round(seen.mean(axis=0), 3).tolist()}, "
            "expected the same object: export both in the same units and frame"
        )
