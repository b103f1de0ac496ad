"""A camera is found from known points, whatever a wrong click does, and its page computes the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from graspgap.cli.main import main
from graspgap.contract import Camera, Workspace
from graspgap.datasets.pictures import decode_whole_picture
from graspgap.deployment.align import page
from graspgap.deployment.align.fit import Fit, fit_camera, suspects
from graspgap.deployment.align.points import Board, find_board, read_boards
from graspgap.deployment.align.sheet import CLICKED, SEEN, SIDE
from graspgap.errors import UserError
from graspgap.worlds.camera_file import read_camera

CAMERA = Camera(position=(0.36, 0.55, 0.75), target=(0.56, 0.01, 0.05), fov=30.0, roll=2.0)
SIZE = 480
WORKSPACE = Workspace()


def known_points(count: int = 20, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and places in the workspace."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(WORKSPACE.low, WORKSPACE.high, (count, 3))
    return (CAMERA.project(places) + 1) / 2 * SIZE + rng.normal(0, noise, (count, 2)), places


def test_exact_points_give_the_exact_camera() -> None:
    fit = fit_camera(*known_points(8), SIZE, SIZE)
    assert fit.rms < 1e-3
    assert np.allclose(fit.base_camera[:3, 3], CAMERA.position, atol=1e-4)
    assert np.allclose(fit.base_camera[:3, :3], CAMERA.rotation().T, atol=1e-4)
    assert fit.k[0, 0] == pytest.approx(SIZE / 2 / np.tan(np.radians(15)), rel=1e-4)


def test_clicks_are_a_pixel_off_and_the_camera_is_sure_to_what_it_says() -> None:
    misses, told = [], []
    for seed in range(12):
        pixels, places = known_points(noise=1.0, seed=seed)
        fit = fit_camera(pixels, places, SIZE, SIZE)
        misses.append(float(np.linalg.norm(fit.base_camera[:3, 3] - CAMERA.position)))
        told.append(fit.position_error)
        seen = (CAMERA.project(places) + 1) / 2 * SIZE
        assert np.sqrt(((fit.project(places) - seen) ** 2).sum(axis=1).mean()) < 1.5
    assert 0.4 < np.sqrt(np.mean(np.square(misses))) / np.sqrt(np.mean(np.square(told))) < 2.5


def test_a_wrong_click_is_named_and_does_little_harm() -> None:
    pixels, places = known_points(noise=0.3)
    pixels[7] += 60
    fit = fit_camera(pixels, places, SIZE, SIZE)
    assert suspects(fit) == [7]
    assert np.median(fit.errors) < 1.0
    assert np.linalg.norm(fit.base_camera[:3, 3] - CAMERA.position) < 0.05


def test_a_known_focal_length_is_kept() -> None:
    pixels, places = known_points()
    focal = SIZE / 2 / np.tan(np.radians(15))
    assert fit_camera(pixels, places, SIZE, SIZE, focal).k[0, 0] == focal


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pixels, places: (pixels[:5], places[:5]), "too few"),
        (lambda pixels, places: (pixels[::-1].copy(), places), "misses half|no camera"),
    ],
)
def test_points_that_tell_no_camera(spoil: object, message: str) -> None:
    pixels, places = spoil(*known_points())  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        fit_camera(pixels, places, SIZE, SIZE)


def test_points_close_together_are_refused() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform((0.54, 0, 0.1), (0.56, 0.02, 0.12), (8, 3))
    pixels = (CAMERA.project(places) + 1) / 2 * SIZE + rng.normal(0, 0.5, (8, 2))
    with pytest.raises(UserError, match="spread them"):
        fit_camera(pixels, places, SIZE, SIZE)


def make_points(folder: Path, clicked: bool = True) -> Path:
    """Pictures and the file of their points."""
    pixels, places = known_points(8)
    lines = ["picture,u,v,x,y,z,yaw"]
    for number, (pixel, place) in enumerate(zip(pixels.tolist(), places.tolist(), strict=True)):
        name = f"{number}.png"
        cv2.imwrite(str(folder / name), np.full((SIZE, SIZE + 40, 3), 90, np.uint8))
        u, v = (pixel[0] + 20, pixel[1]) if clicked else ("", "")
        lines.append(f"{name},{u},{v},{place[0]},{place[1]},{place[2]},0.3")
    path = folder / "points.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_command_writes_the_camera_that_collect_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = make_points(tmp_path)
    assert main(["align", str(tmp_path / "out"), "--points", str(points)]) == 0
    assert "8 points, reprojection error 0.00 pixels" in capsys.readouterr().out
    found = read_camera(tmp_path / "out" / "camera.json")
    assert found.crop == (20, 0, SIZE)
    grid = np.random.default_rng(1).uniform(WORKSPACE.low, WORKSPACE.high, (50, 3))
    assert np.allclose(found.camera.project(grid), CAMERA.project(grid), atol=1e-3)
    text = (tmp_path / "out" / "align.html").read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("data:image/png;base64") == 16  # 8 pictures, and what simulation shows there


def test_the_sheet_marks_where_the_camera_sees_each_place(tmp_path: Path) -> None:
    points = make_points(tmp_path)
    assert main(["align", str(tmp_path / "out"), "--points", str(points)]) == 0
    sheet = decode_whole_picture((tmp_path / "out/align.png").read_bytes())
    row = points.read_text().splitlines()[1].split(",")
    u, v = ((np.array([float(row[1]), float(row[2])]) - (20, 0)) * SIDE / SIZE).round().astype(int)
    first = sheet[22 : 22 + SIDE, 4 : 4 + SIDE]  # below its label
    assert tuple(first[v, u]) == SEEN
    assert (np.abs(first.astype(int) - CLICKED).max(axis=-1) == 0).sum() > 4
    below = sheet[22 + SIDE + 4 + 18 :][:SIDE, 4 : 4 + SIDE]
    assert len(np.unique(below.reshape(-1, 3), axis=0)) > 20  # simulation is there


def test_points_without_pixels_are_for_clicking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = make_points(tmp_path, clicked=False)
    assert main(["align", str(tmp_path / "out"), "--points", str(points)]) == 0
    assert "click the 8 points" in capsys.readouterr().out
    assert not (tmp_path / "out" / "camera.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,u,v,x,y\n", "has the columns picture,u,v,x,y, expected picture,u,v,x,y,z"),
        ("picture,u,v,x,y,z\n", "holds no rows"),
        ("picture,u,v,x,y,z\n0.png,1,a,0,0,0\n", "line 2 of .* has v = 'a'"),
        ("picture,u,v,x,y,z\n0.png,1,,0,0,0\n", "has v = ''"),
        ("picture,u,v,x,y,z\nx.png,1,1,0,0,0\n", "picture 'x.png' of .* is missing"),
        ("picture,u,v,x,y,z\n0.png,1,1,0,0,0\nsmall.png,1,1,0,0,0\n", "different sizes"),
        ("picture,u,v,x,y,z\nbroken.png,1,1,0,0,0\n", "not a whole picture"),
    ],
)
def test_a_wrong_file_of_points_gets_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_points(tmp_path)
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    assert main(["align", str(tmp_path / "out"), "--points", str(path)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert re.search(message, line)


def board_picture(board: Board, origin: np.ndarray, yaw: float) -> np.ndarray:
    """The board on the table, as `CAMERA` sees it."""
    print_ = board.picture(60)
    scale = board.square / 60
    corners = np.array([[0, 0], [print_.shape[1], 0], [0, print_.shape[0]], print_.shape[1::-1]], np.float32)
    across = (corners - 30) * scale  # the margin is half a square
    c, s = np.cos(yaw), np.sin(yaw)
    places = origin + np.stack(
        [c * across[:, 0] + s * across[:, 1], s * across[:, 0] - c * across[:, 1], 0 * across[:, 0]], axis=1
    )
    seen = ((CAMERA.project(places) + 1) / 2 * 960).astype(np.float32)
    warp = cv2.getPerspectiveTransform(corners - 0.5, seen - 0.5)
    return cv2.warpPerspective(print_, warp, (960, 960), borderValue=(128, 128, 128))


def test_a_printed_board_gives_the_camera(tmp_path: Path) -> None:
    board = Board()
    lines = ["picture,x,y,z,yaw"]
    for number, (x, y, z, yaw) in enumerate([(0.46, 0.08, 0.0, 0.1), (0.5, -0.02, 0.06, 0.9), (0.44, 0.1, 0.12, -0.2)]):
        picture = board_picture(board, np.array([x, y, z]), yaw)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        lines.append(f"{number}.png,{x},{y},{z},{yaw}")
    (tmp_path / "boards.csv").write_text("\n".join(lines))
    points = read_boards(tmp_path / "boards.csv", board)
    assert len(points) > 40
    seen = (CAMERA.project(np.array([point.place for point in points])) + 1) / 2 * 960
    assert np.abs(seen - [point.pixel for point in points]).max() < 0.8
    assert main(["align", str(tmp_path / "out"), "--boards", str(tmp_path / "boards.csv")]) == 0
    found = read_camera(tmp_path / "out" / "camera.json").camera
    assert np.linalg.norm(np.subtract(found.position, CAMERA.position)) < 0.01


def test_the_board_to_print_is_found_again(tmp_path: Path) -> None:
    assert main(["align", str(tmp_path), "--print-board"]) == 0
    print_ = cv2.imread(str(tmp_path / "board.png"))
    assert print_ is not None
    assert len(find_board(np.asarray(print_, np.uint8), Board())[0]) == 24


def test_a_picture_without_a_board_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.full((200, 200, 3), 90, np.uint8))
    (tmp_path / "boards.csv").write_text("picture,x,y,z,yaw\n0.png,0,0,0,0\n")
    with pytest.raises(UserError, match="shows 0 corners"):
        read_boards(tmp_path / "boards.csv", Board())


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, which runs the page's script")
def test_the_page_computes_what_the_fit_computes() -> None:
    fit = fit_camera(*known_points(), SIZE, SIZE)
    place = [0.55, 0.05, 0.1]
    moved = dict.fromkeys(("x", "y", "z", "right", "down", "forward"), 0.0) | {"focal": 1.0}
    script = (
        f"const p = require({json.dumps(str(Path(page.__file__).with_name('page.js')))});"
        f"const c = {json.dumps(fit.as_file())}, by = {json.dumps(moved)};"
        f"const points = [{{pixel: [1, 2], place: {place}}}];"
        "console.log(JSON.stringify([p.project(c, points[0].place), p.project(p.adjusted(c, by), points[0].place),"
        "p.reprojectionError(c, points), p.adjusted(c, {...by, x: 0.1, focal: 2, down: 0.3}),"
        "p.boxEdges([0, 0, 0], [1, 2, 3]).length]))"
    )
    out = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout
    seen, same, error, adjusted, edges = json.loads(out)
    (expected,) = fit.project(np.array([place]))
    assert np.allclose([seen, same], expected, atol=1e-6)
    assert error == pytest.approx(np.linalg.norm(expected - [1, 2]))
    assert edges == 12
    turn = np.array(adjusted["T_base_camera"])
    assert np.allclose(turn[:3, 3], fit.base_camera[:3, 3] + [0.1, 0, 0])
    assert np.allclose(turn[:3, :3] @ turn[:3, :3].T, np.eye(3), atol=1e-9)
    assert adjusted["K"][0][0] == pytest.approx(2 * fit.k[0, 0])
    other = Fit(np.array(adjusted["K"]), turn, SIZE, SIZE, fit.errors, 0.0, 0.0)
    right = cv2.Rodrigues(np.array([0, 0.3, 0.0]))[0]
    assert np.allclose(other.base_camera[:3, :3], fit.base_camera[:3, :3] @ right)
