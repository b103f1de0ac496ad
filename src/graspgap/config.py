"""Configurations are frozen dataclasses; this makes JSON of them and reads them back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
LATER = {"later": True}
"""Metadata of a field that was added after datasets and runs had been made without it."""


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass and those inside it as JSON-able dicts. Fields marked `LATER` are left out while they have their
    default, so that what was made without them keeps its hash and resumes."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not (field.metadata.get("later") and value == field.default):
            found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def from_json(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build dataclass `kind` from a mapping of its fields; nested dataclasses, and dicts and tuples of them, from
    nested mappings, tuples from lists.

    A missing field keeps its default, so that configurations of earlier versions can be read.

    Raises:
        ValueError: if the mapping names a field that `kind` doesn't have.
    """
    hints = get_type_hints(kind)
    unknown = values.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{kind.__name__} has no field '{min(unknown)}'")
    return kind(**{name: _built(value, hints[name]) for name, value in values.items()})


def _built(value: Any, hint: Any) -> Any:
    nested: Any = next((one for one in (hint, *get_args(hint)) if dataclasses.is_dataclass(one)), None)
    if isinstance(value, Mapping) and nested is not None:  # also of `Nested | None`, and of `dict[str, Nested]`
        if get_origin(hint) is dict:
            return {name: from_json(nested, each) for name, each in value.items()}
        return from_json(nested, value)
    if isinstance(value, list):
        inner = nested or next(iter(get_args(hint)), None)
        return tuple(_built(each, inner) for each in value)
    return value
