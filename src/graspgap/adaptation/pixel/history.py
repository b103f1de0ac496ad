"""What discriminators are shown of earlier made pictures, so that the generator can't return to an old trick."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class History(nn.Module):
    """A pool of made pictures (Shrivastava et al. 2017, in the form of Zhu et al. 2017).

    The first `capacity` pictures fill it and come out again. After that each new picture comes out itself with
    probability 1/2; else one drawn at random from the pool comes out, and the new one takes its place. Pictures and
    their number are buffers, so that a resumed run has the same pool.
    """

    def __init__(self, capacity: int, shape: tuple[int, int, int]) -> None:
        """`capacity` in pictures of `shape` (channels, height, width); 0 for no pool."""
        super().__init__()
        self.pictures: Tensor
        self.register_buffer("pictures", torch.zeros(capacity, *shape))
        self.count: Int[Tensor, ""]
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """As many pictures as are given, without gradient, new or old; torch's random numbers decide. They are put in
        one by one, so that a picture may come out again within its own batch."""
        shown, capacity = pictures.detach().clone(), len(self.pictures)
        if not capacity:
            return shown
        old = (torch.rand(len(pictures)) < 0.5).tolist()
        slots = torch.randint(capacity, (len(pictures),)).tolist()
        for row, picture in enumerate(pictures):
            if self.count < capacity:
                self.pictures[self.count] = picture
                self.count += 1
            elif old[row]:
                shown[row] = self.pictures[slots[row]]
                self.pictures[slots[row]] = picture
        return shown

    @torch.no_grad()
    def mix(self, pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The rule of SimGAN (Shrivastava et al. 2017, section 2.3): the second half of the batch comes from the pool,
        and half of the given pictures take random slots; a pool that holds fewer gives and takes all it has. While the
        pool fills, pictures come out as they are."""
        count, capacity = int(self.count), len(self.pictures)
        half = min(len(pictures) // 2, capacity)
        if count < capacity:
            room = min(capacity - count, len(pictures))
            self.pictures[count : count + room] = pictures[:room]
            self.count += room
            return pictures
        old = self.pictures[torch.randperm(capacity)[:half]].clone()
        self.pictures[torch.randperm(capacity)[:half]] = pictures[torch.randperm(len(pictures))[:half]]
        return torch.cat([pictures[: len(pictures) - half], old])
