"""Statistics against hand-made values, scipy and brute force."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from graspgap.evaluation.statistics import (
    CurvePoint,
    Sample,
    auc,
    bootstrap_rates,
    holm,
    label_efficiency,
    labels_for_rate,
    mcnemar_test,
    monotone,
    rate_difference,
    rate_interval,
    reliability,
    seed_spread,
    wilson_interval,
)


def sample_of(table: np.ndarray, seeds: np.ndarray | None = None) -> Sample:
    """A sample from a (scenes, attempts) table of outcomes."""
    scenes = np.repeat(np.arange(table.shape[0]), table.shape[1])
    return Sample(table.astype(bool).ravel(), scenes, np.zeros_like(scenes) if seeds is None else seeds)


def clustered(rng: np.random.Generator, rate: float, scenes: int, attempts: int, spread: float = 2.0) -> Sample:
    """Attempts whose scenes have success rates drawn around `rate` (beta with `spread` pseudo-counts)."""
    rates = rng.beta(rate * spread, (1 - rate) * spread, size=scenes)
    return sample_of(rng.random((scenes, attempts)) < rates[:, None])


@pytest.mark.parametrize(("successes", "attempts"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (384, 612)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_agrees_with_scipy(successes: int, attempts: int, confidence: float) -> None:
    expected = stats.binomtest(successes, attempts).proportion_ci(confidence, method="wilson")
    ours = wilson_interval(successes, attempts, confidence)
    assert (ours.value, ours.low, ours.high) == pytest.approx((successes / attempts, expected.low, expected.high))
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


def test_wilson_without_attempts_knows_nothing() -> None:
    interval = wilson_interval(0, 0)
    assert math.isnan(interval.value)
    assert (interval.low, interval.high) == (0, 1)


@pytest.mark.parametrize(("successes", "attempts"), [(3, 2), (-1, 2)])
def test_wilson_refuses_impossible_counts(successes: int, attempts: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        wilson_interval(successes, attempts)


@pytest.mark.parametrize(("only_first", "only_second", "agree"), [(0, 0, 5), (1, 0, 0), (12, 3, 20), (9, 9, 1)])
def test_mcnemar_is_the_exact_binomial_tail(only_first: int, only_second: int, agree: int) -> None:
    first = np.array([True] * only_first + [False] * only_second + [True] * agree)
    second = np.array([False] * only_first + [True] * only_second + [True] * agree)
    n, k = only_first + only_second, min(only_first, only_second)
    tail = 2 * sum((Fraction(math.comb(n, i), 2**n) for i in range(k + 1)), Fraction(0))
    test = mcnemar_test(first, second)
    assert (test.attempts, test.only_first, test.only_second) == (n + agree, only_first, only_second)
    assert test.p == pytest.approx(float(min(tail, Fraction(1))))
    assert mcnemar_test(second, first).p == test.p


def test_bootstrap_draws_whole_scenes() -> None:
    table = np.repeat([[0], [1]], 50, axis=1)  # two scenes: all fail, all succeed
    rates = bootstrap_rates([sample_of(table)], 400, seed=0)[:, 0]
    assert set(np.round(rates, 6)) == {0.0, 0.5, 1.0}
    assert np.mean(rates == 0.5) == pytest.approx(0.5, abs=0.08)


def test_bootstrap_draws_training_seeds() -> None:
    table = np.tile([0, 1], (30, 5))  # seed 1 always succeeds, in every scene; seed 0 never
    seeds = np.tile([0, 1], 30 * 5)
    rates = bootstrap_rates([sample_of(table, seeds)], 400, seed=0)[:, 0]
    assert set(np.round(rates, 6)) == {0.0, 0.5, 1.0}


def test_bootstrap_spread_is_the_standard_error_of_scene_means() -> None:
    sample = clustered(np.random.default_rng(1), 0.4, scenes=60, attempts=10)
    means = sample.outcomes.reshape(60, 10).mean(axis=1)
    rates = bootstrap_rates([sample], 4000, seed=0)[:, 0]
    assert rates.std() == pytest.approx(means.std() / math.sqrt(60), rel=0.05)
    assert rates.mean() == pytest.approx(sample.rate, abs=0.005)


def test_equal_seeds_draw_equal_bootstraps() -> None:
    sample = clustered(np.random.default_rng(1), 0.4, scenes=9, attempts=5)
    assert rate_interval(sample, seed=3) == rate_interval(sample, seed=3)
    one, other = bootstrap_rates([sample], 50, seed=3), bootstrap_rates([sample], 50, seed=4)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("scenes", [6, 20])
def test_intervals_cover_the_truth_where_independent_attempts_would_not(scenes: int) -> None:
    rng = np.random.default_rng(scenes)
    ours = wilson = 0
    for _ in range(200):
        sample = clustered(rng, 0.35, scenes, attempts=15)
        ours += rate_interval(sample, resamples=400).holds(0.35)
        wilson += wilson_interval(int(sample.outcomes.sum()), sample.outcomes.size).holds(0.35)
    assert ours >= 182  # 95% nominal; fewer than 182 of 200 has probability 0.01 at 95%
    assert wilson < 150


def test_rate_interval_keeps_its_width_when_all_attempts_end_alike() -> None:
    sample = sample_of(np.zeros((10, 4)))
    expected = wilson_interval(0, 40)
    assert rate_interval(sample) == expected
    assert expected.high > 0.08


def test_one_scene_tells_nothing_about_others() -> None:
    one = sample_of(np.ones((1, 50)))
    none = sample_of(np.zeros((1, 50)))
    assert (rate_interval(one).low, rate_interval(one).high) == (0.0, 1.0)
    difference = rate_difference(one, none)
    assert (difference.value, difference.low, difference.high) == (1.0, -1.0, 1.0)


def test_difference_lets_hard_scenes_cancel_out() -> None:
    rng = np.random.default_rng(2)
    base = np.repeat(rng.random((30, 1)) < 0.5, 10, axis=1)  # scenes are all or nothing
    better = base.copy()
    better[:, 0] = True  # one attempt more in each scene
    paired = rate_difference(sample_of(better), sample_of(base))
    moved = sample_of(base)
    apart = rate_difference(sample_of(better), Sample(moved.outcomes, moved.scenes + 1000, moved.seeds))
    assert paired.value == pytest.approx(better.mean() - base.mean())
    assert 0 < paired.low < paired.value < paired.high < 0.1
    assert apart.low < 0 < apart.high  # the same counts on other scenes show nothing
    back = rate_difference(sample_of(base), sample_of(better))
    assert back.value == pytest.approx(-paired.value)


def test_intervals_of_few_scenes_are_as_wide_as_a_t_interval_of_scene_means() -> None:
    sample = clustered(np.random.default_rng(6), 0.5, scenes=8, attempts=40)
    nothing = Sample(np.zeros_like(sample.outcomes), sample.scenes, sample.seeds)
    means = sample.outcomes.reshape(8, 40).mean(axis=1)
    expected = stats.t.interval(0.95, 7, loc=means.mean(), scale=means.std(ddof=1) / math.sqrt(8))
    found = rate_difference(sample, nothing, resamples=20000)
    assert found.high - found.low == pytest.approx(expected[1] - expected[0], rel=0.1)


def test_differences_of_equal_policies_rarely_look_clear() -> None:
    rng = np.random.default_rng(5)
    clear = 0
    for _ in range(200):
        rates = rng.beta(0.7, 1.3, size=(15, 1))
        first, second = (sample_of(rng.random((15, 10)) < rates) for _ in range(2))
        clear += not rate_difference(first, second, resamples=400).holds(0.0)
    assert clear <= 18


def test_p_values_know_that_trainings_differ_where_mcnemars_does_not() -> None:
    """Equal recipes, three trainings each, whose success differs by chance of training as well."""
    rng = np.random.default_rng(7)
    found: dict[str, int] = {"mcnemar": 0, "clustered": 0}
    scenes, seeds = np.repeat(np.arange(60), 3), np.repeat(np.arange(3), 60)
    for _ in range(100):
        outcomes = [
            np.concatenate([rng.random(60) < 0.5 + shift for shift in rng.normal(0, 0.08, 3)]) for _ in range(2)
        ]
        first, second = (Sample(each, np.tile(scenes[:60], 3), seeds) for each in outcomes)
        found["mcnemar"] += mcnemar_test(*outcomes).p < 0.05
        found["clustered"] += rate_difference(first, second, resamples=400).p < 0.05
    assert found["clustered"] <= 10 < 15 <= found["mcnemar"]


def test_the_p_value_is_that_of_a_t_test_of_paired_scenes() -> None:
    rng = np.random.default_rng(3)
    rates = rng.random((30, 10, 2)) < (0.5, 0.6)
    first, second = (sample_of(rates[..., arm]) for arm in (0, 1))
    expected = stats.ttest_rel(*(rates[..., arm].mean(axis=1) for arm in (0, 1))).pvalue
    assert rate_difference(first, second, resamples=20000).p == pytest.approx(expected, rel=0.1)
    assert rate_difference(first, first).p == 1
    assert rate_difference(sample_of(np.ones((1, 5), bool)), sample_of(np.zeros((1, 5), bool))).p == 1


def test_labels_for_rate_interpolates_over_the_logarithm() -> None:
    labels, rates = np.array([100.0, 1000.0, 10000.0]), np.array([0.2, 0.4, 0.4])
    assert labels_for_rate(labels, rates, 0.3) == pytest.approx(math.sqrt(100 * 1000))
    assert labels_for_rate(labels, rates, 0.4) == pytest.approx(1000)  # the fewest that reach it
    assert labels_for_rate(labels, rates, 0.1) == 100
    assert labels_for_rate(labels, rates, 0.41) == math.inf


def test_monotone_pools_what_goes_down() -> None:
    pooled = monotone(np.array([0.1, 0.6, 0.3, 0.7]), np.array([1.0, 1.0, 2.0, 1.0]))
    assert pooled == pytest.approx([0.1, 0.4, 0.4, 0.7])


def test_label_efficiency_finds_the_labels_and_their_doubt() -> None:
    rng = np.random.default_rng(3)

    def sample(rate: float) -> Sample:
        return sample_of(rng.permuted(np.tile(np.arange(20) < rate * 20, (40, 1)), axis=1))

    curve = [CurvePoint(10000, sample(0.6)), CurvePoint(100, sample(0.2)), CurvePoint(1000, sample(0.4))]
    exact = label_efficiency(curve, sample(0.5))
    assert exact.value == pytest.approx(math.sqrt(1000 * 10000))
    assert exact.low == pytest.approx(exact.high)  # every scene has the same rate: no doubt
    assert label_efficiency(curve, sample(0.9)).value == math.inf
    assert label_efficiency(curve, sample(0.05)).value == 100
    noisy = sample_of(rng.random((40, 20)) < rng.beta(2, 2, size=(40, 1)))
    doubt = label_efficiency(curve, noisy)
    assert doubt.low < doubt.value < doubt.high
    with pytest.raises(ValueError, match="at least one label"):
        label_efficiency([CurvePoint(0, sample(0.2))], noisy)


def test_auc_counts_pairs_with_ties_as_half() -> None:
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 6, size=60).astype(float)
    outcomes = rng.random(60) < 0.4
    wins = [(p > n) + (p == n) / 2 for p in scores[outcomes] for n in scores[~outcomes]]
    assert auc(scores, outcomes) == pytest.approx(np.mean(wins))
    assert auc(-scores, outcomes) == pytest.approx(1 - np.mean(wins))
    assert math.isnan(auc(scores, np.ones(60, dtype=bool)))


def test_reliability_by_hand() -> None:
    predicted = np.array([0.05, 0.15, 0.15, 0.95, 1.0, 0.0])
    outcomes = np.array([True, False, True, True, True, False])
    result = reliability(predicted, outcomes)
    assert result.predicted == pytest.approx([0.025, 0.15, 0.975])
    assert result.observed == pytest.approx([0.5, 0.5, 1.0])
    assert result.counts.tolist() == [2, 2, 2]
    assert result.error == pytest.approx((0.475 + 0.35 + 0.025) / 3)


def test_perfectly_calibrated_predictions_have_no_error() -> None:
    predicted = np.repeat([0.25, 0.75], 400)
    outcomes = np.concatenate([np.arange(400) < 100, np.arange(400) < 300])
    assert reliability(predicted, outcomes, bins=2).error == pytest.approx(0.0)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_false_alarms_rare_in_a_whole_family() -> None:
    rng = np.random.default_rng(0)
    alarms = [min(holm(rng.random(20).tolist())) < 0.05 for _ in range(2000)]
    assert 0.03 < np.mean(alarms) < 0.07


@pytest.mark.parametrize("spread", [0.0, 0.08])
def test_the_spread_between_seeds_is_what_chance_leaves(spread: float) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(40):
        seeds = np.repeat(np.arange(30), 120)
        rates = np.clip(0.5 + spread * rng.standard_normal(30), 0.01, 0.99)
        # Of each seed 40 scenes of its own, three attempts each, which end alike for half of the scenes.
        scenes = np.repeat(np.arange(30 * 40), 3)
        chance = np.where(np.repeat(rng.random(30 * 40) < 0.5, 3), np.repeat(rng.random(30 * 40), 3), rng.random(3600))
        found.append(seed_spread(Sample(chance < rates[seeds], scenes, seeds)))
    assert np.mean(found) == pytest.approx(spread, abs=0.02)  # chance alone would be 0.06


def test_the_spread_between_seeds_that_share_scenes_is_that_of_a_two_way_analysis_of_variance() -> None:
    """What makes a scene easy or hard for all seeds is no chance between them."""
    rng = np.random.default_rng(1)
    rates = np.clip(np.array([[0.3], [0.5], [0.7]]) + rng.normal(0, 0.2, 20), 0, 1)
    outcomes = rng.random((3, 20, 4)) < rates[..., None]
    scenes, seeds = np.tile(np.repeat(np.arange(20), 4), 3), np.repeat(np.arange(3), 80)
    cells = outcomes.mean(axis=2)
    rest = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    chance = np.sum(rest**2) / (2 * 19) / 20
    expected = math.sqrt(cells.mean(axis=1).var(ddof=1) - chance)
    assert seed_spread(Sample(outcomes.ravel(), scenes, seeds)) == pytest.approx(expected)


def test_the_spread_between_seeds_needs_two_of_them() -> None:
    table = np.array([[1, 0], [0, 0]])
    assert math.isnan(seed_spread(sample_of(table)))
    one_scene_each = sample_of(table, seeds=np.array([0, 0, 1, 1]))
    assert math.isnan(seed_spread(one_scene_each))
