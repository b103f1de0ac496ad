"""What the ingredients of an arm are, which `Study.ingredients` names and results carry."""

from __future__ import annotations

from collections.abc import Collection

from graspgap.adaptation.feature import FEATURES, feature_names

ONLY_STATISTICS = frozenset({"adabn", "dbn"})
"""Feature-level methods that are nothing but batch statistics of reality's own pictures."""
SIMULATION = "simulation"
STATISTICS = "statistics"
"""Batch statistics of reality's own pictures."""
KEEPING_THEM = frozenset(name for name, kind in FEATURES.items() if kind.separate or kind.recalibrate)
"""Feature-level methods whose policies have `STATISTICS`, whatever else they do."""
RANDOMIZATION = "randomization"
"""Of looks and physics; `appearance randomization` is of looks alone, and so on."""
OBJECTS = " objects"
"""What follows the name of an object set that is not the world's own."""
SIMULATOR = " simulator"
"""What follows the name of a simulated world that is not `sim`."""
ATTEMPTS = " attempts"
"""What follows the number of simulated attempts, in a study whose simulated datasets differ in it."""


def completed(ingredients: Collection[str]) -> frozenset[str]:
    """With the batch statistics that methods among them bring along; an arm's own list names what it was given."""
    return frozenset(ingredients) | ({STATISTICS} if KEEPING_THEM & set(ingredients) else set())


def about_simulation(ingredient: str) -> bool:
    """Whether it is what simulation shows, which needs no real picture: how much, by which simulator."""
    return ingredient == SIMULATION or ingredient.endswith((RANDOMIZATION, OBJECTS, SIMULATOR, ATTEMPTS))


def feature_ingredients(features: str) -> list[str]:
    """Of the methods that `train --features` is given, joined by commas."""
    names = feature_names(features)
    found = [STATISTICS] if set(names) & ONLY_STATISTICS else []
    return found + [name for name in names if name not in ONLY_STATISTICS]


def about_features(ingredient: str) -> bool:
    """Whether it is done to the network's features; the others change what simulation shows, or adapt its pictures."""
    return ingredient == STATISTICS or ingredient in FEATURES
