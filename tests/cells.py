"""A cell with objects where a test wants them."""

from __future__ import annotations

from graspgap.contract import Workspace
from graspgap.objects.model import ObjectModel, Part
from graspgap.objects.prisms import Prisms
from graspgap.worlds.cell import Cell
from graspgap.worlds.cell_model import CellConfig
from graspgap.worlds.randomization import preset
from graspgap.worlds.sim import SimConfig, make_sim
from graspgap.worlds.tabletop import TabletopWorld

BOX = ObjectModel("box", (Part("box", (0.02, 0.03, 0.02)),), 0.1, color=(0.1, 0.8, 0.1))


def cell_with(*things: tuple[ObjectModel, tuple[float, float, float]]) -> Cell:
    """A cell whose objects have come to rest upright where they are put."""
    cell = Cell(CellConfig(), Workspace())
    cell.load([thing for thing, _ in things])
    cell.tuck_arm()
    for address, (_, place) in zip(cell.object_qpos, things, strict=True):
        cell.data.qpos[address : address + 7] = (*place, 1, 0, 0, 0)
    cell._step(0.3)
    return cell


def world(randomization: str = "none") -> TabletopWorld:
    """The simulated world with prisms."""
    return make_sim(SimConfig(randomization=preset(randomization)), Prisms(), "train")
