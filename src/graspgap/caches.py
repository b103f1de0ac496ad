"""Where graspgap keeps what it can make again: convex parts of meshes, decoded pictures."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = "GRASPGAP_CACHE"
"""Environment variable that names the cache folder."""


def cache_folder() -> Path:
    """`$GRASPGAP_CACHE`, or `graspgap` in the user's cache folder."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graspgap"
