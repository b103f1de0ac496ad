"""What is seen of a training while it runs, and that seeing changes nothing."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from graspgap.cli.main import main
from graspgap.datasets import SimulatedView, UnlabelledView, open_dataset
from graspgap.errors import UserError
from graspgap.evaluation.figures import read_log
from graspgap.training import health, trackers
from graspgap.training.adapt import AdapterTrainer, AdapterTrainingConfig, train_adapter
from graspgap.training.engine import choose_precision
from graspgap.training.grasp import GraspData, GraspTrainer
from graspgap.training.health import HealthWatch, picture_health, verdict_health
from graspgap.training.log import TrainingLog, read_warnings
from graspgap.training.loop import Watch
from test_gans import OPTIONS
from test_pixel_methods import TINY
from trainers import ADAPTER, CPU, TRAINING, Stopped, stop_after, with_canonical

LONG = replace(ADAPTER, steps=50, checkpoint_seconds=1e9)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def views(sim_data: Path, real_data: Path) -> tuple[SimulatedView, UnlabelledView]:
    return open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def same(one: Path, other: Path) -> bool:
    a, b = (load_file(run / "adapter.safetensors") for run in (one, other))
    return all(torch.equal(a[key], b[key]) for key in a)


def test_after_a_kill_log_lines_and_averaged_weights_are_those_of_an_uninterrupted_run(
    tmp_path: Path, views: tuple[SimulatedView, UnlabelledView], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    config = replace(LONG, ema=0.9, batch=2, checkpoint_seconds=0.0)
    watch = Watch(trackers=("tensorboard",))
    train_adapter(tmp_path / "whole", config, *views, CPU)
    with monkeypatch.context() as patch:
        stop_after(patch, AdapterTrainer, 36)
        with pytest.raises(Stopped):
            train_adapter(tmp_path / "stopped", config, *views, CPU, watch)
    train_adapter(tmp_path / "stopped", config, *views, CPU, watch)
    assert lines(tmp_path / "whole") == lines(tmp_path / "stopped")
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert drawn(tmp_path / "stopped") == [25, 50]


def drawn(run: Path) -> list[int]:
    """Steps of a loss in TensorBoard's files, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [event.step for event in events.Scalars("critic")]


def test_tensorboard_shows_steps_that_were_done_twice_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for done, last in ((0, 100), (50, 125)):
        with trackers.tracking(("tensorboard",), tmp_path, done, TRAINING) as track:
            for step in range(done + 25, last + 1, 25):
                track(step, {"critic": float(step)})
    assert drawn(tmp_path) == [25, 50, 75, 100, 125]


def test_looks_and_health_change_nothing(tmp_path: Path, views: tuple[SimulatedView, UnlabelledView]) -> None:
    seen: list[tuple[str, bool]] = []

    def draw(path: Path, method: Any) -> None:
        seen.append((path.name, method.training))
        torch.rand(3)

    train_adapter(tmp_path / "plain", replace(LONG, steps=20), *views, CPU)
    train_adapter(tmp_path / "seen", replace(LONG, steps=20), *views, CPU, Watch(8, draw))
    assert same(tmp_path / "plain", tmp_path / "seen")
    assert seen == [("000008.png", False), ("000016.png", False)]


def test_averaged_weights_lie_between_the_first_and_the_last(views: tuple[SimulatedView, UnlabelledView]) -> None:
    trainer = AdapterTrainer(replace(LONG, ema=0.75), *views, CPU)
    weights = []
    for step in range(2):
        trainer.step(step)
        weights.append([parameter.detach().clone() for parameter in trainer.method.parameters()])
    finished = trainer.finished()
    assert finished is not trainer.method
    for first, last, average in zip(*weights, finished.parameters(), strict=True):
        torch.testing.assert_close(average, 0.75 * first + 0.25 * last)
    for buffer, own in zip(finished.buffers(), trainer.method.buffers(), strict=True):
        assert torch.equal(buffer, own)


@pytest.mark.parametrize("name", ["graspgan", "cyclegan", "cut"])
def test_in_bf16_weights_stay_in_32_bits_and_losses_nearly_the_same(
    views: tuple[SimulatedView, UnlabelledView], name: str
) -> None:
    config = LONG if name == "graspgan" else AdapterTrainingConfig(name, OPTIONS[name], batch=4)
    exact, short = (AdapterTrainer(replace(config, precision=kind), *views, CPU) for kind in ("fp32", "bf16"))
    expected, found = exact.step(0), short.step(0)
    assert found == pytest.approx(expected, rel=0.1, abs=0.02)
    assert found != expected
    assert all(parameter.dtype == torch.float32 for parameter in short.method.parameters())


