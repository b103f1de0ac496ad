"""Attempts of random pixels, for benchmarks of training: its cost does not depend on what the pictures show."""

from __future__ import annotations

import numpy as np

from graspgap.contract import SemanticClass, Workspace, command_between
from graspgap.datasets import SimulatedView, UnlabelledView
from graspgap.seeding import generator

STEPS = 4
"""Servo steps of an attempt."""


def random_views(image_size: int, attempts: int) -> tuple[SimulatedView, UnlabelledView]:
    """A simulated view, and one that counts as unlabelled reality; scenes have two attempts."""
    rng, space, frames = generator(0, "random data"), Workspace(), attempts * STEPS
    poses = rng.uniform((*space.low, -1.5), (*space.high, 1.5), (frames, 4)).astype(np.float32)
    targets = rng.uniform((*space.low, -1.5), (*space.high, 1.5), (attempts, 4)).astype(np.float32)
    owner = np.repeat(np.arange(attempts), STEPS)

    def pixels(count: int, *more: int, high: int = 256) -> np.ndarray:
        return rng.integers(0, high, (count, *more, image_size, image_size), dtype=np.uint8)

    def pictures() -> dict[str, np.ndarray]:
        return {"images_before": pixels(attempts, 3), "images": pixels(frames, 3)}

    facts = {
        "owner": owner,
        "offsets": np.arange(attempts + 1) * STEPS,
        "poses": poses,
        "commands": command_between(poses, targets[owner]),
        "scenes": np.arange(attempts) // 2,
        "attempts": np.arange(attempts),
        "source": {"world": "random pixels"},
    }
    masks = {
        "masks_before": pixels(attempts, high=len(SemanticClass)),
        "masks": pixels(frames, high=len(SemanticClass)),
    }
    success = rng.uniform(size=attempts) < 0.5
    return SimulatedView(**pictures(), **facts, **masks, success=success), UnlabelledView(**pictures(), **facts)
