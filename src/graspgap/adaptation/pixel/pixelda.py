"""PixelDA (Bousmalis et al. 2017a): a residual generator with a noise vector, a noisy discriminator, and a task network
that learns from source and made pictures alike, so that what the generator makes can still be grasped by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from graspgap.adaptation.losses import gan_discriminator, gan_generator, grasp_loss, pair_pmse
from graspgap.adaptation.pixel.base import AdapterBatch, Losses, PixelConfig, PixelMethod
from graspgap.contract import Camera, SemanticClass
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.networks.residual import ResidualGenerator


@dataclass(frozen=True)
class PixelDaConfig(PixelConfig):
    """Networks and loss weights of PixelDA."""

    width: int = 20
    """Channels of the generator (64 in the paper)."""
    blocks: int = 4
    """Residual blocks (6 in the paper)."""
    skip: float = 0.5
    """Output is tanh(net + skip x). The paper adds no input, and trains for 500,000 steps; here there are a thousandth
    of that."""
    noise: int = 10
    """Numbers z ~ U(-1, 1) that become one more input channel (the paper's)."""
    critic_widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    """Channels of the discriminator, the first at full resolution, each further one at half of the one before (64, and
    doubled each time, in the paper)."""
    critic_noise: float = 0.2
    """Standard deviation of the noise after each layer of the discriminator (the paper's code)."""
    critic_dropout: float = 0.1
    """Share of activations that are dropped there (the paper's code)."""
    grasp: GraspNetConfig = field(default_factory=GraspNetConfig)
    """The task network. The paper gives each domain first layers of its own; here it is the batch statistics."""
    adversarial: float = 1.0
    """Weight of the generator's GAN loss (0.011 for digits in the paper's code, nearly that of the task)."""
    task: float = 1.0
    """Weight of the task loss in the generator's turn (0.010 for digits)."""
    content: float = 10.0
    """Weight of the masked PMSE over arm and objects (0 for digits; the paper uses it where depth tells the
    foreground)."""
    learning_rate: float = 1e-3
    """Adam's, beta1 0.5, for all networks (the paper's)."""
    image_size: int = 64
    """Pixels of a side; set from the data."""

    def fitted(self, image_size: int, camera: Camera) -> PixelDaConfig:
        """As `PixelConfig.fitted`."""
        return replace(self, image_size=image_size, grasp=self.grasp.fitted(image_size, camera))

    def build(self) -> PixelDa:
        """As `PixelConfig.build`."""
        return PixelDa(self)


class _Noise(nn.Module):
    """Dropout, and Gaussian noise that is there while training."""

    def __init__(self, std: float, dropout: float) -> None:
        super().__init__()
        self.std, self.dropout = std, dropout

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        x = functional.dropout(x, self.dropout, self.training)
        return x + self.std * torch.randn_like(x) if self.training else x


class _Critic(nn.Sequential):
    """One verdict per pair; batch normalization but in the first layer, noise after every layer."""

    def __init__(self, config: PixelDaConfig) -> None:
        layers: list[nn.Module] = []
        inputs, size = 6, config.image_size
        for index, width in enumerate(config.critic_widths):
            layers.append(nn.Conv2d(inputs, width, 3, stride=2 if index else 1, padding=1))
            layers += [nn.BatchNorm2d(width)] if index else []
            layers += [nn.LeakyReLU(0.2), _Noise(config.critic_noise, config.critic_dropout)]
            inputs, size = width, (size + 1) // 2 if index else size
        super().__init__(*layers, nn.Flatten(), nn.Linear(inputs * size * size, 1))


class PixelDa(PixelMethod):
    """The networks of PixelDA. The task network belongs to the critics' side, as in the paper's code."""

    least_batch = 2

    def __init__(self, config: PixelDaConfig) -> None:
        super().__init__()
        self.config = config
        side = config.image_size
        self.project = nn.Sequential(nn.Linear(config.noise, side * side), nn.BatchNorm1d(side * side), nn.ReLU())
        self.generator = ResidualGenerator(7, config.width, config.blocks, True, config.skip)
        self.critic = _Critic(config)
        self.grasp = GraspNet(config.grasp)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam with beta1 0.5 for each side."""
        rate, betas = self.config.learning_rate, (0.5, 0.999)
        critics = [*self.critic.parameters(), *self.grasp.parameters()]
        makers = [*self.project.parameters(), *self.generator.parameters()]
        return {
            "critics": torch.optim.Adam(critics, lr=rate, betas=betas),
            "generator": torch.optim.Adam(makers, lr=rate, betas=betas),
        }

    def make(self, pictures: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b 6 h w"]:
        """Pictures with a z of their own each."""
        z = 2 * torch.rand(len(pictures), self.config.noise, device=pictures.device) - 1
        return self.generator(pictures, self.project(z).view(len(pictures), 1, *pictures.shape[-2:]))

    def turns(self, batch: AdapterBatch, progress: float) -> Iterator[tuple[str, Losses]]:
        """Discriminator and task network, then the generator."""
        config, pictures = self.config, batch.pictures
        made = self.make(pictures)
        source = self.grasp(pictures, batch.poses, batch.commands)
        adapted = self.grasp(made.detach(), batch.poses, batch.commands, Domain.REALITY)
        yield (
            "critics",
            {
                "critic": gan_discriminator(self.critic(batch.real), self.critic(made.detach())),
                "grasp": grasp_loss(source, batch.success) + grasp_loss(adapted, batch.success),
            },
        )
        logits = self.grasp(made, batch.poses, batch.commands, Domain.REALITY)
        foreground = batch.masks >= SemanticClass.ARM
        yield (
            "generator",
            {
                "adversarial": config.adversarial * gan_generator(self.critic(made)),
                "task": config.task * grasp_loss(logits, batch.success),
                "content": config.content * pair_pmse(made, pictures, foreground),
            },
        )

    def verdicts(self, pairs: Float[Tensor, "b 6 h w"]) -> list[Float[Tensor, "b ..."]]:
        """As `PixelMethod.verdicts`."""
        return [self.critic(pairs).sigmoid()]

    def adapt(
        self, pictures: Float[Tensor, "b 6 h w"], masks: Int[Tensor, "b 2 h w"], noise: Float[Tensor, "b k h w"]
    ) -> Float[Tensor, "b 6 h w"]:
        """As `PixelMethod.adapt`; masks are not read."""
        return self.make(pictures)
