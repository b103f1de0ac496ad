"""Pixel-level methods: they make simulated pictures look real. A method is one file here and one line below."""

from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.cut import CutConfig, FastCutConfig
from graspgap.adaptation.pixel.cyclegan import CycleGanConfig
from graspgap.adaptation.pixel.graspgan import GraspGanConfig
from graspgap.adaptation.pixel.perceptual import PerceptualConfig

METHODS: dict[str, type[PixelConfig]] = {
    "graspgan": GraspGanConfig,
    "cyclegan": CycleGanConfig,
    "perceptual": PerceptualConfig,
    "cut": CutConfig,
    "fastcut": FastCutConfig,
}
"""Names on the command line, and the settings that build each method."""

__all__ = ["METHODS", "AdapterBatch", "Losses", "PixelConfig", "PixelMethod"]
