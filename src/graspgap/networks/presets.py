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


def resized(chosen: T, name: str, default: T | None = None) -> T:
    """Settings of one kind of network at the sizes of preset `name`: what the preset sets, unless the user set it to
    other than the default, which is that of a method's own or of the kind.

    Raises:
        UserError: if there is no such preset.
    """
    preset = NETWORKS[choose("--networks", name, NETWORKS)]
    for sized in (preset.grasp, preset.generator, preset.discriminators):
        if isinstance(chosen, type(sized)):
            plain = type(sized)()
            set_here = {key: value for key, value in vars(sized).items() if value != getattr(plain, key)}
            unset = default or plain
            return replace(chosen, **{k: v for k, v in set_here.items() if getattr(chosen, k) == getattr(unset, k)})
    raise TypeError(f"{type(chosen).__name__} has no presets")


def with_networks(options: T, name: str, label: str) -> T:
    """Settings of a method, its networks of these kinds resized; `label` names the method. Networks that a method
    sizes by settings of its own (PixelDA's `width`, `blocks` and `critic_widths`, a judge) stay as they are.

    Raises:
        UserError: if there is no such preset, or the method has no network that it knows.
    """
    choose("--networks", name, NETWORKS)
    values = {field.name: getattr(options, field.name) for field in fields(options)}  # type: ignore[arg-type]
    own = type(options)()
    found = {key: resized(value, name, getattr(own, key)) for key, value in values.items() if isinstance(value, SIZED)}
    if not found and name != "demo":
        raise UserError(f"method '{label}' has no networks of other sizes: leave --networks {name} out")
    return replace(options, **found)  # type: ignore[type-var]
