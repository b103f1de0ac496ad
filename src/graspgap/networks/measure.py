"""What a network costs and how far it sees, measured on the modules that really run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from graspgap.networks.discriminator import Discriminators
from graspgap.networks.generator import Generator
from graspgap.networks.grasp import GraspNet
from graspgap.networks.layers import Enlarge
from graspgap.networks.presets import NetworkPreset

Reach = tuple[int, int, int]
"""Kernel, stride and padding of a layer; stride 0 stands for `Enlarge`."""

BATCH = 2
"""Samples of a measured pass: batch normalization refuses a single one."""


@dataclass(frozen=True)
class Cost:
    """Figures of one forward pass."""

    parameters: int
    """Of the modules that ran."""
    multiply_adds: int
    """Of convolutions and linear layers; everything else is left out."""
    activation_bytes: int
    """Of all that a training step keeps from the forward pass to the backward pass, besides parameters."""
    layers: tuple[Reach, ...]
    """Layers that look at neighbours, in the order in which they ran; none where that does not tell how far a network
    sees."""
    outputs: tuple[tuple[int, ...], ...]
    """Shapes."""


def measured(net: nn.Module, run: Callable[[], Any]) -> Cost:
    """Run `run`, which calls `net` or parts of it, and count; networks on the `meta` device cost neither time nor
    memory. `net` should be in training mode."""
    ran: dict[int, nn.Module] = {}
    layers: list[Reach] = []
    multiply_adds = 0

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal multiply_adds
        again = id(module) in ran
        ran[id(module)] = module
        if isinstance(module, nn.Conv2d | nn.Linear):
            multiply_adds += output.numel() * module.weight[0].numel()  # the latter: of one output value
        if isinstance(module, nn.ConvTranspose2d):
            multiply_adds += inputs[0].numel() * module.weight[0].numel()  # the latter: of one input value
        if isinstance(module, nn.Conv2d) and again:  # one layer on two inputs, not one after the other
            return
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            layers.append((_first(module.kernel_size), _first(module.stride), _first(module.padding)))
        elif isinstance(module, Enlarge):
            layers.append((2, 0, 0))

    kept: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[id(storage)] = storage  # several operations may keep the same map
        return tensor

    handles = [module.register_forward_hook(count) for module in net.modules()]
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            result = run()
    finally:
        for handle in handles:
            handle.remove()
    for parameter in (*net.parameters(), *net.buffers()):
        kept.pop(id(parameter.untyped_storage()), None)
    parameters = sum(p.numel() for module in ran.values() for p in module.parameters(recurse=False))
    results = result if isinstance(result, tuple | list) else (result,)
    return Cost(
        parameters,
        multiply_adds,
        sum(storage.nbytes() for storage in kept.values()),
        tuple(layers),
        tuple(tuple(one.shape) for one in results),
    )


def costs(preset: NetworkPreset) -> dict[str, Cost]:
    """Every network of a preset, for one sample; the grasp network's head for one command."""
    with torch.device("meta"):
        grasp = GraspNet(preset.grasp)
        generator, discriminators = Generator(preset.generator), Discriminators(preset.discriminators)
        size = preset.grasp.image_size
        pictures, noise = torch.zeros(BATCH, 6, size, size), torch.zeros(BATCH, preset.generator.noise, size, size)
        poses, commands = torch.zeros(BATCH, 4), torch.zeros(BATCH, 1, 5)
        features = torch.zeros(BATCH, grasp.channels, *[grasp.trunk.side(size)] * 2)
        trunk = measured(grasp, lambda: grasp.encode(pictures))
        aids = measured(grasp, lambda: [grasp.segment(features), grasp.locate(features)])
        head = measured(grasp, lambda: grasp.score(features, poses, commands))
        found = {
            "grasp trunk": trunk,
            "grasp head": replace(head, layers=() if preset.grasp.join == "project" else trunk.layers + head.layers),
            "masks, gripper": replace(aids, layers=trunk.layers + aids.layers),
            "generator": measured(generator, lambda: generator(pictures, noise)),
        }
        for scale in discriminators.scales:
            found[f"discriminator {pictures.shape[-1]}"] = _measured_scale(scale, pictures)
            pictures = discriminators.halve(pictures)
    return {name: _of_one_sample(cost) for name, cost in found.items()}


def _measured_scale(scale: nn.Module, pictures: Tensor) -> Cost:
    return measured(scale, lambda: scale(pictures))


def _of_one_sample(cost: Cost) -> Cost:
    outputs = tuple(shape[1:] for shape in cost.outputs)
    multiply_adds, kept = cost.multiply_adds // BATCH, cost.activation_bytes // BATCH
    return replace(cost, multiply_adds=multiply_adds, activation_bytes=kept, outputs=outputs)


def receptive_field(layers: tuple[Reach, ...]) -> int:
    """Side [pixels] of the part of the input that one cell of the last map depends on, far from the borders.

    The rows that a cell reads are traced back layer by layer. After `Enlarge` they depend on the cell, so it is the
    largest over a few neighbours. Normalization over the whole picture is left out, as is usual.
    """
    return max(_traced(cell, layers) for cell in range(64, 128))


def _traced(cell: int, layers: tuple[Reach, ...]) -> int:
    low = high = cell
    for kernel, stride, padding in reversed(layers):
        if stride:
            low, high = low * stride - padding, high * stride - padding + kernel - 1
        else:
            low, high = (low - 1) // 2, (high - 1) // 2 + 1
    return high - low + 1


def _first(size: Any) -> int:
    return int(size[0]) if isinstance(size, tuple) else int(size)
