"""How losses become a step of an optimizer: precision, and gradients averaged over processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from graspgap import processes
from graspgap.errors import UserError, choose

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(precision: str, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16`. `auto` is what `accelerate launch --mixed_precision` asks for, else bf16 on GPUs that
    compute in it, else fp32.

    Raises:
        UserError: if the precision is unknown, or the device doesn't have it.
    """
    choose("--precision", precision, PRECISIONS)
    cuda = device.type == "cuda"
    if precision == "auto":
        asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        able = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = asked if asked in TYPES else "bf16" if able else "fp32"
    if precision == "fp16" and not cuda:
        raise UserError(f"--precision fp16 is for GPUs, and this is '{device.type}': give fp32 or bf16")
    return precision


class Engine:
    """Descends losses: forward in mixed precision inside `autocast`, weights and optimizers in 32 bits throughout."""

    def __init__(self, device: torch.device, precision: str = "fp32") -> None:
        self.device, self.type = device, TYPES.get(precision)
        self.scaler = torch.amp.GradScaler(device.type) if precision == "fp16" else None
        self.measuring = False
        self.norms: dict[str, float] = {}
        """Norm of the gradient of each side in the last step that was measured; none of sides that had no turn."""

    def measure(self, wanted: bool) -> None:
        """Whether the step that begins is to measure the norms of its gradients."""
        self.measuring = wanted
        if wanted:
            self.norms = {}

    def autocast(self) -> AbstractContextManager[Any]:
        """Around networks: what is safe in 16 bits is computed in them. Casts of weights aren't kept, because one made
        without gradient would be used again where a gradient is wanted."""
        if self.type is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.type, cache_enabled=False)

    def descend(self, side: str, losses: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        """One step of `optimizer` down the sum of the losses, averaged over processes. Only its own parameters get
        gradients: nobody else's are worked out."""
        optimizer.zero_grad(set_to_none=True)
        learned = (parameter for group in optimizer.param_groups for parameter in group["params"])
        own = [parameter for parameter in learned if parameter.requires_grad]  # a method may hold some still
        loss = torch.stack(list(losses.values())).sum()
        (self.scaler.scale(loss) if self.scaler else loss).backward(inputs=own)
        gradients = [parameter.grad for parameter in own if parameter.grad is not None]
        processes.average(gradients)
        if self.measuring:
            scale = self.scaler.get_scale() if self.scaler else 1.0
            self.norms[side] = float(torch.nn.utils.get_total_norm(gradients)) / scale
        if self.scaler:
            self.scaler.step(optimizer)  # left out where 16 bits overflowed
            self.scaler.update()
        else:
            optimizer.step()

    def means(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """The losses as numbers, averaged over processes."""
        values = {name: loss.detach().clone() for name, loss in losses.items()}
        processes.average(list(values.values()))
        return {name: float(value) for name, value in values.items()}

    def state(self) -> dict[str, Any]:
        """What resuming needs of it, JSON-able."""
        return self.scaler.state_dict() if self.scaler else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        if self.scaler and state:
            self.scaler.load_state_dict(state)
