"""Objects from a folder of meshes, as scanners and mesh collections give them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from scipy.spatial import ConvexHull, QhullError

from graspgap.errors import UserError
from graspgap.objects.model import ObjectModel, Part, Split, Surface, part_volume
from graspgap.objects.parts import bounds, centre_of_mass
from graspgap.seeding import generator

SUFFIXES = (".obj", ".stl", ".ply", ".glb")
"""Mesh files that are read."""
VISUAL, COLLISION = "textured.obj", "collision.obj"
"""Files of an object that has a folder of its own."""


@dataclass(frozen=True)
class MeshFolderConfig:
    """How meshes become objects. Lengths in metres."""

    density: float = 400.0
    """Mass per volume of the collision hulls [kg/m^3]: household things are mostly hollow."""
    mass: tuple[float, float] = (0.015, 0.4)
    """Limits of the mass [kg]: lighter things make contacts unstable."""
    graspable: float = 0.08
    """At least one extent must be smaller: the gripper's opening less some room."""
    longest: float = 0.4
    """Larger than this is taken for wrong units."""
    triangles: int = 1500
    """About as many are kept of what is drawn: a path-traced picture's cost grows with them."""
    texture: int = 128
    """Longest side of a texture [pixels]."""
    test_fraction: float | None = None
    """Share of the objects that are the test split, the others train; None: all objects are in both."""
    split_seed: int = 0
    """Draws the test split. An object that is added later leaves the order of the others as it is."""


class MeshFolder:
    """One object for each sub-folder (`textured.obj`, `material.mtl` and `texture.jpg`; `collision.obj`, whose groups
    `o`, or else `g`, are convex parts) and for each mesh file (.obj, .stl, .ply, .glb) in a folder.

    Objects are named after their sub-folder or file and loaded when first drawn. Without a `collision.obj` an object
    collides as the convex hull of its mesh, which must then be watertight. Every object serves for both splits, unless
    the configuration asks for a `test_fraction`. A folder that itself holds `textured.obj` is a set of that object.
    """

    def __init__(self, path: str | Path, config: MeshFolderConfig | None = None) -> None:
        """Lists the folder.

        Raises:
            UserError: if the folder is missing or holds no object, a sub-folder has meshes but no `textured.obj`, two
                objects have one name, or `test_fraction` leaves a split empty.
        """
        self.path, self.config = Path(path), config or MeshFolderConfig()
        self.name = self.path.resolve().name
        self._sources = _sources(self.path)
        self._models: dict[str, ObjectModel] = {}
        self._test = self._draw_test()

    def names(self, split: Split) -> list[str]:
        """Names of all objects of a split, sorted."""
        if self._test is None:
            return list(self._sources)
        return [name for name in self._sources if (name in self._test) == (split == "test")]

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> list[ObjectModel]:
        """`count` different objects of the split.

        Raises:
            UserError: if the split has fewer, or an object can't be used (see `make`).
        """
        names = self.names(split)
        if count > len(names):
            raise UserError(
                f"{count} objects asked for, the {split} split of {self.path} has {len(names)}: "
                "add meshes or ask for fewer"
            )
        return [self.make(names[index]) for index in rng.choice(len(names), count, replace=False)]

    def check(self) -> None:
        """Load every object now, so that a bad one is found before work begins.

        Raises:
            UserError: for the first object that can't be used (see `make`).
        """
        for name in self._sources:
            self.make(name)

    def make(self, name: str) -> ObjectModel:
        """The object of this name.

        Raises:
            UserError: if its mesh can't be read, has no faces or no volume, is not watertight where it must be, is of
                a size that no gripper grasps (mostly millimetres taken for metres), or is elsewhere or of another
                size than its `collision.obj`.
        """
        if name not in self._models:
            self._models[name] = _load(name, self._sources[name], self.config)
        return self._models[name]

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


