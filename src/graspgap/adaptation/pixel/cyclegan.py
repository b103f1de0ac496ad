"""CycleGAN (Zhu et al. 2017): a generator each way, so that what one makes of a picture the other can take back.

Nothing here reads a mask or a label. What is where is kept because the way back must lead to the same picture (cycle
loss), and colours because a generator must leave pictures of its own target domain as they are (identity loss).

Where the paper trains residual generators on single pictures for 200 epochs, with Adam 2e-4 that falls to 0, these are
GraspGAN's U-Net and its three-scale discriminators on pairs (I0, It), for a few thousand steps at a constant rate: the
methods of this package differ in their losses, not in their networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import l1_loss

from graspgap.adaptation.losses import lsgan_discriminator, lsgan_generator
from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.history import History
from graspgap.contract import Camera
from graspgap.errors import UserError
from graspgap.networks import Discriminators, DiscriminatorsConfig, GeneratorConfig, Translator


@dataclass(frozen=True)
class CycleGanConfig(PixelConfig):
    """Networks and loss weights of CycleGAN."""

    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(widths=(8, 24, 48, 64), noise=0))
    """Of both generators. A step runs them six times, so they are narrower than GraspGAN's and take half the time.
    Without noise, as in the paper: the way back can't know which noise there was. The weak input skip isn't from the
    paper."""
    discriminators: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)
    """Of both domains."""
    adversarial: float = 1.0
    """Weight of the LSGAN loss, each way."""
    cycle: float = 10.0
    """Weight of the L1 distance between a picture and what comes back after both generators (lambda in the paper)."""
    identity: float = 0.5
    """Weight of the identity loss, as a share of the cycle's (section 5.2 of the paper)."""
    history: int = 50
    """Made pairs that each discriminator's pool keeps; 0 for no pool."""
    learning_rate: float = 4e-4
    """Of the generators. The paper's is 2e-4, for some hundred times as many steps."""
    critic_rate: float = 0.35
    """Learning rate of the discriminators, as a share of the generators'; the paper's is 1. As for GraspGAN."""
    image_size: int = 64
    """Pictures are image_size x image_size pixels."""

    def fitted(self, image_size: int, camera: Camera) -> CycleGanConfig:
        """As `PixelConfig.fitted`."""
        self.discriminators.check(image_size)
        if self.history < 0:
            raise UserError(f"history is {self.history}, expected 0 or more pairs: give 50, or 0 for no pool")
        return replace(self, image_size=image_size)

    def build(self) -> CycleGan:
        """As `PixelConfig.build`."""
        return CycleGan(self)


@dataclass(frozen=True)
class Cycle:
    """A batch on its way there and back; x are its simulated pairs, y its real ones."""

    made: Float[Tensor, "b 6 h w"]
    """G(x): what the generator to reality makes of simulated pairs."""
    made_back: Float[Tensor, "b 6 h w"]
    """F(G(x)): simulated again."""
    simulated: Float[Tensor, "b 6 h w"]
    """F(y): what the generator to simulation makes of real pairs."""
    simulated_back: Float[Tensor, "b 6 h w"]
    """G(F(y)): real again."""


class CycleGan(PixelMethod):
    """Two generators, two discriminators, and the pools of pictures that the discriminators are shown."""

    def __init__(self, config: CycleGanConfig) -> None:
        super().__init__()
        self.config = config
        self.to_real, self.to_sim = Translator(config.generator), Translator(config.generator)
        self.critic_real = Discriminators(config.discriminators)
        self.critic_sim = Discriminators(config.discriminators)
        shape = (6, config.image_size, config.image_size)
        self.made, self.simulated = History(config.history, shape), History(config.history, shape)
        self.noise_channels = config.generator.noise
        self.divisible = not config.history  # the pools keep the order of the whole batch

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.999), one for both generators and one for both discriminators, as in the paper."""
        rate, betas = self.config.learning_rate, (0.5, 0.999)
        generators = [*self.to_real.parameters(), *self.to_sim.parameters()]
        critics = [*self.critic_real.parameters(), *self.critic_sim.parameters()]
        return {
            "generators": torch.optim.Adam(generators, lr=rate, betas=betas),
            "critics": torch.optim.Adam(critics, lr=rate * self.config.critic_rate, betas=betas),
        }

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """The generators answer the critics, who then learn from what was made."""
        cycle = self.cycled(batch)
        yield "generators", self.generator_losses(batch, cycle)
        yield "critics", self.critic_losses(batch, self.made(cycle.made), self.simulated(cycle.simulated))

    def cycled(self, batch: AdapterBatch) -> Cycle:
        """The batch there and back, with the generators' gradient."""
        made, simulated = self.to_real(batch.pictures, batch.noise), self.to_sim(batch.real, batch.noise)
        return Cycle(
            made=made,
            made_back=self.to_sim(made, batch.noise),
            simulated=simulated,
            simulated_back=self.to_real(simulated, batch.noise),
        )

    def generator_losses(self, batch: AdapterBatch, cycle: Cycle) -> Losses:
        """Weighted losses of both generators."""
        config = self.config
        losses = {
            "adversarial": config.adversarial * lsgan_generator(self.critic_real(cycle.made)),
            "adversarial_back": config.adversarial * lsgan_generator(self.critic_sim(cycle.simulated)),
        }
        back = l1_loss(cycle.made_back, batch.pictures) + l1_loss(cycle.simulated_back, batch.real)
        losses["cycle"] = config.cycle * back
        if config.identity:
            kept_real, kept_sim = self.to_real(batch.real, batch.noise), self.to_sim(batch.pictures, batch.noise)
            kept = l1_loss(kept_real, batch.real) + l1_loss(kept_sim, batch.pictures)
            losses["identity"] = config.cycle * config.identity * kept
        return losses

    def critic_losses(
        self, batch: AdapterBatch, made: Float[Tensor, "b 6 h w"], simulated: Float[Tensor, "b 6 h w"]
    ) -> Losses:
        """Losses of both discriminators; what was made is detached."""
        return {
            "critic": lsgan_discriminator(self.critic_real(batch.real), self.critic_real(made)),
            "critic_back": lsgan_discriminator(self.critic_sim(batch.pictures), self.critic_sim(simulated)),
        }

    def verdicts(self, pairs: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b ..."]]:
        """As `PixelMethod.verdicts`, of the discriminators of reality."""
        return self.critic_real(pairs)

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks are not read."""
        return self.to_real(pictures, noise)
