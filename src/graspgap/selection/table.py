"""Which scores there are, what each means, and by which one adapters and policies are ranked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What a score measures. None needs a real label, a real mask or a test object."""

    higher: bool
    """Whether higher is better."""
    what: str
    """In a sentence."""
    source: str
    """Where the idea is from."""


ADAPTER_SCORES: dict[str, Score] = {
    "mask_consistency": Score(
        True,
        "Mean intersection over union of arm and object, as a frozen segmenter that learned from recoloured simulation "
        "draws them in adapted pictures, with simulation's exact masks. Unadapted simulation has the most.",
        "the judge of `perceptual`, after RetinaGAN (Ho et al. 2021)",
    ),
    "kernel_distance": Score(
        False,
        "Unbiased polynomial MMD^2 between adapted and real pictures, on the features of that segmenter's way down.",
        "KID (Binkowski et al. 2018)",
    ),
    "random_kernel_distance": Score(
        False,
        "The same on the features of an untrained grasp network, which see colours too.",
        "KID; random networks in place of trained ones: Naeem et al. 2020",
    ),
    "domain_confusion": Score(
        True,
        "Error of a small classifier that tells adapted from real pictures, on scenes it hasn't learned from; at most "
        "about 0.5.",
        "proxy A-distance (Ben-David et al. 2007), classifier two-sample test (Lopez-Paz and Oquab 2017)",
    ),
    "colour_distance": Score(
        False, "1 less the intersection of RGB histograms: a trivial baseline.", "Swain and Ballard 1991"
    ),
}
"""Scores of adapters."""

POLICY_SCORES: dict[str, Score] = {
    "sim_auc": Score(
        True,
        "AUC of predicted success on held-out simulated attempts, shown as the policy was trained (adapted).",
        "source risk; the baseline of Musgrave et al. 2022",
    ),
    "recoloured_auc": Score(
        True,
        "AUC on the same attempts in random colours and stains: agreement with the simulator where only shapes are "
        "left to go by.",
        "ours, after the judge of `perceptual`",
    ),
    "feature_distance": Score(
        False,
        "Unbiased polynomial MMD^2 between the trunk's features of simulation (adapted) and of reality, in units of "
        "their spread.",
        "KID (Binkowski et al. 2018) on the policy's own features",
    ),
    "feature_confusion": Score(
        True,
        "Error of a classifier that tells these features apart, on scenes it hasn't learned from; at most about 0.5.",
        "proxy A-distance (Ben-David et al. 2007)",
    ),
    "entropy": Score(
        False, "Mean entropy of predicted success on real pictures [bits].", "Morerio et al. 2018, who choose by it"
    ),
    "information": Score(
        True,
        "Entropy of the mean prediction on real pictures less the mean entropy [bits].",
        "Shi and Sha 2012; Musgrave et al. 2022",
    ),
    "attempt_agreement": Score(
        True,
        "Intraclass correlation of predicted success within the pictures of one real attempt, which all have one "
        "outcome.",
        "the attempt-wise consistency of this project; ICC(1), Shrout and Fleiss 1979",
    ),
    "mask_agreement": Score(
        True,
        "Overlap of the objects that the policy's own segmenter draws in the first and in the present real picture.",
        "ours",
    ),
    "optimism": Score(
        True,
        "Mean predicted success of the best command that the cross-entropy method finds on real pictures.",
        "ours; values that are maximized over are overrated (van Hasselt et al. 2016), so its direction is a guess",
    ),
}
"""Scores of policies."""

KINDS: dict[str, dict[str, Score]] = {"adapter": ADAPTER_SCORES, "policy": POLICY_SCORES}
"""Scores by what is scored."""

DEFAULTS = {"adapter": "kernel_distance", "policy": "feature_distance"}
"""The scores that `graspgap score` ranks by: distances of features, the divergence in the bound of Ben-David et al.
2007. How well they follow true success: docs/choosing.md."""
