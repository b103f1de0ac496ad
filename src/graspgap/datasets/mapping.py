"""Mapping files: an importer's options as TOML, so that how a robot's recordings are read can be kept beside them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from graspgap.settings import check_table, read_toml

T = TypeVar("T")


def read_mapping(path: Path, options: T) -> T:
    """The options of a TOML file whose keys are the fields of the dataclass `options`, nested ones as tables.

    Where `options` differ from the defaults they win over the file.

    Raises:
        UserError: if the file can't be read, or names an unknown key, or a value is of another kind than the field.
    """
    values = read_toml(path, "--mapping")
    check_table(type(options), values, f"{path}")
    default = type(options)()
    return _over(_filled(default, values), options, default)


def _filled(default: T, table: dict[str, Any]) -> T:
    """The defaults with the values of a table."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        mine = getattr(default, key)
        nested = _filled(mine, value) if isinstance(value, dict) else value
        values[key] = tuple(nested) if isinstance(nested, list) else nested
    return dataclasses.replace(default, **values)  # type: ignore[type-var]


def _over(below: T, above: T, default: T) -> T:
    """`below` with what differs from the defaults in `above`."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(above):  # type: ignore[arg-type]
        low, mine, usual = (getattr(one, field.name) for one in (below, above, default))
        if dataclasses.is_dataclass(mine):
            changed[field.name] = _over(low, mine, usual)
        elif mine != usual:
            changed[field.name] = mine
    return dataclasses.replace(below, **changed)  # type: ignore[type-var]
