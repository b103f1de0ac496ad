"""What every pixel-level method is: networks, turns of a game, and pictures made from pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer

from graspgap.contract import Camera
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.errors import UserError

Losses = dict[str, Tensor]
"""Weighted scalar losses by name; their sum is descended."""


@dataclass(frozen=True)
class AdapterBatch:
    """What a pixel-level method sees at one step: simulation with everything, reality's pictures alone."""

    pictures: Float[Tensor, "b 6 h w"]
    """Simulated (I0, It) in [-1, 1]."""
    masks: Int[Tensor, "b 2 h w"]
    """Semantic classes of both."""
    poses: Float[Tensor, "b 4"]
    commands: Float[Tensor, "b 1 5"]
    success: Float[Tensor, "b 1"]
    real: Float[Tensor, "b 6 h w"]
    """Real (I0, It) in [-1, 1], of other attempts."""
    noise: Float[Tensor, "b k h w"]
    """N(0, 1), k channels as the method asks for."""
    draws: Float[Tensor, "2 b 5"]
    """In [0, 1], for `augmented`: of the real pairs, and of the made ones."""
    canonical: Float[Tensor, "b 6 h w"] | None = None
    """The simulated pairs in the canonical look, in [-1, 1], for methods with `needs_canonical`."""
    depth: Float[Tensor, "b 2 h w"] | None = None
    """Depth [m] of the simulated pairs, 0 where nothing is hit; for such methods, where the dataset knows it."""


class PixelMethod(nn.Module):
    """A pixel-level method. Its weights and buffers are all that a trained adapter is, and all that a step depends on
    besides its batch and torch's random numbers, which are seeded anew at every step: so training resumes exactly."""

    noise_channels: int = 0
    """Channels of noise N(0, 1) that `adapt` reads."""
    least_batch: int = 1
    """Samples that a step needs."""
    divisible: bool = False
    """Whether several processes may share out a batch: every loss is a mean over samples (`grasp_loss` sees to that for
    missing labels), and what a sample gives depends neither on the others nor on random numbers drawn for the batch."""
    front_end: bool = False
    """Whether it stands before the policy at run time too: then `shown` gives what the policy sees."""

    def prepare(self, sim: SimulatedView, real: UnlabelledView, seed: int) -> None:
        """Look at the data once before the first step. What is kept of it must be buffers."""

    def optimizers(self) -> dict[str, Optimizer]:
        """One per side of the game; none for a method that has nothing to train."""
        return {}

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """The turns of one step, in order: (optimizer, weighted losses). The losses are descended before the next
        turn begins, so that each side answers to the other's newest weights, and on that side's weights alone: nothing
        need be frozen. `progress` is in [0, 1)."""
        raise NotImplementedError

    def wanted(self, batch: AdapterBatch) -> Float[Tensor, "b 6 h w"]:
        """The pairs of a batch that made ones are to look like, and that discriminators are taught are real."""
        return batch.real

    def verdicts(self, pairs: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b ..."]]:
        """What each discriminator thinks of pairs (I0, It), place by place: 1 means real and 0 made, whatever the loss
        (a sigmoid cross-entropy GAN gives the probability), so that above 1/2 it takes a place for real. For the log
        alone; none for a method that has none."""
        return []

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """Realistic pairs (I0, It) of simulated ones, in [-1, 1]; called without gradients, in eval mode."""
        raise NotImplementedError

    def shown(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 6 h w"]:
        """For a `front_end`: what the policy sees of pairs from any camera, simulated or real, in [-1, 1]. It is what
        `adapt` makes of them, without masks and by no chance, and is called like it."""
        raise NotImplementedError


@dataclass(frozen=True)
class PixelConfig:
    """Settings of a pixel-level method."""

    needs_canonical: ClassVar[bool] = False
    """Whether the method learns from canonical pictures."""

    def check(self, sim: SimulatedView) -> None:
        """Refuse a dataset that the method can't learn from.

        Raises:
            UserError: if it lacks the canonical pictures that the method needs.
        """
        if self.needs_canonical and sim.canonicals is None:
            raise UserError(
                f"{sim.source.get('path', 'the simulation')} has no canonical pictures, which this method learns from: "
                "collect it with --randomize both --canonical"
            )

    def fitted(self, image_size: int, camera: Camera) -> PixelConfig:
        """These settings for pictures of `image_size` pixels, seen by the nominal camera of the simulation.

        Raises:
            UserError: if the pictures are too small for the networks.
        """
        return self

    def build(self) -> PixelMethod:
        """The method, with new weights."""
        raise NotImplementedError
