"""RCAN and its place before a policy: its losses, and that whatever the policy sees has gone through it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import SIM, PaperWorld
from graspgap.adaptation.losses import gan_discriminator, gan_generator, pmse
from graspgap.adaptation.pixel import PixelMethod
from graspgap.adaptation.pixel.rcan import Rcan, RcanConfig, depth_loss, segmentation_loss
from graspgap.caches import CACHE
from graspgap.cli.main import main
from graspgap.contract import Layers, SemanticClass, Workspace
from graspgap.datasets import SimulatedView, finish, mapped, open_dataset, write_shard
from graspgap.deployment.calibration import CALIBRATION, load_calibration
from graspgap.deployment.front_end import FRONT_END, FrontEnd
from graspgap.deployment.onnx_export import ExportConfig, export_onnx
from graspgap.deployment.predictor import NetworkPredictor, load_predictor
from graspgap.errors import UserError
from graspgap.evaluation.calibrate import calibrate
from graspgap.evaluation.held_out import held_out_metrics, predicted_success
from graspgap.evaluation.pictures import adaptation_rows
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import ScriptedPolicy
from graspgap.networks import DiscriminatorsConfig, GeneratorConfig, GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.seeding import generator
from graspgap.selection.policies import policy_scores
from graspgap.selection.samples import ScoreSettings
from graspgap.training.adapt import (
    AdapterTrainer,
    AdapterTrainingConfig,
    adapt_frames,
    load_adapter,
    shown_through,
    train_adapter,
)
from graspgap.training.batches import AttemptFrames, AugmentConfig, GraspSamples, to_float, to_uint8
from graspgap.training.grasp import GraspData
from trainers import CPU, NETWORK, with_canonical

CONFIG = RcanConfig(GeneratorConfig(widths=(4, 6, 8), skip=0.0, noise=0), DiscriminatorsConfig(scales=2, widths=(4, 6)))
TRAINING = AdapterTrainingConfig("rcan", CONFIG, steps=6, batch=4)
SMALL = ("--image-size", "32", "--workers", "1", "--steps", "3")
NETWORKS = ("--methods.rcan.generator.widths", "4", "6", "8", "--methods.rcan.discriminators.scales", "2")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def sim(sim_data: Path) -> SimulatedView:
    return with_canonical(open_dataset(sim_data).simulated())


@pytest.fixture
def front_end() -> FrontEnd:
    torch.manual_seed(0)
    return FrontEnd(Rcan(CONFIG))


@pytest.fixture(scope="module")
def canonical_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper world with negatives as its canonical pictures."""
    folder, rows = tmp_path_factory.mktemp("canonical") / "data", []
    for k in range(40):
        row = run_attempt(PaperWorld(SIM), ScriptedPolicy(4), 0, k, per_scene=4)
        empty = np.zeros((32, 32), np.uint8), np.full((32, 32), 0.5, np.float32)
        layers = [Layers(*empty, canonical=255 - image) for image in (row.image_before, *row.images)]
        rows.append(replace(row, layers_before=layers[0], layers=layers[1:]))
    write_shard(folder, 0, rows)
    finish(folder, {"seed": 0}, SIM, 1)
    return folder


def test_the_segmentation_loss_is_the_squared_error_of_shares() -> None:
    torch.manual_seed(0)
    logits, masks = torch.randn(2, 2, 4, 3, 3), torch.randint(4, (2, 2, 3, 3))
    total = 0.0
    for index in np.ndindex(2, 2, 3, 3):
        b, k, row, column = index
        odds = [float(logits[b, k, c, row, column].exp()) for c in range(4)]
        total += sum((odds[c] / sum(odds) - (c == int(masks[index]))) ** 2 for c in range(4))
    assert float(segmentation_loss(logits, masks)) == pytest.approx(total / (2 * 2 * 3 * 3 * 4), rel=1e-5)
    certain = 100.0 * torch.nn.functional.one_hot(masks, 4).movedim(-1, 2)
    assert float(segmentation_loss(certain, masks)) == 0


