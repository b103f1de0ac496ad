"""Histogram matching: each colour channel of a simulated pair gets the distribution of a real pair's. It is free, and
the first thing to try."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor

from graspgap.adaptation.pixel.base import PixelConfig
from graspgap.adaptation.pixel.references import ReferenceMethod
from graspgap.contract import Camera


@dataclass(frozen=True)
class HistogramConfig(PixelConfig):
    """Settings of histogram matching."""

    references: int = 500
    """Real pairs that are kept; each simulated pair is matched to a random one of them, so that reality's variety
    comes along."""
    image_size: int = 64
    """Pixels of a side; set from the data."""

    def fitted(self, image_size: int, camera: Camera) -> HistogramConfig:
        """As `PixelConfig.fitted`."""
        return replace(self, image_size=image_size)

    def build(self) -> Histogram:
        """As `PixelConfig.build`."""
        return Histogram(self.references, self.image_size)


def match_histograms(
    pictures: Float[Tensor, "b c h w"], references: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c h w"]:
    """The n-th darkest value of each channel becomes the reference's n-th darkest: equal histograms, equal order.

    Equal values take neighbouring ranks in the order of their places, which keeps the histograms exactly equal.
    """
    flat = pictures.flatten(2)
    ranks = flat.argsort(dim=2, stable=True).argsort(dim=2)
    return references.flatten(2).sort(dim=2).values.gather(2, ranks).view_as(pictures)


class Histogram(ReferenceMethod):
    """I0 and It of a pair are matched together, channel by channel, so that one bin keeps one colour."""

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks and noise are not read."""
        size = pictures.shape[-2:]
        both, real = (
            pairs.unflatten(1, (2, 3)).transpose(1, 2).flatten(2, 3) for pairs in (pictures, self.drawn(len(pictures)))
        )
        return match_histograms(both, real).unflatten(2, (2, size[0])).transpose(1, 2).flatten(1, 2)
