"""Readers of what others wrote read inputs that were changed at random, or refuse them in one line.

`benchmarks/fuzz.py` does the same with more inputs, and limits of time and memory.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("mcap", reason="extra recordings")
pytest.importorskip("av", reason="extra recordings")
pytest.importorskip("msgpack", reason="extra serve")

from fuzz_recordings import RECORDINGS
from fuzz_settings import SETTINGS
from fuzzing import Reader, check

QUICK, SLOW = 200, 40
"""Inputs of readers of small files, and of those that take ten milliseconds for one."""


@pytest.mark.parametrize("reader", [*RECORDINGS, *SETTINGS], ids=lambda reader: reader.name)
def test_it_reads_or_refuses(reader: Reader, tmp_path: Path) -> None:
    folder = tmp_path / "input"
    said = []
    for number in range(SLOW if reader.slow else QUICK):
        folder.mkdir()
        said.append(check(reader, number, folder))
        shutil.rmtree(folder)
    assert "" in said, "no input gets through, so nothing behind the first check is tried"
    assert any(said) or reader.name == "import images", "no input is refused"  # there it is skipped


@pytest.mark.parametrize("reader", [*RECORDINGS, *SETTINGS], ids=lambda reader: reader.name)
def test_what_is_not_changed_is_read(reader: Reader, tmp_path: Path) -> None:
    assert check(reader, 0, tmp_path, spoil=False) == ""


def test_a_reader_that_writes_elsewhere_is_caught(tmp_path: Path) -> None:
    other = tmp_path.parent / "elsewhere"
    reader = Reader("bad", lambda root: None, lambda source, out, rng: other.write_text("x"))
    with pytest.raises(AssertionError, match="would write to"):
        check(reader, 0, tmp_path)
    assert not other.exists()