def test_depth_counts_where_something_is_hit() -> None:
    depth = torch.tensor([[[[0.5, 0.0], [0.7, 0.0]]]])
    made = torch.tensor([[[[0.6, 9.0], [0.4, -9.0]]]])
    assert float(depth_loss(made, depth)) == pytest.approx((0.1**2 + 0.3**2) / 2, rel=1e-5)
    assert float(depth_loss(made, torch.zeros_like(depth))) == 0


def test_a_turn_has_the_published_losses(sim: SimulatedView, real_data: Path) -> None:
    options = replace(CONFIG, pictures=2.0, segmentation=3.0, depth=5.0, adversarial=7.0)
    trainer = AdapterTrainer(replace(TRAINING, options=options), sim, open_dataset(real_data).unlabelled(), CPU)
    method, batch = trainer.method, trainer.batch(0)
    assert isinstance(method, Rcan)
    assert batch.canonical is not None
    assert batch.depth is not None
    torch.testing.assert_close(batch.canonical, -batch.pictures)
    torch.testing.assert_close(batch.depth[batch.masks == SemanticClass.ARM].unique(), torch.tensor([0.5]))
    made, classes, depth = method.generator(batch.pictures, batch.noise)
    verdicts, known = method.discriminators(made), method.discriminators(batch.canonical)
    turns = dict(method.turns(batch, 0.0))
    critic = sum(gan_discriminator(k, v) for k, v in zip(known, verdicts, strict=True)) / 2
    expected = {
        "pictures": 2 * (pmse(made[:, :3], batch.canonical[:, :3]) + pmse(made[:, 3:], batch.canonical[:, 3:])) / 2,
        "segmentation": 3 * segmentation_loss(classes, batch.masks),
        "depth": 5 * depth_loss(depth, batch.depth),
        "adversarial": 7 * sum(gan_generator(verdict) for verdict in verdicts) / 2,
    }
    torch.testing.assert_close(turns["critics"], {"critic": critic})
    torch.testing.assert_close(turns["generator"], expected)
    without = dict(method.turns(replace(batch, depth=None), 0.0))["generator"]
    assert without.keys() == expected.keys() - {"depth"}


def test_no_real_picture_is_learned_from(tmp_path: Path, sim: SimulatedView, real_data: Path) -> None:
    real = open_dataset(real_data).unlabelled()
    train_adapter(tmp_path / "one", TRAINING, sim, real, CPU)
    train_adapter(tmp_path / "other", TRAINING, sim, replace(real, images=255 - real.images), CPU)
    one, other = (load_file(tmp_path / name / "adapter.safetensors") for name in ("one", "other"))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_the_canonical_look_is_learned(tmp_path: Path, sim: SimulatedView, real_data: Path) -> None:
    config = replace(TRAINING, steps=100, batch=8)
    method = train_adapter(tmp_path, config, sim, open_dataset(real_data).unlabelled(), CPU)
    frames = np.arange(40)
    made = to_float(adapt_frames(method, sim, frames, 0, CPU), CPU)
    wanted, given = to_float(255 - sim.pairs(frames), CPU), to_float(sim.pairs(frames), CPU)
    assert pmse(made, wanted) < 0.4 * pmse(given, wanted)


