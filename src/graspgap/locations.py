"""Where a dataset lies: a folder of this machine, or a URL of any filesystem that fsspec knows (`s3://`, `memory://`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from upath import UPath

from graspgap.errors import UserError

Location = Path | UPath
"""A path of this machine is a `Path`; a `UPath` has the same methods and is elsewhere."""


def location(text: str | Location) -> Location:
    """The location that `text` names; `file://` is a path of this machine.

    Raises:
        UserError: if the kind of filesystem is unknown, or its package is not installed.
    """
    if not isinstance(text, str):
        return text
    kind, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    if kind == "file":
        return Path(rest)
    try:
        path = UPath(text)
        _ = path.fs  # imports what opens it
    except (ImportError, TypeError, ValueError) as error:
        raise UserError(f"{text} can't be opened ({error}): install what it needs, or give a folder") from None
    return path


def is_private(path: Location) -> bool:
    """Whether other processes can't see what is written there."""
    return isinstance(path, UPath) and path.protocol == "memory"


def for_arrow(path: Location) -> tuple[Any, Any]:
    """The file and the filesystem by which Arrow opens it."""
    return (path.path, path.fs) if isinstance(path, UPath) else (path, None)
