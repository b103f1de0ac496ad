"""Path-traced pictures of a cell (Mitsuba 3, `scalar_rgb`), through an imperfect camera; never masks.

What moves is drawn as instances of shapes made once, so that a frame costs the update of their poses, the rebuild of
the acceleration structure (about 0.3 us a triangle) and the rays. Noise is kept low with few samples by one soft lamp
that every path samples; the dim surroundings are seen only by the rays that happen to leave the scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import drjit
import mitsuba
import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial.transform import Rotation

from graspgap.contract import Camera, Image, Mask
from graspgap.objects.model import ObjectModel, Surface
from graspgap.objects.textures import linear
from graspgap.seeding import generator
from graspgap.worlds.sensor import SensorConfig, photograph
from graspgap.worlds.standin_shapes import part_surface

mitsuba.set_variant("scalar_rgb")
mitsuba.set_log_level(mitsuba.LogLevel.Error)
drjit.set_thread_count(1)  # One process is one worker; one thread also fixes the order of sums, so pictures repeat.

LAMP_POWER = "lamp.emitter.radiance.value"
SURROUNDINGS_POWER = "surroundings.scale"
OBJECT_TEXELS = 128
"""Longest side of an object's texture: an object spans a few dozen pixels at most."""


@dataclass(frozen=True)
class Lamp:
    """A rectangular lamp that shines from `position` towards `target`, base frame [m]."""

    position: tuple[float, float, float] = (0.95, 0.35, 1.35)
    target: tuple[float, float, float] = (0.55, 0.0, 0.0)
    half_size: tuple[float, float] = (0.15, 0.11)
    """Larger makes softer shadows [m]."""
    radiance: tuple[float, float, float] = (100.0, 95.0, 88.0)
    """Linear RGB."""


@dataclass(frozen=True)
class Scenery:
    """Everything that a cell does not simulate but a camera sees."""

    still: tuple[Surface, ...]
    """What never moves, in the base frame."""
    bodies: dict[str, tuple[Surface, ...]]
    """What is drawn on the cell's moving bodies, by name, in the body's frame."""
    surroundings: Float32[np.ndarray, "h w 3"]
    """Radiance of the room by direction: latitudes from the zenith down, longitudes around z."""
    lamp: Lamp = field(default_factory=Lamp)


@dataclass(frozen=True)
class RenderConfig:
    """How a picture is computed."""

    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    samples: int = 2
    """Light paths per pixel."""
    max_depth: int = 3
    """Longest light path: 2 is direct light, 3 adds one bounce."""
    camera: Camera = field(default_factory=Camera)
    """The true camera."""
    sensor: SensorConfig = field(default_factory=SensorConfig)


