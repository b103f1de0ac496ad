"""CUT and FastCUT (Park et al. 2020): one generator, whose pictures keep, patch by patch, the content of their source.

A patch of the made picture must be told by its features from all other patches of the source: its own place is the
right answer of a classification (PatchNCE).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from graspgap.adaptation.losses import lsgan_discriminator, lsgan_generator
from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.contract import Camera
from graspgap.networks import Discriminators, DiscriminatorsConfig, Generator, GeneratorConfig


def patch_nce(made: Float[Tensor, "b n d"], source: Float[Tensor, "b n d"], temperature: float) -> Float[Tensor, ""]:
    """Cross-entropy of finding patch i of the source by patch i of the made picture among the n patches of the same
    picture (section 3 of the paper, internal negatives); features of length 1, the source's without gradient."""
    logits = made @ source.detach().transpose(1, 2) / temperature
    right = torch.arange(made.shape[1], device=made.device).expand(made.shape[:2])
    return functional.cross_entropy(logits.flatten(0, 1), right.flatten())


@dataclass(frozen=True)
class CutConfig(PixelConfig):
    """Networks and loss weights of CUT."""

    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(noise=0))
    """GraspGAN's U-Net in place of the paper's residual network; its way down is the encoder."""
    discriminators: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)
    """As GraspGAN's (one scale in the paper)."""
    nce: float = 1.0
    """Weight of PatchNCE (the paper's for CUT)."""
    identity: bool = True
    """PatchNCE of real pictures through the generator too, both then weighing half (CUT)."""
    flip: bool = False
    """Half of the time make pictures from mirrored ones, and compare the features mirrored back (FastCUT)."""
    patches: int = 256
    """Places of each feature map that are compared (the paper's); all, where there are fewer."""
    features: int = 64
    """Outputs of the two-layer networks before the comparison (256 in the paper, on maps of up to 256 channels)."""
    temperature: float = 0.07
    """The paper's."""
    learning_rate: float = 4e-4
    """Adam's (0.5, 0.999); 2e-4 in the paper, for batches of 1."""
    critic_rate: float = 0.35
    """Learning rate of the discriminators, as a share of the generator's: as for GraspGAN."""

    def fitted(self, image_size: int, camera: Camera) -> CutConfig:
        """As `PixelConfig.fitted`."""
        self.discriminators.check(image_size)
        return self

    def build(self) -> Cut:
        """As `PixelConfig.build`."""
        return Cut(self)


@dataclass(frozen=True)
class FastCutConfig(CutConfig):
    """FastCUT: no pass of real pictures, a stronger PatchNCE, and mirrored pictures."""

    nce: float = 10.0
    """Weight of PatchNCE (the paper's for FastCUT)."""
    identity: bool = False
    """PatchNCE of real pictures through the generator too."""
    flip: bool = True
    """Half of the time make pictures from mirrored ones, and compare the features mirrored back."""


class Cut(PixelMethod):
    """Generator, discriminators, and the small networks through which features are compared."""

    def __init__(self, config: CutConfig) -> None:
        super().__init__()
        self.config = config
        self.noise_channels = config.generator.noise
        self.generator = Generator(config.generator)
        self.discriminators = Discriminators(config.discriminators)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(width, config.features), nn.ReLU(), nn.Linear(config.features, config.features))
            for width in config.generator.widths
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.999) for each side; the comparing networks learn with the generator."""
        rate, betas = self.config.learning_rate, (0.5, 0.999)
        ours = [*self.generator.parameters(), *self.projections.parameters()]
        critics = self.discriminators.parameters()
        return {
            "critics": torch.optim.Adam(critics, lr=rate * self.config.critic_rate, betas=betas),
            "generator": torch.optim.Adam(ours, lr=rate, betas=betas),
        }

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """The discriminators learn, then the generator answers them, as in the paper's code."""
        config = self.config
        mirrored = config.flip and bool(torch.rand(()) < 0.5)
        source = batch.pictures.flip(3) if mirrored else batch.pictures
        made = self.generator(source, batch.noise)[0]
        yield (
            "critics",
            {"critic": lsgan_discriminator(self.discriminators(batch.real), self.discriminators(made.detach()))},
        )
        losses = {"adversarial": lsgan_generator(self.discriminators(made))}
        share = 0.5 if config.identity else 1.0
        losses["nce"] = share * config.nce * self.nce(batch.pictures, made, batch.noise, mirrored)
        if config.identity:
            same = self.generator(batch.real, batch.noise)[0]
            losses["identity"] = share * config.nce * self.nce(batch.real, same, batch.noise)
        yield "generator", losses

    def nce(
        self,
        source: Float[Tensor, "b 6 h w"],
        made: Float[Tensor, "b 6 h w"],
        noise: Float[Tensor, "b k h w"],
        mirrored: bool = False,
    ) -> Float[Tensor, ""]:
        """PatchNCE, averaged over the maps of the generator's way down, at the same random places of both pictures."""
        losses = []
        theirs, ours = self.generator.encode(source, noise), self.generator.encode(made, noise)
        for project, source_map, made_map in zip(self.projections, theirs, ours, strict=True):
            made_map = made_map.flip(3) if mirrored else made_map
            places = torch.randperm(source_map[0, 0].numel(), device=source.device)[: self.config.patches]
            features = [
                functional.normalize(project(one.flatten(2)[..., places].transpose(1, 2)), dim=2)
                for one in (made_map, source_map)
            ]
            losses.append(patch_nce(features[0], features[1], self.config.temperature))
        return torch.stack(losses).mean()

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks are not read."""
        return self.generator(pictures, noise)[0]
