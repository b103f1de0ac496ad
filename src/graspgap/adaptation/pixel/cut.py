"""CUT and FastCUT (Park et al. 2020): a patch of a made picture must know its own place in the source again.

One generator and one discriminator. Content is kept by contrast (PatchNCE): the generator's own encoder looks at source
and made pair, and the features of a place in one must be nearer to those of the same place in the other than to those
of any other place in the same pair. No mask, no label, no way back.

Networks are GraspGAN's (U-Net, three-scale discriminators, pairs), so that methods differ in their losses; the paper
has a residual generator, one 70-pixel discriminator and Adam 2e-4 that falls to 0 over 400 epochs (FastCUT: 200).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from graspgap.adaptation.losses import lsgan_discriminator, lsgan_generator, patch_nce
from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.contract import Camera
from graspgap.networks import Discriminators, DiscriminatorsConfig, GeneratorConfig, Translator

Maps = list[Float[Tensor, "b _ _ _"]]


@dataclass(frozen=True)
class CutConfig(PixelConfig):
    """Networks and loss weights of CUT."""

    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(noise=0))
    """Without noise, as in the paper; with GraspGAN's weak input skip, which the paper doesn't have."""
    discriminators: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)
    adversarial: float = 1.0
    """Weight of the LSGAN loss."""
    contrast: float = 1.0
    """Weight of PatchNCE."""
    identity: bool = True
    """Average it with PatchNCE between real pictures and what the generator makes of them: it should change little."""
    flip: bool = False
    """Half of the steps generate from mirrored pictures, whose features, mirrored back, must match all the same."""
    temperature: float = 0.07
    """Cosines of features are divided by it."""
    patches: int = 256
    """Places compared per map; all of them where a map has fewer."""
    width: int = 64
    """Of the two layers that project a map's features before they are compared. The paper's 256 serve maps of up to 256
    channels; here the widest has 96, and 256 takes a step from 0.72 to 1.12 s."""
    learning_rate: float = 4e-4
    """Of the generator and the projections."""
    critic_rate: float = 0.35
    """Learning rate of the discriminators, as a share of the generator's; the paper's is 1. As for GraspGAN."""

    def fitted(self, image_size: int, camera: Camera) -> CutConfig:
        """As `PixelConfig.fitted`."""
        self.discriminators.check(image_size)
        return self

    def build(self) -> Cut:
        """As `PixelConfig.build`."""
        return Cut(self)


@dataclass(frozen=True)
class FastCutConfig(CutConfig):
    """FastCUT: more weight on contrast instead of the identity, and mirrored pictures; the paper's faster variant."""

    contrast: float = 10.0
    """Weight of PatchNCE. The paper's 10 holds simulation's colours for long; 2 let go of them within 250 steps."""
    identity: bool = False
    """Average it with PatchNCE between real pictures and what the generator makes of them: it should change little."""
    flip: bool = True
    """Half of the steps generate from mirrored pictures, whose features, mirrored back, must match all the same."""


class Projections(nn.Module):
    """A small network per map, which takes the features of places to where they are compared."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)) for count in channels
        )

    def forward(self, maps: Maps, places: list[Int[Tensor, "_"]]) -> list[Float[Tensor, "b _ d"]]:
        """Projected features at the given places (row by row) of each map."""
        return [
            layer(features.flatten(2)[:, :, where].transpose(1, 2))
            for layer, features, where in zip(self.layers, maps, places, strict=True)
        ]


class Cut(PixelMethod):
    """The networks of CUT and FastCUT, and the two sides of the game."""

    divisible = True

    def __init__(self, config: CutConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Translator(config.generator)
        self.discriminators = Discriminators(config.discriminators)
        self.projections = Projections((6, *config.generator.widths), config.width)
        self.noise_channels = config.generator.noise

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.999): one for generator and projections, one for the discriminators."""
        rate, betas = self.config.learning_rate, (0.5, 0.999)
        learners = [*self.generator.parameters(), *self.projections.parameters()]
        critics = self.discriminators.parameters()
        return {
            "generator": torch.optim.Adam(learners, lr=rate, betas=betas),
            "critics": torch.optim.Adam(critics, lr=rate * self.config.critic_rate, betas=betas),
        }

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """The critics learn from what the generator makes now, then the generator answers them."""
        mirror = self.config.flip and bool(torch.rand(()) < 0.5)
        made, contrast = self.translated(batch.pictures, batch.noise, mirror)
        judged = self.discriminators(batch.real), self.discriminators(made.detach())
        yield "critics", {"critic": lsgan_discriminator(*judged)}
        losses = {"adversarial": self.config.adversarial * lsgan_generator(self.discriminators(made))}
        share = 0.5 if self.config.identity else 1.0
        losses["contrast"] = self.config.contrast * share * contrast
        if self.config.identity:
            losses["identity"] = self.config.contrast * share * self.translated(batch.real, batch.noise, mirror)[1]
        yield "generator", losses

    def translated(
        self, pictures: Float[Tensor, "b 6 h w"], noise: Float[Tensor, "b k h w"], mirror: bool = False
    ) -> tuple[Float[Tensor, "b 6 h w"], Float[Tensor, ""]]:
        """What the generator makes of pairs, and its contrast with them.

        With `mirror` the generator and the encoder of what it made see mirrored pairs. What comes out is mirrored back:
        the discriminators, too, judge the cell the right way round, where the paper shows them mirrored pictures. A
        robot's cell has a left and a right.
        """
        given, given_noise = (x.flip(-1) if mirror else x for x in (pictures, noise))
        levels = self.generator.encode(given, given_noise)
        made = self.generator.decode(levels, given)
        made_maps = [made, *self.generator.encode(made, given_noise)]
        if not mirror:
            return made, self.compared([pictures, *levels], made_maps)
        with torch.no_grad():
            levels = self.generator.encode(pictures, noise)
        return made.flip(-1), self.compared([pictures, *levels], [features.flip(-1) for features in made_maps])

    def compared(self, source: Maps, made: Maps) -> Float[Tensor, ""]:
        """PatchNCE at places drawn anew for each map and shared by the batch, averaged over maps. The source's side
        carries no gradient."""
        places = [torch.randperm(features[0, 0].numel())[: self.config.patches] for features in source]
        places = [where.to(features.device) for where, features in zip(places, source, strict=True)]
        with torch.no_grad():
            keys = self.projections(source, places)
        queries = self.projections(made, places)
        pairs = zip(queries, keys, strict=True)
        return torch.stack([patch_nce(query, key, self.config.temperature) for query, key in pairs]).mean()

    def verdicts(self, pairs: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b ..."]]:
        """As `PixelMethod.verdicts`."""
        return self.discriminators(pairs)

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks are not read."""
        return self.generator(pictures, noise)
