"""The physics of a cell: arm, two-finger gripper, bin and objects in MuJoCo, for every world that uses it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float, Float64

from graspgap.contract import GraspOutcome, Pose, Workspace, wrap_yaw
from graspgap.objects.model import ObjectModel, part_volume
from graspgap.worlds import arm

BIN_CENTRE = (0.55, 0.0)
"""Middle of the bin on the table, base frame [m]."""
FINGER = (0.006, 0.011, 0.055)
"""Half extents of a finger [m]: along the opening, across it, along its length."""
HAND = (0.055, 0.032, 0.022)
"""Half extents of the hand [m]."""
FINGERTIP = 2 * HAND[2] + 2 * FINGER[2] - 0.01
"""From the flange to the fingertips [m]; the grasp point is 3 mm above them."""
GRASP_POINT = FINGERTIP - 0.003
LIFT = 0.12
"""Height of the lift [m], of which the object must make 0.1."""
HOLD_SECONDS = 0.5
SHUT = 0.001
"""Fingers closer than this [m] hold nothing."""
KNOT_SECONDS = 0.016
"""Interval of the joint targets along a path."""
GEOMS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "mesh": mujoco.mjtGeom.mjGEOM_MESH,
}


@dataclass(frozen=True)
class CellConfig:
    """Geometry, physics and imperfections of a cell. Lengths in metres."""

    bin_size: tuple[float, float] = (0.30, 0.30)
    """Inside of the bin along x and y."""
    wall_height: float = 0.07
    wall_thickness: float = 0.008
    opening: float = 0.085
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
    speed: float = 0.5
    """Mean speed of the gripper [m/s]."""
    press_limit: float = 25.0
    """A move down stops when the gripper presses on something with more than this [N], as a careful robot does."""
    latency: float = 0.0
    """Between the end of a move and the picture [s]."""
    calibration: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """What the robot reports less the truth: x, y, z [m], yaw [rad]."""
    move_noise: float = 0.0
    """Standard deviation of where a move ends, in x, y and z [m]; of its yaw ten times that [rad]."""


_DYNAMIC = ("body_mass", "body_inertia", "geom_friction", "dof_damping", "actuator_forcerange")
"""What `set_dynamics` changes in a model."""


@dataclass(frozen=True)
class Loaded:
    """A compiled model of some objects."""

    objects: list[ObjectModel]
    model: mujoco.MjModel
    data: mujoco.MjData
    base: dict[str, np.ndarray]
    """Nominal values of what `set_dynamics` changes."""


class Cell:
    """One arm, one bin, the objects of one scene."""

    def __init__(self, config: CellConfig, workspace: Workspace) -> None:
        self.config, self.workspace = config, workspace
        self.objects: list[ObjectModel] = []
        self.model: mujoco.MjModel
        self.data: mujoco.MjData
        self.base: dict[str, np.ndarray]

    # -- scenes ------------------------------------------------------------------------------------------------------

    def load(self, objects: list[ObjectModel]) -> Loaded:
        """Compile a model with these objects, far from the bin, and use it."""
        model = self._spec(objects).compile()
        loaded = Loaded(objects, model, mujoco.MjData(model), {name: getattr(model, name).copy() for name in _DYNAMIC})
        self.use(loaded)
        return loaded

    def use(self, loaded: Loaded) -> None:
        """Take up what `load` gave before."""
        self.objects, self.model, self.data, self.base = loaded.objects, loaded.model, loaded.data, loaded.base
        model, objects = self.model, self.objects
        self.object_bodies = np.array([model.body(f"object_{i}").id for i in range(len(objects))], dtype=int)
        self.object_qpos = [model.jnt_qposadr[model.body_jntadr[body]] for body in self.object_bodies]
        self.pads = {name: model.geom(name).id for name in ("finger_left", "finger_right")}
        self.body_object = np.full(model.nbody, -1)
        self.body_object[self.object_bodies] = np.arange(len(objects))
        gripper = [model.body(name).id for name in ("hand", *self.pads)]
        self.gripper_geoms = np.flatnonzero(np.isin(model.geom_bodyid, gripper))
        self.grasp_site = model.site("grasp").id
        self.yaw = 0.0

    def _spec(self, objects: list[ObjectModel]) -> mujoco.MjSpec:
        config, spec = self.config, mujoco.MjSpec()
        spec.compiler.degree = False
        spec.option.timestep = config.timestep
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 3
        spec.option.iterations = 20
        spec.option.ls_iterations = 20
        spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)  # resting objects cost nothing
        self._add_bin(spec)
        hand = arm.add_arm(spec)
        self._add_gripper(spec, hand)
        for index, thing in enumerate(objects):
            self._add_object(spec, index, thing)
        return spec

    def _add_bin(self, spec: mujoco.MjSpec) -> None:
        config = self.config
        (sx, sy), h, w = config.bin_size, config.wall_height / 2, config.wall_thickness / 2
        x, y = BIN_CENTRE
        walls = (
            ((x, y, -0.005), (sx / 2 + 2 * w, sy / 2 + 2 * w, 0.005)),
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

    def _add_gripper(self, spec: mujoco.MjSpec, flange: mujoco.MjsBody) -> None:
        config = self.config
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

    def _add_object(self, spec: mujoco.MjSpec, index: int, thing: ObjectModel) -> None:
        config = self.config
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
            else:
                geom.size = (*part.size, 0, 0)[:3]

    def settle(self, rng: np.random.Generator, seconds: float = 1.2) -> None:
        """Drop the objects into the bin and wait until they rest; one that falls beside it is dropped again."""
        self.tuck_arm()
        sx, sy = (side / 2 - 0.05 for side in self.config.bin_size)
        outside = list(range(len(self.objects)))
        for _ in range(4):
            for level, index in enumerate(rng.permutation(outside)):
                address = self.object_qpos[index]
                place = (BIN_CENTRE[0] + rng.uniform(-sx, sx), BIN_CENTRE[1] + rng.uniform(-sy, sy))
                self.data.qpos[address : address + 3] = (*place, 0.08 + 0.06 * level)
                turn = rng.normal(size=4)
                self.data.qpos[address + 3 : address + 7] = turn / np.linalg.norm(turn)
            self.data.qvel[:] = 0
            self._step(seconds)
            outside = [i for i in range(len(self.objects)) if not self._inside(i)]
            if not outside:
                break
        for index in outside:  # given up: out of the bin, out of the picture
            address = self.object_qpos[index]
            self.data.qpos[address : address + 3] = (2, 2 + index, 0.2)
        self.data.qvel[:] = 0

    def save(self) -> Float64[np.ndarray, "n"]:
        """The whole state of the simulation."""
        state = np.empty(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return state

    def restore(self, state: Float64[np.ndarray, "n"]) -> None:
        """Return to a state that `save` gave, with nothing left of what happened since."""
        mujoco.mj_resetData(self.model, self.data)
        mujoco.mj_setState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, self.data)

    def set_dynamics(self, draw: dict[str, Any]) -> None:
        """Scale masses, frictions, damping and grip force by the factors in `draw` (missing ones are 1)."""
        model, base = self.model, self.base
        for name, values in base.items():
            getattr(model, name)[:] = values
        mass = np.ones(model.nbody)
        mass[self.object_bodies] = draw.get("mass", 1.0)
        model.body_mass *= mass
        model.body_inertia *= mass[:, None]
        on_object = self.body_object[model.geom_bodyid] >= 0
        fingers = list(self.pads.values())
        model.geom_friction[on_object, 0] *= draw.get("object_friction", 1.0)
        model.geom_friction[fingers, 0] *= draw.get("finger_friction", 1.0)
        in_bin = model.geom_bodyid == model.body("bin").id
        model.geom_friction[in_bin, 0] *= draw.get("bin_friction", 1.0)
        free = np.isin(model.dof_bodyid, self.object_bodies)
        model.dof_damping[free] *= draw.get("damping", 1.0)
        model.actuator_forcerange[7:] *= draw.get("grip_force", 1.0)
        mujoco.mj_setConst(model, self.data)  # what MuJoCo derives from masses; without it contacts explode

    # -- the robot ---------------------------------------------------------------------------------------------------

    def place_arm(self, pose: Pose) -> None:
        """Put the arm at a true gripper pose at once, fingers open."""
        self.yaw = float(pose[3])
        joints = arm.inverse(self._flange(pose), self.yaw)
        self._set_arm(joints)

    def tuck_arm(self) -> None:
        """Put the arm aside at once, out of the camera's view."""
        self._set_arm(arm.HOME)

    def _set_arm(self, joints: Float[np.ndarray, "7"]) -> None:
        half = self.config.opening / 2
        self.data.qpos[:7], self.data.qpos[7:9] = joints, half
        self.data.qvel[:9] = 0
        self.data.ctrl[:7], self.data.ctrl[7:9] = joints, half
        mujoco.mj_forward(self.model, self.data)

    def _flange(self, pose: Float[np.ndarray, "4"]) -> Float64[np.ndarray, "3"]:
        return np.array([pose[0], pose[1], pose[2] + GRASP_POINT], dtype=np.float64)

    def true_pose(self) -> Pose:
        """Where the gripper is: from the simulation's state, yaw in [-pi/2, pi/2)."""
        place = self.data.site_xpos[self.grasp_site]
        axis = self.data.site_xmat[self.grasp_site].reshape(3, 3)[:, 0]
        return np.array([*place, wrap_yaw(math.atan2(axis[1], axis[0]))], dtype=np.float32)

    def pose(self) -> Pose:
        """Gripper pose as the robot reports it, with its calibration error."""
        pose = self.true_pose() + np.array(self.config.calibration, dtype=np.float32)
        pose[3] = wrap_yaw(pose[3])
        return pose

    def move_to(self, pose: Pose, rng: np.random.Generator | None = None) -> None:
        """Move in a straight line to a reported pose, by the shorter rotation, with the robot's errors."""
        config = self.config
        goal = np.array(pose, dtype=np.float64) - config.calibration
        if rng is not None and config.move_noise:
            goal += rng.normal(0, config.move_noise, 4) * (1, 1, 1, 10)
        start = np.array(self.true_pose(), dtype=np.float64)
        start[3] = self.yaw
        goal[3] = self.yaw + float(wrap_yaw(goal[3] - self.yaw))
        if abs(goal[3] - math.atan2(goal[1], goal[0])) > arm.JOINT_LIMITS[6] - 0.1:
            goal[3] -= math.copysign(math.pi, goal[3])
        goal[2] = max(goal[2], 0.005)
        self._travel(start, goal)

    def _travel(self, start: Float[np.ndarray, "4"], goal: Float[np.ndarray, "4"]) -> None:
        """Follow the line from `start` to `goal` (true poses, yaw unwrapped), slow at both ends."""
        distance = max(float(np.linalg.norm(goal[:3] - start[:3])), 0.12 * abs(goal[3] - start[3]))
        seconds = 0.12 + distance / self.config.speed
        knots = max(2, math.ceil(seconds / KNOT_SECONDS))
        for knot in range(1, knots + 1):
            share = knot / knots
            share = share * share * (3 - 2 * share)
            way = start + share * (goal - start)
            self.data.ctrl[:7] = arm.inverse(self._flange(way), way[3])
            self._step(seconds / knots)
            if goal[2] < start[2] and self._pressed():
                self.data.ctrl[:7] = self.data.qpos[:7]
                goal = way
                break
        self._step(0.1 + self.config.latency)
        self.yaw = float(goal[3])

    def _pressed(self) -> bool:
        """Whether the gripper presses on something with more than `press_limit`."""
        model, data = self.model, self.data
        total, force = 0.0, np.empty(6)
        for index in np.flatnonzero(np.isin(data.contact.geom, self.gripper_geoms).any(axis=1)):
            mujoco.mj_contactForce(model, data, int(index), force)
            total += force[0]
        return bool(total > self.config.press_limit)

    def _step(self, seconds: float) -> None:
        mujoco.mj_step(self.model, self.data, max(1, round(seconds / self.config.timestep)))

    def close_lift_hold(self) -> GraspOutcome:
        """Close the fingers, lift, hold, and judge.

        A success is one object that touches both fingers from the end of the lift to the end of the hold, at least
        10 cm above where it lay. An object that merely rides on another one is not touched by both fingers.
        """
        heights = self._heights()
        self.data.ctrl[7:9] = 0
        self._step(0.35)
        held = set(range(len(self.objects))) if self._opening() > SHUT else set()
        if held:  # else there is nothing to lift, and nothing more to learn
            start = np.array(self.true_pose(), dtype=np.float64)
            start[3] = self.yaw
            self._travel(start, start + np.array([0, 0, LIFT, 0]))
            held = self._held()
        for _ in range(5):
            if held:
                self._step(HOLD_SECONDS / 5)
                held &= self._held()
        rise = self._heights() - heights
        winners = [index for index in sorted(held) if rise[index] >= 0.10 - 0.005]
        details = {"opening": self._opening(), "lift": float(rise[winners[0]]) if winners else 0.0}
        if len(winners) != 1:
            return GraspOutcome(False, None, details)
        return GraspOutcome(True, self.objects[winners[0]].name, details)

    def _opening(self) -> float:
        """Between the fingers [m]."""
        return float(self.data.qpos[7] + self.data.qpos[8])

    def _held(self) -> set[int]:
        """Objects that touch both fingers now."""
        touching: dict[str, set[int]] = {name: set() for name in self.pads}
        pairs = self.data.contact.geom
        for name, pad in self.pads.items():
            for one, other in ((0, 1), (1, 0)):
                others = pairs[pairs[:, one] == pad, other]
                touching[name] |= set(self.body_object[self.model.geom_bodyid[others]].tolist())
        return (touching["finger_left"] & touching["finger_right"]) - {-1}

    # -- what is where -----------------------------------------------------------------------------------------------

    def _heights(self) -> Float64[np.ndarray, "n"]:
        return self.data.xipos[self.object_bodies, 2].copy()

    def _inside(self, index: int) -> bool:
        x, y, z = self.data.qpos[self.object_qpos[index] : self.object_qpos[index] + 3]
        sx, sy = self.config.bin_size
        return bool(abs(x - BIN_CENTRE[0]) < sx / 2 and abs(y - BIN_CENTRE[1]) < sy / 2 and -0.01 < z < 0.2)

    def object_positions(self) -> Float64[np.ndarray, "n 3"]:
        """Centres of mass of the objects that lie in the bin [m]."""
        inside = [index for index in range(len(self.objects)) if self._inside(index)]
        return self.data.xipos[self.object_bodies[inside]].copy()

    def body_poses(self) -> dict[str, tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "4"]]]:
        """Position [m] and rotation (w, x, y, z) of every body by name, base frame."""
        return {
            self.model.body(body).name: (self.data.xpos[body].copy(), self.data.xquat[body].copy())
            for body in range(1, self.model.nbody)
        }