def test_a_policy_learns_in_bf16(views: tuple[SimulatedView, UnlabelledView]) -> None:
    trainers = [
        GraspTrainer(replace(TRAINING, precision=kind), GraspData(sim=views[0]), CPU) for kind in ("fp32", "bf16")
    ]
    expected, found = (trainer.step(0) for trainer in trainers)
    assert found == pytest.approx(expected, rel=0.05)
    assert found != expected


def test_precision_is_chosen_by_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    assert choose_precision("auto", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert choose_precision("auto", CPU) == "bf16"
    with pytest.raises(UserError, match="fp16 is for GPUs"):
        choose_precision("fp16", CPU)
    with pytest.raises(UserError, match="--precision"):
        choose_precision("fp8", CPU)


def said(measurements: list[dict[str, float]]) -> list[str]:
    watch = HealthWatch()
    return [warning for measured in measurements for warning in watch.warnings(measured)]


@pytest.mark.parametrize(
    ("wrong", "long", "words"),
    [
        ({"told_apart": 0.99}, health.WON_FOR, "discriminators have won"),
        ({"variety": 0.1}, health.LASTS, "lost their variety"),
        ({"saturated": 0.9, "saturated_real": 0.1}, health.LASTS, "90% of made pictures is black or white"),
        ({"gradient_generator": 1e-9}, health.LASTS, "gradient of 'generator' has vanished"),
        ({"reversed_dann": 0.009}, health.WON_FOR, "domain classifier of 'dann' has won"),
    ],
)
def test_what_goes_wrong_for_long_is_said_once(wrong: dict[str, float], long: int, words: str) -> None:
    assert said([wrong] * (long - 1)) == []
    (warning,) = said([wrong] * 3 * long)
    assert words in warning
    assert "\n" not in warning
    assert said(([wrong] * (long - 1) + [dict.fromkeys(wrong, 0.5)]) * 3) == []


def test_an_exploding_gradient_is_said_at_once() -> None:
    (warning,) = said([{"gradient_net": 1.0}] * 6 + [{"gradient_net": 500.0}] * 2)
    assert "'net' has exploded" in warning
    assert said([{"gradient_net": 1e-4}] * 6 + [{"gradient_net": 1.0}]) == []
    overflow = [{"gradient_net": math.inf}] * 2  # of 16 bits, which is no explosion, and hides none
    (warning,) = said([{"gradient_net": 1.0}] * 6 + overflow + [{"gradient_net": 500.0}])
    assert "norm 5.0e+02" in warning


def test_pictures_that_are_all_alike_have_no_variety() -> None:
    source, real = torch.rand(4, 6, 8, 8), torch.rand(4, 6, 8, 8)
    found = picture_health(torch.ones(4, 6, 8, 8), source, real)
    assert found["variety"] == 0
    assert found["saturated"] == 1
    assert picture_health(source, source, real)["variety"] == pytest.approx(1, rel=0.2)


def test_places_told_apart_are_those_on_their_side_of_a_half_whatever_the_distance() -> None:
    real = [torch.tensor([[0.51, 0.4], [0.6, 7.0]]), torch.tensor([[0.9]])]
    made = [torch.tensor([[0.5, 0.4], [0.51, -7.0]]), torch.tensor([[0.6]])]
    found = verdict_health(real, made)
    assert found["told_apart"] == pytest.approx(((3 / 4 + 1) / 2 + (3 / 4 + 0) / 2) / 2)
    assert found["verdict_real"] == pytest.approx(((0.51 + 0.4 + 0.6 + 7) / 4 + 0.9) / 2)
    assert verdict_health([], []) == {}
    unsure = verdict_health([torch.full((4,), 0.6)], [torch.full((4,), 0.4)])
    assert unsure["told_apart"] == 1


@pytest.mark.parametrize(
    ("name", "side"), [("graspgan", "critics"), ("pixelda", "critics"), ("simgan", "critic"), ("rcan", "critics")]
)
def test_discriminators_that_learn_alone_win_by_any_loss(
    views: tuple[SimulatedView, UnlabelledView], name: str, side: str
) -> None:
    """By least squares, or by cross-entropy of pairs, of places, and of canonical pictures."""
    method = replace(TINY[name].fitted(32, ADAPTER.options.grasp.camera), learning_rate=0.01)  # type: ignore[attr-defined]
    sim, real = views
    trainer = AdapterTrainer(AdapterTrainingConfig(name, method, batch=8), with_canonical(sim), real, CPU)
    for step in range(60):
        trainer.method.train()
        trainer.seen = trainer.batch(step)
        if step == 0:
            assert said([trainer.health()] * health.WON_FOR) == []
            trainer.method.train()
        for turn, losses in trainer.method.turns(trainer.seen, 0.5):
            if turn == side:
                trainer.engine.descend(side, losses, trainer.optimizers[side])
    measured = trainer.health()
    if name != "graspgan":  # whose loss isn't one of probabilities
        for verdict in trainer.method.verdicts(trainer.method.wanted(trainer.seen)):
            assert 0 <= verdict.min() <= verdict.max() <= 1
    assert measured["verdict_real"] > 0.5 > measured["verdict_made"]
    assert "discriminators have won" in said([measured] * health.WON_FOR)[0]


def test_rcans_pictures_are_compared_with_canonical_ones(views: tuple[SimulatedView, UnlabelledView]) -> None:
    sim, real = views
    sim = with_canonical(sim)
    sim = replace(sim, canonicals=np.zeros_like(sim.images), canonical_before=np.zeros_like(sim.images_before))
    trainer = AdapterTrainer(AdapterTrainingConfig("rcan", TINY["rcan"], batch=4), sim, real, CPU)
    trainer.seen = trainer.batch(0)
    assert trainer.health()["saturated_real"] == 1


def test_a_collapse_is_in_the_log_and_on_the_terminal_and_not_said_again_after_a_resume(
    tmp_path: Path,
    views: tuple[SimulatedView, UnlabelledView],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(AdapterTrainer, "step", lambda self, step: {"critic": 1.0})
    monkeypatch.setattr(AdapterTrainer, "health", lambda self: {"variety": 0.01})
    config = replace(LONG, steps=150, checkpoint_seconds=0.0)
    with monkeypatch.context() as patch:
        stop_after(patch, AdapterTrainer, 120)
        with pytest.raises(Stopped):
            train_adapter(tmp_path, config, *views, CPU)
    printed = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(printed) == 1
    assert "adapt: warning at step 100: made pictures have lost their variety" in printed[0]
    train_adapter(tmp_path, config, *views, CPU)
    (warning,) = read_warnings(tmp_path / "log.jsonl")
    assert warning.startswith("step 100: made pictures")
    assert lines(tmp_path)[0]["health"] == {"variety": 0.01}
    assert "variety" not in read_log(tmp_path / "log.jsonl")


def test_a_log_has_losses_gradients_verdicts_and_pictures(
    tmp_path: Path, views: tuple[SimulatedView, UnlabelledView]
) -> None:
    train_adapter(tmp_path, replace(LONG, steps=25), *views, CPU)
    (entry,) = lines(tmp_path)
    assert set(entry["health"]) == {
        "gradient_critics",
        "gradient_generator",
        "verdict_real",
        "verdict_made",
        "told_apart",
        "variety",
        "saturated",
        "saturated_real",
    }


def test_a_side_without_a_turn_has_no_gradient_of_an_earlier_step(
    views: tuple[SimulatedView, UnlabelledView],
) -> None:
    """The judge of `perceptual` learns in the first steps alone."""
    trainer = AdapterTrainer(AdapterTrainingConfig("perceptual", OPTIONS["perceptual"], 10, 4), *views, CPU)
    sides = []
    for step in (0, 9):
        trainer.engine.measure(True)
        trainer.step(step)
        sides.append(set(trainer.engine.norms))
    assert sides[0] - sides[1] == {"judge"}


def test_a_log_goes_on_from_the_sums_of_a_checkpoint(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl", 0, every=4)
    log.add({"loss": 1.0})
    log = TrainingLog(tmp_path / "log.jsonl", 1, json.loads(json.dumps(log.state())), every=4)
    for _ in range(3):
        log.add({"loss": 5.0})
    assert log.due(3)
    assert log.write(3, {}, []) == {"loss": 4.0}


def test_a_loss_that_was_not_there_in_all_steps_is_averaged_over_its_own(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl", 0, every=4)
    for step in range(4):
        log.add({"loss": 1.0} | ({"critic": 3.0} if step == 3 else {}))
    assert log.write(3, {}, []) == {"loss": 1.0, "critic": 3.0}


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (("--tensorboard",), "pip install 'graspgap[tensorboard]'"),
        (("--trackers", "wandb"), "--trackers wandb needs a package that is not installed: pip install wandb"),
        (("--trackers", "wanbd"), "did you mean 'wandb'"),
    ],
)
def test_a_tracker_that_is_not_there_is_one_line(
    flags: tuple[str, ...], hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", lambda: [])
    for command in (["train", "OUT"], ["adapt", "OUT", "--sim", "A", "--real", "B"]):
        assert main([*command, *flags]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert hint in line
