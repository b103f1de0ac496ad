"""An ONNX export decides as PyTorch does, and needs none of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("msgpack", reason="extra serve")
pytest.importorskip("websockets", reason="extra serve")
pytest.importorskip("onnxruntime", reason="extra onnx")
pytest.importorskip("onnxscript", reason="extra onnx")

from graspgap.cli.main import main
from graspgap.collection.policies import PolicyChoice, make_policy
from graspgap.contract import Camera, Observation, Workspace, command_between
from graspgap.deployment import onnx_export
from graspgap.deployment.load import open_predictor
from graspgap.deployment.onnx_predictor import CHECK, HEAD, TRUNK
from graspgap.deployment.predictor import POLICY
from graspgap.deployment.served import ServedConfig, load_served
from graspgap.errors import UserError
from graspgap.grasping.cem import uniform_targets
from graspgap.grasping.policies import ServoPolicy
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.runs import begin_run
from graspgap.seeding import generator
from graspgap.tensors import save_module
from graspgap.training.grasp import GraspTrainingConfig, policy_facts
from serving import asked, observation, tiny_policy, write_policy
from trainers import NETWORK

NETWORKS = {
    "project": NETWORK,
    "grasping44": GraspNetConfig(image_size=236, trunk="grasping44", join="grasping44", width=4, head=4),
}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A policy run with a network of `NETWORKS`, and its export, made once."""

    @cache
    def made(name: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(name)
        run = write_policy(folder / "run", NETWORKS[name])
        assert main(["export", "onnx", str(run), str(folder / "export"), "--frames", "2"]) == 0
        return run, folder / "export"

    return made


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def runs(request: pytest.FixtureRequest, make: Callable[[str], tuple[Path, Path]]) -> tuple[Path, Path]:
    return make(request.param)


@pytest.fixture(scope="module")
def export(make: Callable[[str], tuple[Path, Path]]) -> Path:
    return make("project")[1]


def looks(size: int, count: int) -> list[Observation]:
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (count, 2, size, size, 3), dtype=np.uint8)
    poses = uniform_targets(rng, count, Workspace()).astype(np.float32)
    return [Observation(*pair, pose) for pair, pose in zip(pictures, poses, strict=True)]


def test_an_export_predicts_what_pytorch_does(runs: tuple[Path, Path]) -> None:
    (first, identity), (second, other) = (open_predictor(folder) for folder in runs)
    assert identity == other
    assert (first.image_size, first.camera) == (second.image_size, second.camera)
    for camera in (first.camera, Camera(position=(0.2, -0.5, 0.9), fov=30.0, roll=4.0)):
        for predictor in (first, second):
            predictor.aim(camera)
        for count, seen in zip((1, 64, 3, 130), looks(first.image_size, 4), strict=True):
            commands = command_between(seen.pose, uniform_targets(generator(count), count, Workspace()))
            expected, found = (predictor.look(seen)(commands) for predictor in (first, second))
            assert found.shape == (count,)
            np.testing.assert_allclose(found, expected, atol=1e-5)
    assert expected.std() > 1e-3  # the comparison would notice


def test_an_export_decides_as_pytorch_does(runs: tuple[Path, Path]) -> None:
    servos = [ServoPolicy(open_predictor(folder)[0], steps=4) for folder in runs]
    for number, seen in enumerate(looks(servos[0].predictor.image_size, 5)):
        decisions = []
        for servo in servos:
            servo.start(Workspace(), Camera(), generator(number))
            decisions.append(servo.decide(seen, 1))
        np.testing.assert_allclose(decisions[1].command, decisions[0].command, atol=1e-6)
        assert decisions[1].close == decisions[0].close


