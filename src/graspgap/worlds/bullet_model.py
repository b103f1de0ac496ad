"""The bodies of the PyBullet cell: the arm, table and tray that ship with pybullet_data, and our objects."""

from __future__ import annotations

import hashlib
import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pybullet
import pybullet_data
import trimesh
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from graspgap.objects.model import ObjectModel, Part
from graspgap.objects.parts import outline
from graspgap.worlds.bullet_tray import BoxTray, floor, walls

DATA = Path(pybullet_data.getDataPath())
ARM = "kuka_iiwa/kuka_with_gripper2.sdf"
FLOOR = 0.175
"""Height of the origin of PyBullet's original scene above the tray's floor [m]. Our base frame has its z = 0 on that
floor, as in the other worlds; x and y are the original ones, from the arm's axis."""
TRAY = (0.64, 0.075)
"""Middle of the tray [m]."""
FINGERS = {"left": (8, 9, 10), "right": (11, 12, 13)}
"""Links of each finger: its moving part, its base, its tip."""
MOST_SHAPES = 16
"""Of a body, as a list of shapes: with more PyBullet writes past its memory. One file may hold any number."""
HAND = 7
"""The gripper's base; this link and all after it are the gripper."""
LINKS = (
    *(f"link_{number}" for number in range(1, 8)),
    "hand",
    *(f"finger_{side}{part}" for side in FINGERS for part in ("", "_base", "_tip")),
)
"""Names of the arm's links, by their number."""


@dataclass(frozen=True)
class Bodies:
    """PyBullet's numbers of what is in a simulation."""

    client: int
    """The simulation."""
    arm: int
    tray: int
    table: int
    plane: int
    things: list[int]
    """The objects' bodies."""
    objects: list[ObjectModel]


class Simulation:
    """A PyBullet simulation of its own, without a display; it ends when nobody holds this any more."""

    def __init__(self, tray: BoxTray | None = None) -> None:
        self.tray = tray
        """None: the published one."""
        self.client: int = pybullet.connect(pybullet.DIRECT)
        self.folder = Path(mkdtemp(prefix="graspgap-bullet-"))
        weakref.finalize(self, _end, self.client, self.folder)

    def build(self, objects: list[ObjectModel], visible: bool) -> Bodies:
        """Begin anew with the cell and these objects, the objects far from the tray.

        Equal objects give equal numbers and equal physics, whatever was simulated before. What is not `visible` has
        no pictures and an arm whose links collide with nothing but its gripper, which is made in 7 ms instead of 60.
        """
        client = self.client
        pybullet.resetSimulation(physicsClientId=client)
        flags = 0 if visible else pybullet.URDF_IGNORE_VISUAL_SHAPES

        def body(file: str, place: tuple[float, ...], turn: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)) -> int:
            path = str(DATA / file)
            number: int = pybullet.loadURDF(path, place, turn, useFixedBase=True, flags=flags, physicsClientId=client)
            return number

        plane = body("plane.urdf", (0.0, 0.0, FLOOR - 1))
        table = body("table/table.urdf", (0.5, 0.0, FLOOR - 0.82))
        if self.tray:
            tray = _add_tray(client, self.tray)
        else:
            tray = body("tray/traybox.urdf", (*TRAY, FLOOR - 0.19), (0.0, 0.0, 1.0, 0.0))
        (arm,) = pybullet.loadSDF(str(DATA / ARM if visible else self._bare_arm()), physicsClientId=client)
        pybullet.resetBasePositionAndOrientation(arm, (-0.1, 0, FLOOR + 0.07), (0, 0, 0, 1), physicsClientId=client)
        things = [_add_object(client, self.folder, index, thing) for index, thing in enumerate(objects)]
        return Bodies(client, arm, tray, table, plane, things, objects)

    def _bare_arm(self) -> Path:
        """The arm without pictures; a ball stands for each of its links but the gripper's.

        The links' published shapes are hulls of fine meshes: half of the time of a step went into them, though nothing
        in the workspace can touch them. The balls give the links their inertia.
        """
        file = self.folder / "arm.sdf"
        if not file.exists():
            tree = ElementTree.parse(DATA / ARM)
            for link in tree.iter("link"):
                for visual in link.findall("visual"):
                    link.remove(visual)
                for uri in link.iter("uri"):
                    uri.text = str((DATA / ARM).parent / (uri.text or "").lstrip("/"))
                if (link.get("name") or "").startswith("lbr_iiwa"):
                    for geometry in link.findall("collision/geometry"):
                        geometry.clear()
                        ElementTree.SubElement(ElementTree.SubElement(geometry, "sphere"), "radius").text = "0.06"
            tree.write(file)
        return file


def _end(client: int, folder: Path) -> None:
    pybullet.disconnect(physicsClientId=client)
    shutil.rmtree(folder, ignore_errors=True)