def test_training_sees_real_and_simulated_pictures_through_the_front_end(
    sim: SimulatedView, real_data: Path, front_end: FrontEnd
) -> None:
    data = open_dataset(real_data)
    seen = GraspData(sim, real=data.labelled(0.5), unlabelled=data.unlabelled()).shown_through(front_end, CPU)
    still = AugmentConfig(shift=0, contrast=0, tint=0, brightness=0)
    for view, raw in ((seen.real, data.labelled(0.5)), (seen.unlabelled, data.unlabelled())):
        assert view is not None
        frames = np.arange(len(raw.images))
        with torch.no_grad():
            wanted = front_end(to_float(raw.pairs(frames), CPU))
        torch.testing.assert_close(to_float(view.pairs(frames), CPU), wanted)
        assert (wanted - to_float(raw.pairs(frames), CPU)).abs().mean() > 0.1
        allowed = {picture.numpy().tobytes() for picture in to_float(to_uint8(wanted), CPU)}
        samples = GraspSamples(view, augment_config=still) if view is seen.real else AttemptFrames(view, 3, still)
        batch = samples.batch(generator(0), 6, CPU)
        rounded = to_float(to_uint8(batch.pictures), CPU)
        assert {picture.numpy().tobytes() for picture in rounded} <= allowed
    frames = np.arange(len(sim.images))
    adapted = adapt_frames(front_end.method, sim, frames, 0, CPU)
    np.testing.assert_array_equal(adapted, shown_through(front_end, sim, CPU).pairs(frames))


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, canonical_data: Path, real_data: Path
) -> tuple[Path, PixelMethod, list[str]]:
    """A policy run with a front end, whose adapter run is gone; the front end; and the words that trained it."""
    folder = tmp_path_factory.mktemp("front-end")
    adapter, policy = folder / "adapter", folder / "policy"
    adapt = ["adapt", str(adapter), "--method", "rcan", "--sim", str(canonical_data), "--real", str(real_data)]
    assert main([*adapt, *SMALL, *NETWORKS]) == 0
    train = ["train", str(policy), "--sim", str(canonical_data), "--adapter", str(adapter), "--real", str(real_data)]
    train += ["--real-labels", "0.5", "--features", "adabn", *SMALL]
    assert main(train) == 0
    method = load_adapter(adapter, CPU, 32)
    shutil.rmtree(adapter)
    return policy, method, train


def test_a_served_policy_looks_through_its_front_end(trained: tuple[Path, PixelMethod, list[str]]) -> None:
    pytest.importorskip("msgpack", reason="extra serve")
    from graspgap.deployment.requests import Request
    from graspgap.deployment.served import ServedConfig, load_served

    policy, *_ = trained
    observation, commands = PaperWorld(SIM).reset(3), np.tile(np.float32([0.02, 0, 0, 0, 1]), (2, 1))
    served = load_served(policy, ServedConfig())
    expected = load_predictor(policy).look(observation)(commands)
    np.testing.assert_allclose(served.predictor.look(observation)(commands), expected, rtol=1e-5)
    assert served.answer(Request(observation, 1))["actions"].shape == (1, 5)


def test_a_front_end_is_not_exported(trained: tuple[Path, PixelMethod, list[str]], tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="extra onnx")
    policy, *_ = trained
    with pytest.raises(UserError, match="'front_end', which can't be exported yet"):
        export_onnx(policy, tmp_path / "onnx", ExportConfig())


