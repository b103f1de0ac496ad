"""What is learned: grasp network, generator, discriminators, normalization. Pure modules with shapes."""

from graspgap.networks.discriminator import Discriminators, DiscriminatorsConfig
from graspgap.networks.generator import Generator, GeneratorConfig
from graspgap.networks.grasp import GraspNet, GraspNetConfig
from graspgap.networks.normalization import DomainBatchNorm

__all__ = [
    "Discriminators",
    "DiscriminatorsConfig",
    "DomainBatchNorm",
    "Generator",
    "GeneratorConfig",
    "GraspNet",
    "GraspNetConfig",
]
