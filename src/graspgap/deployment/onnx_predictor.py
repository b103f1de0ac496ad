"""An exported policy as a `Predictor` for the servo, without PyTorch (extra `onnx`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from graspgap.config import from_json
from graspgap.contract import Camera, Observation
from graspgap.deployment.pictures import checked_pair
from graspgap.errors import UserError
from graspgap.grasping.policies import Scorer
from graspgap.runs import read_run

TRUNK, HEAD = "trunk.onnx", "head.onnx"
CHECK = "check.json"
"""Written last: how far the export is from PyTorch."""


class OnnxPredictor:
    """C(I0, It, v) by ONNX Runtime, on the processor."""

    def __init__(self, trunk: Path, head: Path, image_size: int, camera: Camera, threads: int = 1) -> None:
        """`camera`: the nominal camera of its training.

        Raises:
            UserError: if ONNX Runtime is not installed, or a file is damaged.
        """
        self.image_size, self.camera = image_size, camera
        self.trunk, self.head = _session(trunk, threads), _session(head, threads)
        self.aim(camera)

    def aim(self, camera: Camera) -> None:
        """See through the nominal camera of the world that it acts in."""
        self.sight = {
            "eye": np.array(camera.position, np.float32),
            "rotation": camera.projection().astype(np.float32),
        }

    def look(self, observation: Observation) -> Scorer:
        """Run the trunk once on what is seen now; the scorer runs the head alone.

        Raises:
            UserError: if the pictures have another size than the network was trained with.
        """
        checked_pair(observation, self.image_size)
        pictures = {"image_before": observation.image_before, "image_now": observation.image_now}
        known = {"features": self.trunk.run(None, pictures)[0], "pose": observation.pose, **self.sight}

        def score(commands: np.ndarray) -> np.ndarray:
            return np.asarray(self.head.run(None, {**known, "commands": commands.astype(np.float32)})[0])

        return score


def load_onnx(folder: Path, threads: int = 1) -> OnnxPredictor:
    """The policy of a finished `graspgap export onnx`.

    Raises:
        UserError: if the folder is no such export, or it was not finished.
    """
    facts = read_run(folder, "export")["inputs"]["policy"]
    if not (folder / CHECK).exists():
        raise UserError(f"{folder} has no {CHECK}: the export has not finished; run the command that makes it again")
    network = facts["network"]
    camera = from_json(Camera, network["camera"])
    return OnnxPredictor(folder / TRUNK, folder / HEAD, network["image_size"], camera, threads)


def _session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("an ONNX export needs ONNX Runtime: pip install 'graspgap[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; its warnings tell of nothing that a user can change
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class of their own
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not the network of an export ({reason}): export it again") from None
