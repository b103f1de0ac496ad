"""Pixel-level methods: they make simulated pictures look real. A method is one file here and one line below."""

from typing import Any

from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.composite import CompositeConfig
from graspgap.adaptation.pixel.cut import CutConfig, FastCutConfig
from graspgap.adaptation.pixel.cyclegan import CycleGanConfig
from graspgap.adaptation.pixel.fourier import FourierConfig
from graspgap.adaptation.pixel.graspgan import GraspGanConfig
from graspgap.adaptation.pixel.histogram import HistogramConfig
from graspgap.adaptation.pixel.perceptual import PerceptualConfig
from graspgap.adaptation.pixel.pixelda import PixelDaConfig
from graspgap.adaptation.pixel.rcan import RcanConfig
from graspgap.adaptation.pixel.simgan import SimGanConfig
from graspgap.errors import choose
from graspgap.runs import RETRAIN
from graspgap.settings import build, entry

METHODS: dict[str, type[PixelConfig]] = {
    "graspgan": GraspGanConfig,
    "pixelda": PixelDaConfig,
    "simgan": SimGanConfig,
    "cyclegan": CycleGanConfig,
    "cut": CutConfig,
    "fastcut": FastCutConfig,
    "perceptual": PerceptualConfig,
    "rcan": RcanConfig,
    "histogram": HistogramConfig,
    "fourier": FourierConfig,
    "composite": CompositeConfig,
}
"""Names on the command line, and the settings that build each method."""


def build_method(choice: dict[str, Any], where: object) -> PixelMethod:
    """A method with new weights, from what a run's record, `where`, says of it: `method`, its name, and its `options`.

    Raises:
        UserError: if there is no such method, or its options are of another one.
    """
    name = choose(f"method in {where}", entry(choice, "method", str, where, RETRAIN), METHODS)
    return build(METHODS[name], choice.get("options"), f"the record of '{name}' in {where}", RETRAIN).build()


__all__ = ["METHODS", "AdapterBatch", "Losses", "PixelConfig", "PixelMethod", "build_method"]
