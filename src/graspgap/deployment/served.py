"""A trained policy as a function from requests to answers: equal requests get equal answers, in any order."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from graspgap import __version__
from graspgap.contract import MAX_SERVO_STEPS, NULL_COMMAND, Camera, Observation, Pose, Workspace
from graspgap.deployment.calibration import CALIBRATION, Calibration, load_calibration
from graspgap.deployment.load import TrainedPredictor, open_predictor
from graspgap.deployment.requests import Request
from graspgap.errors import UserError
from graspgap.grasping.policies import ServoPolicy
from graspgap.seeding import generator

FAR = 2.0
"""How far outside of the workspace a gripper may be [m]: farther no arm reaches, and millimetres are meant."""


@dataclass(frozen=True)
class ServedConfig:
    """How a served policy acts."""

    seed: int = 0
    """The servo draws its candidates from this and from the request alone."""
    steps_per_attempt: int = 4
    """Servo steps of an attempt, 2 to 10, for clients that count them."""
    abstain_rate: float = 0.1
    """Abstain where at most this share of held-out attempts succeeded; 0: never."""
    workspace: Workspace = field(default_factory=Workspace)
    """Limits of the gripper pose that is commanded [m]."""
    camera: Camera | None = None
    """Nominal camera of the cell; None: that of the policy's training."""

    def __post_init__(self) -> None:
        box = self.workspace
        ordered = all(low < high for low, high in zip(box.low, box.high, strict=True))
        ordered = ordered and box.low[2] <= box.grasp_z[0] <= box.grasp_z[1] <= box.high[2]
        if not ordered or not np.isfinite([*box.low, *box.high]).all():
            raise UserError(
                f"--workspace.low {box.low} and --workspace.high {box.high} are no box with --workspace.grasp-z "
                f"{box.grasp_z} inside: give metres, the smaller ones first"
            )
        if not 2 <= self.steps_per_attempt <= MAX_SERVO_STEPS:
            raise UserError(
                f"--steps-per-attempt {self.steps_per_attempt} is out of range: give 2 to {MAX_SERVO_STEPS}"
            )
        if not 0 <= self.abstain_rate < 1:
            raise UserError(f"--abstain-rate {self.abstain_rate:g} is no share of attempts: give 0 or more, below 1")


class ServedPolicy:
    """Not for several threads at once."""

    def __init__(
        self, predictor: TrainedPredictor, config: ServedConfig, identity: str, calibration: Calibration | None = None
    ) -> None:
        """`identity`: SHA-256 of the weights."""
        self.predictor, self.config, self.identity, self.calibration = predictor, config, identity, calibration
        self.camera = config.camera or predictor.camera
        self.threshold = calibration.threshold(config.abstain_rate) if calibration and config.abstain_rate else 0.0
        self.servo = ServoPolicy(predictor, config.steps_per_attempt)

    @property
    def image_size(self) -> int:
        """Pixels of a side of the pictures that it takes."""
        return self.predictor.image_size

    @property
    def metadata(self) -> dict[str, Any]:
        """What a client should know, made of what MessagePack and JSON have."""
        calibration = self.calibration
        return {
            "server": f"graspgap {__version__}",
            "policy_sha256": self.identity,
            "image_size": self.image_size,
            "action_shape": [1, len(NULL_COMMAND)],
            "action": "dx, dy, dz [m, robot base frame], sin dyaw, cos dyaw: move by this, then send what is seen",
            "steps_per_attempt": self.config.steps_per_attempt,
            "seed": self.config.seed,
            "workspace": {key: list(value) for key, value in asdict(self.config.workspace).items()},
            "camera": {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.camera).items()},
            "calibrated_on": calibration and f"{calibration.samples} held-out servo steps of {calibration.source}",
            "abstains_below": self.threshold,
        }

    def warm_up(self) -> None:
        """Answer a request of nothing, so that the first real one is as quick as any."""
        black = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        self.answer(Request(Observation(black, black, np.array([*self.config.workspace.low, 0.0], np.float32)), None))

    def answer(self, request: Request) -> dict[str, Any]:
        """What to do: `actions` float32 [1, 5], `close` (close the fingers here; the action is then to stay),
        `predicted_stay` and `predicted_best` (success of closing here, and at the best target found, in [0, 1],
        calibrated if the policy is; None where no target was searched for), and `abstain` (whether what is done is
        predicted to succeed less than the threshold).

        Raises:
            UserError: if the pose can't be one of this cell's gripper.
        """
        seen = request.observation
        self._require_near(seen.pose)
        words = hashlib.sha256(b"" if request.step is None else bytes([request.step]))
        for array in (seen.image_before, seen.image_now, seen.pose):
            words.update(array.tobytes())
        chance = generator(self.config.seed, "serve", int.from_bytes(words.digest()[:8], "big"))
        self.servo.start(self.config.workspace, self.camera, chance)
        decision = self.servo.decide(seen, request.step)
        assert decision.predicted is not None
        predicted = self._success(decision.predicted)
        return {
            "actions": np.asarray(decision.command, np.float32)[None],
            "close": bool(decision.close),
            "predicted_stay": self._success(decision.stay),
            "predicted_best": self._success(decision.best),
            "abstain": predicted is not None and predicted < self.threshold,
        }

    def _require_near(self, pose: Pose) -> None:
        box = self.config.workspace
        away = float(np.max([box.low - pose[:3], pose[:3] - box.high]))
        if away > FAR:
            raise UserError(
                f"pose lies {away:.0f} m outside of the workspace, {box.low} to {box.high}: give x, y, z in metres, "
                "in the robot's base frame"
            )

    def _success(self, predicted: float | None) -> float | None:
        if predicted is None:
            return None
        return self.calibration.success(float(predicted)) if self.calibration else float(predicted)


def load_served(folder: Path, config: ServedConfig, device: str = "cpu", threads: int = 1) -> ServedPolicy:
    """The policy of a policy run or of an ONNX export, with its calibration.

    Raises:
        UserError: if the folder is neither, or is not finished.
    """
    predictor, identity = open_predictor(folder, device, threads)
    return ServedPolicy(predictor, config, identity, load_calibration(folder / CALIBRATION))
