"""Pictures and masks of the PyBullet cell by its software renderer, TinyRenderer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pybullet
from jaxtyping import Float64

from graspgap.config import from_json
from graspgap.contract import Camera, Image, Layers, Mask, SemanticClass
from graspgap.errors import UserError
from graspgap.seeding import generator
from graspgap.worlds.bullet_cell import BulletCell
from graspgap.worlds.bullet_model import HAND, Simulation
from graspgap.worlds.sensor import quantize, spoil

NEAR, FAR = 0.01, 10.0
"""Nothing is seen nearer or farther than this [m]; the original's."""
TARGET = np.array((0.615, 0.07, 0.0))
"""What the light points at [m]."""


class BulletRenderer:
    """A `Renderer` of a `BulletCell`, in a simulation of its own whose bodies follow the cell's.

    Looks are as `draw_bullet_looks` gives them.
    """

    def __init__(self, image_size: int) -> None:
        self.size = image_size
        self.simulation = Simulation()
        self.bodies = self.simulation.build([], visible=True)

    def prepare(self, cell: BulletCell, looks: dict[str, Any]) -> None:
        """Take up a cell's bodies and the looks of an attempt.

        Raises:
            UserError: if the looks ask for what TinyRenderer can't draw: patterns, gloss, shadows of a given strength.
        """
        for name, material in looks["materials"].items():
            if material.get("pattern", "flat") != "flat" or material.get("gloss", 0.0) or "tile" in material:
                raise UserError(f"world 'bullet' can't draw a pattern or gloss, as '{name}' has: give plain colours")
        if looks["shadow"]:
            raise UserError(f"world 'bullet' can't draw shadows of strength {looks['shadow']}: give 0")
        if "more_lights" in looks or "barrel" in looks:
            raise UserError("world 'bullet' can't draw several lights or a lens distortion: leave them out")
        self.looks = looks
        self.camera = from_json(Camera, looks["camera"])
        self.rng = generator(int(looks.get("noise_seed", 0)), "sensor")
        if self.bodies.objects is not cell.objects:
            self.bodies = self.simulation.build(cell.objects, visible=True)
        bodies = self.bodies
        links = {"table": [(bodies.table, -1)], "bin": [(bodies.tray, -1)]}
        links["arm"] = [(bodies.arm, link) for link in range(-1, HAND)]
        links["hand"] = [(bodies.arm, link) for link in range(HAND, 14)]
        links |= {f"object_{index}": [(body, -1)] for index, body in enumerate(bodies.things)}
        for name, material in looks["materials"].items():
            for body, link in links[name]:
                pybullet.changeVisualShape(body, link, rgbaColor=(*material["color"], 1), physicsClientId=bodies.client)
        highest = max([bodies.arm, bodies.tray, bodies.table, bodies.plane, *bodies.things])
        self.classes = np.full(highest + 2, SemanticClass.BACKGROUND, np.uint8)  # the last one is number -1: nothing
        self.classes[bodies.tray] = SemanticClass.BIN
        self.classes[bodies.arm] = SemanticClass.ARM
        self.classes[bodies.things] = SemanticClass.OBJECT

    def render(self, cell: BulletCell) -> tuple[Image, Mask]:
        """The picture and its semantic mask, from the cell's current state."""
        size, looks = self.size, self.looks
        self._follow(cell)
        light = np.array(looks["light"]) - TARGET
        _, _, picture, depth, numbers = pybullet.getCameraImage(
            size,
            size,
            viewMatrix=view_matrix(self.camera).T.ravel().tolist(),
            projectionMatrix=projection_matrix(self.camera, size).T.ravel().tolist(),
            lightDirection=light.tolist(),
            lightDistance=float(np.linalg.norm(light)),
            lightColor=looks["light_color"],
            lightAmbientCoeff=looks["ambient"],
            lightDiffuseCoeff=looks["diffuse"],
            lightSpecularCoeff=looks["specular"],
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=self.bodies.client,
        )
        image = np.asarray(picture, dtype=np.uint8).reshape(size, size, 4)[..., :3]
        if looks["noise"]:
            image = quantize(image / 255 + self.rng.normal(0, looks["noise"], image.shape))
        if "sensor" in looks:
            image = quantize(spoil(image.astype(np.float32) / 255, looks["sensor"], self.rng))
        self.numbers = np.asarray(numbers, dtype=np.int64).reshape(size, size)
        self.depth = np.asarray(depth, dtype=np.float64).reshape(size, size)
        return np.ascontiguousarray(image), self.classes[self.numbers]

    def layers(self) -> Layers:
        """Instance ids and depth of the last picture."""
        instances = np.zeros(len(self.classes), np.uint8)
        instances[self.bodies.things] = np.arange(len(self.bodies.things)) + 1
        depth = NEAR * FAR / (FAR - self.depth * (FAR - NEAR))  # undoes OpenGL's projection
        return Layers(instances[self.numbers], np.where(self.numbers >= 0, depth, 0).astype(np.float32))

    def _follow(self, cell: BulletCell) -> None:
        """Bring what is drawn to where the cell has it."""
        here, there = self.bodies, cell.bodies
        states = pybullet.getJointStates(there.arm, range(14), physicsClientId=there.client)
        for joint, state in enumerate(states):
            pybullet.resetJointState(here.arm, joint, state[0], physicsClientId=here.client)
        for mine, its in zip(here.things, there.things, strict=True):
            place, turn = pybullet.getBasePositionAndOrientation(its, physicsClientId=there.client)
            pybullet.resetBasePositionAndOrientation(mine, place, turn, physicsClientId=here.client)


def view_matrix(camera: Camera) -> Float64[np.ndarray, "4 4"]:
    """OpenGL's view matrix: x right, y up, z backward."""
    matrix = np.eye(4)
    matrix[:3, :3] = camera.rotation() * [[1], [-1], [-1]]
    matrix[:3, 3] = -matrix[:3, :3] @ camera.position
    return matrix


def projection_matrix(camera: Camera, size: int) -> Float64[np.ndarray, "4 4"]:
    """OpenGL's projection matrix of a square picture.

    TinyRenderer looks through the lower left corners of its pixels: the picture is moved by half a pixel each way, so
    that it shows what `Camera.rays` meets.
    """
    scale, shift, depth = 1 / math.tan(math.radians(camera.fov) / 2), 1 / size, NEAR - FAR
    return np.array(
        [
            [scale, 0, shift, 0],
            [0, scale, shift, 0],
            [0, 0, (FAR + NEAR) / depth, 2 * FAR * NEAR / depth],
            [0, 0, -1, 0],
        ]
    )
