"""Settings within others that a command sets itself: its command line offers no option for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tyro.conf import Suppress
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo

OPTIONS = ConstructorRegistry()
"""By what tyro makes options of a configuration."""
_HIDDEN: dict[type, set[str]] = {}


def hide(kind: type, *names: str) -> None:
    """From now on no option is made of these fields of the dataclass `kind`, nor of those of dataclasses derived from
    it; they keep their defaults."""
    _HIDDEN.setdefault(kind, set()).update(names)


@OPTIONS.struct_rule
def _without_hidden(info: StructTypeInfo) -> StructConstructorSpec | None:
    """What tyro's own rules make of a configuration, less the options of hidden fields."""
    bases = info.type.__mro__ if isinstance(info.type, type) else ()
    names = {name for base in bases for name in _HIDDEN.get(base, ())}
    if not names or Suppress in info.markers:  # all of it is hidden, or this rule is asked by itself
        return None
    spec = ConstructorRegistry.get_struct_spec(replace(info, markers=(*info.markers, Suppress)))
    if not isinstance(spec, StructConstructorSpec):
        return None
    fields = [replace(one, type=_suppressed(one.type)) if one.name in names else one for one in spec.fields]
    return replace(spec, fields=tuple(fields))


def _suppressed(kind: Any) -> Any:
    return Suppress[kind]  # type: ignore[misc]
