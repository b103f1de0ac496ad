"""A pixel-level method that stands before a policy and makes every picture look like those that the policy knows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graspgap.adaptation.pixel import PixelMethod, build_method
from graspgap.runs import CONFIG
from graspgap.tensors import levels, load_module, save_module

FRONT_END = "front_end.safetensors"
"""The front end's weights in a policy run that has one."""


class FrontEnd(nn.Module):
    """Pairs (I0, It) as the policy is shown them: in training, simulated and real ones, and at run time alike."""

    def __init__(self, method: PixelMethod) -> None:
        super().__init__()
        self.method = method.eval()

    def forward(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 6 h w"]:
        """Pairs in [-1, 1] of pairs in [-1, 1], rounded to 8 bits, which is how training keeps pictures."""
        return levels(self.method.shown(pictures)) / 127.5 - 1

    def fingerprint(self) -> str:
        """SHA-256 of its weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.method.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    def save(self, run: Path) -> None:
        """Keep the weights, so that the policy run needs no other folder."""
        save_module(run / FRONT_END, self.method)


def load_front_end(run: Path, choice: dict[str, Any], device: torch.device) -> FrontEnd:
    """The front end of a policy run; `choice` as `build_method` takes it.

    Raises:
        UserError: as `build_method`, or if its weights are missing, damaged, or of another network.
    """
    method = build_method(choice, run / CONFIG)
    load_module(run / FRONT_END, method, f"the front end of {run}")
    return FrontEnd(method).to(device)
