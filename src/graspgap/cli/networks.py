"""`graspgap networks`"""

from __future__ import annotations

from dataclasses import dataclass

from graspgap.errors import choose


@dataclass(frozen=True)
class Config:
    networks: str = "demo"
    """Sizes to show: `demo`, or `paper` (472 x 472 pixels)."""


def run(config: Config) -> None:
    """Print a line per network."""
    from graspgap.networks.measure import costs, receptive_field
    from graspgap.networks.presets import NETWORKS

    preset = NETWORKS[choose("--networks", config.networks, NETWORKS)]
    size = preset.grasp.image_size
    rows = [("network", "parameters", "multiply-adds", "activations [MB]", "receptive field [pixels]", "output")]
    for name, cost in costs(preset).items():
        field = str(receptive_field(cost.layers)) if cost.layers else "-"
        shapes = ", ".join(" x ".join(map(str, shape)) for shape in cost.outputs)
        counts = (f"{cost.parameters:,}", f"{cost.multiply_adds:,}", f"{cost.activation_bytes / 1e6:.1f}")
        rows.append((name, *counts, field, shapes))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    print(
        f"\nFor one pair of {size} x {size} pixels, and one command in the grasp head. Multiply-adds are those of\n"
        "convolutions and linear layers, activations what a training step keeps until the backward pass. A\n"
        "discriminator's pixels are those of its own scale; the head `project` reads a crop around the target."
    )
