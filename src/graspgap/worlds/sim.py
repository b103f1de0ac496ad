"""The simulated world: MuJoCo physics, ray-cast pictures, exact masks, labels."""

from __future__ import annotations

from dataclasses import dataclass, field

from graspgap.contract import Camera, Workspace, WorldSpec
from graspgap.errors import choose
from graspgap.objects.model import ObjectSet, Split
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig
from graspgap.worlds.randomization import PRESETS, draw_dynamics, draw_looks
from graspgap.worlds.raycast import RaycastRenderer
from graspgap.worlds.tabletop import Draws, TabletopWorld


@dataclass(frozen=True)
class SimConfig:
    """Settings of the simulated world."""

    image_size: int = 64
    """Pictures are image_size x image_size pixels."""
    objects: tuple[int, int] = (5, 10)
    """Fewest and most objects in the bin."""
    randomization: str = "none"
    """Preset: `none`, `appearance`, `dynamics`, `both`."""
    camera: Camera = field(default_factory=Camera)
    workspace: Workspace = field(default_factory=Workspace)
    cell: CellConfig = field(default_factory=CellConfig)


def make_sim(config: SimConfig, object_set: ObjectSet, split: Split) -> TabletopWorld[Cell]:
    """The world `sim`.

    Raises:
        UserError: if the preset is unknown or the pictures are too small.
    """
    preset = PRESETS[choose("--randomize", config.randomization, PRESETS)]
    spec = WorldSpec(
        "sim", config.image_size, config.workspace, config.camera, has_masks=True, has_state=True, is_reality=False
    )
    draws = Draws(
        looks=lambda rng, objects: draw_looks(rng, preset.appearance, config.camera, objects),
        dynamics=lambda rng, objects: draw_dynamics(rng, preset.dynamics, len(objects)),
    )
    cell = Cell(config.cell, config.workspace)
    return TabletopWorld(spec, cell, RaycastRenderer(config.image_size), object_set, split, config.objects, draws)
