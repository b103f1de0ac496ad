"""Configurations are frozen dataclasses; this reads them back from the JSON that `dataclasses.asdict` gave."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_type_hints

T = TypeVar("T")


def from_json(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build dataclass `kind` from a mapping of its fields; nested dataclasses from nested mappings, tuples from lists.

    A missing field keeps its default, so that configurations of earlier versions can be read.

    Raises:
        ValueError: if the mapping names a field that `kind` doesn't have.
    """
    hints = get_type_hints(kind)
    unknown = values.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{kind.__name__} has no field '{min(unknown)}'")
    fields: dict[str, Any] = {}
    for name, value in values.items():
        hint: Any = hints[name]
        nested: Any = next((one for one in (hint, *get_args(hint)) if dataclasses.is_dataclass(one)), None)
        if isinstance(value, Mapping) and nested is not None:  # also of `Nested | None`
            value = from_json(nested, value)
        elif isinstance(value, list):
            value = tuple(value)
        fields[name] = value
    return kind(**fields)
