"""What a result was made with: package versions and hardware."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = ("graspgap", "numpy", "mujoco", "mitsuba", "opencv-python-headless", "pyarrow", "torch")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what a run computes; absent packages are left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str | int]:
    """Processor, number of its cores and operating system of this machine."""
    return {"processor": _processor(), "cores": os.cpu_count() or 1, "system": platform.platform()}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