def test_an_export_serves_and_evaluates_as_its_policy(export: Path) -> None:
    run = export.parent / "run"
    served, again = (load_served(folder, ServedConfig()) for folder in (run, export))
    assert again.metadata == served.metadata
    assert again.threshold == 0.3
    answers = [policy.answer(asked(observation())) for policy in (served, again)]
    np.testing.assert_allclose(answers[1]["actions"], answers[0]["actions"], atol=1e-6)
    assert answers[1]["predicted_best"] == pytest.approx(answers[0]["predicted_best"], abs=1e-5)
    chosen = make_policy(PolicyChoice(str(export)), 4)
    assert chosen.identity == make_policy(PolicyChoice(str(run)), 4).identity


def test_nothing_of_an_export_tells_where_it_was_made(export: Path) -> None:
    for name in (TRUNK, HEAD):
        assert str(Path(onnx_export.__file__).parent).encode() not in (export / name).read_bytes()


NO_TORCH = """
import sys
import numpy as np
from pathlib import Path
import graspgap.cli.serve, graspgap.deployment.requests
from graspgap.deployment.served import ServedConfig, load_served
from graspgap.deployment.requests import from_wire
from graspgap.deployment.wire import pack
picture = np.zeros((32, 32, 3), np.uint8)
request = from_wire(pack({"image_before": picture, "image_now": picture, "pose": np.zeros(4, np.float32)}), 32, 4)
print(load_served(Path(sys.argv[1]), ServedConfig()).answer(request)["actions"].shape)
print([name for name in sys.modules if name.partition(".")[0] in ("torch", "mujoco", "mitsuba")])
"""


def test_an_export_runs_without_pytorch(export: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NO_TORCH, export], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["(1, 5)", "[]"], done.stderr


def test_a_policy_with_something_in_front_is_refused(tmp_path: Path) -> None:
    run = write_policy(tmp_path / "run", NETWORK, front_end="rcan")
    with pytest.raises(UserError, match="'front_end', which can't be exported yet"):
        onnx_export.export_onnx(run, tmp_path / "out", onnx_export.ExportConfig())
    assert not (tmp_path / "out").exists()


def test_an_export_that_differs_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, export: Path) -> None:
    copied = {name: (export / name).read_bytes() for name in (TRUNK, HEAD)}
    other = GraspNet(NETWORK)
    run = tmp_path / "run"
    config = GraspTrainingConfig(network=NETWORK)
    begin_run(run, "policy", config, {"policy": policy_facts(config)})
    with torch.no_grad():
        other.logit.bias += 1
    save_module(run / POLICY, other)

    def write_another(net: GraspNet, domain: Domain, out: Path) -> None:
        for name, data in copied.items():
            (out / name).write_bytes(data)

    monkeypatch.setattr(onnx_export, "write_networks", write_another)
    with pytest.raises(UserError, match="differs from PyTorch"):
        onnx_export.export_onnx(run, tmp_path / "out", onnx_export.ExportConfig(frames=2))
    with pytest.raises(UserError, match="has not finished"):
        open_predictor(tmp_path / "out")


def test_damaged_exports_are_refused(tmp_path: Path, export: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(export, copy)
    (copy / TRUNK).write_bytes((copy / TRUNK).read_bytes()[:1000])
    with pytest.raises(UserError, match=r"trunk\.onnx is not the network"):
        open_predictor(copy)
    with pytest.raises(UserError, match="--device cuda"):
        open_predictor(export, "cuda")
    with pytest.raises(UserError, match="shown 64 x 64"):
        open_predictor(export)[0].look(looks(64, 1)[0])
    with pytest.raises(UserError, match="expected the folder of a policy run or of an ONNX export"):
        open_predictor(tmp_path / "nowhere")


def test_a_finished_export_is_left_alone(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(onnx_export, "write_networks")
    report = onnx_export.export_onnx(export.parent / "run", export, onnx_export.ExportConfig(frames=2))
    assert report == json.loads((export / CHECK).read_text())
    with pytest.raises(UserError, match="frames"):
        onnx_export.export_onnx(export.parent / "run", export, onnx_export.ExportConfig(frames=3))


def test_a_served_policy_has_the_settings_of_its_network() -> None:
    assert tiny_policy().metadata["camera"] == json.loads(json.dumps(asdict(NETWORK.camera)))
