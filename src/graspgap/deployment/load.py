"""A predictor from a folder: a policy run, or an ONNX export. PyTorch is loaded for the first alone."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from graspgap.contract import Camera
from graspgap.errors import UserError
from graspgap.files import read_json, sha256
from graspgap.grasping.policies import Predictor
from graspgap.runs import CONFIG, read_run
from graspgap.settings import build, entry


@runtime_checkable
class TrainedPredictor(Predictor, Protocol):
    """A predictor that knows what it was trained on."""

    @property
    def image_size(self) -> int:
        """Pixels of a side of the pictures that it takes."""
        ...

    @property
    def camera(self) -> Camera:
        """The nominal camera of its training."""
        ...


def open_predictor(folder: Path, device: str = "cpu", threads: int = 1) -> tuple[TrainedPredictor, str]:
    """The predictor of a policy run or of an ONNX export, and the SHA-256 of the weights that were trained.

    Raises:
        UserError: if the folder is neither, or is not finished; or if an export is asked for on another device.
    """
    if not folder.exists():
        raise UserError(f"{folder} does not exist: expected the folder of a policy run or of an ONNX export")
    found = read_json(folder / CONFIG, "a policy run or an ONNX export")
    if entry(found, "kind", str, folder / CONFIG, "restore it, or give another folder") == "export":
        from graspgap.deployment.onnx_predictor import load_onnx

        if device not in ("cpu", "auto"):
            raise UserError(f"--device {device} is not for an ONNX export, which runs on the processor: leave it out")
        weights = _trained_weights(folder)
        return load_onnx(folder, threads), weights
    import torch

    from graspgap.deployment.predictor import POLICY, load_predictor

    torch.set_num_threads(threads)
    predictor = load_predictor(folder, device)
    return predictor, sha256(folder / POLICY)


def _trained_weights(export: Path) -> str:
    """SHA-256 of the weights that were exported.

    Raises:
        UserError: if the record of the export lacks what its reader needs.
    """
    where, fix = export / CONFIG, "restore it, or export the policy again"
    inputs = read_run(export, "export")["inputs"]
    network = entry(entry(inputs, "policy", dict, where, fix), "network", dict, where, fix)
    entry(network, "image_size", int, where, fix)
    build(Camera, entry(network, "camera", dict, where, fix), f"the camera in {where}", fix)
    return entry(inputs, "sha256", str, where, fix)
