"""What is learned: grasp network, generator, discriminators, normalization. Pure modules with shapes."""

from graspgap.networks.detector import PointDetector, PointDetectorConfig
from graspgap.networks.discriminator import Discriminators, DiscriminatorsConfig
from graspgap.networks.generator import CanonicalGenerator, Generator, GeneratorConfig, Translator, UNet
from graspgap.networks.grasp import GraspNet, GraspNetConfig
from graspgap.networks.normalization import DomainBatchNorm
from graspgap.networks.segmenter import Segmenter, SegmenterConfig

__all__ = [
    "CanonicalGenerator",
    "Discriminators",
    "DiscriminatorsConfig",
    "DomainBatchNorm",
    "Generator",
    "GeneratorConfig",
    "GraspNet",
    "GraspNetConfig",
    "PointDetector",
    "PointDetectorConfig",
    "Segmenter",
    "SegmenterConfig",
    "Translator",
    "UNet",
]
