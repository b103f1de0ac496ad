"""Perception consistency in the manner of RetinaGAN (Ho et al. 2021): CycleGAN whose pictures a judge must read alike.

RetinaGAN's judge is an object detector that learned from hand-labelled real pictures and simulation. Ours is a small
network that draws semantic masks. It learns from simulation alone, in the first share of the steps, under colours and
stains so strong that only shapes are left to go by; then it is frozen. After that what it sees in x, G(x) and F(G(x))
must agree, and in y, F(y) and G(F(y)): objects may change their looks, not their place or kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from graspgap.adaptation.augment import recoloured
from graspgap.adaptation.losses import mask_disagreement, mask_loss
from graspgap.adaptation.pixel.base import AdapterBatch, Losses
from graspgap.adaptation.pixel.cyclegan import Cycle, CycleGan, CycleGanConfig
from graspgap.contract import Camera
from graspgap.errors import UserError
from graspgap.networks import Segmenter, SegmenterConfig


@dataclass(frozen=True)
class PerceptualConfig(CycleGanConfig):
    """CycleGAN's settings, and the judge's."""

    identity: float = 0.0
    """Weight of the identity loss, as a share of the cycle's. Off: the judge holds more than it does, for less time."""
    judge: SegmenterConfig = field(default_factory=SegmenterConfig)
    judge_share: float = 0.2
    """Share of the steps in which the judge alone learns, before the generators begin."""
    judge_rate: float = 2e-3
    """Learning rate of the judge."""
    perception: float = 1.0
    """Weight of the judge's disagreement, the sum over six pairs of pictures. RetinaGAN's is 0.1, and worked from 0.1
    to 1, for losses of detection that have no bound; this one lies below 4."""

    def fitted(self, image_size: int, camera: Camera) -> CycleGanConfig:
        """As `PixelConfig.fitted`."""
        if not 0 < self.judge_share < 1:
            raise UserError(
                f"judge-share is {self.judge_share}, expected more than 0 and less than 1: give 0.2, so that both the "
                f"judge and the generators learn"
            )
        return super().fitted(image_size, camera)

    def build(self) -> Perceptual:
        """As `PixelConfig.build`."""
        return Perceptual(self)


class Perceptual(CycleGan):
    """CycleGAN and a judge."""

    def __init__(self, config: PerceptualConfig) -> None:
        super().__init__(config)
        self.settings = config
        self.judge = Segmenter(config.judge)
        self.divisible = False  # the judge's colours are drawn for the batch

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """CycleGAN's, and Adam for the judge."""
        return super().optimizers() | {"judge": torch.optim.Adam(self.judge.parameters(), lr=self.settings.judge_rate)}

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """First the judge learns simulation's masks, then the generators and critics have CycleGAN's turns."""
        if progress < self.settings.judge_share:
            masks = self.judge(recoloured(batch.pictures, batch.masks))
            yield "judge", {"judge": mask_loss(masks, batch.masks[:, :, ::2, ::2])}
        else:
            yield from super().turns(batch, progress)

    def generator_losses(self, batch: AdapterBatch, cycle: Cycle) -> Losses:
        """CycleGAN's, and the judge's disagreement with itself."""
        with torch.no_grad():
            sim, real = self.judge(batch.pictures), self.judge(batch.real)
        there = perception_loss(sim, self.judge(cycle.made), self.judge(cycle.made_back))
        back = perception_loss(real, self.judge(cycle.simulated), self.judge(cycle.simulated_back))
        return super().generator_losses(batch, cycle) | {"perception": self.settings.perception * (there + back)}


def perception_loss(
    given: Float[Tensor, "b 2 c h w"], made: Float[Tensor, "b 2 c h w"], back: Float[Tensor, "b 2 c h w"]
) -> Float[Tensor, ""]:
    """Disagreement of what the judge sees (logits) in one group of RetinaGAN's six pictures: a given one, what a
    generator made of it, and what the other made of that. Pairs with the cycled picture count half."""
    cycled = mask_disagreement(given, back) + mask_disagreement(made, back)
    return mask_disagreement(given, made) + 0.5 * cycled
