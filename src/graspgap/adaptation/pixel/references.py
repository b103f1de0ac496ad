"""Methods without training: they borrow from real pictures that are drawn once and kept."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from graspgap.adaptation.pixel.base import PixelMethod
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.seeding import generator


class ReferenceMethod(PixelMethod):
    """Keeps pairs (I0, It) of reality, drawn at random; each simulated pair is given one of them."""

    def __init__(self, references: int, image_size: int) -> None:
        super().__init__()
        self.references: Tensor
        self.register_buffer("references", torch.zeros(references, 6, image_size, image_size, dtype=torch.uint8))

    def prepare(self, sim: SimulatedView, real: UnlabelledView, seed: int) -> None:
        """Draw the references; with repetition where there are fewer real pictures."""
        frames = generator(seed, "references").integers(len(real.images), size=len(self.references))
        self.references.copy_(torch.from_numpy(real.pairs(frames)))

    def drawn(self, count: int) -> Float[Tensor, "b 6 h w"]:
        """A random reference for each of `count` pairs, in [-1, 1]."""
        chosen = torch.randint(len(self.references), (count,))
        return self.references[chosen].float() / 127.5 - 1
