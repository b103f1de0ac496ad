"""Contact sheets of object sets."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from graspgap.cli.main import main
from graspgap.objects.prisms import Prisms
from graspgap.worlds.object_sheet import TEXT, TILE, object_sheet


def test_a_sheet_shows_each_object_at_one_scale() -> None:
    things = [Prisms().make(number) for number in (1, 2)]
    sheet = object_sheet(things)
    assert sheet.shape == (TILE + TEXT, 2 * TILE, 3)
    for index, thing in enumerate(things):
        picture = sheet[12:TILE, index * TILE : (index + 1) * TILE].astype(float)
        drawn = np.ptp(picture, axis=-1) > 20
        assert 0.02 < drawn.mean() < 0.6
        mean = picture[drawn].mean(axis=0)
        assert np.argmax(mean) == np.argmax(thing.color)
        assert not drawn[:, [0, -1]].any()  # nothing is cut off
        assert not drawn[-1].any()
    assert (sheet[6, 6:20] == 0).all()  # the bar
    assert (sheet[TILE:] < 128).any()  # the text


def test_the_command_writes_a_sheet_and_tells_what_it_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trimesh.creation.box(extents=(0.03, 0.04, 0.05)).export(tmp_path / "box.stl")
    trimesh.creation.box(extents=(30, 40, 50)).export(tmp_path / "large.stl")
    out = tmp_path / "sheet.png"
    assert main(["view", "--objects", str(tmp_path), "--out", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.size == (TILE, TILE + TEXT)
    shown = capsys.readouterr().out
    assert "1 objects" in shown
    assert "refused: " in shown
    assert "large.stl measures 30 x 40 x 50 m" in shown


def test_a_sheet_of_a_randomization_shows_pictures_and_masks(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    words = ["view", "--out", str(out), "--count", "9", "--image-size", "32"]
    assert main([*words, "--randomize", "heavy"]) == 0
    with Image.open(out) as picture:
        assert picture.size == (8 * 36 + 4, 4 * 36 + 4)
    assert main([*words, "--randomize", "havy"]) == 2
    assert main([*words, "--randomize", "heavy", "--world", "standin"]) == 2


def test_worlds_are_shown_row_by_row(tmp_path: Path) -> None:
    out = tmp_path / "worlds.png"
    words = ["view", "--out", str(out), "--count", "3", "--image-size", "32", "--worlds"]
    assert main([*words, "sim,standin"]) == 0
    with Image.open(out) as picture:
        shown = np.asarray(picture).astype(int)
    assert shown.shape == (2 * (128 + 18 + 4) + 4, 3 * (128 + 4) + 4, 3)
    upper, lower = shown[22:150, 4:-4], shown[172:300, 4:-4]
    for row in (upper, lower):  # the arm comes into view, and is gone again in the next attempt of another scene
        before, now, other = row[:, :128], row[:, 132:260], row[:, 264:]
        assert np.abs(before - now).mean() > 5
        assert np.abs(before - other).mean() > 5
    assert np.abs(upper - lower).mean() > 30
    assert main([*words, "sim,standing"]) == 2


def test_nothing_to_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view"]) == 2
    trimesh.creation.box(extents=(30, 40, 50)).export(tmp_path / "large.stl")
    assert main(["view", "--objects", str(tmp_path), "--out", str(tmp_path / "no.png")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "nothing to view is named" in lines[0]
    assert "can be used" in lines[1]
    assert not (tmp_path / "no.png").exists()
