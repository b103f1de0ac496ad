"""Every score of one adapter."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from graspgap.adaptation.feature.aligned import pooled
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.networks import GraspNet, GraspNetConfig, Segmenter
from graspgap.networks.normalization import Domain
from graspgap.seeding import generator
from graspgap.selection.distances import colour_distance, kernel_distance, scaled
from graspgap.selection.domains import PictureClassifier, domain_error
from graspgap.selection.judge import drawn_masks, judge_features
from graspgap.selection.masks import mean_iou
from graspgap.selection.samples import ScoreSettings, half_of_scenes
from graspgap.training.batches import to_float


def adapter_scores(
    judge: Segmenter,
    sim: SimulatedView,
    frames: Int64[np.ndarray, "f"],
    made: UInt8[np.ndarray, "f 6 h w"],
    real: UnlabelledView,
    real_frames: Int64[np.ndarray, "g"],
    settings: ScoreSettings,
    device: torch.device,
) -> dict[str, float | None]:
    """The scores of `ADAPTER_SCORES`, for pictures that an adapter made.

    Args:
        judge: from `train_judge`, on other scenes than those of `sim`.
        sim: simulated attempts, with masks.
        frames: which of their servo steps are looked at.
        made: adapted pairs of these steps; their own for unadapted simulation.
        real: real attempts, pictures alone; of a front end, as it shows them to the policy.
        real_frames: which of their servo steps are looked at.
    """
    theirs = real.pairs(real_frames)
    rng = generator(settings.seed, "folds")
    folds = (half_of_scenes(sim, frames, rng), half_of_scenes(real, real_frames, rng))
    shapes = [judge_features(judge, pairs, device) for pairs in (made, theirs)]
    looks = [random_features(pairs, settings.seed, device) for pairs in (made, theirs)]
    return {
        "mask_consistency": mean_iou(drawn_masks(judge, made, device), sim.mask_pairs(frames)[:, :, ::2, ::2]),
        "kernel_distance": kernel_distance(*(scaled(x, shapes[1]) for x in shapes)),
        "random_kernel_distance": kernel_distance(*(scaled(x, looks[1]) for x in looks)),
        "domain_confusion": domain_error(
            PictureClassifier,
            to_float(made, device),
            to_float(theirs, device),
            folds,
            settings.classifier_steps,
            settings.batch,
            settings.seed,
        ),
        "colour_distance": colour_distance(made, theirs),
    }


@torch.no_grad()
def random_features(pairs: UInt8[np.ndarray, "b 6 h w"], seed: int, device: torch.device) -> Float[Tensor, "b d"]:
    """The trunk's map of a grasp network with random weights, averaged over 4 x 4 cells. Random networks see
    differences that one trained for something else overlooks (Naeem et al. 2020), here those of colour."""
    torch.manual_seed(int(generator(seed, "random features").integers(2**31)))
    net = GraspNet(GraspNetConfig(image_size=pairs.shape[-1])).to(device).eval()
    chunks = [net.encode(to_float(pairs[i : i + 128], device), Domain.SIMULATION) for i in range(0, len(pairs), 128)]
    return torch.cat([pooled(chunk) for chunk in chunks])