def _sources(folder: Path) -> dict[str, Path]:
    """The mesh file of each object, by name."""
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"object folder {folder} {state}: give a folder of meshes, or the name of an object set")
    sources: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name == COLLISION and (folder / VISUAL).is_file():
            continue  # of the object beside it
        path = entry / VISUAL if entry.is_dir() else entry
        if entry.is_dir() and not path.is_file() and any(file.suffix.lower() in SUFFIXES for file in entry.iterdir()):
            raise UserError(f"{entry} has meshes but no {VISUAL}: rename the one to be seen, or move the folder away")
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            continue
        name = entry.name if entry.is_dir() else entry.stem
        if name in sources:
            raise UserError(f"{folder} has two objects named '{name}' ({sources[name].name}, {path.name}): rename one")
        sources[name] = path
    if not sources:
        raise UserError(
            f"object folder {folder} holds no object: expected sub-folders with {VISUAL}, "
            f"or {', '.join(SUFFIXES)} files"
        )
    return sources


def _load(name: str, path: Path, config: MeshFolderConfig) -> ObjectModel:
    mesh = _read(path)
    extents = np.ptp(mesh.vertices, axis=0)
    if extents.max() > config.longest or extents.min() > config.graspable:
        size = " x ".join(f"{extent:.3g}" for extent in extents)
        raise UserError(
            f"{path} measures {size} m, expected at most {config.longest:g} m and one extent within "
            f"{config.graspable:g} m, which the gripper spans: is it in millimetres? scale it to metres"
        )
    parts = _collision_parts(path, mesh)
    _check_match(path, mesh, parts)
    centre = centre_of_mass(parts)
    mass = float(np.clip(config.density * sum(part_volume(part) for part in parts), *config.mass))
    surface = _surface(mesh, centre, config)
    color = surface.color if surface.texture is None else surface.texture.mean(axis=(0, 1)) / 255
    return ObjectModel(
        name,
        tuple(Part("mesh", vertices=part.vertices - centre) for part in parts if part.vertices is not None),
        mass,
        (surface,),
        (float(color[0]), float(color[1]), float(color[2])),
    )


def _read(path: Path) -> trimesh.Trimesh:
    try:
        mesh: Any = trimesh.load(path, force="mesh")
    except Exception as error:  # a reader may raise anything on a damaged file
        raise UserError(f"{path} can't be read as a mesh ({error}): export it again") from None
    if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
        raise UserError(f"{path} has no faces, expected a triangle mesh: export it with its surface")
    if not np.isfinite(mesh.vertices).all():
        raise UserError(f"{path} has vertices that are not finite: export it again")
    return mesh


def _collision_parts(path: Path, mesh: trimesh.Trimesh) -> list[Part]:
    """The hulls of the groups of `collision.obj`; without it, of the mesh."""
    collision = path.with_name(COLLISION)
    if path.name == VISUAL and collision.is_file():
        return [_hull(points, collision) for points in _groups(collision)]
    part = _hull(np.asarray(mesh.vertices, dtype=np.float64), path)
    closed = mesh.copy()
    closed.merge_vertices(merge_tex=True, merge_norm=True)
    if not closed.is_watertight:
        raise UserError(
            f"{path} is not watertight, so its volume is unknown: close its holes, or put a {COLLISION} of convex "
            f"parts beside {VISUAL} in a folder of its own"
        )
    return [part]


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


def _hull(points: Float[np.ndarray, "n 3"], path: Path) -> Part:
    try:
        hull = ConvexHull(points)
        corners, volume = np.array(points[hull.vertices], dtype=np.float64), float(hull.volume)
    except (QhullError, ValueError):
        corners, volume = np.zeros((0, 3)), 0.0
    if volume < 1e-10:
        raise UserError(f"{path} has a part without volume, expected solids: give it a thickness or remove it")
    return Part("mesh", vertices=corners)


