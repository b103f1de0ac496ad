"""Checkpoints without pickle: networks and optimizers as one safetensors file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graspgap.errors import UserError
from graspgap.files import atomic


def choose_device(device: str) -> torch.device:
    """`auto` is the first GPU, else the processor. Those that compute are `cpu`, `cuda`, `cuda:N` and `mps`.

    Raises:
        UserError: if the device is unknown or absent.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
            raise RuntimeError
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"device '{device}' is not usable here: use --device auto, cpu or cuda") from None
    return torch.device(device)


def levels(pictures: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The 8-bit levels, 0 to 255, nearest to colours in [-1, 1]."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255)


def save_module(path: Path, module: nn.Module) -> None:
    """Write the weights and buffers of a module, atomically."""
    with atomic(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, temporary)


def load_module(path: Path, module: nn.Module, what: str) -> None:
    """Read weights that `save_module` wrote.

    Raises:
        UserError: if the file is missing, damaged, or of another network.
    """
    if not path.exists():
        raise UserError(
            f"{path.parent} has no {path.name}: {what} has not finished; run the command that makes it again"
        )
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not {what} that this configuration describes ({reason}): make it again") from None


def save_checkpoint(
    path: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that the next step depends on. Batches depend on (seed, step) alone, so nothing else does.
    `notes` are JSON-able, such as sums of a log; floating-point numbers come back as they were."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": value.contiguous() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{name}/{index}/{key}": value.contiguous() for key, value in state.items()}
    with atomic(path) as temporary:
        metadata = {"step": str(step), "notes": json.dumps(notes or {})}
        save_file({key: value.clone() for key, value in tensors.items()}, temporary, metadata)


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> tuple[int, dict[str, Any]]:
    """Restore what `save_checkpoint` wrote, in place; returns the number of steps done, 0 without a checkpoint, and
    the notes.

    Raises:
        UserError: if the file is damaged, or of another network.
    """
    if not path.exists():
        return 0, {}
    again = "delete it and run again; training starts anew"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            step, notes = int(metadata["step"]), json.loads(metadata.get("notes", "{}"))
        tensors = load_file(path)
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): {again}") from None
    if step < 0 or not isinstance(notes, dict):
        raise UserError(f"{path} is damaged (expected a step of 0 or more, and notes in a table): {again}")
    for name, module in modules.items():
        prefix = f"module/{name}/"
        try:
            module.load_state_dict({key[len(prefix) :]: t for key, t in tensors.items() if key.startswith(prefix)})
        except RuntimeError as error:
            reason = " ".join(map(str.strip, str(error).splitlines()[:2]))
            raise UserError(f"{path} is of another network ({reason}): {again}") from None
    for name, optimizer in optimizers.items():
        prefix = f"optimizer/{name}/"
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        states: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith(prefix):
                index, _, field = key[len(prefix) :].partition("/")
                if not index.isdecimal() or int(index) >= len(parameters):
                    raise UserError(f"{path} is of another optimizer (it has '{key}'): {again}")
                if tensor.ndim and tensor.shape != parameters[int(index)].shape:
                    raise UserError(f"{path} is of another optimizer (shape {list(tensor.shape)} of '{key}'): {again}")
                states.setdefault(int(index), {})[field] = tensor
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
        for parameter, state in optimizer.state.items():  # fused optimizers take moments to lie as their weights do
            like_weights = {key: value for key, value in state.items() if value.shape == parameter.shape}
            state |= {key: torch.empty_like(parameter).copy_(value) for key, value in like_weights.items()}
    return step, notes
