"""Feature-level methods: losses that bring simulation and reality together inside the grasp network. A method is one
file here and one line below."""

from graspgap.adaptation.feature.base import FRAMES, FeatureConfig, FeatureMethod, Losses, Seen
from graspgap.adaptation.feature.consistency import ConsistencyConfig
from graspgap.adaptation.feature.statistics import AdaBnConfig, DbnConfig

FEATURES: dict[str, type[FeatureConfig]] = {
    "consistency": ConsistencyConfig,
    "dbn": DbnConfig,
    "adabn": AdaBnConfig,
}
"""Names on the command line, and the settings that build each method."""

__all__ = ["FEATURES", "FRAMES", "FeatureConfig", "FeatureMethod", "Losses", "Seen"]
