"""The judge of adapters: a segmenter that learned from simulation alone, and is frozen.

As that of `adaptation/pixel/perceptual.py`, it learned under colours and stains so strong that only shapes are left to
go by. What it can't find in an adapted picture isn't drawn there as simulation drew it; and its features compare
pictures, in place of a network trained on photographs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.augment import recoloured
from graspgap.adaptation.feature.aligned import pooled
from graspgap.adaptation.losses import mask_loss
from graspgap.datasets import SimulatedView
from graspgap.networks import Segmenter, SegmenterConfig
from graspgap.progress import progress
from graspgap.seeding import generator
from graspgap.tensors import load_module
from graspgap.training.batches import to_float

JUDGE = "judge.safetensors"
RATE = 2e-3
"""Adam's learning rate, as for the judge of `perceptual`."""
CHUNK = 128
"""Pairs that a network is shown at once."""


def train_judge(view: SimulatedView, steps: int, batch: int, seed: int, device: torch.device) -> Segmenter:
    """A segmenter of recoloured simulated pairs."""
    torch.manual_seed(int(generator(seed, "judge").integers(2**31)))
    judge = Segmenter(SegmenterConfig()).to(device)
    optimizer = torch.optim.Adam(judge.parameters(), lr=RATE)
    with progress("judge", steps) as advance:
        for step in range(steps):
            frames = generator(seed, "judge", step).integers(len(view.images), size=batch)
            masks = torch.from_numpy(view.mask_pairs(frames)).to(device).long()
            pictures = recoloured(to_float(view.pairs(frames), device), masks)
            loss = mask_loss(judge(pictures), masks[:, :, ::2, ::2])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            advance(1, f"judge {float(loss.detach()):.3f}")
    return judge.eval()


def load_judge(run: Path, device: torch.device) -> Segmenter:
    """The judge of a folder of scores.

    Raises:
        UserError: if there is none, or it is another network.
    """
    judge = Segmenter(SegmenterConfig())
    load_module(run / JUDGE, judge, "the judge of adapters")
    return judge.to(device).eval()


@torch.no_grad()
def drawn_masks(
    judge: Segmenter, pairs: UInt8[np.ndarray, "b 6 h w"], device: torch.device
) -> Int[np.ndarray, "b 2 h2 w2"]:
    """The classes that the judge sees in (I0, It), at half resolution."""
    return np.concatenate([judge(x).argmax(dim=2).cpu().numpy() for x in _chunks(pairs, device)])


@torch.no_grad()
def judge_features(judge: Segmenter, pairs: UInt8[np.ndarray, "b 6 h w"], device: torch.device) -> Float[Tensor, "b d"]:
    """The maps on the judge's way down, each averaged over 4 x 4 cells: what is where, by shape and contrast. Colour
    casts are taken away by its instance norm."""
    found = []
    for x in _chunks(pairs, device):
        maps = judge.body.down_maps(functional.avg_pool2d(x, 2))
        found.append(torch.cat([pooled(m) for m in maps], dim=1))
    return torch.cat(found)


def _chunks(pairs: UInt8[np.ndarray, "b 6 h w"], device: torch.device) -> Iterator[Float[Tensor, "c 6 h w"]]:
    for start in range(0, len(pairs), CHUNK):
        yield to_float(pairs[start : start + CHUNK], device)
