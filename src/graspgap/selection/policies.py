"""Every score of one policy."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor

from graspgap.adaptation.augment import recoloured
from graspgap.adaptation.feature.aligned import pooled
from graspgap.contract import Camera, Observation, Pose, Workspace, command_between
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.deployment.predictor import NetworkPredictor
from graspgap.evaluation.held_out import predicted_success
from graspgap.evaluation.statistics import auc
from graspgap.grasping.cem import CemConfig, cross_entropy_method
from graspgap.grasping.policies import Scorer
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain
from graspgap.seeding import generator
from graspgap.selection.distances import kernel_distance, scaled
from graspgap.selection.domains import domain_error, feature_classifier
from graspgap.selection.masks import agreement
from graspgap.selection.predictions import information, intraclass_correlation, mean_entropy
from graspgap.selection.samples import ScoreSettings, half_of_scenes
from graspgap.training.adapt import shown_pairs
from graspgap.training.batches import to_float, to_uint8

CHUNK = 128
"""Pairs that a network is shown at once."""


def policy_scores(
    policy: NetworkPredictor,
    sim: SimulatedView,
    frames: Int64[np.ndarray, "f"],
    pairs: UInt8[np.ndarray, "f 6 h w"],
    real: UnlabelledView,
    real_frames: Int64[np.ndarray, "g"],
    cameras: tuple[Camera, Camera],
    workspace: Workspace,
    draws_masks: bool,
    settings: ScoreSettings,
) -> dict[str, float | None]:
    """The scores of `POLICY_SCORES`; None where one doesn't exist.

    Args:
        policy: it sees reality with the batch statistics that it uses there.
        sim: simulated attempts that the policy was not trained on.
        frames: which of their servo steps are looked at.
        pairs: the pictures of these steps as the policy was trained on such: adapted, where it was.
        real: real attempts without labels, with poses.
        real_frames: which of their servo steps are looked at, whole attempts.
        cameras: the nominal ones of simulation and of reality.
        workspace: where the cross-entropy method seeks commands.
        draws_masks: whether the policy's segmenter was trained.
    """
    net, device = policy.net, policy.device
    policy.aim(cameras[0])
    success = sim.success[sim.owner[frames]]
    shown = predicted_success(net, sim, device, Domain.SIMULATION, frames, pairs)
    painted = shown_pairs(policy.front_end, _recoloured(sim, frames, settings.seed, device), device)
    harder = predicted_success(net, sim, device, Domain.SIMULATION, frames, painted)
    ours, _ = _seen(net, pairs, Domain.SIMULATION, device)
    policy.aim(cameras[1])
    real_pairs = shown_pairs(policy.front_end, real.pairs(real_frames), device)
    theirs, masks = _seen(net, real_pairs, policy.domain, device)
    both = torch.cat([ours, theirs])
    ours, theirs = scaled(ours, both), scaled(theirs, both)
    rng = generator(settings.seed, "folds")
    folds = (half_of_scenes(sim, frames, rng), half_of_scenes(real, real_frames, rng))
    build = feature_classifier(ours.shape[1])
    predicted = predicted_success(net, real, device, policy.domain, real_frames, real_pairs)
    return {
        "sim_auc": _finite(auc(shown, success)),
        "recoloured_auc": _finite(auc(harder, success)),
        "feature_distance": kernel_distance(ours, theirs),
        "feature_confusion": domain_error(
            build, ours, theirs, folds, settings.classifier_steps, settings.batch, settings.seed
        ),
        "entropy": mean_entropy(predicted),
        "information": information(predicted),
        "attempt_agreement": intraclass_correlation(predicted, real.owner[real_frames]),
        "mask_agreement": agreement(masks[:, 0], masks[:, 1]) if draws_masks else None,
        "optimism": _optimism(policy, real, real_frames, workspace, settings),
    }


@torch.no_grad()
def _seen(
    net: GraspNet, pairs: UInt8[np.ndarray, "f 6 h w"], domain: Domain, device: torch.device
) -> tuple[Float[Tensor, "f d"], Int[np.ndarray, "f 2 h2 w2"]]:
    """The trunk's map averaged over 4 x 4 cells, and the masks that the policy's segmenter draws."""
    features, masks = [], []
    for start in range(0, len(pairs), CHUNK):
        found = net.encode(to_float(pairs[start : start + CHUNK], device), domain)
        features.append(pooled(found))
        masks.append(net.segment(found).argmax(dim=2).cpu().numpy())
    return torch.cat(features), np.concatenate(masks)


def _recoloured(
    sim: SimulatedView, frames: Int64[np.ndarray, "f"], seed: int, device: torch.device
) -> UInt8[np.ndarray, "f 6 h w"]:
    torch.manual_seed(int(generator(seed, "recoloured").integers(2**31)))
    masks = torch.from_numpy(sim.mask_pairs(frames)).to(device).long()
    return to_uint8(recoloured(to_float(sim.pairs(frames), device), masks))


def _optimism(
    policy: NetworkPredictor,
    real: UnlabelledView,
    frames: Int64[np.ndarray, "f"],
    workspace: Workspace,
    settings: ScoreSettings,
) -> float:
    """Mean over real pictures of C(v*), v* as the servo seeks it."""
    assert real.poses is not None
    best = []
    for frame in generator(settings.seed, "looks").permutation(frames)[: settings.looks]:
        pose = real.poses[frame]
        before, now = real.images_before[real.owner[frame]], real.images[frame]
        scorer = policy.look(Observation(before.transpose(1, 2, 0), now.transpose(1, 2, 0), pose))

        score = partial(_score, scorer, pose)
        best.append(cross_entropy_method(score, workspace, generator(settings.seed, "cem", int(frame)), CemConfig())[1])
    return float(np.mean(best))


def _score(scorer: Scorer, pose: Pose, targets: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    return scorer(command_between(pose, targets))


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value
