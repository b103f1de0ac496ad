"""The physics of the original cell in PyBullet: KUKA iiwa with its gripper over a tray on a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pybullet
from jaxtyping import Float, Float64

from graspgap.contract import Pose, Workspace, wrap_yaw
from graspgap.objects.model import ObjectModel
from graspgap.worlds import arm
from graspgap.worlds.bullet_config import BulletConfig
from graspgap.worlds.bullet_model import FINGERS, FLOOR, HAND, LINKS, Simulation, reach_of
from graspgap.worlds.mover import FALL_SPEED, FLING_SPEED, KNOT_SECONDS, Mover

GRASP_POINT = 0.2286
"""From the flange to the grasp point [m]: 3 mm above the tips of the half closed fingers, which swing on an arc."""
FINGER_Y = 0.022
"""The published gripper's fingers stand off its axis by this, along its y axis [m]."""
SHUT_GAP = 0.0069
"""Left between the tips of the shut fingers [m]."""
FLANGE_TO_HAND = 0.001
"""The published model's gripper begins this far above the flange [m]."""
_JOINTS = (*range(7), 7, 10, 13)
"""What is held by position: the arm, the gripper's mount, the fingertips. Joint 7 of the arm turns the gripper; the
original turned the mount as well, which a real flange doesn't do."""


