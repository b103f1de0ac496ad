"""What a prediction is worth: scaled on held-out attempts, with thresholds that a rate chooses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import special

from conftest import SIM
from graspgap.cli.main import main
from graspgap.deployment.calibration import CALIBRATION, Calibration, load_calibration, save_calibration
from graspgap.errors import UserError
from graspgap.evaluation.calibrate import calibrate
from graspgap.evaluation.statistics import reliability


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
