"""The MuJoCo model of a cell: bin, arm, two-finger gripper, objects."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from graspgap.objects.model import ObjectModel, part_volume
from graspgap.worlds import arm
from graspgap.worlds.mover import MotionConfig

BIN_CENTRE = (0.55, 0.0)
"""Middle of the bin on the table, base frame [m]."""
FLOOR = 0.1
"""Thickness of the bin's floor [m]. In a timestep a falling object gets some millimetres into it, and is pushed out by
the nearer side: in a floor of 1 cm thin things stuck halfway."""
FINGER = (0.006, 0.011, 0.055)
"""Half extents of a finger [m]: along the opening, across it, along its length."""
HAND = (0.055, 0.032, 0.022)
"""Half extents of the hand [m]."""
FINGERTIP = 2 * HAND[2] + 2 * FINGER[2] - 0.01
"""From the flange to the fingertips [m]; the grasp point is 3 mm above them."""
GRASP_POINT = FINGERTIP - 0.003
MESH_SLEEP = 0.01
"""Where meshes are, objects slower than this fall asleep [m/s]: contacts of meshes never quite come to rest."""
MESH_STIFFNESS = (0.01, 1)
"""Time constant [s] and damping ratio of the contacts of meshes. With MuJoCo's 0.02 s half of them shook for ever."""
GEOMS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "mesh": mujoco.mjtGeom.mjGEOM_MESH,
}


@dataclass(frozen=True)
class CellConfig(MotionConfig):
    """Geometry, physics and imperfections of a cell. Lengths in metres."""

    bin_size: tuple[float, float] = (0.32, 0.32)
    """Inside of the bin along x and y."""
    wall_height: float = 0.07
    wall_thickness: float = 0.008
    opening: float = 0.10
    """Between the open fingers."""
    grip_force: float = 30.0
    """Of each finger [N]."""
    finger_friction: float = 1.2
    bin_friction: float = 0.7
    object_friction: float = 0.8
    """Scales each object's own sliding friction."""
    rolling_friction: float = 0.0005
    object_damping: float = 0.0005
    """Of the objects' free joints [N s/m and N m s]."""
    finger_damping: float = 120.0
    """[N s/m]"""
    compliance: float = 0.01
    """Time constant of the coupling of the two fingers [s]: larger is softer."""
    timestep: float = 0.004
    """[s]"""


def build_spec(config: CellConfig, objects: list[ObjectModel]) -> mujoco.MjSpec:
    """The MuJoCo model of a cell with these objects, the objects far from the bin."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = config.timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 3
    spec.option.iterations = 20
    spec.option.ls_iterations = 20
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)  # resting objects cost nothing
    if any(part.kind == "mesh" for thing in objects for part in thing.parts):
        spec.option.sleep_tolerance = MESH_SLEEP
    _add_bin(config, spec)
    hand = arm.add_arm(spec)
    _add_gripper(config, spec, hand)
    for index, thing in enumerate(objects):
        _add_object(config, spec, index, thing)
    return spec


def _add_bin(config: CellConfig, spec: mujoco.MjSpec) -> None:
    (sx, sy), h, w = config.bin_size, config.wall_height / 2, config.wall_thickness / 2
    x, y = BIN_CENTRE
    walls = (
        ((x, y, -FLOOR / 2), (sx / 2 + 2 * w, sy / 2 + 2 * w, FLOOR / 2)),
        ((x - sx / 2 - w, y, h), (w, sy / 2 + 2 * w, h)),
        ((x + sx / 2 + w, y, h), (w, sy / 2 + 2 * w, h)),
        ((x, y - sy / 2 - w, h), (sx / 2, w, h)),
        ((x, y + sy / 2 + w, h), (sx / 2, w, h)),
    )
    body = spec.worldbody.add_body(name="bin")
    for position, size in walls:
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=position,
            size=size,
            contype=1,
            conaffinity=2,
            friction=(config.bin_friction, 0.005, config.rolling_friction),
            condim=4,
            rgba=(0.55, 0.6, 0.65, 1),
        )
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=(0, 0, -0.01),
        size=(3, 3, 0.1),
        contype=1,
        conaffinity=2,
        rgba=(0.75, 0.72, 0.66, 1),
    )


def _add_gripper(config: CellConfig, spec: mujoco.MjSpec, flange: mujoco.MjsBody) -> None:
    hand = flange.add_body(name="hand", pos=(0, 0, arm.FLANGE), gravcomp=1)
    hand.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=HAND,
        pos=(0, 0, HAND[2]),
        contype=4,
        conaffinity=2,
        mass=0.5,
        rgba=(0.25, 0.25, 0.28, 1),
    )
    hand.add_site(name="grasp", pos=(0, 0, GRASP_POINT))
    for side, sign in (("left", 1), ("right", -1)):
        name = f"finger_{side}"
        finger = hand.add_body(name=name, pos=(sign * FINGER[0], 0, 2 * HAND[2]), gravcomp=1)
        finger.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(sign, 0, 0),
            range=(0, config.opening / 2),
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            damping=[config.finger_damping, 0, 0],
            armature=0.1,
        )
        finger.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=FINGER,
            pos=(0, 0, FINGER[2] - 0.01),
            mass=0.1,
            contype=4,
            conaffinity=2,
            friction=(config.finger_friction, 0.02, 0.001),
            condim=6,
            priority=1,
            solref=(0.008, 1),
            rgba=(0.12, 0.12, 0.13, 1),
        )
        motor = spec.add_actuator(name=name, target=name, forcerange=(-config.grip_force, config.grip_force))
        motor.trntype, motor.forcelimited = mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtLimited.mjLIMITED_TRUE
        motor.set_to_position(kp=4000.0)
    coupling = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1="finger_left", name2="finger_right")
    coupling.objtype = mujoco.mjtObj.mjOBJ_JOINT
    coupling.data[:2] = 0, 1
    coupling.solref = (config.compliance, 1)


def _add_object(config: CellConfig, spec: mujoco.MjSpec, index: int, thing: ObjectModel) -> None:
    body = spec.worldbody.add_body(name=f"object_{index}", pos=(2, 2 + index, 0.2))
    joint = body.add_freejoint()
    joint.damping = [config.object_damping, 0, 0]
    volumes = np.array([part_volume(part) for part in thing.parts])
    for number, part in enumerate(thing.parts):
        geom = body.add_geom(
            type=GEOMS[part.kind],
            pos=part.position,
            quat=part.quaternion,
            contype=2,
            conaffinity=7,
            friction=(thing.friction * config.object_friction, 0.005, config.rolling_friction),
            condim=4,
            mass=thing.mass * volumes[number] / volumes.sum(),
            rgba=(*thing.color, 1),
        )
        if part.kind == "mesh":
            assert part.vertices is not None
            name = f"object_{index}_{number}"
            spec.add_mesh(name=name, uservert=part.vertices.astype(float).ravel())
            geom.meshname = name
            geom.solref, geom.condim = MESH_STIFFNESS, 6  # with rolling friction, or faceted things roll on
        else:
            geom.size = (*part.size, 0, 0)[:3]
