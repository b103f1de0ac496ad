"""Sizes of all networks by name: the demo's, and the published ones for 472 x 472 pixels."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

from graspgap.errors import UserError, choose
from graspgap.networks.discriminator import DiscriminatorsConfig
from graspgap.networks.generator import GeneratorConfig
from graspgap.networks.grasp import GraspNetConfig

SIZED = (GraspNetConfig, GeneratorConfig, DiscriminatorsConfig)

T = TypeVar("T")


@dataclass(frozen=True)
class NetworkPreset:
    """Settings of each kind of network."""

    grasp: GraspNetConfig
    generator: GeneratorConfig
    discriminators: DiscriminatorsConfig


NETWORKS = {
    "demo": NetworkPreset(GraspNetConfig(), GeneratorConfig(), DiscriminatorsConfig()),
    "paper": NetworkPreset(
        GraspNetConfig(image_size=472, trunk="grasping44", join="grasping44", width=64, head=64),
        GeneratorConfig(widths=(32, 64, 128, 256, 256, 256), skip=0.0),
        DiscriminatorsConfig(scales=3, widths=(64, 128, 256, 512), halvings=3, last=4),
    ),
}
"""Presets by name. `paper`: Grasping44 as published; three scales of 70 x 70 patches by five 4x4 convolutions, as
published. Depth and widths of the generator and widths of the discriminators were not published; chosen here: a U-Net
down to 15 x 15 cells, each of which sees most of the picture, and the widths of Isola et al. 2017."""


def resized(chosen: T, name: str) -> T:
    """Settings of one kind of network at the sizes of preset `name`; what the user set to other than the default
    stays.

    Raises:
        UserError: if there is no such preset.
    """
    preset = NETWORKS[choose("--networks", name, NETWORKS)]
    for sized in (preset.grasp, preset.generator, preset.discriminators):
        if isinstance(chosen, type(sized)):
            default = type(sized)()
            values = {field.name: getattr(chosen, field.name) for field in fields(chosen)}
            kept = {key: value for key, value in values.items() if value != getattr(default, key)}
            return replace(sized, **kept)  # type: ignore[return-value]
    raise TypeError(f"{type(chosen).__name__} has no presets")


def with_networks(options: T, name: str, label: str) -> T:
    """Settings of a method, all of its networks resized; `label` names the method.

    Raises:
        UserError: if there is no such preset, or the method has no network that it knows.
    """
    choose("--networks", name, NETWORKS)
    values = {field.name: getattr(options, field.name) for field in fields(options)}  # type: ignore[arg-type]
    found = {key: resized(value, name) for key, value in values.items() if isinstance(value, SIZED)}
    if not found and name != "demo":
        raise UserError(f"method '{label}' has no networks of other sizes: leave --networks {name} out")
    return replace(options, **found)  # type: ignore[type-var]
