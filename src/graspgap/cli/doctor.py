"""`graspgap doctor`: can graspgap run here, and if not, what to do about it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graspgap.errors import UserError
from graspgap.provenance import cpu_model, gpu_model, memory_bytes, package_version, usable_cores

OLDEST_PYTHON = (3, 11)
LEAST_MEMORY_GB = 4.0
LEAST_DISK_GB = 5.0
VARIANT = "scalar_rgb"
"""The Mitsuba variant that draws the stand-in reality: on the CPU, without a compiler."""


@dataclass(frozen=True)
class Config:
    """Check whether graspgap can run here, and say how to mend what is missing."""

    folder: Path = Path(".")
    """Folder you mean to work in: it must be writable and have room."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    """What is there, in a few words."""
    fix: str = ""
    """What to do if it is not ok, in one line."""
    needed: bool = True
    """Whether graspgap is unusable without it."""

    @property
    def blocks(self) -> bool:
        """Whether this keeps graspgap from running."""
        return self.needed and not self.ok


def run(config: Config) -> None:
    """Print every check.

    Raises:
        UserError: if something that graspgap needs is missing; names it and its fix.
    """
    checks = all_checks(config.folder)
    Console().print(as_table(checks))
    failed = [check for check in checks if check.blocks]
    if failed:
        reasons = "; ".join(f"{check.name}: {check.fix}" for check in failed)
        raise UserError(f"can't run here yet: {len(failed)} of {len(checks)} checks failed: {reasons}")


def all_checks(folder: Path) -> list[Check]:
    """All checks, in the order in which they are shown."""
    return [
        check_python(sys.version_info[:3]),
        check_cores(),
        check_memory(memory_bytes()),
        *check_dependencies(metadata.requires("graspgap") or []),
        check_mujoco(),
        check_mitsuba(),
        check_writable(folder),
        check_disk(folder),
        check_gpu(),
        check_display(),
    ]


def as_table(checks: list[Check]) -> Table:
    """The checks as a table; the fix stands under what was found."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "check", "found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark = Text("ok", "green") if check.ok else Text("MISSING", "bold red") if check.needed else Text("-", "yellow")
        found = Text(check.found)
        if not check.ok and check.fix:
            found.append(f"\n{check.fix}", "bold" if check.needed else "dim")
        table.add_row(mark, Text(check.name), found)
    return table


def check_python(version: tuple[int, int, int]) -> Check:
    """Python is new enough."""
    fix = f"make an environment with Python {'.'.join(map(str, OLDEST_PYTHON))} or newer"
    return Check("Python", version[:2] >= OLDEST_PYTHON, ".".join(map(str, version)), fix)


def check_cores() -> Check:
    """How many cores there are; one is enough, and collecting is as fast as there are more."""
    return Check("processor", True, f"{usable_cores()} cores for this process, {cpu_model()}, {platform.system()}")


def check_memory(size: int) -> Check:
    """Memory of `size` bytes is enough; 0 means unknown."""
    found = f"{size / 1e9:.1f} GB" if size else "unknown"
    fix = f"the demo needs about {LEAST_MEMORY_GB:g} GB: use fewer --workers"
    return Check("memory", not size or size >= LEAST_MEMORY_GB * 1e9, found, fix, needed=False)


def check_dependencies(requirements: list[str]) -> list[Check]:
    """Every requirement that applies to this Python is installed in a version that fits.

    Those of an extra can be missing; the extra `dev` is left out.
    """
    checks = []
    for text in requirements:
        extra = _extra(text)
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        if extra == "dev":
            continue
        version = package_version(requirement.name)
        fits = version is not None and requirement.specifier.contains(version, prereleases=True)
        found = version or "not installed"
        if version and not fits:
            found += f", expected {requirement.specifier}"
        wanted = f"graspgap[{extra}]" if extra else f"{requirement.name}{requirement.specifier}"
        fix = f"pip install '{wanted}'"
        if not applies:
            fix = f"not to be had for Python {platform.python_version()}: needs {_without_extra(text)}"
        name = f"{requirement.name} (extra {extra})" if extra else requirement.name
        if applies or extra:
            checks.append(Check(name, fits, found, fix, needed=not extra))
    return checks


