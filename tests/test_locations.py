"""A dataset on any filesystem is the dataset that a folder would hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from graspgap.cli.main import main
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.files import atomic, sha256, write_text
from graspgap.locations import location

COLLECT = ("--attempts", "52", "--image-size", "16", "--steps-per-attempt", "2", "--workers", "1")


@pytest.fixture
def memory() -> Iterator[str]:
    """A URL below which nothing is."""
    files = fsspec.filesystem("memory")
    files.makedirs("/graspgap-tests", exist_ok=True)
    yield "memory://graspgap-tests"
    files.rm("/graspgap-tests", recursive=True)


def shards(place: str) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted((location(place) / "data").glob("*"), key=str)}


def test_a_url_holds_what_a_folder_would(tmp_path: Path, memory: str, capsys: pytest.CaptureFixture[str]) -> None:
    places = [str(tmp_path / "plain"), f"file://{tmp_path}/url", f"{memory}/far"]
    for place in places:
        assert main(["collect", place, *COLLECT]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "url"]
    assert len(shards(places[0])) == 2
    assert shards(places[1]) == shards(places[2]) == shards(places[0])
    near, far = open_dataset(tmp_path / "plain").simulated(), open_dataset(f"{memory}/far").simulated()
    assert (near.images == far.images).all()
    capsys.readouterr()
    assert main(["dataset", "verify", places[2]]) == 0
    assert capsys.readouterr().out == f"{memory}/far: 52 attempts and 2 shards, all whole\n"
    assert main(["dataset", "sample", str(tmp_path / "drawn"), places[2], "--attempts", "20"]) == 0
    assert main(["dataset", "verify", str(tmp_path / "drawn")]) == 0


def test_a_dataset_far_away_resumes(memory: str) -> None:
    place = f"{memory}/far"
    assert main(["collect", place, *COLLECT]) == 0
    before = shards(place)
    (location(place) / "data" / "shard-00001.parquet").write_bytes(b"half a shard")
    (location(place) / "data" / ".shard-00001.parquet.123.tmp").write_bytes(b"of a killed worker")
    (location(place) / "meta.json").unlink()
    kept = fsspec.filesystem("memory").created("/graspgap-tests/far/data/shard-00000.parquet")
    assert main(["collect", place, *COLLECT, "--resume"]) == 0
    assert shards(place) == before
    assert fsspec.filesystem("memory").created("/graspgap-tests/far/data/shard-00000.parquet") == kept
    assert main(["collect", place, *COLLECT, "--seed", "1"]) == 2


def test_what_breaks_off_far_away_leaves_what_was_there(memory: str) -> None:
    path = location(f"{memory}/notes.txt")
    write_text(path, "old")

    def break_off() -> None:
        with atomic(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("the line is dead")

    with pytest.raises(RuntimeError, match="line is dead"):
        break_off()
    assert path.read_text() == "old"
    assert [child.name for child in path.parent.iterdir()] == ["notes.txt"]


def test_locations_that_cannot_be_used(memory: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"nowhere://x can't be opened"):
        location("nowhere://x")
    write_text(location(f"{memory}/notes.txt"), "mine")
    for words, hint in [
        ((memory, *COLLECT[:-1], "2"), "give --workers 1"),
        ((memory, *COLLECT), "is not empty"),
        (("nowhere://x", *COLLECT), "can't be opened"),
    ]:
        assert main(["collect", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert hint in line
