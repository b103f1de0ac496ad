"""Worlds of other packages: a user's robot, or another simulator, found by its entry point."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from graspgap.errors import UserError, choose
from graspgap.settings import read_toml
from graspgap.worlds.protocol import World

GROUP = "graspgap.worlds"
"""Entry point group. Each entry names a `Factory`."""

ADAPTERS = {"lerobot": "graspgap.deployment.lerobot:make"}
"""Worlds of graspgap's own that are made and guarded in the same way."""

Factory = Callable[[Any, dict[str, Any]], World]
"""Makes a world of a `catalog.WorldChoice` and the tables of `--world-config`, without `[safety]`."""

_PARTS = ("spec", "reset", "observe", "move", "grasp", "record", "close")
"""Of the `World` protocol."""


def installed_worlds() -> dict[str, metadata.EntryPoint]:
    """Entry points by name.

    Raises:
        UserError: if two packages give the same name to different worlds.
    """
    found = {name: metadata.EntryPoint(name, value, GROUP) for name, value in ADAPTERS.items()}
    for entry in metadata.entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise UserError(
                f"world '{entry.name}' is {other.value} of {_package(other)} and {entry.value} of {_package(entry)}: "
                "uninstall one of them"
            )
    return found


def load_factory(name: str, known: list[str]) -> Factory:
    """The factory of an installed world; `known` are further names to suggest.

    Raises:
        UserError: if no package has a world of this name, or its package can't be imported.
    """
    found = installed_worlds()
    entry = found[choose("--world", name, [*known, *found])]
    try:
        factory: Factory = entry.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"world '{name}' of {_package(entry)} can't be loaded ({error}): mend {entry.value}, or install it again"
        ) from error
    return factory


def build(name: str, factory: Factory, choice: Any, tables: dict[str, Any]) -> World:
    """The world that a factory makes.

    Raises:
        UserError: if the factory refuses the settings, or what it makes is no `World`.
    """
    try:
        world = factory(choice, tables)
    except (KeyError, TypeError, ValueError) as error:
        why = f"no value {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"world '{name}' refuses its settings ({why}): correct --world-config") from error
    if not isinstance(world, World):
        missing = [each for each in _PARTS if not hasattr(world, each)]
        raise UserError(f"world '{name}' is a {type(world).__name__} without {', '.join(missing)}: see World")
    return world


def named(world: str, config: Path | None) -> tuple[str, str | None]:
    """The name and the settings of `--world NAME` or `--world NAME:FILE`, and `--world-config FILE`.

    The settings are the file's values as JSON, so that what is kept beside a dataset says what it was made with.

    Raises:
        UserError: if there are two files, or the one can't be read.
    """
    name, colon, file = world.partition(":")
    if colon and config is not None:
        raise UserError(f"--world {world} and --world-config {config} name two files: give one")
    path = Path(file) if colon else config
    return name, None if path is None else read_settings(path)


def read_settings(path: Path) -> str:
    """The values of a TOML file as JSON with sorted keys.

    Raises:
        UserError: if the file can't be read, or holds what JSON doesn't (dates, infinities).
    """
    values = read_toml(path, "--world-config")
    try:
        return json.dumps(values, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} holds a date or an infinite number ({error}): give it as text") from None


def _package(entry: metadata.EntryPoint) -> str:
    return f"package {entry.dist.name}" if entry.dist else "graspgap"
