"""What a result was made with: the versions of the software and the hardware it ran on."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("graspgap", "torch", "mujoco", "mitsuba", "numpy", "scipy", "datasets", "pyarrow", "opencv-python-headless")
"""Packages whose versions can change a result."""


@cache
def package_version(name: str) -> str | None:
    """Version of an installed package, without importing it; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def code_version() -> str:
    """First 12 hexadecimal digits of the SHA-256 of graspgap's own source and presets: equal for equal code, whatever
    its version is called."""
    root, found = Path(__file__).parent, hashlib.sha256()
    for path in sorted(path for pattern in ("*.py", "*.toml") for path in root.rglob(pattern)):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def versions() -> dict[str, str]:
    """Version of Python, of graspgap's code (`code_version`) and of each of `PACKAGES`; "absent" for one that is not
    installed. JSON-able."""
    own = {"python": platform.python_version(), "graspgap code": code_version()}
    return own | {name: package_version(name) or "absent" for name in PACKAGES}


def hardware() -> dict[str, str | int | float]:
    """Processor model, cores this process may use, memory [GB], operating system and GPU. JSON-able."""
    return {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "memory_gb": round(memory_bytes() / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": gpu_model() or "none",
    }


def cpu_model() -> str:
    """The processor's name as the operating system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may run on, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Physical memory of the machine [bytes]; 0 where the operating system doesn't tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def gpu_model() -> str | None:
    """Name of the first GPU that torch can use, or None."""
    import torch  # here, because importing torch takes seconds and most callers of this module need no GPU

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
