"""Values that make no sense are refused in one line, before a folder is begun with them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from graspgap.adaptation.feature import FEATURES
from graspgap.adaptation.pixel import METHODS
from graspgap.adaptation.pixel.history import History
from graspgap.cli.checks import check_numbers
from graspgap.cli.main import main
from graspgap.errors import UserError
from graspgap.runs import read_run
from graspgap.settings import Bounds, in_range
from graspgap.tensors import choose_device
from graspgap.training.grasp import GraspTrainingConfig
from graspgap.worlds.randomization import LIMITS, AppearanceConfig, DynamicsConfig, read_randomization

SMALL = ("--image-size", "32", "--workers", "1", "--steps", "2")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def assert_refused(capsys: pytest.CaptureFixture[str], out: Path, words: list[str], *parts: str) -> None:
    """The command ends with one line that has these parts, and begins nothing."""
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert all(part in lines[0] for part in parts), lines[0]
    assert not (out / "config.json").exists()


@pytest.mark.parametrize(
    ("option", "value", "fix"),
    [
        ("network.crop-cells", "1", "7 or more"),
        ("network.crop-cells", "6", "7 or more"),
        ("network.head", "0", "1 or more"),
        ("network.fine", "0", "1 or more"),
        ("network.coarse", "0", "1 or more"),
        ("network.lateral", "0", "1 or more"),
        ("network.width", "-1", "1 or more"),
        ("network.blocks", "-1", "0 or more"),
        ("augment.shift", "-1", "0 or more"),
        ("augment.brightness", "inf", "0 or more"),
        ("commands-per-image", "0", "1 or more"),
        ("ema", "1.5", "0 or more, and less than 1"),
        ("ema", "1", "0 or more, and less than 1"),
        ("learning-rate", "nan", "more than 0"),
        ("learning-rate", "0", "more than 0"),
        ("learning-rate", "-0.1", "more than 0"),
        ("weight-decay", "-1", "0 or more"),
        ("batch", "1", "2 or more"),
        ("recalibration", "-1", "1 or more"),
        ("recalibration", "0", "1 or more"),
        ("unlabelled", "0", "1 or more"),
        ("masks", "nan", "0 or more"),
    ],
)
def test_train(
    option: str, value: str, fix: str, tmp_path: Path, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(tmp_path), "--sim", str(sim_data), *SMALL, f"--training.{option}", value]
    assert_refused(capsys, tmp_path, words, f"--training.{option} {value}", f"give {fix}")


def test_train_feature_methods(
    tmp_path: Path, sim_data: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(tmp_path), "--sim", str(sim_data), "--real", str(real_data), *SMALL, "--features", "dann"]
    words += ["--methods.dann.hidden", "0"]
    assert_refused(capsys, tmp_path, words, "--methods.dann.hidden 0", "give 1 or more")


@pytest.mark.parametrize(
    ("method", "option", "value", "fix"),
    [
        *((name, "learning-rate", "-1", "more than 0") for name in METHODS if name not in
          ("histogram", "fourier", "composite")),
        ("graspgan", "learning-rate", "nan", "more than 0"),
        ("graspgan", "critic-rate", "-0.5", "more than 0"),
        ("graspgan", "grasp.crop-cells", "5", "7 or more"),
        ("graspgan", "generator.widths", "0", "1 or more"),
        ("graspgan", "beta2", "1", "0 or more, and less than 1"),
        ("perceptual", "judge-rate", "0", "more than 0"),
        ("histogram", "references", "0", "1 or more"),
        ("fourier", "references", "0", "1 or more"),
        ("composite", "backgrounds", "0", "1 or more"),
        ("composite", "pictures", "0", "1 or more"),
        ("cut", "patches", "0", "1 or more"),
        ("fastcut", "patches", "0", "1 or more"),
        ("simgan", "history", "-1", "0 or more"),
        ("cyclegan", "history", "-1", "0 or more"),
        ("pixelda", "noise", "0", "1 or more"),
    ],
)  # fmt: skip
def test_adapt(
    method: str,
    option: str,
    value: str,
    fix: str,
    tmp_path: Path,
    sim_data: Path,
    real_data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["adapt", str(tmp_path), "--sim", str(sim_data), "--real", str(real_data), *SMALL, "--method", method]
    words += [f"--methods.{method}.{option}", value]
    assert_refused(capsys, tmp_path, words, f"--methods.{method}.{option} {value}", f"give {fix}")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--method", "pixelda", "--methods.pixelda.grasp.trunk", "smal"), "did you mean 'small'"),
        (
            ("--methods.graspgan.grasp.trunk", "smal", "--methods.graspgan.discriminators.scales", "1"),
            "did you mean 'small'",
        ),
        (("--method", "graspgan", "--methods.graspgan.generator.widths"), "generator.widths is empty"),
        (("--method", "histogram", "--device", "meta"), "device 'meta' is not usable here"),
    ],
)
def test_adapt_words(
    words: tuple[str, ...],
    part: str,
    tmp_path: Path,
    sim_data: Path,
    real_data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = ["--sim", str(sim_data), "--real", str(real_data)]
    assert_refused(capsys, tmp_path, ["adapt", str(tmp_path), *data, *SMALL, *words], part)


@pytest.mark.parametrize(
    ("command", "more"), [("adapt", ["--method", "histogram"]), ("train", []), ("score", ["--adapter", "none"])]
)
def test_one_dataset_is_not_both_worlds(
    command: str, more: list[str], tmp_path: Path, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, str(tmp_path), "--sim", str(sim_data), "--real", str(sim_data), "--image-size", "32"]
    words += more
    assert_refused(capsys, tmp_path, words, f"--sim and --real are both {sim_data}")


def test_rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("-1", "nan"):
        assert_refused(capsys, tmp_path, ["rounds", str(tmp_path), "--noise", value], f"--noise {value}", "give 0")


DATA = ("--sim", "sim", "--real", "real")


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("train", "training.steps", "3"),
        ("train", "training.seed", "3"),
        ("train", "training.precision", "bf16"),
        ("train", "training.network.image-size", "32"),
        ("train", "training.network.camera.fov", "30"),
        ("adapt", "methods.simgan.image-size", "32"),
        ("adapt", "methods.graspgan.grasp.image-size", "32"),
        ("adapt", "methods.pixelda.grasp.camera.roll", "3"),
        ("score", "settings.seed", "3"),
    ],
)
def test_a_setting_that_the_command_sets_itself_is_no_option(
    command: str, option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, str(tmp_path / "out"), *DATA, f"--{option}", value])
    assert caught.value.code == 2
    assert f"Unrecognized options: --{option}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "offered"),
    [
        ("train", {"--steps", "--seed", "--training.batch", "--training.network.head", "--methods.dann.hidden"}),
        ("adapt", {"--image-size", "--methods.cyclegan.history", "--methods.graspgan.grasp.join"}),
        ("score", {"--seed", "--settings.batch", "--settings.judge-steps"}),
    ],
)
def test_help_shows_no_setting_that_the_command_sets_itself(
    command: str, offered: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    shown = set(re.findall(r"--[a-z][a-z0-9.-]+", capsys.readouterr().out))
    assert offered <= shown
    own = re.compile(r"--.+\.(steps|seed|precision|image-size|camera\..+)")
    assert [option for option in shown if own.fullmatch(option)] == []


def test_a_hidden_setting_is_what_the_command_makes_it(tmp_path: Path, sim_data: Path, real_data: Path) -> None:
    words = ["adapt", str(tmp_path / "run"), "--sim", str(sim_data), "--real", str(real_data), *SMALL]
    assert main([*words, "--method", "histogram", "--methods.histogram.references", "7"]) == 0
    options = read_run(tmp_path / "run", "adapter")["config"]["options"]
    assert options == {"references": 7, "image_size": 32}


def test_defaults_are_fine() -> None:
    check_numbers("--training", GraspTrainingConfig())
    for name, kind in (METHODS | FEATURES).items():
        check_numbers(f"--methods.{name}", kind())


@pytest.mark.parametrize("device", ["meta", "gpu", "cuda:99", "cuda:x", "cpu\n", ""])
def test_devices_that_do_not_compute(device: str) -> None:
    with pytest.raises(UserError, match="use --device auto, cpu or cuda"):
        choose_device(device)
    assert choose_device("cpu") == torch.device("cpu")


def test_bounds_say_what_they_hold() -> None:
    for bounds, text, inside, outside in (
        (Bounds(1), "1 or more", (1, 10**400), (0, float("nan"), float("inf"))),
        (Bounds(0, above=True), "more than 0", (1e-9,), (0, -1)),
        (Bounds(0, 1), "0 to 1", (0, 1), (-0.1, 1.1)),
        (Bounds(0, 1, below=True), "0 or more, and less than 1", (0, 0.99), (1,)),
        (Bounds(0, 1, above=True), "more than 0, and at most 1", (0.1, 1), (0,)),
    ):
        assert str(bounds) == text
        for value in inside:
            in_range("--it", value, bounds)
        for value in outside:
            with pytest.raises(UserError, match=f"--it {value}.*give {text}"):
                in_range("--it", value, bounds)


@pytest.mark.parametrize("capacity", [0, 1, 3])
def test_a_history_of_less_than_half_a_batch_gives_and_takes_what_it_holds(capacity: int) -> None:
    torch.manual_seed(0)
    pool = History(capacity, (1, 1, 1))
    first = -torch.arange(1.0, 9)[:, None, None, None]
    assert torch.equal(pool.mix(first), first)
    new = torch.arange(1.0, 9)[:, None, None, None]
    shown = pool.mix(new)
    assert shown.shape == new.shape
    assert torch.equal(shown[: 8 - capacity], new[: 8 - capacity])
    assert sorted(shown[8 - capacity :].flatten().tolist()) == [float(k) for k in range(-capacity, 0)]
    assert (pool.pictures > 0).all()


def test_simgan_learns_with_a_history_of_less_than_half_a_batch(
    tmp_path: Path, sim_data: Path, real_data: Path
) -> None:
    words = ["adapt", str(tmp_path / "run"), "--sim", str(sim_data), "--real", str(real_data), *SMALL[:4]]
    words += ["--steps", "4", "--batch", "6", "--method", "simgan", "--methods.simgan.history", "2"]
    words += ["--methods.simgan.width", "2", "--methods.simgan.blocks", "1"]
    words += ["--methods.simgan.refiner-only", "0", "--methods.simgan.critic-only", "0"]
    assert main(words) == 0


@pytest.mark.parametrize(
    ("table", "line", "words"),
    [
        ("dynamics", "mass = [0, 2]", "mass .* give 0.01 to 100"),
        ("dynamics", "latency = [-1, 0]", "latency .* give 0 to 10"),
        ("dynamics", "calibration = -0.1", "calibration .* give 0 to 1"),
        ("appearance", "camera_position = -0.1", "camera_position .* give 0 to 10"),
        ("appearance", "camera_fov = 500", "camera_fov .* give 0 to 20"),
        ("appearance", "defocus = [-1, -1]", "defocus .* give 0 to 20"),
        ("appearance", "light_count = [1.5, 3]", "light_count .* whole numbers"),
        ("appearance", "light_count = [0, 0]", "light_count .* give 1 to 16"),
        ("appearance", "jpeg = [0, 300]", "jpeg .* give 0 to 100"),
        ("appearance", "tile_size = [0, 0]", "tile_size .* give 0.001 to 10"),
        ("appearance", "tint = 2", "tint .* give 0 to 1"),
    ],
)
def test_randomization(table: str, line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[{table}]\n{line}\n")
    with pytest.raises(UserError, match=words) as caught:
        read_randomization(path)
    assert "\n" not in str(caught.value)


def test_every_number_of_randomization_has_limits_and_a_default_within() -> None:
    found = set()
    for config in (AppearanceConfig(), DynamicsConfig()):
        for field in fields(config):
            value = getattr(config, field.name)
            if field.name != "enabled":
                found.add(field.name)
                assert all(number in LIMITS[field.name] for number in (value if isinstance(value, tuple) else [value]))
    assert found == set(LIMITS)
