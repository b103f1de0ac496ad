"""Feature-level methods: losses that bring simulation and reality together inside the grasp network. A method is one
file here and one line below."""

from collections.abc import Sequence

from graspgap.adaptation.feature.adda import AddaConfig
from graspgap.adaptation.feature.base import FRAMES, FeatureConfig, FeatureMethod, Losses, Seen, seen_as_one
from graspgap.adaptation.feature.confusion import ConfusionConfig
from graspgap.adaptation.feature.consistency import ConsistencyConfig
from graspgap.adaptation.feature.coral import CoralConfig
from graspgap.adaptation.feature.dann import DannConfig
from graspgap.adaptation.feature.dsn import DsnConfig
from graspgap.adaptation.feature.mmd import MmdConfig
from graspgap.adaptation.feature.statistics import AdaBnConfig, DbnConfig
from graspgap.errors import UserError, choose

FEATURES: dict[str, type[FeatureConfig]] = {
    "dann": DannConfig,
    "dsn": DsnConfig,
    "adda": AddaConfig,
    "confusion": ConfusionConfig,
    "coral": CoralConfig,
    "mmd": MmdConfig,
    "consistency": ConsistencyConfig,
    "dbn": DbnConfig,
    "adabn": AdaBnConfig,
}
"""Names on the command line, and the settings that build each method."""

NO_LABELS_LEFT = "adda's second phase moves the trunk without labels, towards features that are fixed by then"
REFUSED = {
    ("dann", "dsn"): "dsn holds the domain classifier of dann: choose one",
    ("dann", "confusion"): "both train a domain classifier, and pull the same features towards different aims",
    ("dsn", "confusion"): "both train a domain classifier, and pull the same features towards different aims",
    **{(name, "adda"): NO_LABELS_LEFT for name in ("dann", "dsn", "confusion", "coral", "mmd")},
}
"""Pairs of methods that can't be had together, and the reason."""


def feature_names(text: str) -> list[str]:
    """The methods of `--features`, which joins them by commas; unchecked."""
    return [name for name in text.split(",") if name]


def check_features(names: Sequence[str]) -> None:
    """Refuse unknown names, the same one twice, and pairs of `REFUSED`.

    Raises:
        UserError: names the method, or the pair and the reason.
    """
    for name in names:
        choose("--features", name, FEATURES)
        if names.count(name) > 1:
            raise UserError(f"--features names {name} {names.count(name)} times: give it once")
    for (one, other), reason in REFUSED.items():
        if one in names and other in names:
            raise UserError(f"--features {one},{other} don't go together: {reason}")


__all__ = [
    "FEATURES",
    "FRAMES",
    "REFUSED",
    "FeatureConfig",
    "FeatureMethod",
    "Losses",
    "Seen",
    "check_features",
    "feature_names",
    "seen_as_one",
]
