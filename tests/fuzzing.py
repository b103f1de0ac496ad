"""One reader of what others wrote, and one input for it, changed by `mutations`.

A reader may succeed or refuse with one line. `check` fails on anything else: another exception, a changed source, a
file outside of OUT, a process or connection, a dataset that was made and is not whole.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from graspgap.datasets import open_dataset
from graspgap.datasets.check import verify
from graspgap.errors import UserError
from mutations import Files, Rng, changed


@dataclass(frozen=True)
class Reader:
    """Something that reads what others wrote."""

    name: str
    """Part of the seed."""
    make: Callable[[Path], object]
    """Writes valid input to a folder."""
    read: Callable[[Path, Path, Rng], object]
    """Reads a folder; the second is OUT. The generator chooses among settings."""
    mend: Callable[[Path], None] = lambda folder: None
    """Makes sizes and checksums in a changed folder right again, so that what is behind them is reached."""
    changes: dict[str, Callable[[bytes, Rng], bytes]] = field(default_factory=dict, hash=False)
    """By ending of a name, besides `mutations.BY_ENDING`."""
    refusals: tuple[type[Exception], ...] = (UserError,)
    slow: bool = False
    """An input takes ten milliseconds, not one."""
    whole: bool = False
    """OUT must be a whole dataset when it has succeeded."""


@cache
def valid(reader: Reader) -> Files:
    """The valid input of a reader."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "in"
        root.mkdir()
        reader.make(root)
        return contents(root)


def contents(root: Path) -> Files:
    """Every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def check(reader: Reader, number: int, folder: Path, spoil: bool = True) -> str:
    """Let a reader read its input `number` in an empty folder; what it said, or "" if it succeeded.

    Raises:
        Exception: what a reader should not have raised.
    """
    rng = np.random.default_rng((zlib.crc32(reader.name.encode()), number))
    files = changed(valid(reader), rng, reader.changes) if spoil else valid(reader)
    source, out = folder / "in", folder / "out"
    source.mkdir()
    for path, data in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    reader.mend(source)
    before, said = contents(source), ""
    with writes_only_to(out):
        try:
            reader.read(source, out, rng)
        except reader.refusals as error:
            said = str(error) or type(error).__name__
            assert "\n" not in said, f"not one line: {said!r}"
    assert contents(source) == before, "the source was changed"
    assert {path.name for path in folder.iterdir()} <= {"in", "out"}, "something was written outside of OUT"
    if reader.whole and not said:
        verify(out)
        view = open_dataset(out).unlabelled()
        assert view.poses is None or np.isfinite(view.poses).all(), "a pose is not finite"
    return said


_ALLOWED: list[str] = []
"""Folders that may be written to; empty: everywhere."""


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if not _ALLOWED:
        return
    paths: tuple[Any, ...] = ()
    if event == "open" and isinstance(args[0], str | bytes | os.PathLike):
        writing = (isinstance(args[1], str) and set(args[1]) & set("wax+")) or (
            isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        paths = (args[0],) if writing else ()
    elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate"):
        paths = args[:1]
    elif event in ("os.rename", "os.link", "os.symlink"):
        paths = args[:2]
    elif event in ("subprocess.Popen", "os.system", "os.exec", "socket.connect"):
        raise AssertionError(f"a reader called {event} {args[0]!r}")
    for path in paths:
        name = os.path.abspath(os.fsdecode(path))
        if name != os.devnull and not name.startswith(tuple(_ALLOWED)):
            raise AssertionError(f"a reader would write to {name} ({event})")


sys.addaudithook(_watch)


@contextmanager
def writes_only_to(folder: Path) -> Iterator[None]:
    """Python may write to, and below, this folder alone; no process is started, no connection made."""
    _ALLOWED[:] = [str(folder)]
    try:
        yield
    finally:
        _ALLOWED.clear()
