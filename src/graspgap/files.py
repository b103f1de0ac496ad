"""Files that are either complete or absent: write to a temporary name, flush to the disk, then rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from upath import UPath

from graspgap.errors import UserError
from graspgap.locations import Location

AnyPath = TypeVar("AnyPath", bound=Location)
LIFELINE = "GRASPGAP_LIFELINE"
"""Environment variable of a study's stages: they end when their standard input closes, as it does when it dies."""

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
"""What the system says when there is no room."""


@contextmanager
def atomic(path: AnyPath) -> Iterator[AnyPath]:
    """Yield a temporary path beside `path`; when the block ends well, it becomes `path`, else it is removed.

    Raises:
        UserError: if the disk is full or can't be written. What was at `path` before is untouched.
    """
    temporary: Any = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if isinstance(path, UPath):
            path.fs.mv(temporary.path, path.path)
        else:
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except OSError as error:
        why = error.strerror or str(error)
        fix = "free the disk" if error.errno in FULL else "correct the path"
        raise UserError(f"can't write {path}: {why}; {fix} or choose another folder, then run again") from None
    finally:
        with suppress(OSError):  # such as below a file that was taken for a folder: said already
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Location) -> None:
    """Remove what processes that were killed in `atomic` left in `folder`. Nothing may be written there now."""
    found: Any = folder.glob(".*.tmp")
    for path in list(found):
        path.unlink(missing_ok=True)


def write_text(path: Location, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Location, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Location, what: str) -> Any:
    """Read JSON from `path`.

    Raises:
        UserError: if the file is missing, can't be read or is not JSON; `what` says in words what it should be.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent} is not {what}: it has no {path.name}") from None
    except OSError as error:
        raise UserError(f"can't read {path} of {what}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # also numbers with thousands of digits
        raise UserError(f"{path} of {what} is not valid JSON ({error}): restore it or make it again") from None


def sha256(path: Location) -> str:
    """Hexadecimal SHA-256 of a file."""
    file: Any
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