class MitsubaRenderer:
    """A `Renderer` for one cell.

    `looks` keys (all optional): `lamp` and `surroundings`, factors of their power; `warmth`, a share by which red
    gains and blue loses; `noise_seed`, from which the noise of all frames until the next `prepare` is drawn.
    """

    def __init__(self, config: RenderConfig, furnish: Callable[[Any], Scenery]) -> None:
        """`furnish(cell)` gives the scenery; it is called once, at the first `prepare`."""
        self.config = config
        self._furnish = furnish
        self._fixed: dict[str, Any] = {}
        self._shapes: dict[str, Any] = {}
        self._objects: list[ObjectModel] | None = None
        self._looks: dict[str, Any] = {}
        self._frame = 0
        self._scene: Any = None
        self._integrator: Any = None
        self._parameters: Any = None

    def prepare(self, cell: Any, looks: dict[str, Any]) -> None:
        """Take over the cell's objects and the looks of the attempt; frames are counted from here."""
        if not self._fixed:
            self._build_fixed(cell)
        if self._objects is None or [id(model) for model in self._objects] != [id(model) for model in cell.objects]:
            self._build_scene(cell)
        self._set_lights(looks)
        self._looks = looks
        self._frame = 0

    def render(self, cell: Any) -> tuple[Image, Mask | None]:
        """The picture of the cell as it stands now, and no mask."""
        self._place(cell)
        rng = generator(int(self._looks.get("noise_seed", 0)), "frame", self._frame)
        self._frame += 1
        light = np.array(
            self._integrator.render(self._scene, seed=int(rng.integers(2**31)), spp=self.config.samples),
            dtype=np.float32,
        )
        warmth = float(self._looks.get("warmth", 0.0))
        tint = np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float32)
        return photograph(without_speckles(light) * tint, self.config.sensor, rng), None

    def _build_fixed(self, cell: Any) -> None:
        """Whatever no set of objects changes."""
        scenery, config = self._furnish(cell), self.config
        lamp, camera = scenery.lamp, config.camera
        to_world = mitsuba.ScalarTransform4f
        self._lamp, self._surroundings = np.array(lamp.radiance), 1.0
        self._fixed = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": config.max_depth, "rr_depth": config.max_depth},
            "sensor": {
                "type": "perspective",
                "fov": camera.fov,
                "near_clip": 0.01,
                "far_clip": 20.0,
                "to_world": to_world(camera_to_world(camera)),
                "film": {
                    "type": "hdrfilm",
                    "width": config.image_size,
                    "height": config.image_size,
                    "pixel_format": "rgb",
                    "component_format": "float32",
                    "rfilter": {"type": "box"},
                },
                "sampler": {"type": "independent", "sample_count": config.samples},
            },
            "lamp": {
                "type": "rectangle",
                "to_world": to_world()
                .look_at(list(lamp.position), list(lamp.target), [0, 0, 1])
                .scale([*lamp.half_size, 1]),
                "emitter": {"type": "area", "radiance": {"type": "rgb", "value": list(lamp.radiance)}},
            },
            "surroundings": {
                "type": "envmap",
                "bitmap": mitsuba.Bitmap(scenery.surroundings),
                "to_world": to_world().rotate([1, 0, 0], 90),
                "sampling_weight": 0.0,
            },
        }
        for index, surface in enumerate(scenery.still):
            self._fixed[f"still_{index}"] = mesh(surface)
        for name, surfaces in scenery.bodies.items():
            self._fixed[f"shapes_{name}"] = group(surfaces)

    def _build_scene(self, cell: Any) -> None:
        """A scene with the cell's objects."""
        scene = dict(self._fixed)
        self._shapes = {key: value for key, value in scene.items() if key.startswith("shapes_")}
        for index, model in enumerate(cell.objects):
            self._shapes[f"shapes_object_{index}"] = group([lighter(s) for s in model.surfaces or drawn_parts(model)])
        names = [key.removeprefix("shapes_") for key in self._shapes]
        scene |= self._shapes
        for name in names:
            scene[f"body_{name}"] = {"type": "instance", "shapes": self._shapes[f"shapes_{name}"]}
        self._scene = mitsuba.load_dict(scene)
        self._integrator = self._scene.integrator()
        self._parameters = mitsuba.traverse(self._scene)
        self._parameters.keep([LAMP_POWER, SURROUNDINGS_POWER, *(f"body_{name}.to_world" for name in names)])
        self._poses: dict[str, bytes] = dict.fromkeys(names, b"")
        self._objects = list(cell.objects)

    def _set_lights(self, looks: dict[str, Any]) -> None:
        self._parameters[LAMP_POWER] = mitsuba.ScalarColor3f(*(self._lamp * float(looks.get("lamp", 1.0))))
        self._parameters[SURROUNDINGS_POWER] = float(looks.get("surroundings", 1.0))
        self._parameters.update()

    def _place(self, cell: Any) -> None:
        """Bring every instance to its body's pose."""
        poses = cell.body_poses()
        for name, before in self._poses.items():
            position, quaternion = poses[name]
            now = np.concatenate([position, quaternion]).tobytes()
            if now != before:
                matrix = np.eye(4)
                matrix[:3, :3], matrix[:3, 3] = Rotation.from_quat(quaternion, scalar_first=True).as_matrix(), position
                self._parameters[f"body_{name}.to_world"] = mitsuba.ScalarTransform4f(matrix.tolist())
                self._poses[name] = now
        self._parameters.update()


