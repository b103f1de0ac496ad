"""Mapping files: an importer's options as TOML, so that how a robot's recordings are read can be kept beside them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from graspgap.errors import UserError, choose
from graspgap.files import read_toml

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


def check_table(kind: type, table: dict[str, Any], where: str) -> None:
    """Refuse a table that is none of the fields of the dataclass `kind`; `where` names it.

    Raises:
        UserError: names the key that is unknown, or whose value is of another kind than the field.
    """
    hints = get_type_hints(kind)
    for key, value in table.items():
        choose(f"key of {where}", key, hints)
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise UserError(f"'{key}' in {where} is {value!r}, expected a table: write [{key}]")
            check_table(hint, value, f"[{key}] in {where}")  # type: ignore[arg-type]
        elif not _fits(value, hint):
            raise UserError(f"'{key}' in {where} is {value!r}, expected {_words(hint)}: correct it")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of TOML is what a field of this type holds."""
    inner = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in inner
    if get_origin(hint) is tuple:
        kinds = inner[:1] * len(value) if isinstance(value, list) and inner[1:] == (...,) else inner
        return isinstance(value, list) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return type(value) is hint


def _words(hint: Any) -> str:
    inner = [one for one in get_args(hint) if one is not type(None)]
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(inner)}"
    if get_origin(hint) is tuple:
        return f"a list of {'' if ... in inner else f'{len(inner)} '}{_words(inner[0])}s"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(hint, str(hint))
