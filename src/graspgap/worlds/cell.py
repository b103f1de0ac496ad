"""The physics of a cell: arm, two-finger gripper, bin and objects in MuJoCo, for every world that uses it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float, Float64

from graspgap.contract import Pose, Workspace, wrap_yaw
from graspgap.objects.model import ObjectModel
from graspgap.worlds import arm
from graspgap.worlds.cell_model import BIN_CENTRE, GRASP_POINT, CellConfig, build_spec
from graspgap.worlds.mover import FALL_SPEED, FLING_SPEED, KNOT_SECONDS, Mover

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


class Cell(Mover):
    """One arm, one bin, the objects of one scene."""

    config: CellConfig

    def __init__(self, config: CellConfig, workspace: Workspace) -> None:
        self.config, self.motion, self.workspace = config, config, workspace
        self.objects: list[ObjectModel] = []
        self.model: mujoco.MjModel
        self.data: mujoco.MjData
        self.base: dict[str, np.ndarray]

    # -- scenes ------------------------------------------------------------------------------------------------------

    def load(self, objects: list[ObjectModel]) -> Loaded:
        """Compile a model with these objects, far from the bin, and use it."""
        model = build_spec(self.config, objects).compile()
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
        self.of_gripper = np.isin(model.geom_bodyid, gripper)
        self.object_dofs = model.body_dofadr[self.object_bodies][:, None] + np.arange(3)
        self.grasp_site = model.site("grasp").id
        self.yaw = 0.0
        self.flung = False

    def save(self) -> Float64[np.ndarray, "n"]:
        """The whole state of the simulation."""
        state = np.empty(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return state

    def restore(self, state: Float64[np.ndarray, "n"]) -> None:
        """Return to a state that `save` gave, with nothing left of what happened since."""
        self.flung = False
        mujoco.mj_resetData(self.model, self.data)
        mujoco.mj_setState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, self.data)

    def set_dynamics(self, draw: dict[str, Any]) -> None:
        """Take up physics as `randomization.draw_dynamics` gives it; what is missing is nominal."""
        self.set_motion(draw)
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
        model.dof_damping[7:9] /= draw.get("finger_speed", 1.0)  # full force against it: that is their speed
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

    def _inverse(self, way: Float[np.ndarray, "4"]) -> Float[np.ndarray, "7"]:
        return arm.inverse(self._flange(way), float(way[3]))

    def _drive(self, joints: Float[np.ndarray, "7"]) -> None:
        self.data.ctrl[:7] = joints

    def _stay(self) -> None:
        self.data.ctrl[:7] = self.data.qpos[:7]

    def true_pose(self) -> Pose:
        """Where the gripper is: from the simulation's state, yaw in [-pi/2, pi/2)."""
        place = self.data.site_xpos[self.grasp_site]
        axis = self.data.site_xmat[self.grasp_site].reshape(3, 3)[:, 0]
        return np.array([*place, wrap_yaw(math.atan2(axis[1], axis[0]))], dtype=np.float32)

    def _pressed(self) -> bool:
        """Whether the gripper presses on something with more than `press_limit`."""
        model, data = self.model, self.data
        total, force = 0.0, np.empty(6)
        for index in np.flatnonzero(self.of_gripper[data.contact.geom].any(axis=1)):
            mujoco.mj_contactForce(model, data, int(index), force)
            total += force[0]
        return bool(total > self.config.press_limit)

    def _step(self, seconds: float) -> None:
        """Simulate, looking out for flung objects: they are stopped, and the attempt counts as a failure."""
        steps = max(1, round(seconds / self.config.timestep))
        block = max(1, round(KNOT_SECONDS / self.config.timestep))
        velocity = self.data.qvel
        while steps > 0:
            mujoco.mj_step(self.model, self.data, min(block, steps))
            steps -= block
            if np.abs(velocity[self.object_dofs]).max(initial=0.0) > FLING_SPEED:
                self.flung = True
                velocity[:] = 0
                self.data.qpos[:7] = self.data.ctrl[:7]
                mujoco.mj_forward(self.model, self.data)

    def _shut(self) -> None:
        self.data.ctrl[7:9] = 0

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

    def _drop_area(self) -> tuple[float, float, float, float]:
        sx, sy = self.config.bin_size
        return (*BIN_CENTRE, sx / 2 - 0.06, sy / 2 - 0.06)

    def _put(self, index: int, place: tuple[float, float, float], turn: Float64[np.ndarray, "4"] | None = None) -> None:
        address = self.object_qpos[index]
        self.data.qpos[address : address + 3] = place
        if turn is not None:
            self.data.qpos[address + 3 : address + 7] = turn

    def _still(self) -> None:
        self.data.qvel[:] = 0

    def _let_go(self, index: int) -> None:
        self.data.qvel[self.object_dofs[index][2]] = -FALL_SPEED  # MuJoCo wakes what moves

    def _radius(self, index: int) -> float:
        geoms = self.model.geom_bodyid == self.object_bodies[index]
        return float((np.linalg.norm(self.model.geom_pos[geoms], axis=1) + self.model.geom_rbound[geoms]).max())

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
