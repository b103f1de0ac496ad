"""`graspgap/BinGrasp-v0`: any world as a Gymnasium environment.

import gymnasium
import graspgap.envs

env = gymnasium.make("graspgap/BinGrasp-v0", world="sim", randomize="medium")
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from graspgap.contract import (
    COMMAND_SIZE,
    MAX_SERVO_STEPS,
    NULL_COMMAND,
    Image,
    Observation,
    SemanticClass,
    checked_command,
)
from graspgap.errors import UserError
from graspgap.objects.model import Split
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.protocol import World

ENV_ID = "graspgap/BinGrasp-v0"
REPORT_MARGIN = 0.1
"""A reported pose may lie outside the workspace by the robot's errors: so much wider are its bounds [m]."""


class BinGraspEnv(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """One grasp attempt is an episode of at most `steps` steps.

    An observation is a dict: `image_before` and `image`, uint8[size, size, 3]; `pose`, float32[4], the reported gripper
    pose (x, y, z [m], yaw [rad]); and, where the world knows them, `mask_before` and `mask`, uint8[size, size], values
    of `SemanticClass`.

    An action is float32[6]: the motor command (dx, dy, dz [m], sin dyaw, cos dyaw) and a sixth number that closes the
    fingers where they are if it is positive, or in the last step. Commands are clipped to the workspace. For actions
    in [-1, 1], wrap the environment in `gymnasium.wrappers.RescaleAction`.

    The reward is 1 when the grasp succeeds, else 0; closing terminates the episode. The last `info` holds `is_success`
    and `outcome`, the first one the names of the `objects`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012, as gymnasium has it

    def __init__(
        self,
        world: str | World = "sim",
        objects: str = "",
        split: Split = "train",
        randomize: str = "none",
        image_size: int = 64,
        steps: int = 4,
        render_mode: str | None = None,
    ) -> None:
        """`world`: a name in `worlds.catalog.WORLDS` or of an installed world, made for this environment alone with the
        other settings (see `WorldChoice`), or a world of your own, which has its own settings.

        Raises:
            UserError: if a name is unknown, a setting is refused, or `steps` is not in 2..10.
        """
        if not 2 <= steps <= MAX_SERVO_STEPS:
            raise UserError(f"steps={steps} is out of range: give 2 to {MAX_SERVO_STEPS}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"render_mode '{render_mode}' is unknown: give 'rgb_array' or None")
        if isinstance(world, str):
            choice = WorldChoice(world, objects, split, randomize, image_size)
            self.world = make_world(choice)
        else:
            self.world = world
        self.steps, self.render_mode = steps, render_mode
        self.observation_space: gymnasium.Space[Any] = spaces.Dict(_spaces(self.world))
        low, high = (np.array(side) for side in (self.world.spec.workspace.low, self.world.spec.workspace.high))
        reach = np.array([*(high - low), 1, 1, 1], dtype=np.float32)
        self.action_space = spaces.Box(-reach, reach, dtype=np.float32)
        self._seen: Observation | None = None
        self._step, self._over = 0, True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an attempt. `options` may hold `scene`, an int that alone decides which objects lie where."""
        super().reset(seed=seed)
        scene = (options or {}).get("scene")
        self._seen = self.world.reset(int(self.np_random.integers(2**31)), scene)
        self._step = 0
        self._over = False
        return _as_dict(self._seen), {"objects": self.world.record()["objects"]}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Move, or close, lift and judge.

        Raises:
            UserError: if the action is not float[6] or not finite, or the episode is over; nothing has moved then.
        """
        if self._over:
            raise UserError("the episode is over, or none has begun: call reset; the robot was not moved")
        if len(action) != COMMAND_SIZE + 1 or not np.isfinite(action).all():
            raise UserError(f"action {np.asarray(action).tolist()} is no 6 finite numbers: the robot was not moved")
        closes = action[-1] > 0 or self._step + 1 >= self.steps
        command = NULL_COMMAND if closes else checked_command(action[:-1])
        self._step += 1
        if not closes:
            self.world.move(command)
            self._seen = self.world.observe()
            return _as_dict(self._seen), 0.0, False, False, {}
        self._over = True
        outcome = self.world.grasp()
        self._seen = self.world.observe()
        info = {"is_success": outcome.success, "outcome": dict(outcome.details)}
        return _as_dict(self._seen), float(outcome.success), True, False, info

    def render(self) -> Image | None:
        """The last picture, if `render_mode` is `rgb_array`."""
        return None if self._seen is None or self.render_mode is None else self._seen.image_now

    def close(self) -> None:
        """Release the world."""
        self.world.close()


def _spaces(world: World) -> dict[str, Any]:
    """The space of each part of an observation."""
    spec = world.spec
    shape = (spec.image_size, spec.image_size)
    low, high = np.array(spec.workspace.low) - REPORT_MARGIN, np.array(spec.workspace.high) + REPORT_MARGIN
    turn = np.pi / 2
    found = {
        "image_before": spaces.Box(0, 255, (*shape, 3), np.uint8),
        "image": spaces.Box(0, 255, (*shape, 3), np.uint8),
        "pose": spaces.Box(np.array([*low, -turn], np.float32), np.array([*high, turn], np.float32), dtype=np.float32),
    }
    if spec.has_masks:
        found |= {name: spaces.Box(0, max(SemanticClass), shape, np.uint8) for name in ("mask_before", "mask")}
    return found


def _as_dict(seen: Observation) -> dict[str, np.ndarray]:
    """Copies: the first picture is the same in every step, and callers may keep or change what they get."""
    found = {"image_before": seen.image_before.copy(), "image": seen.image_now.copy(), "pose": seen.pose.copy()}
    if seen.mask_before is not None and seen.mask_now is not None:
        found |= {"mask_before": seen.mask_before.copy(), "mask": seen.mask_now.copy()}
    return found


gymnasium.register(ENV_ID, entry_point="graspgap.envs:BinGraspEnv")