def without_speckles(light: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Rare paths that find the lamp by chance make single bright pixels, which the lens's blur would spread: no pixel
    may be brighter than 1.5 times its brightest neighbour, nor than what is white anyway."""
    ring = np.ones((3, 3), np.uint8)
    ring[1, 1] = 0
    return np.minimum(light, np.minimum(1.5 * cv2.dilate(light, ring), 2.5)).astype(np.float32)


def camera_to_world(camera: Camera) -> Float[np.ndarray, "4 4"]:
    """Mitsuba's camera frame (x left, y up, z forward) in the base frame."""
    right, down, forward = camera.rotation()
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([-right, -down, forward], axis=1)
    matrix[:3, 3] = camera.position
    return matrix


def drawn_parts(model: ObjectModel) -> tuple[Surface, ...]:
    """The collision parts of an object that comes without surfaces, in its flat colour."""
    return tuple(part_surface(part, linear(model.color)) for part in model.parts)


def lighter(surface: Surface) -> Surface:
    """The surface with a texture of at most `OBJECT_TEXELS` a side: as fine as a picture can show, quick to load."""
    texture = surface.texture
    if texture is None or max(texture.shape[:2]) <= OBJECT_TEXELS:
        return surface
    height, width = (max(1, side * OBJECT_TEXELS // max(texture.shape[:2])) for side in texture.shape[:2])
    small = np.asarray(cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return replace(surface, texture=small)


def group(surfaces: Sequence[Surface]) -> Any:
    """A Mitsuba shape group of the surfaces."""
    parts = merged(surfaces)
    return mitsuba.load_dict({"type": "shapegroup", **{f"part_{i}": mesh(s) for i, s in enumerate(parts)}})


def merged(surfaces: Sequence[Surface]) -> list[Surface]:
    """The surfaces, those of one plain material joined into one: each mesh costs time in every frame."""
    alike: dict[Any, list[Surface]] = {}
    for index, surface in enumerate(surfaces):
        look = (surface.color, surface.roughness, surface.metallic, surface.smooth)
        alike.setdefault(look if surface.texture is None else index, []).append(surface)
    return [join(same) for same in alike.values()]


def join(surfaces: list[Surface]) -> Surface:
    """One surface of several, with the material of the first; without texture coordinates if there are several."""
    if len(surfaces) == 1:
        return surfaces[0]
    offsets = np.cumsum([0] + [len(surface.vertices) for surface in surfaces[:-1]])
    return replace(
        surfaces[0],
        vertices=np.concatenate([surface.vertices for surface in surfaces]),
        faces=np.concatenate([surface.faces + offset for surface, offset in zip(surfaces, offsets, strict=True)]),
        uv=None,
    )


def mesh(surface: Surface) -> Any:
    """A Mitsuba mesh of the surface."""
    surface = without_slivers(surface)
    properties = mitsuba.Properties("mesh")
    properties["bsdf"] = mitsuba.load_dict(material(surface))
    if not surface.smooth:
        properties["face_normals"] = True
    shape = mitsuba.Mesh(
        "surface",
        len(surface.vertices),
        len(surface.faces),
        has_vertex_normals=surface.smooth,
        has_vertex_texcoords=surface.uv is not None,
        props=properties,
    )
    parameters = mitsuba.traverse(shape)
    parameters["vertex_positions"] = surface.vertices.astype(np.float32).ravel()
    parameters["faces"] = surface.faces.astype(np.uint32).ravel()
    if surface.uv is not None:
        # Mitsuba's v runs down the picture, a Surface's up.
        parameters["vertex_texcoords"] = (
            np.column_stack([surface.uv[:, 0], 1 - surface.uv[:, 1]]).astype(np.float32).ravel()
        )
    parameters.update()
    return shape


def without_slivers(surface: Surface) -> Surface:
    """The surface without triangles of no area (as at the poles of a lathe), which cost time and have no normal."""
    corners = surface.vertices[surface.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    faces = surface.faces[area > 1e-12]
    used, compact = np.unique(faces, return_inverse=True)
    uv = None if surface.uv is None else surface.uv[used]
    return replace(surface, vertices=surface.vertices[used], faces=compact.reshape(-1, 3), uv=uv)


def material(surface: Surface) -> dict[str, Any]:
    """The Mitsuba material of a surface: rough metal, matt, or matt under a glossy coat."""
    color: dict[str, Any] = {"type": "rgb", "value": [float(c) for c in surface.color]}
    if surface.texture is not None:
        picture = mitsuba.Bitmap(np.ascontiguousarray(surface.texture))
        # Texels are finer than pixels, so the paths of a pixel average them: interpolation would cost a tenth.
        color = {"type": "bitmap", "bitmap": picture, "filter_type": "nearest"}
    if surface.metallic > 0.5:
        return {"type": "roughconductor", "alpha": max(surface.roughness, 0.05), "specular_reflectance": color}
    if surface.roughness >= 0.7:
        return {"type": "diffuse", "reflectance": color}
    return {"type": "principled", "base_color": color, "roughness": surface.roughness, "specular": 0.5}
