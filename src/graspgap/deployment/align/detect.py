"""Points that nobody clicks: a network that learned in simulation finds the gripper in unlabelled real pictures.

Where a picture shows the gripper and where the robot reports it are one known point; thousands of rough ones tell the
camera as a dozen clicked ones do. In the manner of DREAM (Lee et al. 2020, "Camera-to-Robot Pose Estimation from a
Single Image"), which finds the joints of an arm in a single picture: here it is the grasp point alone, in the many
pictures of attempts, whose poses the robot has reported.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.augment import recoloured
from graspgap.config import from_json
from graspgap.contract import Camera
from graspgap.datasets import Dataset, SimulatedView, UnlabelledView
from graspgap.errors import UserError
from graspgap.networks import PointDetector, PointDetectorConfig
from graspgap.progress import progress
from graspgap.seeding import generator
from graspgap.tensors import load_module, save_module
from graspgap.training.batches import to_float
from graspgap.worlds.sensor import distorted

DETECTOR = "detector.safetensors"
CHUNK = 256
"""Pairs that the network is shown at once."""
LEAST = 100
"""Pictures that a camera is found from: each tells it roughly."""
LEARNED = 0.03
"""Share of the picture's side by which a detector may be off in simulation (median); one that is further off hasn't
learned."""
TURN, ZOOM, SHIFT = math.radians(10), 0.2, 0.3
"""By how much pictures are turned [rad], magnified (logarithm) and moved (half sides of the picture) while the detector
learns, at most: it must look for the gripper, not know where simulation's camera shows it."""


@dataclass(frozen=True)
class DetectorSettings:
    """How the detector learns, and of what the camera is found."""

    steps: int = 1500
    """Training steps."""
    batch: int = 64
    """Pairs of pictures per step."""
    learning_rate: float = 3e-3
    """Of Adam, falling to 0 by a cosine."""
    attempts: int = 1000
    """Real attempts that are looked at, drawn by the seed; all, if there are fewer."""
    kept: float = 0.5
    """Share of their pictures that the camera is found from: those in which the detector is surest."""
    seed: int = 0


class Found(NamedTuple):
    """What a detector sees."""

    points: Float64[np.ndarray, "n 2"]
    """u, v in [-1, 1] across the picture."""
    spread: Float64[np.ndarray, "n"]
    """Standard deviation of its guess [half sides of the picture]."""


def simulated_points(data: Dataset, view: SimulatedView) -> Float64[np.ndarray, "f 2"]:
    """Where the pictures of a simulated dataset show the grasp point, in [-1, 1], by the camera, lens and error of
    calibration that were drawn for each attempt; where none was, by the dataset's nominal camera.

    Raises:
        UserError: if the dataset doesn't say where its pictures were taken from, or has no poses.
    """
    if view.poses is None or data.camera is None:
        raise UserError(f"{data.path}, given as --sim, doesn't tell poses and camera: collect it in 'sim'")
    points = np.empty((len(view.images), 2))
    places = view.poses[:, :3].astype(np.float64)
    for row, draw in enumerate(data.draws()):
        steps = slice(view.offsets[row], view.offsets[row + 1])
        looks, error = draw.get("looks", {}), draw.get("dynamics", {}).get("calibration", (0.0, 0.0, 0.0))
        camera = from_json(Camera, looks["camera"]) if "camera" in looks else data.camera
        points[steps] = distorted(camera.project(places[steps] - error[:3]), looks.get("barrel", 0.0))
    return points


def point_loss(logits: Float[Tensor, "b h w"], points: Float[Tensor, "b 2"]) -> Float[Tensor, ""]:
    """Cross-entropy of the map against the four cells around each point (u, v in [-1, 1]), weighted by nearness, so
    that the mean of a perfect map is the point itself. Points outside the picture teach nothing."""
    b, h, w = logits.shape
    size = torch.tensor([w, h], device=logits.device)
    places = (points + 1) / 2 * size - 0.5
    inside = (points.abs() < 1).all(dim=1)
    places = torch.minimum(places.clamp(min=0), size - 1)
    low = torch.minimum(places.floor(), size - 2)
    share = places - low
    target = torch.zeros_like(logits)
    sample = torch.arange(b, device=logits.device)
    for du in (0, 1):
        for dv in (0, 1):
            weight = (share[:, 0] if du else 1 - share[:, 0]) * (share[:, 1] if dv else 1 - share[:, 1])
            target[sample, low[:, 1].long() + dv, low[:, 0].long() + du] = weight
    each = -(target * logits.flatten(1).log_softmax(dim=1).view_as(logits)).sum(dim=(1, 2))
    return (each * inside).sum() / inside.sum().clamp(min=1)


