"""GraspGAN (Bousmalis et al. 2017): a generator that makes simulated pairs (I0, It) look real, keeping what is where.

The generator answers to four judges: patch discriminators that know real pairs (LSGAN), a content loss on the
foreground (masked PMSE), the semantic masks it must still be able to draw, and a grasp network trained beside it, whose
predictions (task) and features (matching) must survive the change. Weights, widths and learning rates were not
published; the values here are this project's choices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graspgap.adaptation.augment import augmented
from graspgap.adaptation.losses import (
    feature_matching,
    grasp_loss,
    lsgan_discriminator,
    lsgan_generator,
    mask_distance,
    mask_loss,
    pair_pmse,
)
from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.config import LATER
from graspgap.contract import Camera, SemanticClass
from graspgap.networks import Discriminators, DiscriminatorsConfig, Generator, GeneratorConfig, GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain


@dataclass(frozen=True)
class GraspGanConfig(PixelConfig):
    """Networks and loss weights of GraspGAN."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminators: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)
    grasp: GraspNetConfig = field(default_factory=GraspNetConfig)
    adversarial: float = 1.0
    """Weight of the LSGAN loss."""
    content: float = 10.0
    """Weight of the masked PMSE between source and made picture, over arm and objects."""
    masks: float = 0.5
    """Weight of the semantic mask loss (cross-entropy)."""
    task: float = 0.1
    """Weight of the grasp loss of made pictures."""
    features: float = 0.05
    """Weight of feature matching; a strong one keeps simulation's colours."""
    learning_rate: float = 4e-4
    """Of the generator and of the grasp network trained beside it."""
    critic_rate: float = 0.35
    """Learning rate of the discriminators, as a share of the generator's: at 1 they win."""
    everywhere: bool = field(default=False, metadata=LATER)
    """Content loss over the whole picture, as notes on the paper have it, not over arm and objects alone: then floor
    and table change in colour with them or not at all."""
    mask_l2: bool = field(default=False, metadata=LATER)
    """Mask loss as the squared distance of class probabilities, as in those notes, not as cross-entropy."""
    match_head: bool = field(default=False, metadata=LATER)
    """Feature matching on the last hidden layer, as in those notes, not on the trunk's map. With the join `project`
    that layer sees a crop around the command's target, which leaves the rest of the picture free."""
    beta2: float = field(default=0.99, metadata=LATER)
    """Adam's second decay, of both sides; the first is 0.5."""
    augment: bool = False
    """Show the discriminators randomly shifted and coloured pictures, for few real ones: they learn those by heart."""

    def fitted(self, image_size: int, camera: Camera) -> GraspGanConfig:
        """As `PixelConfig.fitted`."""
        self.discriminators.check(image_size)
        return replace(self, grasp=self.grasp.fitted(image_size, camera))

    def build(self) -> GraspGan:
        """As `PixelConfig.build`."""
        return GraspGan(self)


class GraspGan(PixelMethod):
    """The networks of GraspGAN and its two sides of the game."""

    divisible = True

    def __init__(self, config: GraspGanConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config.generator)
        self.discriminators = Discriminators(config.discriminators)
        self.grasp = GraspNet(config.grasp)
        self.least_batch = config.grasp.least_batch
        self.noise_channels = config.generator.noise

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for each side: the generator's, and that of the critics (discriminators, grasp network)."""
        config, betas = self.config, (0.5, self.config.beta2)
        critics = [
            {"params": self.discriminators.parameters(), "lr": config.learning_rate * config.critic_rate},
            {"params": self.grasp.parameters(), "lr": config.learning_rate},
        ]
        return {
            "generator": torch.optim.Adam(
                self.generator.parameters(), lr=config.learning_rate, betas=betas, fused=True
            ),
            "critics": torch.optim.Adam(critics, betas=betas, fused=True),
        }

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """The critics learn from what the generator makes now, then the generator answers them."""
        made, mask_logits = self.generator(batch.pictures, batch.noise)
        yield "critics", self.critic_losses(batch, made.detach())
        yield "generator", self.generator_losses(batch, made, mask_logits)

    def judged(self, pairs: Float[Tensor, "b 6 h w"], draws: Float[Tensor, "b 5"]) -> list[Float[Tensor, "b 1 _ _"]]:
        """Verdicts of the discriminators, patch by patch at each scale."""
        return self.discriminators(augmented(pairs, draws) if self.config.augment else pairs)

    def generator_losses(
        self, batch: AdapterBatch, made: Float[Tensor, "b 6 h w"], mask_logits: Float[Tensor, "b 2 c h w"]
    ) -> Losses:
        """Weighted losses of the generator; `made` carries its gradient."""
        config = self.config
        losses = {"adversarial": config.adversarial * lsgan_generator(self.judged(made, batch.draws[1]))}
        kept = torch.ones_like(batch.masks, dtype=torch.bool) if config.everywhere else batch.masks >= SemanticClass.ARM
        losses["content"] = config.content * pair_pmse(made, batch.pictures, kept)
        losses["masks"] = config.masks * (mask_distance if config.mask_l2 else mask_loss)(mask_logits, batch.masks)
        if config.task or config.features:
            features = self.grasp.encode(made, Domain.REALITY)
            hidden = self.grasp.embed(features, batch.poses, batch.commands, Domain.REALITY)
            losses["task"] = config.task * grasp_loss(self.grasp.success(hidden), batch.success)
            with torch.no_grad():
                source = self.grasp.encode(batch.pictures)
                if config.match_head:
                    source = self.grasp.embed(source, batch.poses, batch.commands)
            losses["features"] = config.features * feature_matching(hidden if config.match_head else features, source)
        return losses

    def critic_losses(self, batch: AdapterBatch, made: Float[Tensor, "b 6 h w"]) -> Losses:
        """Losses of the discriminators and of the grasp network, which learns from source and made pictures alike;
        `made` is detached."""
        both = self.judged(
            torch.cat([batch.real, made]), batch.draws.flatten(0, 1)
        )  # each pair is normalized by itself
        real_scores, made_scores = zip(*(scores.chunk(2) for scores in both), strict=True)
        losses = {"critic": lsgan_discriminator(list(real_scores), list(made_scores))}
        if self.config.task or self.config.features:
            source = self.grasp(batch.pictures, batch.poses, batch.commands)
            adapted = self.grasp(made, batch.poses, batch.commands, Domain.REALITY)
            losses["grasp"] = grasp_loss(source, batch.success) + grasp_loss(adapted, batch.success)
        return losses

    def verdicts(self, pairs: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b ..."]]:
        """As `PixelMethod.verdicts`."""
        return self.discriminators(pairs)

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks are not read."""
        return self.generator(pictures, noise)[0]