class BulletCell(Mover):
    """One arm, one tray, the objects of one scene, in a PyBullet simulation of their own."""

    config: BulletConfig

    def __init__(self, config: BulletConfig, workspace: Workspace) -> None:
        self.config, self.motion, self.workspace = config, config, workspace
        self.objects: list[ObjectModel] = []
        self.simulation = Simulation(config.tray)
        self.client = self.simulation.client
        self.draw: dict[str, Any] = {}
        self._build()

    # -- scenes ------------------------------------------------------------------------------------------------------

    def load(self, objects: list[ObjectModel]) -> list[ObjectModel]:
        """Make a simulation with these objects, far from the tray, of nominal dynamics."""
        self.objects, self.draw = objects, {}
        self._build()
        return objects

    def use(self, loaded: list[ObjectModel]) -> None:
        """Take up what `load` gave before; `restore` makes its simulation."""
        self.objects = loaded

    def _build(self) -> None:
        """A fresh simulation of the objects in use."""
        self.bodies = self.simulation.build(self.objects, visible=False)
        pybullet.setGravity(0, 0, -9.81, physicsClientId=self.client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=self.config.timestep,
            numSolverIterations=self.config.solver_iterations,
            deterministicOverlappingPairs=1,
            physicsClientId=self.client,
        )
        self.yaw, self.flung = 0.0, False
        self._apply(self.draw)

    def save(self) -> Float64[np.ndarray, "n 7"]:
        """Positions [m] and rotations (x, y, z, w) of the objects, which are at rest."""
        places = [self._place(index) for index in range(len(self.objects))]
        return np.array([(*place, *turn) for place, turn in places], dtype=np.float64).reshape(-1, 7)

    def restore(self, state: Float64[np.ndarray, "n 7"]) -> None:
        """Return to a state that `save` gave, with nothing left of what happened since.

        PyBullet's own `restoreState` keeps contacts in another order than they were, and a replay drifts off, as it
        does when objects are put back by hand. So the simulation is made anew, and nothing is settled again.
        """
        self._build()
        for index, (x, y, z, *turn) in enumerate(state.tolist()):
            self._put(index, (x, y, z), np.array((turn[3], *turn[:3])))
        self._still()
        asleep = pybullet.ACTIVATION_STATE_ENABLE_SLEEPING | pybullet.ACTIVATION_STATE_SLEEP
        for body in self.bodies.things:  # until they are touched: half of the time of a step
            pybullet.changeDynamics(body, -1, activationState=asleep, physicsClientId=self.client)

    def set_dynamics(self, draw: dict[str, Any]) -> None:
        """Take up physics as `randomization.draw_dynamics` gives it; what is missing is nominal."""
        self.draw = draw
        if self.bodies.objects is self.objects:  # else `restore` does it
            self._apply(draw)

    def _apply(self, draw: dict[str, Any]) -> None:
        self.set_motion(draw)
        config, client, bodies = self.config, self.client, self.bodies
        masses = draw.get("mass", [1.0] * len(self.objects))
        friction = config.object_friction * draw.get("object_friction", 1.0)
        damping = config.object_damping * draw.get("damping", 1.0)
        for body, thing, factor in zip(bodies.things, self.objects, masses, strict=True):
            pybullet.changeDynamics(
                body,
                -1,
                mass=thing.mass * factor,
                lateralFriction=thing.friction * friction,
                rollingFriction=config.rolling_friction,
                spinningFriction=config.rolling_friction,
                linearDamping=damping,
                angularDamping=damping,
                physicsClientId=client,
            )
        fingers = config.finger_friction * draw.get("finger_friction", 1.0)
        for link in (link for links in FINGERS.values() for link in links):
            pybullet.changeDynamics(bodies.arm, link, lateralFriction=fingers, physicsClientId=client)
        tray = config.bin_friction * draw.get("bin_friction", 1.0)
        pybullet.changeDynamics(bodies.tray, -1, lateralFriction=tray, physicsClientId=client)
        self.finger_torque = config.finger_torque * draw.get("grip_force", 1.0)
        self.finger_speed = config.finger_speed * draw.get("finger_speed", 1.0)

    # -- the robot ---------------------------------------------------------------------------------------------------

    def place_arm(self, pose: Pose) -> None:
        """Put the arm at a true gripper pose at once, fingers open."""
        self.yaw = float(pose[3])
        self._set_arm(self._inverse(np.asarray(pose, dtype=np.float64)))

    def tuck_arm(self) -> None:
        """Put the arm aside at once, out of the camera's view."""
        self._set_arm(np.array(self.config.home))

    def _set_arm(self, joints: Float[np.ndarray, "7"]) -> None:
        angle = self.config.opening_angle
        for joint, value in enumerate((*joints, 0, -angle, 0, 0, angle, 0, 0)):
            pybullet.resetJointState(self.bodies.arm, joint, float(value), 0, physicsClientId=self.client)
        self._drive(joints)
        self._drive_fingers(angle)

    def _inverse(self, way: Float[np.ndarray, "4"]) -> Float[np.ndarray, "7"]:
        x, y, z, yaw = (float(value) for value in way)
        flange = np.array([x + FINGER_Y * math.sin(yaw), y - FINGER_Y * math.cos(yaw), z + GRASP_POINT - FLOOR])
        return arm.inverse(flange, yaw)

    def _drive(self, joints: Float[np.ndarray, "7"]) -> None:
        config = self.config
        pybullet.setJointMotorControlArray(
            self.bodies.arm,
            _JOINTS,
            pybullet.POSITION_CONTROL,
            targetPositions=(*(float(joint) for joint in joints), 0, 0, 0),
            forces=(config.joint_torque,) * 8 + (config.tip_torque,) * 2,
            positionGains=(config.position_gain,) * 10,
            velocityGains=(1.0,) * 10,
            physicsClientId=self.client,
        )

    def _drive_fingers(self, angle: float) -> None:
        for links, sign in zip(FINGERS.values(), (-1, 1), strict=True):
            pybullet.setJointMotorControl2(
                self.bodies.arm,
                links[0],
                pybullet.POSITION_CONTROL,
                targetPosition=sign * angle,
                force=self.finger_torque,
                maxVelocity=self.finger_speed,
                physicsClientId=self.client,
            )

    def _stay(self) -> None:
        states = pybullet.getJointStates(self.bodies.arm, range(7), physicsClientId=self.client)
        self._drive(np.array([state[0] for state in states]))

    def _shut(self) -> None:
        self._drive_fingers(0.0)

    def true_pose(self) -> Pose:
        """Where the gripper is: from the simulation's state, yaw in [-pi/2, pi/2)."""
        state = pybullet.getLinkState(self.bodies.arm, HAND, computeForwardKinematics=1, physicsClientId=self.client)
        turn = np.array(pybullet.getMatrixFromQuaternion(state[5], physicsClientId=self.client)).reshape(3, 3)
        place = np.array(state[4]) + turn @ (0, FINGER_Y, GRASP_POINT + FLANGE_TO_HAND)
        return np.array([*place, wrap_yaw(math.atan2(turn[1, 0], turn[0, 0]))], dtype=np.float32)

    def _pressed(self) -> bool:
        points = pybullet.getContactPoints(self.bodies.arm, physicsClientId=self.client)
        return bool(sum(point[9] for point in points if point[3] >= HAND) > self.config.press_limit)

    def _step(self, seconds: float) -> None:
        """Simulate, looking out for flung objects: they are stopped, and the attempt counts as a failure."""
        steps = max(1, round(seconds / self.config.timestep))
        block = max(1, round(KNOT_SECONDS / self.config.timestep))
        for step in range(steps):
            pybullet.stepSimulation(physicsClientId=self.client)
            if (step + 1) % block == 0 or step == steps - 1:
                self._look_out()

    def _look_out(self) -> None:
        for body in self.bodies.things:
            velocity, _ = pybullet.getBaseVelocity(body, physicsClientId=self.client)
            if max(map(abs, velocity)) > FLING_SPEED:
                self.flung = True
                self._still()

    def _opening(self) -> float:
        arm_body = self.bodies.arm
        left, right = FINGERS["left"][2], FINGERS["right"][2]
        ((*_, distance, _, _, _, _, _),) = pybullet.getClosestPoints(
            arm_body, arm_body, 1.0, left, right, physicsClientId=self.client
        )[:1]
        return float(distance) - SHUT_GAP

    def _held(self) -> set[int]:
        touched: dict[str, set[int]] = {name: set() for name in FINGERS}
        for point in pybullet.getContactPoints(self.bodies.arm, physicsClientId=self.client):
            for name, links in FINGERS.items():
                if point[3] in links and point[9] > 0:
                    touched[name].add(point[2])
        both = touched["left"] & touched["right"]
        return {index for index, body in enumerate(self.bodies.things) if body in both}

    # -- what is where -----------------------------------------------------------------------------------------------

    def _drop_area(self) -> tuple[float, float, float, float]:
        tray = self.config.tray
        low, high = np.array(self.workspace.low), np.array(self.workspace.high)
        (x, y), (sx, sy) = (
            (tray.centre, np.array(tray.size) / 2) if tray else ((low + high)[:2] / 2, (high - low)[:2] / 2)
        )
        sx, sy = sx - self.config.drop_margin, sy - self.config.drop_margin
        return float(x), float(y), float(sx), float(sy)

    def _radius(self, index: int) -> float:
        return reach_of(self.objects[index])

    def _put(self, index: int, place: tuple[float, float, float], turn: Float64[np.ndarray, "4"] | None = None) -> None:
        body = self.bodies.things[index]
        quaternion = self._place(index)[1] if turn is None else (*turn[1:].tolist(), float(turn[0]))
        pybullet.resetBasePositionAndOrientation(body, place, quaternion, physicsClientId=self.client)

    def _still(self) -> None:
        for body in self.bodies.things:
            pybullet.resetBaseVelocity(body, (0, 0, 0), (0, 0, 0), physicsClientId=self.client)

    def _let_go(self, index: int) -> None:
        body, client = self.bodies.things[index], self.client
        pybullet.changeDynamics(body, -1, activationState=pybullet.ACTIVATION_STATE_WAKE_UP, physicsClientId=client)
        pybullet.resetBaseVelocity(body, (0, 0, -FALL_SPEED), (0, 0, 0), physicsClientId=client)

    def _place(self, index: int) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
        """Position [m] and rotation (x, y, z, w) of an object."""
        place, turn = pybullet.getBasePositionAndOrientation(self.bodies.things[index], physicsClientId=self.client)
        return place, turn

    def _heights(self) -> Float64[np.ndarray, "n"]:
        return np.array([self._place(index)[0][2] for index in range(len(self.objects))], dtype=np.float64)

    def _inside(self, index: int) -> bool:
        (x, y, z), _ = self._place(index)
        low, high, tray = self.workspace.low, self.workspace.high, self.config.tray
        over = tray.holds(x, y) if tray else low[0] <= x <= high[0] and low[1] <= y <= high[1]
        return bool(over and -0.01 < z < 0.2)

    def object_positions(self) -> Float64[np.ndarray, "n 3"]:
        """Centres of mass of the objects that lie in the tray, of the published one within the gripper's reach [m]."""
        places = [self._place(index)[0] for index in range(len(self.objects)) if self._inside(index)]
        return np.array(places, dtype=np.float64).reshape(-1, 3)

    def body_poses(self) -> dict[str, tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "4"]]]:
        """Position [m] and rotation (w, x, y, z) of the arm's `LINKS` and of every object by name, base frame."""
        numbers = range(len(LINKS))
        states = pybullet.getLinkStates(
            self.bodies.arm, numbers, computeForwardKinematics=1, physicsClientId=self.client
        )
        poses = {name: (state[4], state[5]) for name, state in zip(LINKS, states, strict=True)}
        poses |= {f"object_{index}": self._place(index) for index in range(len(self.objects))}
        return {name: (np.array(place), np.array((turn[3], *turn[:3]))) for name, (place, turn) in poses.items()}