def _add_tray(client: int, tray: BoxTray) -> int:
    """The boards as one fixed body."""
    boards = [floor(tray), *walls(tray)]
    number: int = pybullet.createMultiBody(
        baseMass=0,
        baseCollisionShapeIndex=pybullet.createCollisionShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * len(boards),
            halfExtents=[board.half for board in boards],
            radii=[0.0] * len(boards),
            lengths=[0.0] * len(boards),
            fileNames=[""] * len(boards),
            meshScales=[(1, 1, 1)] * len(boards),
            collisionFramePositions=[board.centre for board in boards],
            collisionFrameOrientations=[Rotation.from_matrix(board.turn).as_quat().tolist() for board in boards],
            physicsClientId=client,
        ),
        physicsClientId=client,
    )
    return number


def _add_object(client: int, folder: Path, index: int, thing: ObjectModel) -> int:
    """A rigid body of an object's parts, far from the tray; its origin is its centre of mass."""
    parts = thing.parts
    shapes = [_shape(part, folder) for part in parts]
    if len(parts) > MOST_SHAPES:
        hulls = "\n".join(f"o part_{index}\n{text}" for index, text in enumerate(_groups_of(parts)))
        parts, shapes = (Part("mesh"),), [_file_shape(hulls, folder)]
    common: dict[str, Any] = {
        "shapeTypes": [shape.kind for shape in shapes],
        "halfExtents": [shape.half for shape in shapes],
        "radii": [shape.radius for shape in shapes],
        "lengths": [shape.length for shape in shapes],
        "fileNames": [shape.file for shape in shapes],
        "meshScales": [(1, 1, 1)] * len(shapes),
        "physicsClientId": client,
    }
    places = [part.position for part in parts]
    turns = [(*part.quaternion[1:], part.quaternion[0]) for part in parts]
    number: int = pybullet.createMultiBody(
        baseMass=thing.mass,
        baseCollisionShapeIndex=pybullet.createCollisionShapeArray(
            collisionFramePositions=places, collisionFrameOrientations=turns, **common
        ),
        baseVisualShapeIndex=pybullet.createVisualShapeArray(
            visualFramePositions=places,
            visualFrameOrientations=turns,
            rgbaColors=[(*thing.color, 1)] * len(shapes),
            **common,
        ),
        basePosition=(2, 2 + index, 0.2),
        useMaximalCoordinates=True,  # a plain rigid body: faster than one of a chain of links
        physicsClientId=client,
    )
    return number


@dataclass(frozen=True)
class _Shape:
    """A part in PyBullet's words."""

    kind: int
    half: tuple[float, ...] = (0.0, 0.0, 0.0)
    radius: float = 0.0
    length: float = 0.0
    file: str = ""


def _shape(part: Part, folder: Path) -> _Shape:
    size = part.size
    if part.kind == "box":
        return _Shape(pybullet.GEOM_BOX, half=size)
    if part.kind == "sphere":
        return _Shape(pybullet.GEOM_SPHERE, radius=size[0])
    if part.kind in ("capsule", "cylinder"):
        kind = pybullet.GEOM_CAPSULE if part.kind == "capsule" else pybullet.GEOM_CYLINDER
        return _Shape(kind, radius=size[0], length=2 * size[1])
    return _file_shape(_hull_of(part), folder)


def _file_shape(hull: str, folder: Path) -> _Shape:
    """The convex groups of an OBJ file."""
    file = folder / f"{hashlib.sha256(hull.encode()).hexdigest()}.obj"  # PyBullet remembers files by their names
    if not file.exists():
        file.write_text(hull)
    return _Shape(pybullet.GEOM_MESH, file=str(file))


def _groups_of(parts: tuple[Part, ...]) -> list[str]:
    """The parts' hulls in the object's frame as groups of one OBJ file."""
    texts, first = [], 1
    for part in parts:
        hull = trimesh.convex.convex_hull(outline(part))
        texts.append(_obj(hull, first).rstrip("\n"))
        first += len(hull.vertices)
    return texts


def _hull_of(part: Part) -> str:
    """The convex hull of a mesh, or of an ellipsoid's points, as an OBJ file."""
    if part.kind == "ellipsoid":
        vertices: Float[np.ndarray, "n 3"] = trimesh.creation.icosphere(subdivisions=2).vertices * part.size
    else:
        assert part.vertices is not None
        vertices = part.vertices
    hull = trimesh.convex.convex_hull(vertices)
    return _obj(hull, 1)


def _obj(hull: trimesh.Trimesh, first: int) -> str:
    """A mesh as lines of an OBJ file whose vertices are numbered from `first`."""
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in hull.vertices]
    return "\n".join(lines + [f"f {a} {b} {c}" for a, b, c in hull.faces + first]) + "\n"


def reach_of(thing: ObjectModel) -> float:
    """Radius of a sphere around an object's origin that holds it [m]."""
    radii = []
    for part in thing.parts:
        if part.kind == "mesh":
            assert part.vertices is not None
            radius = float(np.linalg.norm(part.vertices, axis=1).max())
        elif part.kind == "box":
            radius = float(np.linalg.norm(part.size))
        elif part.kind == "cylinder":
            radius = float(np.hypot(part.size[0], part.size[1]))
        else:
            radius = float(sum(part.size)) if part.kind == "capsule" else max(part.size)
        radii.append(float(np.linalg.norm(part.position)) + radius)
    return max(radii)
