"""What a count of successful grasps tells, and what it doesn't: intervals, paired tests, label efficiency, ranking.

Attempts of one scene start from the same objects and succeed or fail together, and a policy trained twice is two
policies. Every bootstrap here therefore resamples whole scenes, the same ones for all policies that are compared, and
each policy's training seeds; treating the attempts as independent would promise more than was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import optimize, stats

from graspgap.seeding import generator

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A measured value and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside, ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference(Interval):
    """A difference of two success rates."""

    p: float
    """Two-sided probability of so large a difference if there were none, by what scenes and seeds make of it: from the
    bootstrap's standard deviation, as of a t statistic; 1 for fewer than two scenes."""


@dataclass(frozen=True)
class Sample:
    """The attempts of one policy, n in all."""

    outcomes: Bool[np.ndarray, " n"]
    scenes: Int[np.ndarray, " n"]
    """Which scene each attempt started from. Equal numbers are the same scene, for other policies' samples too."""
    seeds: Int[np.ndarray, " n"]
    """Which training seed made the policy of each attempt."""

    @property
    def rate(self) -> float:
        """Fraction of attempts that succeeded; NaN without attempts."""
        return float(self.outcomes.mean()) if self.outcomes.size else math.nan


def wilson_interval(successes: int, attempts: int, confidence: float = 0.95) -> Interval:
    """Score interval of a success rate (Wilson 1927), for independent attempts; (NaN, 0, 1) without attempts.

    It stays inside [0, 1] and keeps its width at rates of 0 and 1, where the normal approximation collapses.

    Raises:
        ValueError: unless 0 <= successes <= attempts.
    """
    if not 0 <= successes <= attempts:
        raise ValueError(f"{successes} successes of {attempts} attempts")
    if attempts == 0:
        return Interval(math.nan, 0.0, 1.0)
    found = stats.binomtest(successes, attempts).proportion_ci(confidence, method="wilson")
    return Interval(successes / attempts, float(found.low), float(found.high))


@dataclass(frozen=True)
class PairedTest:
    """McNemar's test of two policies on the same attempts."""

    attempts: int
    only_first: int
    """Attempts in which only the first policy succeeded."""
    only_second: int
    p: float
    """Two-sided exact probability of so uneven a split if both policies were equally good."""


def mcnemar_test(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> PairedTest:
    """Exact McNemar test: were the attempts that only one policy solved split evenly between the two?

    The test takes attempts as independent, and one training as all that there can be: where scenes matter or several
    seeds are pooled it finds differences that aren't there, and `rate_difference` tells better.
    """
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(~first & second))
    differ = only_first + only_second
    p = float(stats.binomtest(only_first, differ).pvalue) if differ else 1.0
    return PairedTest(len(first), only_first, only_second, p)


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979), in their order: below 0.05 for each of several means that all
    of those differences are there, with 95% confidence in all of them together, as far as the p values are right."""
    corrected, largest = [1.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    return corrected


def seed_spread(sample: Sample) -> float:
    """Standard deviation of success rates between training seeds, above what their attempts' own chance explains: the
    random effect of a seed, by the method of moments; 0 where chance explains all, NaN for fewer than two seeds.

    The chance within a seed is that of means of scenes, so a seed needs two scenes. Where all seeds have the same ones,
    what makes a scene easy or hard for all is no chance.
    """
    rates, sizes, scenes, residuals = [], [], [], []
    for seed in np.unique(sample.seeds):
        mine = sample.seeds == seed
        own, index = np.unique(sample.scenes[mine], return_inverse=True)
        if len(own) < 2:
            return math.nan
        attempts, won = np.bincount(index), np.bincount(index, weights=sample.outcomes[mine])
        rates.append(won.sum() / attempts.sum())
        sizes.append(attempts.sum())
        scenes.append(own)
        residuals.append(won - rates[-1] * attempts)
    if len(rates) < 2:
        return math.nan
    factor = 1.0
    if all(np.array_equal(own, scenes[0]) for own in scenes):
        residuals = list(np.array(residuals) - np.mean(residuals, axis=0))
        factor = len(rates) / (len(rates) - 1)
    # Of a ratio of sums over scenes (Cochran 1977, equation 6.13).
    parts = zip(scenes, residuals, sizes, strict=True)
    chances = [factor * len(own) / (len(own) - 1) * np.sum(rest**2) / size**2 for own, rest, size in parts]
    return math.sqrt(max(0.0, float(np.var(rates, ddof=1) - np.mean(chances))))


def rate_interval(sample: Sample, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Interval of a success rate: at each end the wider of the scene bootstrap's and Wilson's.

    The bootstrap sees that attempts of a scene resemble one another, but has no width when all attempts end alike;
    Wilson's interval is the opposite.
    """
    wilson = wilson_interval(int(sample.outcomes.sum()), sample.outcomes.size, confidence)
    scenes = len(np.unique(sample.scenes))
    if scenes < 2:  # one scene tells nothing about others
        return Interval(wilson.value, 0.0, 1.0)
    rates = bootstrap_rates([sample], resamples, seed)[:, 0]
    low, high = _ends(rates, scenes, confidence)
    return Interval(wilson.value, min(low, wilson.low), max(high, wilson.high))


