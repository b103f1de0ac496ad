"""Pictures and exact masks by casting one ray per pixel against MuJoCo's own geoms: no OpenGL, no GPU, no display."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32

from graspgap.config import from_json
from graspgap.contract import Camera, Image, Mask, SemanticClass
from graspgap.seeding import generator
from graspgap.worlds.cell import Cell
from graspgap.worlds.randomization import PATTERNS

FAR = 10.0
"""Nothing is seen beyond this distance [m]."""
SKY = (0.6, 0.65, 0.7)
"""Colour where a ray hits nothing."""
SHININESS = 24
"""Exponent of the highlights (Blinn-Phong)."""


class RaycastRenderer:
    """A `Renderer` of a cell. Looks are as `randomization.draw_looks` gives them."""

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
        self.rays = camera.rays(self.size).reshape(-1, 3)
        self.light = np.array(looks["light"])
        self.rng = generator(int(looks.get("noise_seed", 0)), "sensor")
        names = [_material_of(cell.model, geom) for geom in range(cell.model.ngeom)]
        materials = [looks["materials"][name] for name in names]
        self.classes = np.array([_class_of(name) for name in names] + [SemanticClass.BACKGROUND], np.uint8)
        self.color = np.array([m["color"] for m in materials] + [SKY])
        self.gloss = np.array([m.get("gloss", 0.0) for m in materials] + [0.0])
        self.pattern = np.array([PATTERNS.index(m.get("pattern", "flat")) for m in materials] + [0])
        self.second = np.array([m.get("second", m["color"]) for m in materials] + [SKY])
        self.frequency = np.array([m.get("frequency", (0, 0, 0)) for m in materials] + [(0, 0, 0)])
        self.phase = np.array([m.get("phase", 0.0) for m in materials] + [0.0])

    def render(self, cell: Cell) -> tuple[Image, Mask]:
        """The picture and its semantic mask, from the cell's current state."""
        model, data = cell.model, cell.data
        mujoco.mj_multiRay(
            model,
            data,
            self.eye,
            self.rays.ravel(),
            None,
            True,
            -1,
            self.geom,
            self.distance,
            self.normal,
            len(self.rays),
            FAR,
        )
        geom = np.where(self.distance >= 0, self.geom, model.ngeom)
        normal = self.normal.reshape(-1, 3)
        points = self.eye + self.distance[:, None] * self.rays
        color = self._colors(cell, geom, points)
        to_light = self.light - points
        reach = np.sqrt(np.einsum("ij,ij->i", to_light, to_light))
        to_light /= reach[:, None]
        lambert = np.maximum(np.einsum("ij,ij->i", normal, to_light), 0)
        lit = 1.0 - self.looks["shadow"] * self._shadowed(cell, points, reach) if self.looks["shadow"] else 1.0
        light = np.array(self.looks["light_color"])
        picture = color * (self.looks["ambient"] + (lambert * lit)[:, None] * light)
        if self.gloss.any():
            half = to_light - self.rays
            half /= np.sqrt(np.einsum("ij,ij->i", half, half))[:, None]
            highlight = np.maximum(np.einsum("ij,ij->i", normal, half), 0) ** SHININESS
            picture += (self.gloss[geom] * highlight * lit)[:, None] * light
        picture[geom == model.ngeom] = SKY
        if self.looks["noise"]:
            picture += self.rng.normal(0, self.looks["noise"], picture.shape)
        image = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8).reshape(self.size, self.size, 3)
        return image, self.classes[geom].reshape(self.size, self.size)

    def _colors(
        self, cell: Cell, geom: Int32[np.ndarray, " n"], points: Float64[np.ndarray, "n 3"]
    ) -> Float64[np.ndarray, "n 3"]:
        """Colour of each hit: flat, or a pattern over the geom's own coordinates."""
        color = self.color[geom]
        patterned = np.flatnonzero(self.pattern[geom])
        if not len(patterned):
            return color
        which = geom[patterned]
        local = points[patterned] - cell.data.geom_xpos[which]
        local = np.einsum("nji,nj->ni", cell.data.geom_xmat[which].reshape(-1, 3, 3), local)
        share = _pattern(self.pattern[which], local, self.frequency[which], self.phase[which])
        color[patterned] += share[:, None] * (self.second[which] - color[patterned])
        return color

    def _shadowed(
        self, cell: Cell, points: Float64[np.ndarray, "n 3"], reach: Float64[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Whether something stands between the light and each point: all shadow rays start at the light."""
        away = (points - self.light) / reach[:, None]
        mujoco.mj_multiRay(
            cell.model,
            cell.data,
            self.light,
            away.ravel(),
            None,
            True,
            -1,
            self.shadow_geom,
            self.shadow_distance,
            None,
            len(points),
            FAR,
        )
        return (self.shadow_distance >= 0) & (self.shadow_distance < reach - 2e-3)


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