def test_a_policy_keeps_its_front_end_and_looks_through_it(
    tmp_path: Path,
    trained: tuple[Path, PixelMethod, list[str]],
    canonical_data: Path,
    real_data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy, method, train = trained
    predictor = load_predictor(policy)
    observation = PaperWorld(SIM).reset(3)
    commands = np.zeros((4, 5), np.float32)
    commands[:, 0], commands[:, 4] = np.linspace(-0.05, 0.05, 4), 1
    pair = np.concatenate([observation.image_before, observation.image_now], axis=2).transpose(2, 0, 1)[None]
    raw, poses = to_float(pair, CPU), torch.from_numpy(observation.pose[None])
    scores = []
    with torch.no_grad():
        for pictures in (FrontEnd(method)(raw), raw):
            logits = predictor.net(pictures, poses, torch.from_numpy(commands[None]), Domain.REALITY)
            scores.append(logits[0].sigmoid().numpy())
    np.testing.assert_allclose(predictor.look(observation)(commands), scores[0], rtol=1e-5)
    assert np.abs(scores[0] - scores[1]).max() > 1e-4
    held = open_dataset(canonical_data).split_by_scene(0.1, 0)[1].simulated()
    shown = shown_through(FrontEnd(method), held, CPU)
    found = json.loads((policy / "held_out.json").read_text())["sim"]
    predicted = predicted_success(predictor.net, shown, CPU)
    assert found == held_out_metrics(predicted, shown)
    kept = load_calibration(policy / CALIBRATION)
    assert kept == calibrate("sim", predicted, shown.success[shown.owner])  # real attempts are too few
    labelled = open_dataset(real_data).split_by_scene(0.1, 0)[1].labelled(0.5)
    labelled = shown_through(FrontEnd(method), labelled, CPU)
    predicted = predicted_success(predictor.net, labelled, CPU, Domain.REALITY)
    found = json.loads((policy / "held_out.json").read_text())["real"]
    assert found == held_out_metrics(predicted, labelled)
    capsys.readouterr()
    assert main(train) == 0  # trained already, and the adapter's folder is gone
    assert "already trained" in capsys.readouterr().out
    broken = shutil.copytree(policy, tmp_path / "broken")
    (broken / FRONT_END).unlink()
    with pytest.raises(UserError, match=rf"has no {FRONT_END}: the front end of"):
        load_predictor(broken)


def test_what_is_more_than_memory_holds_is_mapped_once_for_each_front_end(
    sim: SimulatedView, front_end: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = shown_through(front_end, sim, CPU)
    monkeypatch.setenv(CACHE, str(tmp_path))
    monkeypatch.setattr(mapped, "most_in_memory", lambda: 0)
    torch.manual_seed(1)
    for each, same in ((front_end, True), (front_end, True), (FrontEnd(Rcan(CONFIG)), False)):
        far = shown_through(each, sim, CPU)
        assert far.shown is not None
        assert not far.shown.flags.writeable
        assert np.array_equal(far.pairs(np.arange(9)), near.pairs(np.arange(9))) == same
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_scores_see_reality_through_the_front_end(sim: SimulatedView, real_data: Path, front_end: FrontEnd) -> None:
    """A front end that paints everything grey makes both worlds one."""
    real = open_dataset(real_data).unlabelled()
    torch.nn.init.zeros_(front_end.method.get_submodule("generator.picture").weight)
    predictor = NetworkPredictor(GraspNet(NETWORK), Domain.SIMULATION, front_end=front_end)
    frames = np.arange(40)
    settings = ScoreSettings(classifier_steps=5, looks=2)
    camera = GraspNetConfig().camera
    shown = adapt_frames(front_end.method, sim, frames, 0, CPU)
    values = policy_scores(predictor, sim, frames, shown, real, frames, (camera, camera), Workspace(), False, settings)
    assert values["feature_distance"] == pytest.approx(0, abs=1e-6)
    assert values["recoloured_auc"] == values["sim_auc"]


def test_other_policies_have_none(tmp_path: Path, sim_data: Path) -> None:
    assert main(["train", str(tmp_path), "--sim", str(sim_data), *SMALL]) == 0
    assert "front_end" not in json.loads((tmp_path / "config.json").read_text())["inputs"]["policy"]
    assert load_predictor(tmp_path).front_end is None


def test_a_dataset_without_canonical_pictures_is_refused_with_the_fix(
    tmp_path: Path, sim_data: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["adapt", str(tmp_path / "run"), "--method", "rcan", "--sim", str(sim_data), "--real", str(real_data)]
    assert main([*words, *SMALL, "--methods.rcan.discriminators.scales", "1"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{sim_data} has no canonical pictures" in line
    assert "--randomize both --canonical" in line
    assert not (tmp_path / "run").exists()


def test_a_grid_shows_what_becomes_of_real_pictures(sim: SimulatedView, real_data: Path, front_end: FrontEnd) -> None:
    rows = adaptation_rows(front_end.method, sim, open_dataset(real_data).unlabelled(), CPU, pairs=2)  # type: ignore[arg-type]
    assert list(rows)[2:] == ["adapted", "reality", "reality, as the policy sees it"]
    with torch.no_grad():
        pair = np.concatenate(rows["reality"][:2], axis=2).transpose(2, 0, 1)[None]
        shown = to_uint8(front_end(to_float(pair, CPU)))[0]
    np.testing.assert_array_equal(
        np.concatenate(rows["reality, as the policy sees it"][:2], axis=2), shown.transpose(1, 2, 0)
    )
