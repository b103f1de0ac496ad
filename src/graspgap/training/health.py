"""Signs that a training has gone wrong, measured whenever a line of the log is due, each with what to try."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

TOLD_APART = 0.985
"""Discriminators have won when they tell so large a share of real and made places apart; 1/2 is chance. The same for
every GAN loss: a share asks on which side of 1/2 a verdict lies, not how far. Measured shares are in docs/decisions.md:
0.986 to 0.997 where real pictures are learned by heart, 1 where a method ended with simulation's colours, 0.49 to 0.98
in other trained adapters."""
WON_FOR = 8
"""Measurements in a row that this takes: 200 steps, since a phase of the game may look so for a while."""
VARIETY = 0.25
"""Made pictures have lost their variety when they differ from each other by less than this share of what simulated or
real ones do, whichever differ less. Chosen, as the limits below are: low, so that a warning is rarely wrong."""
SATURATED = 0.3
"""Saturated noise: so much more of made pictures than of real ones lies within 1% of black or white."""
DECIDED = 0.01
"""A domain classifier has won when its cross-entropy is lower: its verdicts are 99% sure and right, and the gradient
that DANN reverses, 1/2 at the logit of an undecided one, is at most so large. Other adversarial methods descend a loss
of their own, which doesn't vanish."""
VANISHED = 1e-6
"""Norm of a side's gradient below which its steps are rounding, or Adam's answer to rounding."""
EXPLODED, LARGE = 100.0, 10.0
"""A side's gradient has exploded when its norm is so many times the median of those before, and above `LARGE`."""
LASTS = 4
"""Measurements in a row before the other warnings; an explosion needs no second one."""


@torch.no_grad()
def verdict_health(real: Sequence[Float[Tensor, "..."]], made: Sequence[Float[Tensor, "..."]]) -> dict[str, float]:
    """Of `PixelMethod.verdicts` on real and on made pairs: their means, and the share of places that are told apart
    (real ones above 1/2, made ones not; both weigh the same). All discriminators weigh the same; empty without any."""
    if not real:
        return {}
    right = _mean([verdict > 0.5 for verdict in real]), _mean([verdict <= 0.5 for verdict in made])
    return {"verdict_real": _mean(real), "verdict_made": _mean(made), "told_apart": sum(right) / 2}


def _mean(maps: Sequence[Tensor]) -> float:
    return float(torch.stack([values.float().mean() for values in maps]).mean())


@torch.no_grad()
def picture_health(
    made: Float[Tensor, "b 6 h w"], source: Float[Tensor, "b 6 h w"], real: Float[Tensor, "b 6 h w"]
) -> dict[str, float]:
    """Of pairs in [-1, 1]: how much made pictures differ from each other (standard deviation over the batch, averaged
    over values), as a share of what their sources or real ones do, and the shares of saturated values."""
    found = {"saturated": _saturated(made), "saturated_real": _saturated(real)}
    if len(made) > 1:
        least = min(_spread(source), _spread(real))
        found["variety"] = _spread(made) / max(least, 1e-3)  # pictures that are all alike have nothing to lose
    return found


def _spread(pairs: Tensor) -> float:
    return float(pairs.std(dim=0).mean())


def _saturated(pairs: Tensor) -> float:
    return float((pairs.abs() > 0.98).float().mean())


class HealthWatch:
    """Warns once of each thing that goes wrong in a run."""

    def __init__(self, earlier: Iterable[Mapping[str, Any]] = ()) -> None:
        """`earlier`: entries of the log of a run that is resumed; what it warned of is not said again."""
        self.streaks: dict[str, int] = {}
        self.norms: dict[str, list[float]] = {}
        self.said: set[str] = set()
        for entry in earlier:
            self.warnings(entry.get("health", {}))

    def warnings(self, health: Mapping[str, float]) -> list[str]:
        """What one more measurement gives reason to say, in one line each: what is wrong, and what to try."""
        found = []
        if "told_apart" in health and self._lasts("won", health["told_apart"] > TOLD_APART, WON_FOR):
            found.append(
                f"the discriminators have won: they tell {health['told_apart']:.1%} of real and made pictures apart, "
                "and the generator learns little from that; lower their learning rate, show them more real pictures, "
                "or augment what they see where the method can"
            )
        if "variety" in health and self._lasts("variety", health["variety"] < VARIETY):
            found.append(
                f"made pictures have lost their variety: they differ {health['variety']:.2f} times as much as the ones "
                "they are made of, or real ones, do; raise the weight of the content, cycle or contrast loss, or lower "
                "the learning rate"
            )
        excess = health.get("saturated", 0.0) - health.get("saturated_real", 0.0)
        if self._lasts("saturated", excess > SATURATED):
            found.append(
                f"{health.get('saturated', 0.0):.0%} of made pictures is black or white, {excess:.0%} more than of "
                "real ones; lower the learning rate, or raise the weight of the content or cycle loss"
            )
        for name, norm in health.items():
            if name.startswith("gradient_"):
                found += self._of_gradient(name.removeprefix("gradient_"), norm)
            if name.startswith("reversed_") and self._lasts(name, norm < DECIDED, WON_FOR):
                found.append(
                    f"the domain classifier of '{name.removeprefix('reversed_')}' has won (loss {norm:.1e}): next to "
                    "nothing is left of the gradient that is reversed, and features stay as far apart as they are; "
                    "take pictures that are more alike (--adapter, or a randomized --sim), or a method whose loss "
                    "doesn't vanish (confusion, adda)"
                )
        return found

    def _of_gradient(self, side: str, norm: float) -> list[str]:
        found, before = [], self.norms.setdefault(side, [])
        if not math.isfinite(norm):  # an overflow in 16 bits, which `Engine` passes over; losses are checked themselves
            return []
        if self._lasts(f"vanished {side}", norm < VANISHED):
            found.append(
                f"the gradient of '{side}' has vanished (norm {norm:.1e}): nothing moves it any more; check the "
                "weights of its losses, or raise the learning rate"
            )
        if len(before) >= LASTS and norm > max(LARGE, EXPLODED * median(before)):
            if f"exploded {side}" not in self.said:
                found.append(
                    f"the gradient of '{side}' has exploded (norm {norm:.1e}, {median(before):.1e} before): lower the "
                    "learning rate, or check the data"
                )
            self.said.add(f"exploded {side}")
        else:
            before.append(norm)
        return found

    def _lasts(self, what: str, wrong: bool, long: int = LASTS) -> bool:
        """Whether `what` has been wrong for `long` measurements, and that was not said before."""
        self.streaks[what] = self.streaks.get(what, 0) + 1 if wrong else 0
        if self.streaks[what] < long or what in self.said:
            return False
        self.said.add(what)
        return True
