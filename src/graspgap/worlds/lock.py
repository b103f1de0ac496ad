"""One process of a user drives a robot at a time."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from graspgap.errors import UserError

FOLDER = Path(tempfile.gettempdir())
"""Where the locks are: the same for all processes of a user."""
_LOCKS: dict[Path, FileLock] = {}
"""Of this process, by file."""


def drive(name: str, settings: dict[str, Any]) -> FileLock:
    """The lock of the robot `name`, taken; whoever has driven it releases it, once for each time that it was taken.

    Robots of one name are told apart by those of their settings that stand in no table: a port, not how it moves.

    Raises:
        UserError: if another process holds it.
    """
    own = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    words = f"{Path.home()} {name} {json.dumps(own, sort_keys=True)}"
    path = FOLDER / f"graspgap-{hashlib.sha256(words.encode()).hexdigest()[:16]}.lock"
    lock = _LOCKS.setdefault(path, FileLock(path, timeout=0, thread_local=False))
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"another process drives world '{name}' (it holds {path}): wait for its end") from None
    return lock
