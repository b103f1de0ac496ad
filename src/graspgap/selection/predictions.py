"""What a policy's predictions tell about it when nobody knows how the attempts ended."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def entropy(p: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Entropy of a success of probability p [bits], in [0, 1]; 0 for a certain one."""
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    return -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))


def mean_entropy(p: Float[np.ndarray, " n"]) -> float:
    """Mean entropy of predictions [bits]: how undecided a policy is (Morerio et al. 2018 choose by its smallness). A
    policy that always says the same with confidence has little of it, too."""
    return float(entropy(p).mean())


def information(p: Float[np.ndarray, " n"]) -> float:
    """Entropy of the mean prediction less the mean entropy [bits]: high for decided predictions of both kinds, 0 for
    constant ones (Shi and Sha 2012, information-theoretical learning of discriminative clusters)."""
    return float(entropy(p.mean(keepdims=True))[0]) - mean_entropy(p)


def intraclass_correlation(values: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"]) -> float:
    """How much alike values of one group are, against those of other groups: ICC(1) of Shrout and Fleiss 1979, for
    groups of several sizes as in Donner 1986. 1 if they are equal within groups, about 0 if groups tell nothing, and
    below 0 if they differ most within groups. 0 where all values are equal, or there are no groups to compare."""
    names, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    count, n = len(names), len(values)
    if not 1 < count < n:
        return 0.0
    means = np.bincount(index, weights=values) / sizes
    between = float((sizes * np.square(means - values.mean())).sum()) / (count - 1)
    within = float(np.square(values - means[index]).sum()) / (n - count)
    size = (n - float(np.square(sizes).sum()) / n) / (count - 1)
    total = between + (size - 1) * within
    return (between - within) / total if total > 1e-12 else 0.0
