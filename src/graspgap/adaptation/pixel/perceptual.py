"""Perception consistency in the manner of RetinaGAN (Ho et al. 2021): a CycleGAN whose pictures must look the same to a
frozen judge, picture by picture.

RetinaGAN's judge is an object detector that was trained on labelled boxes of both worlds. Ours is a mask network, and
learns from simulation's exact masks alone, under strong changes of colour, in the first part of the training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from graspgap.adaptation.augment import augmented
from graspgap.adaptation.losses import mask_loss
from graspgap.adaptation.pixel.base import AdapterBatch, Losses
from graspgap.adaptation.pixel.cyclegan import CycleGan, CycleGanConfig
from graspgap.networks import Generator, GeneratorConfig


def perception_loss(
    source: Float[Tensor, "b 2 k h w"], made: Float[Tensor, "b 2 k h w"], back: Float[Tensor, "b 2 k h w"]
) -> Float[Tensor, ""]:
    """Disagreement of the judge (mask logits) on a picture, what was made of it, and what came back of that.

    The mean squared difference of class probabilities: 0 where they agree, and bounded, so that one pixel of which the
    judge is wrongly sure can't rule the loss as it would a cross-entropy's. Pairs with a cycled picture count half, as
    in RetinaGAN (section III-C).
    """
    first, second, third = (logits.softmax(dim=2) for logits in (source, made, back))
    cycled = (first - third).square().mean() + (second - third).square().mean()
    return (first - second).square().mean() + cycled / 2


@dataclass(frozen=True)
class PerceptualConfig(CycleGanConfig):
    """CycleGAN's settings, and the judge's."""

    judge: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(widths=(12, 24, 48), noise=0))
    """The mask network: the U-Net's mask output, whose instance norm cares little for colours."""
    judge_steps: float = 0.15
    """Share of the steps in which the judge learns, before the game begins."""
    judge_rate: float = 2e-3
    """Learning rate of the judge."""
    perception: float = 1.0
    """Weight of the consistency (RetinaGAN found 0.1 to 1 stable for its own)."""

    def build(self) -> Perceptual:
        """As `PixelConfig.build`."""
        return Perceptual(self)


class Perceptual(CycleGan):
    """CycleGAN with a judge."""

    def __init__(self, config: PerceptualConfig) -> None:
        super().__init__(config)
        self.settings = config
        self.judge = Generator(config.judge)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """CycleGAN's, and the judge's."""
        judge = torch.optim.Adam(self.judge.parameters(), lr=self.settings.judge_rate)
        return super().optimizers() | {"judge": judge}

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """The judge learns first, and is never moved again."""
        if progress < self.settings.judge_steps:
            draws = batch.draws[0].clone()
            draws[:, 3:] = 0.5  # masks stay where they are
            yield "judge", {"judge": mask_loss(self.masks(augmented(batch.pictures, draws)), batch.masks)}
        else:
            yield from super().turns(batch, progress)

    def masks(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 2 k h w"]:
        """The judge's mask logits."""
        return self.judge(pictures, pictures[:, :0])[1]

    def generator_losses(
        self, batch: AdapterBatch, made: tuple[Tensor, Tensor], back: tuple[Tensor, Tensor], progress: float
    ) -> Losses:
        """CycleGAN's, and the judge's disagreement on (x, G(x), F(G(x))) and on (y, F(y), G(F(y)))."""
        seen = [self.masks(pictures) for pictures in (batch.pictures, made[0], back[0], batch.real, made[1], back[1])]
        perception = perception_loss(*seen[:3]) + perception_loss(*seen[3:])
        losses = super().generator_losses(batch, made, back, progress)
        return losses | {"perception": self.settings.perception * perception}
