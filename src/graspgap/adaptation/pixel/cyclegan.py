"""CycleGAN (Zhu et al. 2017): two generators that undo each other, each against a discriminator.

What is where in a picture is kept only by the way back. It is the general-purpose yardstick: it reads neither masks nor
labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from graspgap.adaptation.losses import lsgan_discriminator, lsgan_generator
from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.history import History
from graspgap.contract import Camera
from graspgap.networks import Discriminators, DiscriminatorsConfig, Generator, GeneratorConfig


@dataclass(frozen=True)
class CycleGanConfig(PixelConfig):
    """Networks and loss weights of CycleGAN."""

    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(noise=0))
    """Both generators: GraspGAN's U-Net in place of the paper's residual network, so that methods differ in their
    losses alone. Without noise, as in the paper."""
    discriminators: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)
    """Both discriminators (one scale in the paper)."""
    cycle: float = 10.0
    """Weight of the L1 distance after the way there and back (the paper's)."""
    identity: float = 0.0
    """Weight of the L1 distance between a picture and what the generator into its own world makes of it. The paper uses
    it (5) for photographs of paintings alone; it holds on to colours, which are to change here."""
    history: int = 50
    """Made pairs that each discriminator is shown again (the paper's)."""
    learning_rate: float = 4e-4
    """Adam's (0.5, 0.999); 2e-4 in the paper, for batches of 1."""
    critic_rate: float = 0.35
    """Learning rate of the discriminators, as a share of the generators': as for GraspGAN."""
    image_size: int = 64
    """Pixels of a side, of the history; set from the data."""

    def fitted(self, image_size: int, camera: Camera) -> CycleGanConfig:
        """As `PixelConfig.fitted`."""
        self.discriminators.check(image_size)
        return replace(self, image_size=image_size)

    def build(self) -> CycleGan:
        """As `PixelConfig.build`."""
        return CycleGan(self)


class CycleGan(PixelMethod):
    """Both generators, both discriminators and their histories."""

    def __init__(self, config: CycleGanConfig) -> None:
        super().__init__()
        self.config = config
        self.noise_channels = config.generator.noise
        self.to_real, self.to_sim = Generator(config.generator), Generator(config.generator)
        self.real_judge, self.sim_judge = Discriminators(config.discriminators), Discriminators(config.discriminators)
        self.real_history, self.sim_history = (History(config.history, config.image_size) for _ in range(2))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.999) for each side."""
        rate, betas = self.config.learning_rate, (0.5, 0.999)
        generators = [*self.to_real.parameters(), *self.to_sim.parameters()]
        critics = [*self.real_judge.parameters(), *self.sim_judge.parameters()]
        return {
            "generators": torch.optim.Adam(generators, lr=rate, betas=betas),
            "critics": torch.optim.Adam(critics, lr=rate * self.config.critic_rate, betas=betas),
        }

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """Generators first, then the discriminators with what was made, as in the paper's code."""
        sim, real, noise = batch.pictures, batch.real, batch.noise
        made_real, made_sim = self.to_real(sim, noise)[0], self.to_sim(real, noise)[0]
        back_sim, back_real = self.to_sim(made_real, noise)[0], self.to_real(made_sim, noise)[0]
        yield "generators", self.generator_losses(batch, (made_real, made_sim), (back_sim, back_real), progress)
        old_real, old_sim = self.real_history.exchange(made_real), self.sim_history.exchange(made_sim)
        yield (
            "critics",
            {
                "critic_real": lsgan_discriminator(self.real_judge(real), self.real_judge(old_real)),
                "critic_sim": lsgan_discriminator(self.sim_judge(sim), self.sim_judge(old_sim)),
            },
        )

    def generator_losses(
        self, batch: AdapterBatch, made: tuple[Tensor, Tensor], back: tuple[Tensor, Tensor], progress: float
    ) -> Losses:
        """Weighted losses of both generators; `made` are the real-looking and the simulated-looking pictures, `back`
        the simulated and the real ones after the way there and back."""
        config = self.config
        cycle = functional.l1_loss(back[0], batch.pictures) + functional.l1_loss(back[1], batch.real)
        losses = {
            "adversarial_real": lsgan_generator(self.real_judge(made[0])),
            "adversarial_sim": lsgan_generator(self.sim_judge(made[1])),
            "cycle": config.cycle * cycle,
        }
        if config.identity:
            same_real, same_sim = self.to_real(batch.real, batch.noise)[0], self.to_sim(batch.pictures, batch.noise)[0]
            identity = functional.l1_loss(same_real, batch.real) + functional.l1_loss(same_sim, batch.pictures)
            losses["identity"] = config.identity * identity
        return losses

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks are not read."""
        return self.to_real(pictures, noise)[0]
