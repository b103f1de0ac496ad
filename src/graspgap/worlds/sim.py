"""The simulated world: MuJoCo physics, ray-cast pictures, exact masks, labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from graspgap.contract import Camera, Workspace, WorldSpec
from graspgap.objects.model import ObjectSet, Split
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig
from graspgap.worlds.looks import draw_looks, plain_looks
from graspgap.worlds.randomization import RandomizationConfig, draw_dynamics
from graspgap.worlds.raycast import RaycastRenderer
from graspgap.worlds.tabletop import Canonical, Draws, TabletopWorld


@dataclass(frozen=True)
class SimConfig:
    """Settings of the simulated world."""

    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    objects: tuple[int, int] = (5, 10)
    """Fewest and most objects in the bin."""
    randomization: RandomizationConfig = field(default_factory=RandomizationConfig)
    layers: bool = False
    """Whether to give instance ids and depth too."""
    canonical: bool = False
    """Whether to give layers, with canonical pictures among them."""
    camera: Camera = field(default_factory=Camera)
    workspace: Workspace = field(default_factory=Workspace)
    cell: CellConfig = field(default_factory=CellConfig)


def make_sim(config: SimConfig, object_set: ObjectSet, split: Split) -> TabletopWorld[Cell]:
    """The world `sim`.

    Raises:
        UserError: if the pictures are too small.
    """
    ranges = config.randomization
    spec = WorldSpec(
        "sim", config.image_size, config.workspace, config.camera, has_masks=True, has_state=True, is_reality=False
    )
    draws = Draws(
        looks=lambda rng, objects: draw_looks(rng, ranges.appearance, config.camera, objects),
        dynamics=lambda rng, objects: draw_dynamics(rng, ranges.dynamics, len(objects)),
    )
    cell = Cell(config.cell, config.workspace)
    renderer = RaycastRenderer(config.image_size)
    layers = renderer.layers if config.layers or config.canonical else None
    canonical = None
    if config.canonical:
        canonical = Canonical(RaycastRenderer(config.image_size), partial(plain_looks, config.camera))
    return TabletopWorld(spec, cell, renderer, object_set, split, config.objects, draws, layers, canonical)
