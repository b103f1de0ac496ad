"""How often the 95% intervals of success rates hold the truth, where training seeds differ by a known amount, and how
often a test finds a difference at the 5% level between two arms that are equally good.

    pip install -e . -c constraints.txt
    python benchmarks/coverage.py

Studies like `demo` are made up: training seeds with scenes of their own, attempts of a scene that resemble one another,
and two arms on the same scenes. `p` is that of `rate_difference`, which draws each arm's training seeds by themselves;
`together` draws both arms' seeds as pairs. Each with its false alarms, where the arms are equally good, and how often
it finds that one is better by `effect`.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tyro
from scipy import stats

from graspgap.evaluation.statistics import (
    Sample,
    bootstrap_interval,
    mcnemar_test,
    rate_difference,
    rate_interval,
    wilson_interval,
)

RESAMPLES = 600


@dataclass(frozen=True)
class Config:
    """What is made up."""

    studies: int = 400
    seeds: tuple[int, ...] = (1, 3, 6)
    """Training seeds of a study."""
    spreads: tuple[float, ...] = (0.0, 0.03, 0.06, 0.1)
    """Standard deviations of the true rate between training seeds."""
    scenes: int = 67
    """Of each seed."""
    attempts: int = 3
    """Of each scene."""
    rate: float = 0.45
    effect: float = 0.1
    """By how much the better arm is better, where one is."""
    shared: float = 0.6
    """Correlation of a scene's difficulty between the arms."""
    likeness: float = 3.0
    """Pseudo-counts of the beta distribution of the scenes' rates: fewer make attempts of a scene more alike."""


def made_up(config: Config, rng: np.random.Generator, seeds: int, spread: float, effect: float) -> list[Sample]:
    """The attempts of two arms of one study, of which the first is better by `effect`."""
    size, found = (seeds, config.scenes), []
    common = rng.standard_normal(size)
    for better in (effect, 0.0):
        means = np.clip(config.rate + better + spread * rng.standard_normal((seeds, 1)), 0.02, 0.98)
        own = rng.standard_normal(size)
        easy = stats.norm.cdf(np.sqrt(config.shared) * common + np.sqrt(1 - config.shared) * own)
        rates = stats.beta.ppf(easy, means * config.likeness, (1 - means) * config.likeness)
        outcomes = rng.random((*size, config.attempts)) < rates[..., None]
        scenes = np.broadcast_to(np.arange(seeds * config.scenes).reshape(*size, 1), outcomes.shape)
        of_seed = np.broadcast_to(np.arange(seeds).reshape(-1, 1, 1), outcomes.shape)
        found.append(Sample(outcomes.ravel(), scenes.ravel(), of_seed.ravel()))
    return found


def differs_together(first: Sample, second: Sample) -> bool:
    """Whether the 95% interval of the mean difference leaves out 0 when seeds are drawn for both arms together."""
    differences = Sample(first.outcomes.astype(float) - second.outcomes, first.scenes, first.seeds)
    return not bootstrap_interval([differences], lambda rates: rates[:, 0], resamples=RESAMPLES).holds(0.0)


def measure(config: Config, seeds: int, spread: float) -> dict[str, Any]:
    """Coverage, width, false alarms and power for studies of one kind."""
    told: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        told.setdefault(name, []).append(value)

    for number in range(config.studies):
        rng = np.random.default_rng(number)
        sample, other = made_up(config, rng, seeds, spread, 0.0)
        interval = rate_interval(sample, resamples=RESAMPLES)
        note("holds_the_truth", interval.holds(config.rate))
        note("width", interval.high - interval.low)
        wilson = wilson_interval(int(sample.outcomes.sum()), len(sample.outcomes))
        note("wilson_holds_it", wilson.holds(config.rate))
        note("mcnemar_false_alarms", mcnemar_test(sample.outcomes, other.outcomes).p < 0.05)
        note("p_false_alarms", rate_difference(sample, other, resamples=RESAMPLES).p < 0.05)
        note("together_false_alarms", differs_together(sample, other))
        better, other = made_up(config, rng, seeds, spread, config.effect)
        note("p_finds_it", rate_difference(better, other, resamples=RESAMPLES).p < 0.05)
        note("together_finds_it", differs_together(better, other))
    means = {name: round(float(np.mean(values)), 3) for name, values in told.items()}
    return {"seeds": seeds, "spread_between_seeds": spread} | means


def main(config: Config) -> None:
    load = begin()
    rows = [measure(config, seeds, spread) for seeds in config.seeds for spread in config.spreads]
    print(table(rows))
    print(save("coverage", asdict(config), rows, load))


if __name__ == "__main__":
    main(tyro.cli(Config))
