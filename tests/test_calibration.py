"""What a prediction is worth: scaled on held-out attempts, with thresholds that a rate chooses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special

from conftest import SIM, make_dataset
from graspgap.cli.main import main
from graspgap.datasets import open_dataset
from graspgap.deployment.calibration import CALIBRATION, Calibration, load_calibration, save_calibration
from graspgap.errors import UserError
from graspgap.evaluation.calibrate import calibrate
from graspgap.evaluation.held_out import save_held_out_metrics
from graspgap.evaluation.statistics import reliability
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.training.adapt import adapt_frames, load_adapter


def overconfident(count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Predictions whose logits are three times too large and shifted by 1, and how the attempts ended."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-0.5, 1.0, count)
    return special.expit(3 * truth + 1), rng.random(count) < special.expit(truth)


def test_overconfident_predictions_are_scaled_back() -> None:
    predicted, success = overconfident()
    found = calibrate("sim", predicted, success)
    assert found.scale == pytest.approx(1 / 3, rel=0.05)
    assert found.shift == pytest.approx(-1 / 3, abs=0.05)
    scaled = np.array([found.success(value) for value in predicted])
    assert reliability(scaled, success).error < 0.02 < reliability(predicted, success).error


def test_below_the_threshold_no_more_than_the_rate_succeeded() -> None:
    predicted, success = overconfident()
    found = calibrate("sim", predicted, success)
    scaled = np.array([found.success(value) for value in predicted])
    for rate in (0.15, 0.25, 0.35):
        below = scaled < found.threshold(rate)
        assert rate - 0.03 < success[below].mean() <= rate
    assert found.threshold(0.2) < found.threshold(0.4)
    assert found.threshold(0.0) == 0.0


@pytest.mark.parametrize("success", [np.ones(50, bool), np.zeros(50, bool), np.arange(50) >= 25])
def test_outcomes_without_a_doubt_leave_finite_numbers(success: np.ndarray) -> None:
    found = calibrate("sim", np.linspace(0, 1, 50), success)
    values = [found.success(value) for value in (0.0, 0.5, 1.0)]
    assert np.isfinite([found.scale, found.shift, *values]).all()
    assert values == sorted(values)


def test_a_network_that_is_wrong_is_not_turned_round() -> None:
    predicted, success = overconfident()
    assert calibrate("sim", predicted, ~success).scale == 0


def test_nothing_is_below_a_threshold_that_all_predictions_reach() -> None:
    """Of a network that says the same of everything, no share could ever be below."""
    success = np.arange(60) % 6 == 0
    assert calibrate("real", np.full(60, 0.3), success).below == ()
    tied = calibrate("real", np.repeat([0.1, 0.9], 30), np.repeat([False, True], 30))
    assert [row[1:] for row in tied.below] == [(0.0, 0.5)]
    assert tied.threshold(0.1) > 0


def test_few_real_attempts_leave_the_calibration_to_simulation(
    tmp_path: Path, sim_data: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = {"sim": open_dataset(sim_data).labelled(1.0), "real": open_dataset(real_data).labelled(1.0)}
    net, device = GraspNet(GraspNetConfig(image_size=SIM.image_size)), torch.device("cpu")
    for fewest, source in ((len(views["real"]) + 1, "sim"), (len(views["real"]), "real")):
        monkeypatch.setattr("graspgap.evaluation.held_out.FEWEST", fewest)
        save_held_out_metrics(tmp_path, net, views, device, Domain.REALITY)
        found = load_calibration(tmp_path / CALIBRATION)
        assert found is not None
        assert found.source == source
    monkeypatch.setattr("graspgap.evaluation.held_out.FEWEST", 10**6)
    save_held_out_metrics(tmp_path, net, {"real": views["real"]}, device, Domain.REALITY)
    found = load_calibration(tmp_path / CALIBRATION)
    assert found is not None
    assert found.source == "real"  # there is nothing else


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    kept = Calibration("sim", 100, 0.5, -0.2, ((0.1, 0.05, 0.2), (0.3, 0.12, 0.4)))
    save_calibration(tmp_path / CALIBRATION, kept)
    assert load_calibration(tmp_path / CALIBRATION) == kept
    save_calibration(tmp_path / CALIBRATION, None)
    assert load_calibration(tmp_path / CALIBRATION) is None
    assert load_calibration(tmp_path / "nowhere") is None
    (tmp_path / CALIBRATION).write_text('{"source": "sim"}')
    with pytest.raises(UserError, match="damaged"):
        load_calibration(tmp_path / CALIBRATION)


def test_a_policy_run_holds_its_calibration(tmp_path: Path, sim_data: Path) -> None:
    size = str(SIM.image_size)
    short = ("--steps", "1", "--training.batch", "2", "--training.recalibration", "1", "--workers", "1")
    words = ["train", str(tmp_path / "run"), "--sim", str(sim_data), "--image-size", size, *short]
    assert main(words) == 0
    found = load_calibration(tmp_path / "run" / CALIBRATION)
    assert found is not None
    assert (found.source, found.samples > 0) == ("sim", True)
    (tmp_path / "run" / CALIBRATION).unlink()  # as a run of an earlier version
    assert main(words) == 0
    assert load_calibration(tmp_path / "run" / CALIBRATION) == found


def test_held_out_pictures_are_shown_as_those_that_a_policy_learned_from(
    tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, policy, seen = tmp_path / "adapter", tmp_path / "policy", {}
    sim_data = make_dataset(tmp_path / "sim", SIM, attempts=8)  # as many held out as not: each has a file of its own
    small = ["--image-size", str(SIM.image_size), "--workers", "1"]
    words = ["adapt", str(adapter), "--sim", str(sim_data), "--real", str(real_data), "--method", "histogram", *small]
    assert main(words) == 0

    def measured(out: Path, net: GraspNet, views: dict, device: torch.device, domain: Domain) -> dict:
        seen.update(views)
        return save_held_out_metrics(out, net, views, device, domain)

    monkeypatch.setattr("graspgap.cli.train.save_held_out_metrics", measured)
    words = ["train", str(policy), "--sim", str(sim_data), "--adapter", str(adapter), "--steps", "1", *small]
    assert main(words) == 0
    shown, plain = seen["sim"], replace(seen["sim"], shown=None)
    frames = np.arange(len(shown.images))
    made = adapt_frames(
        load_adapter(adapter, torch.device("cpu"), SIM.image_size), plain, frames, 0, torch.device("cpu")
    )
    assert np.array_equal(shown.pairs(frames), made)
    assert not np.array_equal(made, plain.pairs(frames))
    found = load_calibration(policy / CALIBRATION)
    (policy / CALIBRATION).unlink()  # measured again, and in the same way
    assert main(words) == 0
    assert load_calibration(policy / CALIBRATION) == found
    shutil.rmtree(adapter)  # of no use to a policy that is trained and measured
    assert main(words) == 0
