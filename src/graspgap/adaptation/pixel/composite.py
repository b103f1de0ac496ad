"""Compositing: simulated arm and objects, cut out by their exact masks, before real backgrounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.pixel.base import PixelConfig
from graspgap.adaptation.pixel.references import ReferenceMethod
from graspgap.contract import Camera, SemanticClass
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.errors import UserError
from graspgap.seeding import generator


@dataclass(frozen=True)
class CompositeConfig(PixelConfig):
    """Settings of compositing."""

    backgrounds: int = 200
    """Backgrounds that are made; each simulated pair is given a random one."""
    pictures: int = 9
    """Real pictures I0, of other scenes, whose median over each pixel is a background: objects, which lie elsewhere in
    each, are gone from it. Fewer leave traces of them, more make all backgrounds alike."""
    soft: int = 3
    """Side of the box that softens the edge of the cut [pixels], odd; 1: a sharp edge."""
    image_size: int = 64
    """Pixels of a side; set from the data."""

    def fitted(self, image_size: int, camera: Camera) -> CompositeConfig:
        """As `PixelConfig.fitted`.

        Raises:
            UserError: if the box has no middle.
        """
        if self.soft < 1 or self.soft % 2 == 0:
            raise UserError(f"--methods.composite.soft must be odd and at least 1, not {self.soft}")
        return replace(self, image_size=image_size)

    def build(self) -> Composite:
        """As `PixelConfig.build`."""
        return Composite(self)


class Composite(ReferenceMethod):
    """I0 and It of a pair have the same background: table and bin are real, arm and objects simulated."""

    def __init__(self, config: CompositeConfig) -> None:
        super().__init__(config.backgrounds, config.image_size)
        self.config = config

    def prepare(self, sim: SimulatedView, real: UnlabelledView, seed: int) -> None:
        """Make the backgrounds. Where I0 shows no arm, neither does its median."""
        rng, count = generator(seed, "backgrounds"), self.config.pictures
        for index in range(len(self.references)):
            chosen = rng.integers(len(real.images_before), size=count)
            background = np.median(real.images_before[chosen], axis=0).astype(np.uint8)
            self.references[index] = torch.from_numpy(np.concatenate([background, background]))

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; noise is not read."""
        opaque = composite_alpha(masks >= SemanticClass.ARM, self.config.soft).repeat_interleave(3, dim=1)
        return opaque * pictures + (1 - opaque) * self.drawn(len(pictures))


def composite_alpha(foreground: Tensor, soft: int) -> Float[Tensor, "b 2 h w"]:
    """How opaque the foreground is: 1 inside, falling to 0 over `soft` pixels around its edge."""
    return functional.avg_pool2d(foreground.float(), soft, stride=1, padding=soft // 2, count_include_pad=False)
