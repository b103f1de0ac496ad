"""Every reader of what others wrote, on inputs that were changed at random: does it read, or refuse in one line?

    pip install -e '.[dev,recordings,serve]' -c constraints.txt
    python benchmarks/fuzz.py runs/fuzz

Readers, valid inputs and changes are those of `tests/fuzzing.py`, which also says what counts as a defect; here a
warning, a crash, more time or more memory than allowed count too. Each reader has a process of its own. Input k of a
reader is the same each time. A run that was stopped goes on with the readers that are left. Linux only.
"""

from __future__ import annotations

from common import CORES, begin, save, table

# isort: split
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import tyro

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from fuzz_recordings import RECORDINGS
from fuzz_settings import SETTINGS
from fuzzing import Reader, check
from graspgap.errors import UserError
from graspgap.files import read_json, write_json
from graspgap.progress import progress
from memory import resident

READERS = {reader.name: reader for reader in (*RECORDINGS, *SETTINGS)}
KEPT = 20
"""Defects that are told of one reader."""


@dataclass(frozen=True)
class Config:
    """How much is tried, and what is too much."""

    out: tyro.conf.Positional[Path]
    """Folder for what has been measured so far."""
    inputs: int = 10_000
    """For each reader."""
    first: int = 0
    """Number of the first input."""
    readers: tuple[str, ...] = ()
    """Those alone whose names hold one of these words."""
    cpu_seconds: float = 10.0
    """An input that takes longer is a defect."""
    seconds: float = 120.0
    """An input that takes longer by the clock, on a machine that may be busy, ends its process."""
    memory_mb: int = 1000
    """What a reader may take beyond what it had before its first input; asking for more fails."""
    file_mb: int = 200
    """The largest file that it may write."""


def work(name: str, numbers: range, config: Config, root: Path, reports: Connection) -> None:
    """In a process of its own: report the number of each input, then what came of it."""
    reader = READERS[name]
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # libpng and libjpeg have much to say
    warnings.simplefilter("error")
    try_one(reader, 0, root, spoil=False)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + config.memory_mb * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (config.file_mb * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = resident(os.getpid())
    for number in numbers:
        reports.send((number, None, 0.0, 0.0))
        start = time.process_time()
        said = try_one(reader, number, root)
        reports.send((number, said, time.process_time() - start, resident(os.getpid()) - before))


def try_one(reader: Reader, number: int, root: Path, spoil: bool = True) -> tuple[str, str]:
    """("read" | "refused" | "defect", words)."""
    folder = root / "input"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        said = check(reader, number, folder, spoil)
    except Exception as error:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "graspgap" in frame.filename]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        return "defect", f"{type(error).__name__} at {where}: {str(error)[:200]}"
    return ("refused", said[:200]) if said else ("read", "")


def measure(name: str, config: Config) -> dict[str, Any]:
    """The row of a reader. A process that dies or hangs is a defect of its input; another goes on with the next."""
    counts = {"read": 0, "refused": 0, "defect": 0}
    defects: list[dict[str, Any]] = []
    slowest, most, following = 0.0, 0.0, config.first
    end = config.first + config.inputs
    context = multiprocessing.get_context("spawn")

    def defect(number: int, why: str) -> None:
        counts["defect"] += 1
        if len(defects) < KEPT:
            defects.append({"input": number, "why": why})

    with progress(name, config.inputs, 0, "inputs") as advance, tempfile.TemporaryDirectory(dir=_shared()) as root:
        while following < end:
            reports, sender = context.Pipe(duplex=False)
            numbers = range(following, end)
            process = context.Process(target=work, args=(name, numbers, config, Path(root), sender), daemon=True)
            process.start()
            sender.close()
            at = None
            try:
                while following < end:
                    if not reports.poll(config.seconds):
                        defect(following, f"no answer in {config.seconds:g} s")
                        following += 1
                        break
                    at, said, seconds, grown = reports.recv()
                    if said is None:
                        continue
                    slowest, most, following = max(slowest, seconds), max(most, grown), at + 1
                    if said[0] == "defect":
                        defect(at, said[1])
                    elif seconds > config.cpu_seconds:
                        defect(at, f"took {seconds:.1f} s")
                    else:
                        counts[said[0]] += 1
                    advance(1, f"{counts['defect']} defects")
            except EOFError:
                process.join()
                if at is None:
                    raise SystemExit(f"the process of '{name}' can't begin") from None
                defect(following, f"the process died with {process.exitcode}")
                following += 1
            finally:
                process.kill()
                process.join()
    row = {"reader": name, "inputs": config.inputs, "read": counts["read"], "refused": counts["refused"]}
    row |= {"defects": counts["defect"], "slowest_s": round(slowest, 2), "memory_mb": round(most, 1)}
    return {"row": row, "defects": defects}


def _shared() -> str | None:
    """A folder in memory, where there is one: atomic writes wait for a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main() -> None:
    """Try, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    rows, defects = [], {}
    chosen = [name for name in READERS if not config.readers or any(word in name for word in config.readers)]
    settings = {key: value for key, value in asdict(config).items() if key not in ("out", "readers")}
    for name in chosen:
        path = config.out / f"{name.replace(' ', '-').replace(',', '')}.json"
        try:
            found = read_json(path, "a reader's results")
        except UserError:
            found = {}
        if found.get("settings") != settings:
            found = measure(name, config) | {"settings": settings}
            write_json(path, found)
        rows.append(found["row"])
        if found["defects"]:
            defects[name] = found["defects"]
            print(name, *found["defects"], sep="\n    ", flush=True)
    print(table(rows))
    if not config.readers:
        print(save("fuzz", settings, rows, load, {"told": defects}, cores=len(CORES)))
    sys.exit(bool(defects))


if __name__ == "__main__":
    main()
