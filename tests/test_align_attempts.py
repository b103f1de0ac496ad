"""A detector clicks: what it learns from, what it says, and the camera that its points tell."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from conftest import REAL, SIM, make_dataset
from graspgap.cli.main import main
from graspgap.contract import Camera, Workspace
from graspgap.datasets import UnlabelledView, open_dataset
from graspgap.datasets.pictures import decode_whole_picture
from graspgap.deployment.align import detect
from graspgap.deployment.align.detect import (
    point_loss,
    read_map,
    simulated_points,
    surest,
    warped,
)
from graspgap.deployment.align.fit import Fit, fit_camera, require_plausible
from graspgap.deployment.align.points import read_points
from graspgap.errors import UserError
from graspgap.worlds.camera_file import read_camera
from graspgap.worlds.sensor import distort, distorted

MOVED = Camera(position=(0.30, 0.55, 0.75), target=(0.57, 0.02, 0.055), fov=24.0, roll=3.0)
"""Where reality's camera is, and nobody knows."""
QUICK = ("--detector.steps", "200", "--detector.batch", "16", "--workers", "1", "--device", "cpu")


def logits_at(points: torch.Tensor, h: int, w: int) -> torch.Tensor:
    """Maps that a training would end in: found by descending the loss."""
    logits = torch.zeros(len(points), h, w, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(400):
        optimizer.zero_grad()
        point_loss(logits, points).backward()
        optimizer.step()
    return logits.detach()


def test_the_mean_of_the_map_that_the_loss_asks_for_is_the_point() -> None:
    points = torch.tensor([[0.3, -0.45], [-0.71, 0.02], [0.0, 0.0]])
    found, spread = read_map(logits_at(points, 12, 16))
    assert torch.allclose(found, points, atol=0.02)
    assert (spread < 0.15).all()  # within the four cells around it


def test_a_point_at_the_edge_is_the_nearest_cell_and_one_outside_teaches_nothing() -> None:
    edge, outside = torch.tensor([[0.99, -0.99]]), torch.tensor([[1.2, 0.0]])
    found, _ = read_map(logits_at(edge, 8, 8))
    assert torch.allclose(found, torch.tensor([[7.5 / 8, 0.5 / 8]]) * 2 - 1, atol=0.03)
    logits = torch.randn(1, 8, 8, requires_grad=True)
    point_loss(logits, outside).backward()
    assert logits.grad is not None
    assert not logits.grad.any()
    both = torch.cat([edge, outside])
    assert point_loss(logits.expand(2, 8, 8), both) == point_loss(logits, edge)


def test_a_map_that_knows_nothing_is_spread_over_the_picture() -> None:
    found, spread = read_map(torch.zeros(1, 32, 32))
    assert torch.allclose(found, torch.zeros(1, 2), atol=1e-6)
    assert spread.item() == pytest.approx(np.sqrt(2 / 3), rel=0.01)
    assert surest(np.array([0.3, 0.1, 0.2, 0.4]), 0.5).tolist() == [False, True, True, False]


def spot(points: torch.Tensor, size: int) -> torch.Tensor:
    """Pairs with a soft bright spot at each point."""
    grid = (torch.arange(size) + 0.5) / size * 2 - 1
    away = (grid[None, None] - points[:, 0, None, None]) ** 2 + (grid[None, :, None] - points[:, 1, None, None]) ** 2
    return torch.exp(-away / 0.02)[:, None].expand(-1, 6, -1, -1)


def centre(pictures: torch.Tensor) -> torch.Tensor:
    """Centre of what is bright."""
    grid = (torch.arange(pictures.shape[-1]) + 0.5) / pictures.shape[-1] * 2 - 1
    weight = pictures[:, 0] / pictures[:, 0].sum(dim=(1, 2), keepdim=True)
    return torch.stack([(weight.sum(dim=1) * grid).sum(dim=1), (weight.sum(dim=2) * grid).sum(dim=1)], dim=1)


def test_points_move_with_the_pictures() -> None:
    torch.manual_seed(0)
    points = 0.8 * torch.rand(16, 2) - 0.4
    pairs, there = warped(spot(points, 64), points, 2 * torch.rand(16, 4) - 1)
    inside = (there.abs() < 0.6).all(dim=1)
    assert inside.sum() > 8
    assert torch.allclose(centre(pairs)[inside], there[inside], atol=0.03)
    assert (there - points).abs().max() > 0.2
    same, still = warped(spot(points, 64), points, torch.zeros(16, 4))
    assert torch.allclose(same, spot(points, 64), atol=1e-4)
    assert torch.allclose(still, points)


def test_a_distorted_picture_shows_a_point_where_it_is_said_to() -> None:
    point = np.array([[0.5, -0.3]])
    light = spot(torch.from_numpy(point).float(), 96)[0, :3].permute(1, 2, 0).contiguous().numpy()
    shown = torch.from_numpy(distort(light, 0.15)).permute(2, 0, 1)[None]
    assert np.allclose(centre(shown).numpy(), distorted(point, 0.15), atol=0.02)
    assert np.abs(distorted(point, 0.15) - point).max() > 0.05
    assert np.allclose(distorted(point, 0.0), point)


@pytest.mark.parametrize("barrel", [-0.2, -0.05, 0.1, 0.25, 0.4])
def test_a_distorted_point_comes_from_where_the_model_says(barrel: float) -> None:
    shown = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    factor = 1 + barrel * ((shown**2).sum(axis=1, keepdims=True) - 2)
    assert np.allclose(distorted(shown * factor, barrel), shown, atol=1e-6)
    assert np.allclose(distorted(np.zeros((1, 2)), barrel), 0)


def test_what_no_pixel_shows_is_far_outside() -> None:
    seen = distorted(np.array([[3.0, 4.0], [0.3, 0.4]]), -0.2)
    assert np.allclose(np.linalg.norm(seen[0]), 10)
    assert np.linalg.norm(seen[1]) < 1


def test_points_are_where_the_drawn_camera_sees_them(tmp_path: Path) -> None:
    ranges = tmp_path / "ranges.toml"
    ranges.write_text(
        "[appearance]\ncamera_barrel = [0.1, 0.2]\n[dynamics]\ncalibration = 0.02\n",
        encoding="utf-8",
    )
    words = ["collect", str(tmp_path / "sim"), "--world", "sim", "--randomize", str(ranges), "--attempts", "6"]
    assert main([*words, "--image-size", "16", "--workers", "1"]) == 0
    data = open_dataset(tmp_path / "sim")
    view = data.simulated()
    points = simulated_points(data, view)
    assert view.poses is not None
    for row, draw in enumerate(data.draws()):
        values, barrel = draw["looks"]["camera"], draw["looks"]["barrel"]
        camera = Camera(tuple(values["position"]), tuple(values["target"]), values["fov"], values["roll"])
        frame = int(view.offsets[row])
        start = np.array(draw["start"][:3])  # where the gripper truly was at first; what is reported is off
        assert np.allclose(view.poses[frame, :3] - start, draw["dynamics"]["calibration"][:3], atol=2e-3)
        rays = camera.rays(64, barrel).reshape(-1, 3)  # the pixel whose ray passes nearest is where it is seen
        way = (start - camera.position) / np.linalg.norm(start - camera.position)
        nearest = int((rays @ way).argmax())
        if rays[nearest] @ way > 1 - 1e-5:  # it is in the picture
            seen = (np.array([nearest % 64, nearest // 64]) + 0.5) / 64 * 2 - 1
            assert np.abs(points[frame] - seen).max() < 0.04


def test_draws_are_those_of_the_rows(tmp_path: Path) -> None:
    words = ["collect", str(tmp_path / "sim"), "--world", "sim", "--randomize", "both", "--attempts", "56"]
    assert main([*words, "--image-size", "16", "--workers", "1"]) == 0  # two shards
    data = open_dataset(tmp_path / "sim")
    whole = list(data.draws())
    assert len({json.dumps(draw) for draw in whole}) == 56
    part = data.limit(9)
    assert list(part.draws()) == [whole[row] for row in part.rows]


def test_where_points_give_no_start_the_camera_that_one_believes_in_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(Workspace().low, Workspace().high, (400, 3))
    pixels = (MOVED.project(places) + 1) * 32 + rng.normal(0, 1.0, (400, 2))
    pixels[:80] = rng.uniform(0, 64, (80, 2))  # some are no gripper at all
    monkeypatch.setattr("graspgap.deployment.align.fit._pose", lambda *_: None)
    with pytest.raises(UserError, match="no camera sees the points"):
        fit_camera(pixels, places, 64, 64)
    fit = fit_camera(pixels, places, 64, 64, guess=Camera())
    away = np.linalg.norm(fit.project(places) - (MOVED.project(places) + 1) * 32, axis=1)
    assert np.sqrt((away**2).mean()) < 0.5


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Simulation and reality in the paper world; reality's camera has moved, and its dataset says the nominal one."""
    folder = tmp_path_factory.mktemp("aligned")
    sim = make_dataset(folder / "sim", SIM, attempts=150)
    real = make_dataset(folder / "real", replace(REAL, camera=MOVED), attempts=100, seed=7)
    return sim, real


def test_the_camera_is_found_from_unlabelled_attempts(
    worlds: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ["align", str(out), "--sim", str(worlds[0]), "--real", str(worlds[1]), *QUICK]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "200 points" in said  # half of 400 pictures
    found = read_camera(out / "camera.json").camera
    grid = np.random.default_rng(1).uniform(Workspace().low, Workspace().high, (200, 3))

    def off(camera: Camera) -> float:
        return float(np.sqrt(((camera.project(grid) - MOVED.project(grid)) ** 2).sum(axis=1).mean()) * 16)

    assert off(found) < 1.0 < 2.0 < off(Camera())  # pixels of 32
    record = json.loads((out / "alignment.json").read_text())
    assert record["detector"]["pictures"] == 400
    assert record["detector"]["kept"] == 200
    assert 0 < record["detector"]["simulated_error_pixels"] < 1.5
    points = read_points(out / "points.csv")
    assert len(points) == len(record["points"]) == 12
    assert all(point.picture.is_file() for point in points)
    decode_whole_picture((out / "align.png").read_bytes())
    assert "data:image/png" in (out / "align.html").read_text()
    config = json.loads((out / "config.json").read_text())
    assert config["kind"] == "alignment"
    assert config["config"]["steps"] == 200

    camera = (out / "camera.json").read_bytes()
    monkeypatch.setattr(detect, "train_detector", lambda *_: pytest.fail("it is there already"))
    assert main(words) == 0
    assert (out / "camera.json").read_bytes() == camera
    (out / "detector.safetensors").write_bytes(b"damaged")
    monkeypatch.undo()
    assert main([*words, "--detector.kept", "0.6"]) == 0  # no part of what the detector learns by
    assert "240 points" in capsys.readouterr().out
    assert main([*words, "--seed", "1"]) == 2
    assert "choose another folder" in capsys.readouterr().err


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a refused command says, besides its progress."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "graspgap:" in line]
    return line


def test_points_that_shrink_to_one_place_are_refused(
    worlds: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shy(_: object, view: UnlabelledView, frames: np.ndarray, *__: object) -> detect.Found:
        assert view.poses is not None
        rng = np.random.default_rng(0)
        points = 0.5 * MOVED.project(view.poses[frames, :3]) + rng.normal(0, 0.03, (len(frames), 2))
        return detect.Found(points, rng.uniform(0, 1, len(frames)))

    words = ["align", str(tmp_path / "out"), "--sim", str(worlds[0]), "--real", str(worlds[1]), *QUICK]
    words += ["--detector.steps", "2", "--detector.kept", "1"]
    assert main(words) == 2  # it has learned nothing
    assert re.search(r"detector is .* pixels off in simulation \(median\), expected 1.0 or less", refusal(capsys))
    monkeypatch.setattr("graspgap.cli.align.held_out_error", lambda *_: 0.5)
    monkeypatch.setattr("graspgap.cli.align.detect", shy)
    assert main(words) == 2
    assert "shows the gripper's places 0.4" in refusal(capsys)
    assert not (tmp_path / "out" / "camera.json").exists()


def test_a_camera_near_the_one_believed_in_is_plausible() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(Workspace().low, Workspace().high, (50, 3))

    def found(camera: Camera) -> Fit:
        return fit_camera((camera.project(places) + 1) * 32, places, 64, 64)

    require_plausible(found(MOVED), places, Camera())
    far = Camera(position=(-2.0, 5.8, 6.6), fov=2.35)  # which sees the workspace as large
    for camera, belief, words in (
        (far, Camera(), "has a focal length"),
        (replace(MOVED, fov=40.0), Camera(), "shows the gripper's places"),
        (Camera(), replace(Camera(), fov=36.0), "shows the gripper's places"),
    ):
        with pytest.raises(UserError, match=words):
            require_plausible(found(camera), places, belief)


def test_few_pictures_are_refused_before_the_detector_learns(
    worlds: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["align", str(tmp_path / "out"), "--sim", str(worlds[0]), "--real", str(worlds[1]), *QUICK]
    assert main([*words, "--detector.attempts", "20"]) == 2
    assert "40 pictures of" in refusal(capsys)
    assert not (tmp_path / "out").exists()


def test_a_gripper_that_the_detector_does_not_know_gives_no_camera(
    worlds: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> detect.Found:
        rng = np.random.default_rng(0)
        return detect.Found(rng.uniform(-1, 1, (400, 2)), rng.uniform(0, 1, 400))

    monkeypatch.setattr("graspgap.cli.align.detect", lost)
    monkeypatch.setattr("graspgap.cli.align.held_out_error", lambda *_: 0.5)
    out = tmp_path / "out"
    words = ["align", str(out), "--sim", str(worlds[0]), "--real", str(worlds[1]), *QUICK, "--detector.steps", "2"]
    assert main(words) == 2
    line = refusal(capsys)
    assert re.search(
        r"points tell no camera \(.*pixels.*\): .* if the gripper looks otherwise than in .*sim, click",
        line,
    )
    assert not (out / "camera.json").exists()
    monkeypatch.undo()
    monkeypatch.setattr(detect, "train_detector", lambda *_: pytest.fail("it is there already"))
    main([*words, "--focal", "80"])  # which is not what the detector learned by
    assert "choose another folder" not in capsys.readouterr().err


def test_a_label_is_never_read(worlds: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graspgap.datasets import shards

    read = set()
    whole = shards.read_columns

    def spy(path: Path, columns: list[str], rows: int) -> object:
        read.update((Path(path).parent.parent.name, column) for column in columns)
        return whole(path, columns, rows)

    monkeypatch.setattr(shards, "read_columns", spy)
    words = ["align", str(tmp_path / "out"), "--sim", str(worlds[0]), "--real", str(worlds[1]), *QUICK]
    assert main([*words, "--detector.steps", "150"]) == 0
    assert ("real", "images") in read
    assert not {("real", name) for name in ("success", "masks", "mask_before", "object_name")} & read


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sim", "SIM"), "--sim and --real belong together"),
        (("--real", "REAL"), "--sim and --real belong together"),
        (("--sim", "SIM", "--real", "SIM"), "are both"),
        (("--sim", "REAL", "--real", "SIM"), "counts as reality"),
        (("--sim", "SIM", "--real", "REAL", "--points", "points.csv"), "rough points add nothing"),
        (("--sim", "SIM", "--real", "REAL", "--detector.kept", "0"), "--detector.kept 0 is out of range"),
        (("--sim", "SIM", "--real", "REAL", "--detector.attempts", "0"), "--detector.attempts 0 is"),
        (("--sim", "SIM", "--real", "REAL", "--detector.steps", "0"), "--detector.steps"),
        (("--sim", "SIM", "--real", "REAL", "--focal", "-1"), "no focal length"),
        ((), "nothing to align with"),
    ],
)
def test_what_can_not_be_aligned_gets_one_line(
    words: tuple[str, ...],
    message: str,
    worlds: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"SIM": str(worlds[0]), "REAL": str(worlds[1])}
    assert main(["align", str(tmp_path / "out"), *(places.get(word, word) for word in words)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert re.search(message, line)
    assert not (tmp_path / "out").exists()


def test_pictures_without_poses_or_of_another_size_are_refused(
    worlds: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(tmp_path / "photos" / "a" / f"{number}.png"), np.full((40, 40, 3), 90, np.uint8))
    bare = ["import", "images", str(tmp_path / "photos"), str(tmp_path / "bare"), "--image-size", "32"]
    assert main(bare) == 0
    large = make_dataset(tmp_path / "large", replace(REAL, image_size=48), attempts=4)
    for real, message in ((tmp_path / "bare", "needs gripper poses"), (large, "32 pixels, expected 48")):
        words = ["align", str(tmp_path / "out"), "--sim", str(worlds[0]), "--real", str(real)]
        assert main(words) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
