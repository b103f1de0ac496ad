"""Pictures that a generator made before, so that a discriminator does not forget them (Shrivastava et al. 2017)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class History(nn.Module):
    """A fixed number of made pairs. Content and fill count are buffers: a resumed training goes on with them. Random
    numbers are torch's, which the training loop seeds at every step."""

    def __init__(self, capacity: int, image_size: int) -> None:
        super().__init__()
        self.content: Tensor
        self.filled: Tensor
        self.register_buffer("content", torch.zeros(capacity, 6, image_size, image_size))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def _fill(self, pictures: Float[Tensor, "b 6 h w"]) -> int:
        """Keep what still fits; returns how many did."""
        start = int(self.filled)
        taken = min(len(self.content) - start, len(pictures))
        self.content[start : start + taken] = pictures[:taken]
        self.filled.fill_(start + taken)
        return taken

    @torch.no_grad()
    def exchange(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 6 h w"]:
        """The rule of CycleGAN (Zhu et al. 2017): while the history fills, pictures come back as they are; then each
        comes back with probability 1/2, or else takes the place of a random old one, which comes back instead."""
        out = pictures.clone()
        for row in range(self._fill(pictures), len(pictures)):
            if torch.rand(()) < 0.5:
                place = int(torch.randint(len(self.content), ()))
                out[row] = self.content[place]
                self.content[place] = pictures[row]
        return out

    @torch.no_grad()
    def mix(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 6 h w"]:
        """The rule of SimGAN (Shrivastava et al. 2017, section 2.3): the second half of the batch is drawn from the
        history, and half of the batch takes random places in it. While the history fills, pictures come back as they
        are."""
        half = len(pictures) // 2
        if self._fill(pictures) or not half:
            return pictures
        old = self.content[torch.randperm(len(self.content))[:half]].clone()
        self.content[torch.randperm(len(self.content))[:half]] = pictures[torch.randperm(len(pictures))[:half]]
        return torch.cat([pictures[: len(pictures) - half], old])
