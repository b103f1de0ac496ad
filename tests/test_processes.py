"""Several processes learn what one does: two on this machine's CPU, which speak by gloo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graspgap import processes
from graspgap.adaptation.feature import FEATURES
from graspgap.cli.main import main
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.seeding import generator
from graspgap.tensors import save_module
from graspgap.training.adapt import AdapterTrainer, AdapterTrainingConfig
from graspgap.training.batches import AttemptFrames
from graspgap.training.grasp import GraspData, GraspTrainer, GraspTrainingConfig
from test_front_end import CONFIG as RCAN
from test_gans import OPTIONS
from trainers import ADAPTER, CPU, TRAINING, with_canonical

STEPS = 3
ADAPTERS = {
    "graspgan": replace(ADAPTER, ema=0.5),
    "cyclegan": AdapterTrainingConfig("cyclegan", replace(OPTIONS["cyclegan"], history=0), batch=4),
    "cut": AdapterTrainingConfig("cut", OPTIONS["cut"], batch=4),
    "fastcut": AdapterTrainingConfig("fastcut", OPTIONS["fastcut"], batch=4),
    "rcan": AdapterTrainingConfig("rcan", RCAN, batch=4),
}
POLICIES = ("", "dann", "dsn", "adda", "confusion", "coral", "mmd", "consistency,dbn", "adabn")


def learn(out: Path, sim_data: Path, real_data: Path, config: AdapterTrainingConfig | GraspTrainingConfig) -> None:
    """Some steps, as one of however many processes there are: the losses, and the final weights."""
    sim, real = open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()
    trainer: AdapterTrainer | GraspTrainer
    if isinstance(config, AdapterTrainingConfig):
        if config.options.needs_canonical:
            sim = with_canonical(sim)
            sim.depths[::3] = 0  # processes know the depth of unequally many pixels
        trainer = AdapterTrainer(replace(config, steps=STEPS), sim, real, CPU)
    else:
        trainer = GraspTrainer(
            config, GraspData(sim=sim, real=open_dataset(real_data).labelled(0.5), unlabelled=real), CPU
        )
    for group in (group for optimizer in trainer.optimizers.values() for group in optimizer.param_groups):
        group["eps"] = 1e-3  # so that Adam makes no steps of nothing but rounding
    losses = [trainer.step(step) for step in range(STEPS)]
    with processes.alone():
        module = trainer.finished()
    if processes.is_main():
        out.mkdir(parents=True)
        (out / "losses.json").write_text(json.dumps(losses))
        save_module(out / "weights.safetensors", module)


def learn_all(out: Path, sim_data: Path, real_data: Path) -> None:
    torch.set_num_threads(1)
    for name, config in ADAPTERS.items():
        learn(out / name, sim_data, real_data, config)
    for names in POLICIES:
        methods = {name: FEATURES[name]() for name in names.split(",") if name}
        config = replace(TRAINING, methods=methods, steps=STEPS, unlabelled=4)
        learn(out / f"train{names}", sim_data, real_data, config)


def one_of_two(rank: int, port: int, *paths: Path) -> None:
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    with processes.joined(CPU):
        learn_all(*paths)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, sim_data: Path, real_data: Path) -> tuple[Path, Path]:
    """What one process learned, and two."""
    one, two = tmp_path_factory.mktemp("one") / "runs", tmp_path_factory.mktemp("two") / "runs"
    context = torch.multiprocessing.spawn(one_of_two, (free_port(), two, sim_data, real_data), nprocs=2, join=False)
    learn_all(one, sim_data, real_data)
    while not context.join():
        pass
    return one, two


@pytest.mark.parametrize("name", [*ADAPTERS, *(f"train{names}" for names in POLICIES)])
def test_two_processes_learn_what_one_does(runs: tuple[Path, Path], name: str) -> None:
    one, two = (json.loads((run / name / "losses.json").read_text()) for run in runs)
    assert len(one) == STEPS
    for expected, found in zip(one, two, strict=True):
        assert found == pytest.approx(expected, rel=2e-4, abs=1e-5)
    weights, found = (load_file(run / name / "weights.safetensors") for run in runs)
    assert weights.keys() == found.keys()
    for key, tensor in weights.items():
        torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=5e-5, msg=key)


def test_accelerate_launch_trains_a_policy_as_one_process_does(
    tmp_path: Path, sim_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole command, of which the first process alone writes."""
    one, two = tmp_path / "one", tmp_path / "two"
    short = ("--sim", str(sim_data), "--image-size", "32", "--steps", "25", "--training.batch", "4", "--workers", "1")
    short += ("--training.recalibration", "2", "--training.learning-rate", "1e-4", "--look-every", "25")
    launch = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port())]
    command = [sys.executable, "-m", *launch, "-m", "graspgap.cli.main", "train", str(two), *short]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "2 processes share every batch" in done.stderr
    assert done.stdout.count("trained; held-out AUC") == 1
    assert main(["train", str(one), *short]) == 0
    files = [sorted(str(path.relative_to(run)) for path in run.rglob("*")) for run in (one, two)]
    assert files[0] == files[1]
    expected, found = (json.loads((run / "log.jsonl").read_text()) for run in (one, two))
    assert found["sim"] == pytest.approx(expected["sim"], rel=1e-3)
    capsys.readouterr()


@pytest.fixture
def _two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "rank", lambda: 1)


@pytest.mark.usefixtures("_two")
def test_a_share_of_a_batch_is_the_rows_of_the_rank() -> None:
    assert processes.share(6, "--batch") == slice(3, 6)
    with pytest.raises(UserError, match="--batch 5 can't be shared out evenly among 2 processes"):
        processes.share(5, "--batch")


@pytest.mark.usefixtures("_two")
@pytest.mark.parametrize("name", ["cyclegan", "perceptual"])
def test_a_method_that_looks_at_the_order_of_a_batch_is_refused(sim_data: Path, real_data: Path, name: str) -> None:
    sim, real = open_dataset(sim_data).simulated(), open_dataset(real_data).unlabelled()
    with pytest.raises(UserError, match=f"--method {name} .* use one process"):
        AdapterTrainer(AdapterTrainingConfig(name, OPTIONS[name], batch=4), sim, real, CPU)


def test_a_part_of_a_batch_is_its_samples(real_data: Path) -> None:
    batch = AttemptFrames(open_dataset(real_data).unlabelled()).batch(generator(0), 4, CPU)
    part = batch.part(slice(3, 6))
    assert part.masks is None
    assert torch.equal(part.pictures, batch.pictures[3:6])
    assert torch.equal(part.shift, batch.shift[3:6])