def rate_difference(
    first: Sample, second: Sample, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Difference of two success rates, first minus second, in [-1, 1], with its scene bootstrap interval.

    Scenes that both samples hold are resampled together, so what makes a scene easy or hard for both cancels out.
    """
    value = first.rate - second.rate
    found, scenes = _resampled([first, second], lambda rates: rates[:, 0] - rates[:, 1], resamples, seed)
    if not found.size:
        return Difference(value, -1.0, 1.0, 1.0)
    low, high = _ends(found, scenes, confidence)
    deviation = float(found.std(ddof=1)) * math.sqrt(scenes / (scenes - 1))
    t = abs(value) / deviation if deviation else math.inf if value else 0.0
    return Difference(value, max(low, -1.0), min(high, 1.0), 2 * float(stats.t.sf(t, scenes - 1)))


def bootstrap_interval(
    samples: Sequence[Sample],
    statistic: Callable[[Float[np.ndarray, "n samples"]], Float[np.ndarray, " n"]],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A number that is made of several success rates, with its scene bootstrap interval; see `bootstrap_rates`.

    `statistic` maps rows of rates to numbers; what it can't tell is NaN and left out.
    """
    value = float(statistic(np.array([[each.rate for each in samples]]))[0])
    found, scenes = _resampled(samples, statistic, resamples, seed)
    return Interval(value, *(_ends(found, scenes, confidence) if found.size else (-math.inf, math.inf)))


def _resampled(
    samples: Sequence[Sample],
    statistic: Callable[[Float[np.ndarray, "n samples"]], Float[np.ndarray, " n"]],
    resamples: int,
    seed: int,
) -> tuple[Float[np.ndarray, " n"], int]:
    """The statistic of each resample of which it tells something, none for fewer than two scenes; and the scenes."""
    scenes = len(np.unique(np.concatenate([each.scenes for each in samples])))
    if scenes < 2:
        return np.empty(0), scenes
    found = statistic(bootstrap_rates(samples, resamples, seed))
    return found[~np.isnan(found)], scenes


def bootstrap_rates(samples: Sequence[Sample], resamples: int, seed: int) -> Float[np.ndarray, "resamples samples"]:
    """Success rates of the samples when scenes are drawn again, together for all, and training seeds, each its own.

    An attempt's weight is how often its scene was drawn times how often its training seed was (Owen 2007, "The
    pigeonhole bootstrap"). A sample none of whose scenes was drawn has the rate NaN.
    """
    scenes, index = np.unique(np.concatenate([sample.scenes for sample in samples]), return_inverse=True)
    seeds = [np.unique(sample.seeds, return_inverse=True) for sample in samples]
    drawn, redrawn = _drawn(seed, resamples, len(scenes), tuple(len(names) for names, _ in seeds))
    ends = np.cumsum([sample.outcomes.size for sample in samples])[:-1]
    rates = np.empty((resamples, len(samples)))
    for column, (sample, own) in enumerate(zip(samples, np.split(index, ends), strict=True)):
        names, seed_index = seeds[column]
        attempts, successes = np.zeros((2, len(scenes), len(names)))
        np.add.at(attempts, (own, seed_index), 1)
        np.add.at(successes, (own, seed_index), sample.outcomes)
        total, won = (((drawn @ each) * redrawn[column]).sum(axis=1) for each in (attempts, successes))
        rates[:, column] = np.divide(won, total, out=np.full(resamples, math.nan), where=total > 0)
    return rates


@lru_cache(maxsize=8)
def _drawn(
    seed: int, resamples: int, scenes: int, seeds: tuple[int, ...]
) -> tuple[Float[np.ndarray, "resamples scenes"], list[Float[np.ndarray, "resamples seeds"]]]:
    """How often each scene is drawn, and each training seed of each sample: the same for samples of the same size."""
    rng = generator(seed, "bootstrap")
    return _counts(rng, resamples, scenes), [_counts(rng, resamples, number) for number in seeds]


def _counts(rng: np.random.Generator, resamples: int, clusters: int) -> Float[np.ndarray, "resamples clusters"]:
    """How often each cluster is drawn, in draws of `clusters` with replacement."""
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)


