"""What the ingredients of an arm are, which `Study.ingredients` names and results carry."""

from __future__ import annotations

from graspgap.adaptation.feature import FEATURES

SIMULATION = "simulation"
STATISTICS = "statistics"
"""Batch statistics of reality's own pictures."""
RANDOMIZATION = "randomization"
"""Of looks and physics; `appearance randomization` is of looks alone, and so on."""
OBJECTS = " objects"
"""What follows the name of an object set that is not the world's own."""
SIMULATOR = " simulator"
"""What follows the name of a simulated world that is not `sim`."""
ATTEMPTS = " attempts"
"""What follows the number of simulated attempts, in a study whose simulated datasets differ in it."""


def about_simulation(ingredient: str) -> bool:
    """Whether it is what simulation shows, which needs no real picture: how much, by which simulator."""
    return ingredient == SIMULATION or ingredient.endswith((RANDOMIZATION, OBJECTS, SIMULATOR, ATTEMPTS))


def about_features(ingredient: str) -> bool:
    """Whether it is done to the network's features; the others change what simulation shows, or adapt its pictures."""
    return ingredient == STATISTICS or ingredient in FEATURES
