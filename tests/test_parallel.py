"""Work is shared among processes; what a dead one leaves is done again."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from graspgap import parallel
from graspgap.collection import collect as collection
from graspgap.collection.collect import CollectSettings, collect
from graspgap.errors import UserError
from graspgap.files import sha256
from graspgap.parallel import run_pieces
from graspgap.worlds.catalog import WorldChoice
from pieces import die_at_three, die_once_in_a_shard, note, refuse_three

SETTINGS = CollectSettings(world=WorldChoice(image_size=16), steps_per_attempt=2, attempts_per_shard=4)
BACKENDS = [
    "loky",
    pytest.param(
        "ray",
        marks=pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray (extra ray) is not installed"),
    ),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("parallel") / "whole"
    collect(out, SETTINGS, attempts=16, workers=1)
    return out


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_killed_in_a_shard_costs_nothing(
    backend: str, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parent)  # where Ray's workers look for modules, and find `pieces`
    monkeypatch.setattr(collection, "_collect_shard", partial(die_once_in_a_shard, tmp_path / "died"))
    collect(tmp_path / "out", SETTINGS, attempts=16, workers=2, parallel=backend)
    assert (tmp_path / "died").exists()
    for path in (whole / "data").iterdir():
        assert sha256(tmp_path / "out" / "data" / path.name) == sha256(path)
    assert len(list((tmp_path / "out" / "data").iterdir())) == 4
    printed = capfd.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert lines[0] == "collect: a worker process ended; its work is done again"
    assert all(line.startswith("collect: ") for line in lines), printed.err


def test_workers_that_always_die_end_the_run_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3 times in a row.*fewer --workers.*same command again") as refusal:
        run_pieces(partial(die_at_three, tmp_path), range(6), 2, "test", 6, 0, 0)
    assert "\n" not in str(refusal.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "4", "5"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_refusal_in_a_worker_is_one_line(tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="piece 3 can't be done"):
        run_pieces(partial(refuse_three, tmp_path), range(30), workers, "test", 30, 0, 0)
    assert capfd.readouterr().err == ""


def test_workers_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ROUND", 2)
    run_pieces(partial(note, tmp_path), range(12), 2, "test", 12, 0, 0)
    numbers = {k: (tmp_path / str(k)).read_text() for k in range(12)}
    assert os.getpid() not in map(int, numbers.values())
    for first in (0, 4):
        here = {numbers[k] for k in range(first, first + 4)}
        assert here.isdisjoint(numbers[k] for k in range(first + 4, 12))


def test_ray_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--parallel ray needs Ray.*pip install 'graspgap\[ray\]'"):
        run_pieces(partial(note, tmp_path), range(2), 2, "test", 2, 0, 0, "ray")