def read_map(logits: Float[Tensor, "b h w"]) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b"]]:
    """Mean and standard deviation of each map's guess, in [-1, 1] across the picture."""
    _, h, w = logits.shape
    likely = logits.flatten(1).softmax(dim=1).view_as(logits)
    u, v = ((torch.arange(n, device=logits.device) + 0.5) / n * 2 - 1 for n in (w, h))
    across, down = likely.sum(dim=1), likely.sum(dim=2)
    mean = torch.stack([across @ u, down @ v], dim=1)
    square = across @ u**2 + down @ v**2
    return mean, (square - (mean**2).sum(dim=1)).clamp(min=0).sqrt()


def warped(
    pairs: Float[Tensor, "b 6 h w"], points: Float[Tensor, "b 2"], draws: Float[Tensor, "b 4"]
) -> tuple[Float[Tensor, "b 6 h w"], Float[Tensor, "b 2"]]:
    """Pairs and their points, turned, magnified and moved by `draws` in [-1, 1] times `TURN`, `ZOOM` and `SHIFT`: about
    what a camera shows that is turned or has another lens. At 0 nothing changes; beyond the edge the edge goes on."""
    angle, scale = TURN * draws[:, 0], torch.exp(ZOOM * draws[:, 1])
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
    shift = SHIFT * draws[:, 2:]
    source = torch.cat([turn / scale[:, None, None], shift[:, :, None]], dim=2)
    grid = functional.affine_grid(source, list(pairs.shape), align_corners=False)
    shown = functional.grid_sample(pairs, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return shown, (scale[:, None, None] * turn.mT @ (points - shift)[:, :, None])[:, :, 0]


def train_detector(
    view: SimulatedView, points: Float64[np.ndarray, "f 2"], settings: DetectorSettings, device: torch.device
) -> PointDetector:
    """A detector of the grasp point, from simulated pairs that are recoloured, since simulation's looks aren't
    reality's, and `warped`, since its camera isn't either."""
    torch.manual_seed(int(generator(settings.seed, "detector").integers(2**31)))
    detector = PointDetector(PointDetectorConfig()).to(device)
    optimizer = torch.optim.Adam(detector.parameters(), lr=settings.learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    with progress("detector", settings.steps) as advance:
        for step in range(settings.steps):
            frames = generator(settings.seed, "detector", step).integers(len(view.images), size=settings.batch)
            masks = torch.from_numpy(view.mask_pairs(frames)).to(device).long()
            pairs = recoloured(to_float(view.pairs(frames), device), masks)
            draws = 2 * torch.rand(len(pairs), 4, device=device) - 1
            pairs, there = warped(pairs, torch.from_numpy(points[frames]).float().to(device), draws)
            loss = point_loss(detector(pairs), there)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            falling.step()
            advance(1, f"detector {float(loss.detach()):.3f}")
    return detector.eval()


@torch.no_grad()
def detect(
    detector: PointDetector, view: UnlabelledView, frames: Int64[np.ndarray, "n"], device: torch.device
) -> Found:
    """Where the detector sees the grasp point in these pictures."""
    found = [
        read_map(detector(to_float(view.pairs(frames[start : start + CHUNK]), device)))
        for start in range(0, len(frames), CHUNK)
    ]
    points, spread = (torch.cat(part).cpu().numpy().astype(np.float64) for part in zip(*found, strict=True))
    return Found(points, spread)


def load_detector(run: Path, device: torch.device) -> PointDetector:
    """The detector of an alignment's folder.

    Raises:
        UserError: if there is none, or its file is damaged.
    """
    detector = PointDetector(PointDetectorConfig())
    load_module(run / DETECTOR, detector, "the detector of the gripper")
    return detector.to(device).eval()


def load_or_train(out: Path, data: Dataset, settings: DetectorSettings, device: torch.device) -> PointDetector:
    """The detector that an earlier command left in `out`, or one that learns from this simulated dataset, where there
    is none or its file is damaged.

    Raises:
        UserError: as `simulated_points`.
    """
    with suppress(UserError):
        return load_detector(out, device)
    view = data.simulated(extras=False)
    detector = train_detector(view, simulated_points(data, view), settings, device)
    save_module(out / DETECTOR, detector)
    return detector


def held_out_error(detector: PointDetector, data: Dataset, kept: float, device: torch.device) -> float:
    """Median error [pixels] in a simulated dataset, of the share of its pictures in which the detector is surest."""
    view = data.simulated(extras=False)
    found = detect(detector, view, np.arange(len(view.images)), device)
    errors = np.linalg.norm(found.points - simulated_points(data, view), axis=1)
    return float(np.median(errors[surest(found.spread, kept)])) * data.image_size / 2


def surest(spread: Float64[np.ndarray, "n"], kept: float) -> Bool[np.ndarray, "n"]:
    """Which points are among this share of those that the detector is surest of, at least one."""
    count = max(1, round(kept * len(spread)))
    return np.argsort(np.argsort(spread, kind="stable"), kind="stable") < count
