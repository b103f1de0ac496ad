"""How often the 95% intervals of success rates hold the truth, where training seeds differ by a known amount, and how
often a test finds a difference at the 5% level between two arms that are equally good.

    pip install -e . -c constraints.txt
    python benchmarks/coverage.py

Studies like `demo` are made up: training seeds with scenes of their own, attempts of a scene that resemble one another.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tyro

from graspgap.evaluation.statistics import Sample, mcnemar_test, rate_difference, rate_interval, wilson_interval


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
    likeness: float = 3.0
    """Pseudo-counts of the beta distribution of the scenes' rates: fewer make attempts of a scene more alike."""


def made_up(config: Config, rng: np.random.Generator, seeds: int, spread: float) -> Sample:
    """The attempts of one arm of one study."""
    means = np.clip(config.rate + spread * rng.standard_normal((seeds, 1)), 0.02, 0.98)
    size = (seeds, config.scenes)
    rates = rng.beta(means * config.likeness, (1 - means) * config.likeness, size=size)
    outcomes = rng.random((*size, config.attempts)) < rates[..., None]
    scenes = np.broadcast_to(np.arange(seeds * config.scenes).reshape(*size, 1), outcomes.shape)
    of_seed = np.broadcast_to(np.arange(seeds).reshape(-1, 1, 1), outcomes.shape)
    return Sample(outcomes.ravel(), scenes.ravel(), of_seed.ravel())


def measure(config: Config, seeds: int, spread: float) -> dict[str, Any]:
    """Coverage, width and false alarms for studies of one kind."""
    held, widths, wilson, mcnemar, clustered = [], [], [], [], []
    for number in range(config.studies):
        sample = made_up(config, np.random.default_rng(number), seeds, spread)
        interval = rate_interval(sample, resamples=600)
        held.append(interval.holds(config.rate))
        widths.append(interval.high - interval.low)
        wilson.append(wilson_interval(int(sample.outcomes.sum()), len(sample.outcomes)).holds(config.rate))
        other = made_up(config, np.random.default_rng(config.studies + number), seeds, spread)
        mcnemar.append(mcnemar_test(sample.outcomes, other.outcomes).p < 0.05)
        clustered.append(rate_difference(sample, other, resamples=600).p < 0.05)
    return {
        "seeds": seeds,
        "spread_between_seeds": spread,
        "holds_the_truth": round(float(np.mean(held)), 3),
        "width": round(float(np.mean(widths)), 3),
        "wilson_holds_it": round(float(np.mean(wilson)), 3),
        "mcnemar_false_alarms": round(float(np.mean(mcnemar)), 3),
        "p_false_alarms": round(float(np.mean(clustered)), 3),
    }


def main(config: Config) -> None:
    load = begin()
    rows = [measure(config, seeds, spread) for seeds in config.seeds for spread in config.spreads]
    print(table(rows))
    print(save("coverage", asdict(config), rows, load))


if __name__ == "__main__":
    main(tyro.cli(Config))
