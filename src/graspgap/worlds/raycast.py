"""Pictures and exact masks by casting one ray per pixel against MuJoCo's own geoms: no OpenGL, no GPU, no display."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32

from graspgap.config import from_json
from graspgap.contract import Camera, Image, Layers, Mask, SemanticClass
from graspgap.seeding import generator
from graspgap.worlds.cell import Cell
from graspgap.worlds.looks import PATTERNS
from graspgap.worlds.sensor import quantize, spoil
from graspgap.worlds.tiles import SIZE as TILE
from graspgap.worlds.tiles import tile

FAR = 10.0
"""Nothing is seen beyond this distance [m]."""
SKY = (0.6, 0.65, 0.7)
"""Colour where a ray hits nothing."""
SHININESS = 24
"""Exponent of the highlights (Blinn-Phong)."""


class RaycastRenderer:
    """A `Renderer` of a cell. Looks are as `looks.draw_looks` gives them."""

    def __init__(self, image_size: int) -> None:
        self.size = image_size
        count = image_size * image_size
        self.geom = np.empty(count, np.int32)
        self.distance = np.empty(count)
        self.normal = np.empty(3 * count)
        self.shadow_geom = np.empty(count, np.int32)
        self.shadow_distance = np.empty(count)

    def prepare(self, cell: Cell, looks: dict[str, Any]) -> None:
        """Take up a cell's model and the looks of an attempt."""
        self.looks = looks
        camera = from_json(Camera, looks["camera"])
        self.eye = np.array(camera.position)
        self.rays = camera.rays(self.size, looks.get("barrel", 0.0)).reshape(-1, 3)
        self.forward = camera.rotation()[2]
        lights = [looks, *looks.get("more_lights", ())]
        self.lights = [(np.array(light["light"]), np.array(light["light_color"])) for light in lights]
        self.rng = generator(int(looks.get("noise_seed", 0)), "sensor")
        names = [_material_of(cell.model, geom) for geom in range(cell.model.ngeom)]
        materials = [looks["materials"][name] for name in names]
        self.classes = np.array([_class_of(name) for name in names] + [SemanticClass.BACKGROUND], np.uint8)
        sky = tuple(looks.get("sky", SKY))
        self.color = np.array([m["color"] for m in materials] + [sky])
        self.gloss = np.array([m.get("gloss", 0.0) for m in materials] + [0.0])
        self.pattern = np.array([PATTERNS.index(m.get("pattern", "flat")) for m in materials] + [0])
        self.second = np.array([m.get("second", m["color"]) for m in materials] + [sky])
        self.frequency = np.array([m.get("frequency", (0, 0, 0)) for m in materials] + [(0, 0, 0)])
        self.phase = np.array([m.get("phase", 0.0) for m in materials] + [0.0])
        self._prepare_tiles(names, looks["materials"])
        self.instances = np.zeros(len(names) + 1, np.uint8)
        self.instances[:-1] = cell.body_object[cell.model.geom_bodyid] + 1

    def _prepare_tiles(self, names: list[str], materials: dict[str, Any]) -> None:
        """Bake each material's tile to a picture; `tile` is the picture of each geom, -1 for none."""
        tiled = [name for name, material in materials.items() if "tile" in material]
        self.tiles = np.array([_baked(materials[name]) for name in tiled], np.float32).reshape(-1, TILE, TILE, 3)
        self.tile = np.array([tiled.index(name) if name in tiled else -1 for name in names] + [-1])
        sizes = [materials[name]["tile"]["size"] if name in tiled else 1.0 for name in names]
        self.tile_size = np.array([*sizes, 1.0])

    def render(self, cell: Cell) -> tuple[Image, Mask]:
        """The picture and its semantic mask, from the cell's current state."""
        model = cell.model
        _cast(cell, self.eye, self.rays, self.geom, self.distance, self.normal)
        geom = np.where(self.distance >= 0, self.geom, model.ngeom)
        normal = self.normal.reshape(-1, 3)
        points = self.eye + self.distance[:, None] * self.rays
        color = self._colors(cell, geom, points, normal)
        gloss = self.gloss[geom] if self.gloss.any() else None
        shade, shine = self.looks["ambient"], 0.0
        for place, light in self.lights:
            diffuse, highlight = self._lit(cell, points, normal, place, gloss)
            shade = shade + diffuse[:, None] * light
            if highlight is not None:
                shine = shine + highlight[:, None] * light
        picture = color * shade + shine
        picture[geom == model.ngeom] = self.color[-1]
        if self.looks["noise"]:
            picture += self.rng.normal(0, self.looks["noise"], picture.shape)
        picture = picture.reshape(self.size, self.size, 3)
        if "sensor" in self.looks:
            picture = spoil(picture.astype(np.float32), self.looks["sensor"], self.rng)
        return quantize(picture), self.classes[geom].reshape(self.size, self.size)

    def layers(self) -> Layers:
        """Instance ids and depth of the last picture."""
        hit = self.distance >= 0
        depth = np.where(hit, self.distance * (self.rays @ self.forward), 0).astype(np.float32)
        instances = self.instances[np.where(hit, self.geom, -1)]
        return Layers(instances.reshape(self.size, self.size), depth.reshape(self.size, self.size))

    def _lit(
        self,
        cell: Cell,
        points: Float64[np.ndarray, "n 3"],
        normal: Float64[np.ndarray, "n 3"],
        place: Float64[np.ndarray, "3"],
        gloss: Float64[np.ndarray, " n"] | None,
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"] | None]:
        """Shares of a light at `place` [m] that points scatter (Lambert) and mirror (Blinn-Phong) to the camera."""
        to_light = place - points
        reach = np.sqrt(np.einsum("ij,ij->i", to_light, to_light))
        to_light /= reach[:, None]
        diffuse = np.maximum(np.einsum("ij,ij->i", normal, to_light), 0)
        lit = 1.0 - self.looks["shadow"] * self._shadowed(cell, points, place, reach) if self.looks["shadow"] else 1.0
        if gloss is None:
            return diffuse * lit, None
        half = to_light - self.rays
        half /= np.sqrt(np.einsum("ij,ij->i", half, half))[:, None]
        highlight = np.maximum(np.einsum("ij,ij->i", normal, half), 0) ** SHININESS
        return diffuse * lit, gloss * highlight * lit

    def _colors(
        self,
        cell: Cell,
        geom: Int32[np.ndarray, " n"],
        points: Float64[np.ndarray, "n 3"],
        normal: Float64[np.ndarray, "n 3"],
    ) -> Float64[np.ndarray, "n 3"]:
        """Colour of each hit: flat, or a pattern or tile over the geom's own coordinates."""
        color = self.color[geom]
        if len(self.tiles):
            self._lay_tiles(cell, color, geom, points, normal)
        patterned = np.flatnonzero((self.pattern[geom] > 0) & (self.tile[geom] < 0))
        if not len(patterned):
            return color
        which = geom[patterned]
        local = points[patterned] - cell.data.geom_xpos[which]
        local = np.einsum("nji,nj->ni", cell.data.geom_xmat[which].reshape(-1, 3, 3), local)
        share = _pattern(self.pattern[which], local, self.frequency[which], self.phase[which])
        color[patterned] += share[:, None] * (self.second[which] - color[patterned])
        return color

    def _lay_tiles(
        self,
        cell: Cell,
        color: Float64[np.ndarray, "n 3"],
        geom: Int32[np.ndarray, " n"],
        points: Float64[np.ndarray, "n 3"],
        normal: Float64[np.ndarray, "n 3"],
    ) -> None:
        """Lay tiles over what has one: along the two axes of the geom that its surface faces least (box mapping)."""
        hits = np.flatnonzero(self.tile[geom] >= 0)
        which = geom[hits]
        turn = cell.data.geom_xmat[which].reshape(-1, 3, 3)
        local = np.einsum("nji,nj->ni", turn, points[hits] - cell.data.geom_xpos[which])
        facing = np.abs(np.einsum("nji,nj->ni", turn, normal[hits])).argmax(axis=1)
        along = np.array([(1, 2), (0, 2), (0, 1)])[facing]
        where = np.take_along_axis(local, along, axis=1) / self.tile_size[which, None]
        column, row = (np.floor(where * TILE).astype(np.int64) % TILE).T
        color[hits] = self.tiles[self.tile[which], row, column]

    def _shadowed(
        self,
        cell: Cell,
        points: Float64[np.ndarray, "n 3"],
        place: Float64[np.ndarray, "3"],
        reach: Float64[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        """Whether something stands between a light and each point: all shadow rays start at the light."""
        away = (points - place) / reach[:, None]
        _cast(cell, place, away, self.shadow_geom, self.shadow_distance, None)
        return (self.shadow_distance >= 0) & (self.shadow_distance < reach - 2e-3)


def _cast(
    cell: Cell,
    origin: Float64[np.ndarray, "3"],
    rays: Float64[np.ndarray, "n 3"],
    geom: Int32[np.ndarray, " n"],
    distance: Float64[np.ndarray, " n"],
    normal: Float64[np.ndarray, " n3"] | None,
) -> None:
    """Fill in what unit rays from one point hit: the geom, how far away [m] (-1: nothing), and its normal there."""
    flat = rays.ravel()
    mujoco.mj_multiRay(cell.model, cell.data, origin, flat, None, True, -1, geom, distance, normal, len(rays), FAR)


def _baked(material: dict[str, Any]) -> Float64[np.ndarray, "size size 3"]:
    """The tile of a material in its colours."""
    first, second, third = (
        np.array(color) for color in (material["color"], material["second"], material["tile"]["third"])
    )
    share, over = (part[..., None] for part in tile(material["tile"]["kind"], material["tile"]["seed"]))
    ground = first + share * (second - first)
    return ground + over * (third - ground)


def _pattern(
    kind: Float[np.ndarray, " n"] | np.ndarray,
    local: Float64[np.ndarray, "n 3"],
    frequency: Float64[np.ndarray, "n 3"],
    phase: Float64[np.ndarray, " n"],
) -> Float32[np.ndarray, " n"] | Float64[np.ndarray, " n"]:
    """Share of the second colour, 0 to 1, at points in a geom's own coordinates [m]."""
    along = 2 * np.pi * np.einsum("ij,ij->i", local, frequency) + phase
    share = (np.sin(along) > 0).astype(float)
    checker = np.flatnonzero(kind == PATTERNS.index("checker"))
    across = np.roll(frequency[checker], 1, axis=1) * (1, -1, 1)
    other = np.sin(2 * np.pi * np.einsum("ij,ij->i", local[checker], across) + phase[checker]) > 0
    share[checker] = np.abs(share[checker] - other)
    speckle = np.flatnonzero(kind == PATTERNS.index("speckle"))
    scale = np.abs(frequency[speckle]).max(axis=1, initial=0.0)[:, None] * 4
    cells = np.floor(local[speckle] * scale)
    hashed = np.sin(cells @ (12.9898, 78.233, 37.719) + phase[speckle]) * 43758.5453
    share[speckle] = hashed - np.floor(hashed)
    return share


def _material_of(model: mujoco.MjModel, geom: int) -> str:
    """Name of the material of a geom: its object, or the part of the cell."""
    body = model.body(model.geom_bodyid[geom]).name
    if body.startswith("object_"):
        return body
    if body.startswith("link_"):
        return "arm"
    if body in ("hand", "finger_left", "finger_right"):
        return "hand"
    return "bin" if body == "bin" else "table"


def _class_of(material: str) -> SemanticClass:
    """Semantic class of a material."""
    classes = {"table": SemanticClass.BACKGROUND, "bin": SemanticClass.BIN}
    classes |= {"arm": SemanticClass.ARM, "hand": SemanticClass.ARM}
    return classes.get(material, SemanticClass.OBJECT)
