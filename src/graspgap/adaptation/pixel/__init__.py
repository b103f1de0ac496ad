"""Pixel-level methods: they make simulated pictures look real. A method is one file here and one line below."""

from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.graspgan import GraspGanConfig

METHODS: dict[str, type[PixelConfig]] = {
    "graspgan": GraspGanConfig,
}
"""Names on the command line, and the settings that build each method."""

__all__ = ["METHODS", "AdapterBatch", "Losses", "PixelConfig", "PixelMethod"]
