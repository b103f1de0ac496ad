"""The examples in docs/adding-a-method.md work as they stand there."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from graspgap.adaptation.feature import FEATURES
from graspgap.adaptation.pixel import METHODS
from graspgap.cli.main import main
from graspgap.datasets import open_dataset

GUIDE = Path(__file__).parents[1] / "docs" / "adding-a-method.md"
SMALL = ("--image-size", "32", "--workers", "1")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def example(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The code below `<!-- example NAME -->`, as a module."""
    found = re.search(rf"<!-- example {name} -->\n```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    path = folder / f"example_{name}.py"
    path.write_text(found[1], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def test_the_pixel_level_example_works(
    tmp_path: Path, sim_data: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "colours", example("pixel", tmp_path, monkeypatch).ColoursConfig)
    run, policy = tmp_path / "adapter", tmp_path / "policy"
    words = ["adapt", str(run), "--method", "colours", "--sim", str(sim_data), "--real", str(real_data), "--steps", "3"]
    assert main([*words, "--methods.colours.learning-rate", "0.003", *SMALL]) == 0
    assert json.loads((run / "config.json").read_text())["config"]["options"] == {"learning_rate": 0.003}
    weights = load_file(run / "adapter.safetensors")
    pictures = open_dataset(real_data).unlabelled().images / 127.5 - 1
    np.testing.assert_allclose(weights["mean"][1, :, 0, 0], pictures.mean(axis=(0, 2, 3)), atol=1e-6)
    assert weights["contrast"].abs().max() > 0
    words = ["train", str(policy), "--sim", str(sim_data), "--adapter", str(run), "--steps", "2"]
    assert main([*words, *SMALL]) == 0


def test_the_feature_level_example_works(
    tmp_path: Path, sim_data: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FEATURES, "means", example("feature", tmp_path, monkeypatch).MeansConfig)
    words = ["train", str(tmp_path / "policy"), "--sim", str(sim_data), "--real", str(real_data), "--steps", "25"]
    assert main([*words, "--features", "means,dbn", *SMALL]) == 0
    assert json.loads((tmp_path / "policy" / "log.jsonl").read_text().splitlines()[0])["means"] > 0
