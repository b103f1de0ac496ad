"""SimGAN (Shrivastava et al. 2017): a refiner that changes simulated pictures as little as it must, against a local
discriminator that is shown refined pictures of earlier steps too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.adaptation.pixel.history import History
from graspgap.contract import Camera
from graspgap.networks.residual import ResidualGenerator

REAL, REFINED = 0, 1


@dataclass(frozen=True)
class SimGanConfig(PixelConfig):
    """Networks and loss weights of SimGAN."""

    width: int = 20
    """Channels of the refiner (64 in the paper)."""
    blocks: int = 4
    """Residual blocks, without normalization (4 for eyes, 10 for hands in the paper)."""
    skip: float = 0.5
    """Output is tanh(net + skip x), where the paper has tanh(net) and 1,000 steps of learning to copy first."""
    critic_widths: tuple[int, int, int, int] = (48, 32, 32, 32)
    """Channels of the discriminator, before the two of its verdict (96, 64, 32, 32 in the paper)."""
    regularization: float = 0.5
    """Weight of the mean absolute difference between refined and simulated pictures (0.5 for eyes in the paper, of
    pictures and with a sum that it doesn't tell the scale of)."""
    refiner_only: float = 0.05
    """Share of the steps, at first, in which the refiner learns to copy."""
    critic_only: float = 0.05
    """Share of the steps, after those, in which the discriminator learns alone."""
    refiner_turns: int = 2
    """Turns of the refiner for each of the discriminator (the paper's K_g and K_d; for hands 2 and 1)."""
    history: int = 256
    """Refined pairs that are kept; half of the discriminator's refined batch is drawn from them. 0 for none."""
    learning_rate: float = 1e-3
    """The paper's, there of plain gradient descent with batches of 512; here Adam's (0.5, 0.999), in a quarter for the
    discriminator."""
    image_size: int = 64
    """Pixels of a side, of the history; set from the data."""

    def fitted(self, image_size: int, camera: Camera) -> SimGanConfig:
        """As `PixelConfig.fitted`."""
        return replace(self, image_size=image_size)

    def build(self) -> SimGan:
        """As `PixelConfig.build`."""
        return SimGan(self)


def local_loss(logits: Float[Tensor, "b 2 h w"], label: int) -> Float[Tensor, ""]:
    """Cross-entropy of `REAL` or `REFINED`, averaged over places: each sees a patch of its own."""
    target = torch.full((len(logits), *logits.shape[2:]), label, device=logits.device)
    return functional.cross_entropy(logits, target)


def _critic(widths: tuple[int, int, int, int]) -> nn.Sequential:
    first, second, third, fourth = widths
    return nn.Sequential(
        nn.Conv2d(6, first, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=1, padding=1),
        nn.Conv2d(second, third, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(third, fourth, 1),
        nn.ReLU(),
        nn.Conv2d(fourth, 2, 1),
    )


class SimGan(PixelMethod):
    """Refiner, discriminator, and the history of refined pictures."""

    def __init__(self, config: SimGanConfig) -> None:
        super().__init__()
        self.config = config
        self.refiner = ResidualGenerator(6, config.width, config.blocks, False, config.skip)
        self.critic = _critic(config.critic_widths)
        self.history = History(config.history, (6, config.image_size, config.image_size))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.999) for each side."""
        rate, betas = self.config.learning_rate, (0.5, 0.999)
        return {
            "refiner": torch.optim.Adam(self.refiner.parameters(), lr=rate, betas=betas),
            "critic": torch.optim.Adam(self.critic.parameters(), lr=rate / 4, betas=betas),
        }

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """Algorithm 1 of the paper. The refiner's turns of one step share their batch."""
        config = self.config
        if progress < config.refiner_only:
            yield "refiner", {"regularization": self.regularization(batch, self.refiner(batch.pictures))}
            return
        if progress >= config.refiner_only + config.critic_only:
            for _ in range(config.refiner_turns):
                refined = self.refiner(batch.pictures)
                yield (
                    "refiner",
                    {
                        "adversarial": local_loss(self.critic(refined), REAL),
                        "regularization": self.regularization(batch, refined),
                    },
                )
        with torch.no_grad():
            refined = self.history.mix(self.refiner(batch.pictures))
        verdicts = local_loss(self.critic(refined), REFINED), local_loss(self.critic(batch.real), REAL)
        yield "critic", {"critic": torch.stack(verdicts).sum()}

    def regularization(self, batch: AdapterBatch, refined: Float[Tensor, "b 6 h w"]) -> Float[Tensor, ""]:
        """How much the refiner changes (equation 4 of the paper, with the pictures themselves as features)."""
        return self.config.regularization * functional.l1_loss(refined, batch.pictures)

    def verdicts(self, pairs: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b ..."]]:
        """As `PixelMethod.verdicts`."""
        return [self.critic(pairs).softmax(dim=1)[:, REAL]]

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks are not read."""
        return self.refiner(pictures)
