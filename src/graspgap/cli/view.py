"""`graspgap view`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graspgap.cli.checks import at_least
from graspgap.errors import UserError
from graspgap.objects.model import Split


@dataclass(frozen=True)
class Config:
    objects: str = ""
    """Object set to show, as `collect --objects` takes it: `prisms`, `published`, a folder of meshes, ..."""
    out: Path = Path("view.png")
    """PNG file to write."""
    split: Split = "train"
    """Objects of which split."""
    count: int = 40
    """How many objects at most."""
    seed: int = 0
    """Draws the objects."""


def run(config: Config) -> None:
    """Draw what is asked for, and say where it lies.

    Raises:
        UserError: if nothing to view is named.
    """
    at_least("--count", config.count, 1)
    at_least("--seed", config.seed, 0)
    if not config.objects:
        raise UserError("nothing to view is named: give --objects SET, for example --objects prisms")
    _view_objects(config)


def _view_objects(config: Config) -> None:
    from graspgap.datasets.view import save_png
    from graspgap.objects import make_object_set
    from graspgap.objects.named import NamedObjects
    from graspgap.seeding import generator
    from graspgap.worlds.object_sheet import object_sheet

    chosen, rng = make_object_set(config.objects), generator(config.seed, "view")
    refused: dict[str, str] = {}
    if isinstance(chosen, NamedObjects):
        things, refused = chosen.usable(rng, config.count, config.split), chosen.refused
    else:
        things = chosen.sample(rng, config.count, config.split)
    if not things:
        raise UserError(
            f"no object of {config.objects} can be used: {next(iter(refused.values()), 'the split is empty')}"
        )
    save_png(object_sheet(things), config.out)
    parts = sum(len(thing.parts) for thing in things)
    print(f"{config.out}: {len(things)} objects of {chosen.name} ({config.split}), {parts} parts")
    for reason in refused.values():
        print(f"refused: {reason}")
