"""Grids of what an adapter does: simulated, adapted and real pairs, with masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from graspgap.adaptation.pixel import PixelMethod
from graspgap.contract import Image
from graspgap.datasets import LabelledView, SimulatedView, UnlabelledView
from graspgap.datasets.view import colour_masks, image_grid, save_png
from graspgap.deployment.front_end import FrontEnd
from graspgap.deployment.predictor import NetworkPredictor, load_predictor
from graspgap.evaluation.held_out import predicted_success
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain
from graspgap.runs import read_run
from graspgap.seeding import generator
from graspgap.training.adapt import adapt_frames, shown_pairs
from graspgap.training.batches import to_float
from graspgap.worlds.standin_names import is_standin

GRID = "grid.png"
"""What `adapt` leaves in an adapter run."""


def pair_images(pairs: np.ndarray) -> list[Image]:
    """Stacked pairs uint8 [n, 6, h, w] as 2n pictures: I0, It, I0, It, ..."""
    return [np.ascontiguousarray(half.transpose(1, 2, 0)) for pair in pairs for half in (pair[:3], pair[3:])]


def adaptation_rows(
    method: PixelMethod,
    sim: SimulatedView,
    real: UnlabelledView,
    device: torch.device,
    pairs: int = 5,
    seed: int = 0,
    policy: NetworkPredictor | None = None,
) -> dict[str, list[Image]]:
    """Rows of pictures by label: simulation, its true masks, what the adapter makes of it, and unpaired pictures of
    reality, or of its stand-in, which is called that; and what a front end makes of those. `policy`: one that was
    trained with the adapter, and with masks, which it then draws of what it sees, too."""
    rng = generator(seed, "grid")
    frames = rng.choice(len(sim.images), size=min(pairs, len(sim.images)), replace=False)
    real_frames = rng.choice(len(real.images), size=min(pairs, len(real.images)), replace=False)
    name = "stand-in" if is_standin(real.provenance()["world"]) else "reality"
    adapted = adapt_frames(method, sim, frames, seed, device)
    rows = {
        "simulation": pair_images(sim.pairs(frames)),
        "masks": list(colour_masks(np.concatenate(sim.mask_pairs(frames)))),
        "adapted": pair_images(adapted),
    }
    if policy:
        rows["adapted: the masks that the policy draws"] = predicted_masks(policy, adapted, Domain.SIMULATION)
    seen = real.pairs(real_frames)
    rows[name] = pair_images(seen)
    if method.front_end:
        seen = shown_pairs(FrontEnd(method), seen, device)
        rows[f"{name}, as the policy sees it"] = pair_images(seen)
    if policy:
        rows[f"{name}: the masks that the policy draws"] = predicted_masks(policy, seen, policy.domain)
    return rows


def drawing_policy(run: Path) -> NetworkPredictor | None:
    """The policy of a finished run, if masks taught it, so that it can draw them; else None."""
    return load_predictor(run) if read_run(run, "policy")["config"].get("masks") else None


@torch.no_grad()
def predicted_masks(policy: NetworkPredictor, pairs: UInt8[np.ndarray, "n 6 h w"], domain: Domain) -> list[Image]:
    """What the policy's segmenter sees in pairs, as its front end shows them: 2n pictures, as `pair_images`, each cell
    of the trunk's map a block of pixels."""
    net, size = policy.net, pairs.shape[-1]
    drawn = net.segment(net.encode(to_float(pairs, policy.device), domain)).argmax(dim=2).byte().cpu().numpy()
    masks = drawn.reshape(-1, *drawn.shape[2:])
    return [cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST) for mask in colour_masks(masks)]


def save_adaptation_grid(
    path: Path,
    method: PixelMethod,
    sim: SimulatedView,
    real: UnlabelledView,
    device: torch.device,
    policy: NetworkPredictor | None = None,
) -> None:
    """Write the grid of `adaptation_rows` as a PNG."""
    rows = adaptation_rows(method, sim, real, device, policy=policy)
    save_png(image_grid(list(rows.values()), list(rows), 3), path)


def save_prediction_grid(
    path: Path, net: GraspNet, view: LabelledView, device: torch.device, domain: Domain, pairs: int = 6, most: int = 400
) -> None:
    """Write as a PNG the pairs, of up to `most` servo steps, whose own commands the network thinks most and least
    promising, best first, and how many of their attempts succeeded."""
    chosen = generator(0, "predictions").permutation(len(view.images))[:most]
    ranked = chosen[np.argsort(-predicted_success(net, view, device, domain, chosen), kind="stable")]
    rows = {}
    for name, frames in (("most", ranked[:pairs]), ("least", ranked[-pairs:])):
        succeeded = int(view.success[view.owner[frames]].sum())
        rows[f"{name} promising: {succeeded} of {len(frames)} succeeded"] = pair_images(view.pairs(frames))
    save_png(image_grid(list(rows.values()), list(rows), 3), path)