def _extra(requirement: str) -> str:
    """The extra that a requirement belongs to; empty for none."""
    match = re.search(r"extra\s*==\s*[\"']([\w.-]+)[\"']", requirement)
    return match.group(1) if match else ""


def _without_extra(requirement: str) -> str:
    """The condition of a requirement, less the part about its extra."""
    marker = requirement.partition(";")[2]
    return re.sub(r"\s*(and\s*)?extra\s*==\s*[\"'][\w.-]+[\"']", "", marker).strip(" ()")


def check_mujoco() -> Check:
    """MuJoCo lets a ball fall, and a ray finds the floor."""

    def trial() -> str:
        import mujoco
        import numpy as np

        scene = """<mujoco><worldbody><geom type="plane" size="1 1 1"/>
            <body pos="0.5 0 1"><freejoint/><geom size=".1"/></body></worldbody></mujoco>"""
        model = mujoco.MjModel.from_xml_string(scene)
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, nstep=100)
        fallen = 1 - float(data.qpos[2])
        geom = np.zeros(1, dtype=np.int32)
        distance = mujoco.mj_ray(model, data, np.array([0.0, 0, 1]), np.array([0.0, 0, -1]), None, 1, -1, geom)
        if not 0.1 < fallen < 0.3 or abs(distance - 1) > 1e-6:
            raise RuntimeError(f"a ball fell {fallen:.3f} m in 0.2 s, a ray of 1 m measured {distance:.3f} m")
        return "runs: physics and ray casting"

    return _trial("MuJoCo", trial, "reinstall it: pip install --force-reinstall mujoco")


def check_mitsuba() -> Check:
    """Mitsuba has the variant that graspgap uses, and draws a lit picture with it."""

    def trial() -> str:
        import mitsuba
        import numpy as np

        if VARIANT not in mitsuba.variants():
            raise RuntimeError(f"variant {VARIANT} is not among {', '.join(mitsuba.variants())}")
        mitsuba.set_variant(VARIANT)
        film = {"type": "hdrfilm", "width": 4, "height": 4, "rfilter": {"type": "box"}}
        scene = mitsuba.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "path", "max_depth": 2},
                "sensor": {"type": "perspective", "film": film},
                "light": {"type": "constant", "radiance": 0.5},
            }
        )
        mean = float(np.array(mitsuba.render(scene, spp=1)).mean())
        if abs(mean - 0.5) > 0.01:
            raise RuntimeError(f"a sky of brightness 0.5 was drawn as {mean:.3f}")
        return f"runs: variant {VARIANT}"

    return _trial("Mitsuba", trial, "reinstall it: pip install --force-reinstall mitsuba")


def _trial(name: str, trial: Callable[[], str], fix: str) -> Check:
    """Check that `trial` ends well; whatever goes wrong in it is what was found."""
    try:
        return Check(name, True, trial())
    except Exception as error:  # any failure of another library is a finding here, not a crash
        return Check(name, False, f"{type(error).__name__}: {error}".splitlines()[0], fix)


def check_writable(folder: Path) -> Check:
    """A file can be made in the folder."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"graspgap")
    except OSError as error:
        found = f"{folder.absolute()}: {error.strerror}"
        return Check("write access", False, found, "change to a folder of your own, or name one with --folder")
    return Check("write access", True, str(folder.absolute()))


def check_disk(folder: Path) -> Check:
    """The folder's disk has room for the demo."""
    fix = f"free {LEAST_DISK_GB:g} GB, or name a folder on another disk with --folder"
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("disk", False, f"{folder.absolute()}: {error.strerror}", fix)
    return Check("disk", free >= LEAST_DISK_GB * 1e9, f"{free / 1e9:.1f} GB free", fix)


def check_gpu() -> Check:
    """A GPU that torch can use; nothing needs one."""
    try:
        gpu = gpu_model()
    except ImportError as error:
        return Check("GPU", False, str(error), "install torch", needed=False)
    return Check("GPU", gpu is not None, gpu or "none", "not needed: everything runs on the CPU", needed=False)


def check_display() -> Check:
    """A display; nothing but an interactive viewer needs one."""
    has_one = sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
    return Check("display", has_one, "present" if has_one else "none", "not needed: pictures are made without", False)
