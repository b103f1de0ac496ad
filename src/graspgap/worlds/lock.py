"""One process of a machine drives a robot at a time."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from graspgap.errors import UserError

FOLDER = Path(tempfile.gettempdir())
"""Where the locks are: the same for all processes of a machine."""
_HELD: dict[Path, FileLock] = {}
"""Locks of this process, which holds them until it ends."""


def drive(name: str, settings: str) -> None:
    """Be the one process that drives the robot `name` with these settings, until this process ends.

    Raises:
        UserError: if another process of this machine drives it.
    """
    key = hashlib.sha256(f"{name} {settings}".encode()).hexdigest()[:16]
    path = FOLDER / f"graspgap-{key}.lock"
    lock = _HELD.setdefault(path, FileLock(path, timeout=0, thread_local=False))
    try:
        if not lock.is_locked:
            lock.acquire()
    except Timeout:
        raise UserError(f"another process drives world '{name}' (it holds {path}): wait for its end") from None
