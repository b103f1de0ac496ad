"""Files of settings in TOML, and records in JSON, read into the dataclasses that hold them."""

from __future__ import annotations

import dataclasses
import math
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from graspgap.config import from_json
from graspgap.errors import UserError, choose
from graspgap.files import read_json
from graspgap.locations import Location

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Between which finite numbers a setting lies."""

    low: float
    high: float = math.inf
    above: bool = False
    """`low` itself is outside."""
    below: bool = False
    """So is `high`."""

    def __contains__(self, value: float) -> bool:
        """NaN and infinity are in none."""
        low = self.low < value if self.above else self.low <= value
        high = value < self.high if self.below else value <= self.high
        return low and high and (isinstance(value, int) or math.isfinite(value))

    def __str__(self) -> str:
        least, most = (str(end) if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        low = f"more than {least}" if self.above else f"{least} or more"
        if math.isinf(self.high):
            return low
        if self.below:
            return f"{low}, and less than {most}"
        return f"{low}, and at most {most}" if self.above else f"{least} to {most}"


def in_range(option: str, value: float, bounds: Bounds) -> None:
    """Refuse a number out of bounds.

    Raises:
        UserError: names the option, the value and the bounds.
    """
    if value not in bounds:
        wrong = "too small" if value < bounds.low else "out of range"
        shown = value if isinstance(value, int) else f"{value:g}"
        raise UserError(f"{option} {shown} is {wrong}: give {bounds}")


def read_toml(path: Path, option: str, expected: str = "a TOML file") -> dict[str, Any]:
    """The values of the TOML file that the user gave as `option`.

    Raises:
        UserError: if it can't be read; `expected` says what could be given.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"can't read {option} {path} ({error.strerror}): give {expected}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid TOML ({error}): correct it") from None


def check_table(kind: type, table: dict[str, Any], where: str) -> None:
    """Check that a table of TOML or JSON holds fields of the dataclass `kind`, each of its type, as `config.from_json`
    takes it.

    A nested dataclass is a table, `dict[str, Nested]` a table of tables, and `tuple[Nested, ...]` a list of tables.

    Raises:
        UserError: if it names an unknown key, or a value is of another kind than the field.
    """
    hints = _hints(kind)
    for key, value in table.items():
        choose(f"key of {where}", key, hints)
        _check(f"'{key}' in {where}", f"[{key}]", value, hints[key], where)
    for field in dataclasses.fields(kind):
        if field.name not in table and field.default is field.default_factory is dataclasses.MISSING:
            raise UserError(f"{where} has no '{field.name}': add it")


def read_record(path: Location, kind: type[T], what: str, fix: str) -> T:
    """The dataclass `kind` that a JSON file holds.

    Raises:
        UserError: if the file can't be read, or holds something else; `what` says what it should be of, and `fix` what
            to do then.
    """
    return build(kind, read_json(path, what), path, fix)


def build(kind: type[T], values: Any, what: object, fix: str) -> T:
    """`config.from_json` of values that may be damaged or foreign.

    Raises:
        UserError: if they aren't the fields of `kind`; it names `what`, and `fix`, what to do.
    """
    return from_json(kind, checked(kind, values, what, fix))


def checked(kind: type, values: Any, what: object, fix: str) -> dict[str, Any]:
    """The values, if they are the fields of the dataclass `kind` in JSON.

    Raises:
        UserError: as `build`.
    """
    try:
        if not isinstance(values, dict):
            raise UserError("it is no table")
        check_table(kind, values, "it")
    except UserError as error:
        raise UserError(f"{what} is damaged ({error}): {fix}") from None
    return values


def entry(table: Any, name: str, kind: type[T] | GenericAlias, what: object, fix: str) -> T:
    """What a table of JSON holds under `name`, a value of the type `kind`.

    Raises:
        UserError: if there is no such table or value; it names `what`, and `fix`, what to do.
    """
    if not isinstance(table, dict):
        raise UserError(f"{what} is damaged (it is no table): {fix}")
    if name not in table:
        raise UserError(f"{what} is damaged (it has no '{name}'): {fix}")
    if not _fits(table[name], kind):
        raise UserError(f"{what} is damaged ('{name}' in it is {table[name]!r}, expected {_words(kind)}): {fix}")
    value: T = table[name]
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _check(what: str, name: str, value: Any, hint: Any, where: str) -> None:
    origin, inner = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        _require_table(what, name, value)
        check_table(hint, value, f"{name} in {where}")  # type: ignore[arg-type]
    elif origin is dict and dataclasses.is_dataclass(inner[1]):
        _require_table(what, name, value)
        for key, each in value.items():
            _check(f"'{key}' of {what}", f"{name[:-1]}.{key}]", each, inner[1], where)
    elif origin in (Union, UnionType) and isinstance(value, dict) and any(map(dataclasses.is_dataclass, inner)):
        _check(what, name, value, next(filter(dataclasses.is_dataclass, inner)), where)
    elif origin in (tuple, list) and dataclasses.is_dataclass(inner[0]):
        if not isinstance(value, list):
            raise UserError(f"{what} is {value!r}, expected tables: write [{name}] before each")
        for number, each in enumerate(value, start=1):
            _check(f"{what}, number {number},", f"[{name}]", each, inner[0], where)
    elif not _fits(value, hint):
        raise UserError(f"{what} is {value!r}, expected {_words(hint)}: correct it")


def _require_table(what: str, name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise UserError(f"{what} is {value!r}, expected a table: write {name}")


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and not a whole one too large for a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


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
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    if hint is Any:
        return True
    if hint is float:
        return is_number(value)
    return type(value) is hint


def _words(hint: Any) -> str:
    inner = [one for one in get_args(hint) if one is not type(None)]
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(inner)}"
    if get_origin(hint) is tuple:
        return f"a list of {'' if ... in inner else f'{len(inner)} '}{_words(inner[0])}s"
    if get_origin(hint) is list:
        return f"a list of {_words(inner[0])}s"
    if dataclasses.is_dataclass(hint):
        return "a table"
    if get_origin(hint) is dict:
        return f"a table of {_words(inner[1])}s"
    known = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "a table", list: "a list"}
    return known.get(hint, str(hint))
