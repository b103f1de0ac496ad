"""RCAN (James et al. 2019): a generator that turns randomized pictures into canonical ones, taught by simulation alone.

Each simulated instant is there twice, randomized and in the canonical look (`graspgap collect --canonical`). What has
learned to see through every randomization takes real pictures for one more of them: at run time the generator stands
before the policy and makes real pictures look like the canonical simulation that the policy grew up in. It is a front
end, real-to-sim, where the other methods are sim-to-real. No real picture is learned from; `graspgap adapt` asks for
some all the same, to show in its grid what becomes of them.

Deviations from the paper: both pictures of a pair are translated at once, since all methods here have GraspGAN's
networks for pairs; the policy is shown the canonical pair alone, where the paper stacks it with the camera's own, so
that all arms of a study have one grasp network; and that network learns from what the generator makes of randomized
pictures, so that it meets the generator's mistakes before a robot does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from graspgap import processes
from graspgap.adaptation.losses import gan_discriminator, gan_generator, pmse
from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.contract import Camera
from graspgap.networks import CanonicalGenerator, Discriminators, DiscriminatorsConfig, GeneratorConfig


@dataclass(frozen=True)
class RcanConfig(PixelConfig):
    """Networks and loss weights of RCAN."""

    needs_canonical: ClassVar[bool] = True

    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(skip=0.0, noise=0))
    """A U-Net as published, without noise and without GraspGAN's input skip, which would carry random textures over."""
    discriminators: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)
    """At three scales, as published."""
    pictures: float = 1.0
    """Weight of the MPSE between made and canonical pictures, colours in [-1, 1] (the paper's weights are all 1)."""
    segmentation: float = 1.0
    """Weight of the squared error of the predicted semantic classes."""
    depth: float = 1.0
    """Weight of the squared error of the predicted depth [m^2], where the dataset knows depth; left out elsewhere."""
    adversarial: float = 1.0
    """Weight of the sigmoid cross-entropy GAN loss."""
    learning_rate: float = 4e-4
    """Of the generator. Neither this nor the next value is from the paper: they are GraspGAN's here."""
    critic_rate: float = 0.35
    """Learning rate of the discriminators, as a share of the generator's."""

    def fitted(self, image_size: int, camera: Camera) -> RcanConfig:
        """As `PixelConfig.fitted`."""
        self.discriminators.check(image_size)
        return self

    def build(self) -> Rcan:
        """As `PixelConfig.build`."""
        return Rcan(self)


def segmentation_loss(logits: Float[Tensor, "b k c h w"], masks: Int[Tensor, "b k h w"]) -> Float[Tensor, ""]:
    """Mean squared error between the predicted shares of the c classes, which sum to 1, and the true ones, 0 or 1."""
    truth = one_hot(masks, logits.shape[2]).movedim(-1, 2)
    return (logits.softmax(dim=2) - truth).square().mean()


def depth_loss(made: Float[Tensor, "b k h w"], depth: Float[Tensor, "b k h w"]) -> Float[Tensor, ""]:
    """Mean squared error of the depth [m] over the pixels that show something; 0 is the depth of those that don't.
    Of several processes the pixels of all."""
    known = depth > 0
    error = processes.total(((made - depth).square() * known).sum())
    return error / processes.total(known.sum().to(error.dtype)).clamp(min=1)


class Rcan(PixelMethod):
    """The generator and the discriminators that know canonical pictures. They judge a pair by itself, without the
    randomized one that it was made from."""

    front_end = True
    divisible = True

    def __init__(self, config: RcanConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = CanonicalGenerator(config.generator)
        self.discriminators = Discriminators(config.discriminators)
        self.noise_channels = config.generator.noise

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.99) for each side."""
        rate, betas = self.config.learning_rate, (0.5, 0.99)
        critics = self.discriminators.parameters()
        return {
            "generator": torch.optim.Adam(self.generator.parameters(), lr=rate, betas=betas),
            "critics": torch.optim.Adam(critics, lr=rate * self.config.critic_rate, betas=betas),
        }

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """The critics learn from what the generator makes now, then the generator answers them. `batch.real` is not
        read."""
        config, canonical = self.config, self.wanted(batch)
        made, classes, depth = self.generator(batch.pictures, batch.noise)
        known, guessed = self.discriminators(canonical), self.discriminators(made.detach())
        critic = [gan_discriminator(k, g) for k, g in zip(known, guessed, strict=True)]
        yield "critics", {"critic": torch.stack(critic).mean()}
        verdicts = [gan_generator(verdict) for verdict in self.discriminators(made)]
        pairs = zip(made.split(3, 1), canonical.split(3, 1), strict=True)
        losses = {
            "adversarial": config.adversarial * torch.stack(verdicts).mean(),
            "pictures": config.pictures * torch.stack([pmse(m, c) for m, c in pairs]).mean(),
            "segmentation": config.segmentation * segmentation_loss(classes, batch.masks),
        }
        if batch.depth is not None:
            losses["depth"] = config.depth * depth_loss(depth, batch.depth)
        yield "generator", losses

    def wanted(self, batch: AdapterBatch) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.wanted`: canonical pictures."""
        assert batch.canonical is not None
        return batch.canonical

    def verdicts(self, pairs: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b ..."]]:
        """As `PixelMethod.verdicts`: 1 means canonical."""
        return [logits.sigmoid() for logits in self.discriminators(pairs)]

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; neither masks nor noise are read, so that it is what the policy will be shown."""
        return self.shown(pictures)

    def shown(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.shown`."""
        height, width = pictures.shape[-2:]
        return self.generator(pictures, pictures.new_zeros(len(pictures), self.noise_channels, height, width))[0]
