"""Mapping files: an importer's options as TOML, so that how a robot's recordings are read can be kept beside them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from graspgap.settings import check_table, read_toml

T = TypeVar("T")


def read_mapping(path: Path, kind: type[T]) -> T:
    """The options of a TOML file whose keys are the fields of the dataclass `kind`, nested ones as tables; defaults
    for the others.

    Raises:
        UserError: if the file can't be read, or names an unknown key, or a value is of another kind than the field.
    """
    values = read_toml(path, "--mapping")
    check_table(kind, values, f"{path}")
    return _filled(kind(), values)


def _filled(default: T, table: dict[str, Any]) -> T:
    """The defaults with the values of a table."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        mine = getattr(default, key)
        nested = _filled(mine, value) if isinstance(value, dict) else value
        values[key] = tuple(nested) if isinstance(nested, list) else nested
    return dataclasses.replace(default, **values)  # type: ignore[type-var]