def _groups(path: Path) -> list[Float[np.ndarray, "n 3"]]:
    """The vertices that the faces of each `o` group of an OBJ file use; of each `g` group, where there is no `o`."""
    vertices: list[list[float]] = []
    groups: list[set[int]] = [set()]
    lines = [line.split() or [""] for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    mark = "o" if any(line[0] == "o" for line in lines) else "g"
    try:
        for kind, *values in lines:
            if kind == mark:
                groups.append(set())
            elif kind == "v":
                vertices.append([float(value) for value in values[:3]])
            elif kind == "f":
                numbers = [int(value.split("/")[0]) for value in values]
                groups[-1].update(n - 1 if n > 0 else len(vertices) + n for n in numbers)
        points = np.array(vertices, dtype=np.float64).reshape(-1, 3)
        found = [points[sorted(group)] for group in groups if group]
    except (ValueError, IndexError):
        raise UserError(f"{path} is not a valid OBJ file: export the convex parts again") from None
    if not found:
        raise UserError(f"{path} has no faces, expected convex parts: export it again, or remove it")
    return found


def _surface(mesh: trimesh.Trimesh, centre: Float[np.ndarray, "3"], config: MeshFolderConfig) -> Surface:
    """What is drawn, with few triangles and a small texture."""
    vertices = np.asarray(mesh.vertices, dtype=np.float64) - centre
    faces = np.asarray(mesh.faces, dtype=np.int64)
    uv, texture, color = _looks(mesh)
    vertices, faces, uv = _thinned(vertices, faces, uv, config.triangles)
    if texture is not None and max(texture.shape[:2]) > config.texture:
        height, width = (max(1, side * config.texture // max(texture.shape[:2])) for side in texture.shape[:2])
        texture = np.asarray(cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return Surface(vertices, faces, uv, texture, color, roughness=0.5)


def _looks(
    mesh: trimesh.Trimesh,
) -> tuple[Float[np.ndarray, "n 2"] | None, UInt8[np.ndarray, "h w 3"] | None, tuple[float, float, float]]:
    """Texture coordinates and picture, or the main colour in linear RGB."""
    visual: Any = mesh.visual
    if visual.kind == "texture" and visual.uv is not None:
        material = visual.material
        if isinstance(material, trimesh.visual.material.SimpleMaterial):
            material = material.to_pbr()
        if material.baseColorTexture is not None:
            uv = np.asarray(visual.uv, dtype=np.float64)
            outside = (uv < 0) | (uv > 1)
            return (
                np.where(outside, uv % 1.0, uv),
                np.asarray(material.baseColorTexture.convert("RGB"), dtype=np.uint8),
                (0.7, 0.7, 0.7),
            )
    main = visual.material.main_color if visual.kind == "texture" else visual.main_color
    r, g, b = (float(value) ** 2.2 for value in np.asarray(main, dtype=np.float64)[:3] / 255)
    return None, None, (r, g, b)


def _thinned(
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "m 3"],
    uv: Float[np.ndarray, "n 2"] | None,
    most: int,
) -> tuple[Float[np.ndarray, "i 3"], Int[np.ndarray, "j 3"], Float[np.ndarray, "i 2"] | None]:
    """About `most` triangles: vertices that share a cube of a grid are drawn together (Rossignac and Borrel 1993).

    Vertices of one cube that face the same way share their mean position, so the surface stays closed and thin walls
    keep both sides; those far apart in the texture stay apart there, so its seams do not smear.
    """
    if len(faces) <= most:
        return vertices, faces, uv
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1).sum() / 2
    low = vertices.min(axis=0)
    point = _labels(np.round((vertices - low) * 1e7).astype(np.int64))  # the same on both sides of a texture's seam
    total = np.stack([np.bincount(point[faces].ravel(), np.repeat(axis, 3)) for axis in normals.T], axis=1)
    axis = np.abs(total).argmax(axis=1)
    facing = (2 * axis + (np.take_along_axis(total, axis[:, None], 1)[:, 0] > 0))[point]
    for attempt in range(12):
        step = np.sqrt(2 * area / most) * 1.15**attempt
        cube = _labels(np.column_stack([np.floor((vertices - low) / step).astype(np.int64), facing]))
        spot = cube[:, None] if uv is None else np.column_stack([cube, np.floor(uv * 8).astype(np.int64)])
        group = _labels(spot)
        kept = group[faces]
        apart = cube[faces]
        solid = (apart[:, 0] != apart[:, 1]) & (apart[:, 1] != apart[:, 2]) & (apart[:, 2] != apart[:, 0])
        kept = kept[solid]
        if len(kept) <= most:
            break
    places = _means(vertices, cube)[cube[np.unique(group, return_index=True)[1]]]
    return places, kept, None if uv is None else _means(uv, group)


def _labels(rows: Int[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """A number for each different row."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def _means(values: Float[np.ndarray, "n k"], group: Int[np.ndarray, " n"]) -> Float[np.ndarray, "g k"]:
    """Mean of the values of each group."""
    count = np.bincount(group)
    return np.stack([np.bincount(group, weights=column) / count for column in values.T], axis=1)
