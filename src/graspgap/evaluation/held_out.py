"""Calibration and AUC of a grasp network on attempts it was not trained on, for each servo step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8

from graspgap.datasets import LabelledView, UnlabelledView
from graspgap.deployment.calibration import CALIBRATION, save_calibration
from graspgap.evaluation.calibrate import calibrate
from graspgap.evaluation.statistics import auc, reliability
from graspgap.files import write_json
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain
from graspgap.training.batches import to_float

FIGURES = "held_out.json"
FEWEST = 50
"""Real held-out attempts that a calibration is fitted to; of fewer it learns little more than their success rate."""


@torch.no_grad()
def predicted_success(
    net: GraspNet,
    view: UnlabelledView,
    device: torch.device,
    domain: Domain = Domain.SIMULATION,
    frames: Int64[np.ndarray, "f"] | None = None,
    pairs: UInt8[np.ndarray, "f 6 h w"] | None = None,
) -> Float64[np.ndarray, "f"]:
    """C of each servo step's own command; of the servo steps `frames` alone, shown `pairs` in place of the view's own
    pictures, where these are given."""
    assert view.poses is not None
    assert view.commands is not None
    frames = np.arange(len(view.images)) if frames is None else frames
    net.eval()
    parts = []
    for start in range(0, len(frames), 256):
        chosen = frames[start : start + 256]
        seen = view.pairs(chosen) if pairs is None else pairs[start : start + 256]
        poses, commands = (torch.from_numpy(array[chosen]).to(device) for array in (view.poses, view.commands))
        logits = net(to_float(seen, device), poses, commands[:, None], domain)
        parts.append(logits[:, 0].sigmoid().double().cpu().numpy())
    return np.concatenate(parts)


def held_out_metrics(predicted: Float64[np.ndarray, "f"], view: LabelledView) -> dict[str, Any]:
    """AUC and expected calibration error, over all servo steps and for each; null where only one outcome occurs."""
    success = view.success[view.owner]
    step = np.arange(len(success)) - view.offsets[view.owner]
    metrics = _metrics(predicted, success)
    metrics["steps"] = [_metrics(predicted[step == t], success[step == t]) for t in range(int(step.max()) + 1)]
    return metrics


def _metrics(predicted: np.ndarray, success: np.ndarray) -> dict[str, Any]:
    area = auc(predicted, success) if 0 < success.sum() < len(success) else math.nan
    return {
        "samples": len(success),
        "auc": None if math.isnan(area) else round(area, 4),
        "calibration_error": round(reliability(predicted, success).error, 4),
        "success_rate": round(float(success.mean()), 4),
    }


def save_held_out_metrics(
    out: Path, net: GraspNet, views: Mapping[str, LabelledView], device: torch.device, domain: Domain
) -> dict[str, dict[str, Any]]:
    """Measure the network on the views `sim` and `real`, as far as they are there, and write the figures to
    `out/held_out.json`, and the calibration on `real`, or where that has less than `FEWEST` attempts on `sim`, if it is
    there, to `out/calibration.json`. `domain` says whose batch statistics the policy uses in reality."""
    domains = {"sim": Domain.SIMULATION, "real": domain}
    predicted = {name: predicted_success(net, view, device, domains[name]) for name, view in views.items()}
    by_real = "real" in views and (len(views["real"].success) >= FEWEST or "sim" not in views)
    source = "real" if by_real else "sim" if "sim" in views else None
    fitted = calibrate(source, predicted[source], views[source].success[views[source].owner]) if source else None
    save_calibration(out / CALIBRATION, fitted)
    metrics = {name: held_out_metrics(predicted[name], view) for name, view in views.items()}
    write_json(out / FIGURES, metrics)
    return metrics
