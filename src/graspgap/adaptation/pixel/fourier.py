"""Fourier domain adaptation (Yang & Soatto 2020): the slow changes of brightness and colour come from a real picture,
everything else stays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graspgap.adaptation.pixel.base import PixelConfig
from graspgap.adaptation.pixel.references import ReferenceMethod
from graspgap.contract import Camera


@dataclass(frozen=True)
class FourierConfig(PixelConfig):
    """Settings of Fourier domain adaptation."""

    beta: float = 0.05
    """Half side of the window of low frequencies, as a share of the picture's side (0.01 to 0.09 in the paper, whose
    pictures are 20 times larger: this is a window of 7 x 7 at 64 pixels)."""
    references: int = 500
    """Real pairs that are kept; each simulated pair borrows from a random one."""
    image_size: int = 64
    """Pixels of a side; set from the data."""

    def fitted(self, image_size: int, camera: Camera) -> FourierConfig:
        """As `PixelConfig.fitted`."""
        return replace(self, image_size=image_size)

    def build(self) -> Fourier:
        """As `PixelConfig.build`."""
        return Fourier(self)


def swap_low_frequencies(
    pictures: Float[Tensor, "b c h w"], references: Float[Tensor, "b c h w"], reach: int
) -> Float[Tensor, "b c h w"]:
    """Pictures with the references' amplitudes at frequencies of at most `reach` periods along either side, and their
    own phases throughout (equation 1 of the paper); values may leave [-1, 1].

    The paper's pictures have no negative values. Ours do, and the phase of a mean is its sign: a dark channel would
    borrow how far the reference's mean is from grey, not whether it is lighter or darker. So all is done above black.
    """
    ours, theirs = torch.fft.fft2(pictures + 1), torch.fft.fft2(references + 1)
    height, width = pictures.shape[-2:]
    rows, columns = (torch.fft.fftfreq(n, device=pictures.device).mul(n).abs() <= reach for n in (height, width))
    amplitude = torch.where(rows[:, None] & columns[None, :], theirs.abs(), ours.abs())
    return torch.fft.ifft2(torch.polar(amplitude, ours.angle())).real - 1


class Fourier(ReferenceMethod):
    """I0 and It of a pair borrow from I0 and It of one real pair."""

    def __init__(self, config: FourierConfig) -> None:
        super().__init__(config.references, config.image_size)
        self.reach = int(config.beta * config.image_size)

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks and noise are not read."""
        return swap_low_frequencies(pictures, self.drawn(len(pictures)), self.reach).clamp(-1, 1)
