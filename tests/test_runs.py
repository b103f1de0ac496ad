"""A run resumes with the same settings and inputs, wherever these lie, and with no others."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import SIM
from graspgap.cli.main import main
from graspgap.contract import Camera
from graspgap.errors import UserError
from graspgap.runs import begin_run


def inputs(place: str, content: str = "1") -> dict[str, Any]:
    return {
        "sim": {"path": f"{place}/sim", "meta_sha256": content},
        "adapter": f"{place}/gan",
        "adapter_sha256": content,
        "made_from": [{"path": f"{place}/part", "meta_sha256": "2"}],
    }


def test_a_run_resumes_from_folders_that_were_moved(tmp_path: Path) -> None:
    begin_run(tmp_path, "policy", Camera(), inputs("here"))
    begin_run(tmp_path, "policy", Camera(), inputs("/elsewhere/there"))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        (inputs("here", "3"), "adapter_sha256 = 1"),
        (inputs("here") | {"sim": {"path": "here/sim", "meta_sha256": "3"}}, "sim.meta_sha256 = 1"),
        (inputs("here") | {"made_from": [{"path": "here/part", "meta_sha256": "3"}]}, "made_from[0].meta_sha256 = 2"),
        (inputs("here") | {"made_from": []}, "made_from = "),
        ({key: value for key, value in inputs("there").items() if key != "adapter_sha256"}, "adapter = here/gan"),
    ],
)
def test_a_run_does_not_resume_from_other_inputs(tmp_path: Path, changed: dict[str, Any], name: str) -> None:
    begin_run(tmp_path, "policy", Camera(), inputs("here"))
    with pytest.raises(UserError, match=re.escape(f"was begun with {name}")):
        begin_run(tmp_path, "policy", Camera(), changed)


def test_a_setting_that_is_a_place_may_change_where_an_input_tells_what_is_there(tmp_path: Path) -> None:
    begin_run(tmp_path, "evaluation", Camera(fov=20.0), {"policy": "1"})
    begin_run(tmp_path, "evaluation", Camera(fov=30.0), {"policy": "1"}, places=["fov"])
    with pytest.raises(UserError, match="was begun with policy = 1"):
        begin_run(tmp_path, "evaluation", Camera(fov=30.0), {"policy": "2"}, places=["fov"])
    with pytest.raises(UserError, match=re.escape("was begun with fov = 20.0")):
        begin_run(tmp_path, "evaluation", Camera(fov=30.0), {"policy": "1"})


def test_a_policy_is_not_trained_on_with_another_adapter_in_the_place_of_its_own(
    tmp_path: Path, sim_data: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("--image-size", str(SIM.image_size), "--workers", "1")
    data = ("--sim", str(sim_data), "--real", str(real_data))
    short = ("--steps", "1", "--training.batch", "2", "--training.recalibration", "1")
    train = ["train", "policy", "--sim", str(sim_data), *short, *small, "--adapter"]
    assert main(["adapt", "gan", *data, "--method", "histogram", *small]) == 0
    assert main([*train, "gan"]) == 0
    assert main([*train, str(tmp_path / "gan")]) == 0  # the same, spelled otherwise
    shutil.rmtree("gan")
    assert main([*train, "gan"]) == 0  # which it needs no more
    assert main(["adapt", "gan", *data, "--method", "fourier", *small]) == 0
    assert main([*train, "gan"]) == 2
    assert "policy was begun with adapter_sha256 = " in capsys.readouterr().err