def _ends(values: Float[np.ndarray, " resamples"], clusters: int, confidence: float) -> tuple[float, float]:
    """Percentile interval, widened for few clusters as a t interval is (Hesterberg 2015, "expanded percentile")."""
    t = stats.t.ppf(0.5 + confidence / 2, clusters - 1)
    tail = float(stats.norm.cdf(-math.sqrt(clusters / (clusters - 1)) * t))
    values = values[~np.isnan(values)]
    low = np.quantile(values, tail, method="lower")  # a value that occurred: interpolation can't handle infinity
    high = np.quantile(values, 1 - tail, method="higher")
    return float(low), float(high)


@dataclass(frozen=True)
class CurvePoint:
    """One point of the real-only curve."""

    labels: int
    """Labelled real attempts that training was given, at least 1."""
    sample: Sample


def label_efficiency(
    curve: Sequence[CurvePoint],
    target: Sample,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """How many real labels real-only training needs to reach the success rate of `target`.

    The curve is made monotone (more labels never hurt) and interpolated over the logarithm of the labels. A value or
    end equal to the smallest number of labels means "at most that many"; infinity means "more than were tried".

    Raises:
        ValueError: if the curve is empty, or a point has no labels or no attempts.
    """
    points = sorted(curve, key=lambda point: point.labels)
    if not points or points[0].labels < 1 or any(point.sample.outcomes.size == 0 for point in points):
        raise ValueError("the curve needs points of at least one label and one attempt each")
    samples = [point.sample for point in points]
    labels = np.array([point.labels for point in points], dtype=np.float64)
    weights = np.array([sample.outcomes.size for sample in samples], dtype=np.float64)

    def needed(rates: Float[np.ndarray, " points"], rate: float) -> float:
        return labels_for_rate(labels, monotone(rates, weights), rate)

    value = needed(np.array([sample.rate for sample in samples]), target.rate)
    scenes = len(np.unique(np.concatenate([sample.scenes for sample in [*samples, target]])))
    if scenes < 2:
        return Interval(value, float(labels[0]), math.inf)
    draws = bootstrap_rates([*samples, target], resamples, seed)
    draws = draws[~np.isnan(draws).any(axis=1)]
    low, high = _ends(np.array([needed(draw[:-1], float(draw[-1])) for draw in draws]), scenes, confidence)
    return Interval(value, low, high)


def monotone(
    values: Float[np.ndarray, " points"], weights: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    """The nearest non-decreasing sequence in weighted least squares."""
    return np.asarray(optimize.isotonic_regression(values, weights=weights).x)


def labels_for_rate(labels: Float[np.ndarray, " points"], rates: Float[np.ndarray, " points"], rate: float) -> float:
    """Fewest labels at which a non-decreasing curve over log(labels) reaches `rate`; infinity if it never does."""
    if rate > rates[-1]:
        return math.inf
    right = int(np.searchsorted(rates, rate, side="left"))
    if right == 0:
        return float(labels[0])
    left = right - 1
    share = (rate - rates[left]) / (rates[right] - rates[left])
    return float(math.exp((1 - share) * math.log(labels[left]) + share * math.log(labels[right])))


def auc(scores: Float[np.ndarray, " n"], outcomes: Bool[np.ndarray, " n"]) -> float:
    """Probability that a success scores above a failure, ties counting half; NaN unless both occur."""
    positives = int(outcomes.sum())
    negatives = outcomes.size - positives
    if positives == 0 or negatives == 0:
        return math.nan
    ranks = stats.rankdata(scores)
    return float((ranks[outcomes].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def rank_correlation(
    first: Float[np.ndarray, "*studies n"],
    second: Float[np.ndarray, "*studies n"],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Spearman's rank correlation of pairs, with the interval of a bootstrap over the pairs; of several studies of
    the same things their mean, and the same things are drawn for all.

    NaN where all values of one side are equal, and the interval is [-1, 1] for fewer than four pairs. With few pairs
    it promises too much: about 20 are needed for it to hold what it says.
    """
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    value, count = float(_spearman(first, second).mean()), first.shape[-1]
    if count < 4 or math.isnan(value):
        return Interval(value, -1.0, 1.0)
    draws = generator(seed, "pairs").integers(count, size=(resamples, count))
    low, high = _ends(_spearman(first[:, draws], second[:, draws]).mean(axis=0), count, confidence)
    return Interval(value, low, high)


def _spearman(
    first: Float[np.ndarray, "*draws n"], second: Float[np.ndarray, "*draws n"]
) -> Float[np.ndarray, "*draws"]:
    """Correlation of the ranks, ties sharing theirs; NaN where one side has no spread."""
    middle = (first.shape[-1] + 1) / 2
    x, y = stats.rankdata(first, axis=-1) - middle, stats.rankdata(second, axis=-1) - middle
    sizes = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.divide((x * y).sum(axis=-1), sizes, out=np.full(sizes.shape, math.nan), where=sizes > 0)


@dataclass(frozen=True)
class Reliability:
    """Predicted against observed success, in bins of equal width over [0, 1]; only bins that hold attempts."""

    predicted: Float[np.ndarray, " bins"]
    """Mean predicted probability of each bin."""
    observed: Float[np.ndarray, " bins"]
    """Fraction that succeeded in each bin."""
    counts: Int[np.ndarray, " bins"]
    error: float
    """Expected calibration error: mean distance of predicted and observed, weighted by the counts; NaN if empty."""


def reliability(predicted: Float[np.ndarray, " n"], outcomes: Bool[np.ndarray, " n"], bins: int = 10) -> Reliability:
    """Bin predicted probabilities, each in [0, 1], and compare them with the outcomes (Naeini et al. 2015)."""
    index = np.clip((predicted * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    used = counts > 0
    mean = np.bincount(index, weights=predicted, minlength=bins)[used] / counts[used]
    rate = np.bincount(index, weights=outcomes, minlength=bins)[used] / counts[used]
    error = float(np.sum(np.abs(mean - rate) * counts[used]) / outcomes.size) if outcomes.size else math.nan
    return Reliability(mean, rate, counts[used], error)
