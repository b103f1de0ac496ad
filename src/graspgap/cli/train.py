"""`graspgap train OUT [--sim DATA] [--adapter RUN] [--real DATA] [--real-labels F] [--features NAMES]`"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from tyro.conf import Positional

from graspgap import processes
from graspgap.adaptation.feature import FEATURES, FeatureConfig, check_features, feature_names
from graspgap.adaptation.pixel import PixelMethod
from graspgap.cli.checks import at_least, check_numbers, one_camera, two_datasets
from graspgap.cli.hidden import hide
from graspgap.cli.place import Place
from graspgap.contract import Camera
from graspgap.datasets import Dataset, LabelledView, SimulatedView, open_dataset
from graspgap.deployment.calibration import CALIBRATION
from graspgap.deployment.front_end import FrontEnd
from graspgap.deployment.predictor import POLICY, load_predictor, recorded_policy
from graspgap.errors import UserError
from graspgap.evaluation.held_out import FIGURES, save_held_out_metrics
from graspgap.evaluation.pictures import save_prediction_grid
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.networks.presets import resized
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run
from graspgap.tensors import choose_device
from graspgap.training.adapt import adapted_view, adapter_choice, adapter_identity, load_adapter, shown_through
from graspgap.training.engine import choose_precision
from graspgap.training.grasp import (
    GraspData,
    GraspTrainingConfig,
    bounded_steps,
    policy_domain,
    policy_facts,
    train_grasp,
)
from graspgap.training.loop import Watch
from graspgap.training.trackers import chosen_trackers
from graspgap.worlds.camera_file import read_camera
from graspgap.zoo import MODELS, resolved

HELD_OUT = 0.1
"""Share of the scenes of each dataset kept from training, for calibration and AUC. An adapter that read simulation's
labels, as GraspGAN does, has seen all scenes."""

hide(GraspTrainingConfig, "methods", "steps", "precision", "seed")
hide(GraspNetConfig, "image_size", "camera")


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Run folder to write; a command that was stopped resumes."""
    sim: Place | None = None
    """Simulated dataset."""
    adapter: Path | None = None
    """Adapter run, or `zoo:NAME`, that makes the simulated pictures look real. A front end (`rcan`) changes the real
    ones too, and becomes a part of the policy."""
    real: Place | None = None
    """Real dataset."""
    real_labels: float = 0.0
    """Fraction of the real attempts whose labels training may use; 0: pictures, poses and commands alone."""
    camera: Path | None = None
    """File with the camera of the real pictures, as for `collect`, in place of what their dataset says: such as
    `graspgap align` has found it since."""
    features: str = ""
    """Feature-level methods, joined by commas: `dann`, `dsn`, `adda`, `confusion`, `coral`, `mmd`, `consistency`
    (label-free loss on real attempts), `dbn` (separate batch statistics), `adabn` (batch statistics from unlabelled
    reality after training)."""
    methods: dict[str, FeatureConfig] = field(default_factory=lambda: {name: kind() for name, kind in FEATURES.items()})
    """Settings of each feature-level method; those of the chosen ones count."""
    steps: int = 1500
    """Training steps; fewer are taken where real labels are few and alone (`--training.real-passes`)."""
    training: GraspTrainingConfig = field(default_factory=GraspTrainingConfig)
    """Everything else."""
    networks: str = "demo"
    """Size of the grasp network: `demo`, or `paper` (for 472 x 472 pixels; see `graspgap networks`). What
    `--training.network` sets stays."""
    image_size: int = 64
    """Pixels of a side of the pictures, checked against the datasets."""
    seed: int = 0
    workers: int = 0
    """Threads; 0: one per core."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`."""
    precision: str = "auto"
    """`fp32`, `bf16`, `fp16` (GPUs alone), or `auto`: bf16 on GPUs that compute in it, else fp32."""
    look_every: int = 0
    """Draw OUT/looks/STEP.png every so many steps: the held-out pictures whose commands look most and least promising;
    0: never."""
    tensorboard: bool = False
    """Log to OUT/tensorboard too (extra `tensorboard`); OUT/log.jsonl is always written."""
    trackers: str = ""
    """Other trackers that accelerate knows, joined by commas, such as `wandb`."""


def check(config: Config) -> None:
    """Refuse what can be refused before there is data."""
    at_least("--seed", config.seed, 0)
    at_least("--steps", config.steps, 1)
    check_numbers("--training", config.training)
    at_least("--look-every", config.look_every, 0)
    names = feature_names(config.features)
    check_features(names)
    for name in names:
        check_numbers(f"--methods.{name}", config.methods[name])
    _network(config, None)
    chosen_trackers(config.tensorboard, config.trackers)
    if config.sim:
        two_datasets(config.sim, config.real)
    if config.adapter and not config.sim:
        raise UserError("--adapter makes simulated pictures look real: give --sim DATA too")
    if config.real_labels and not config.real:
        raise UserError(f"--real-labels {config.real_labels:g} asks for labels of no dataset: give --real DATA too")


def run(config: Config) -> None:
    """Train the grasp network and measure it on held-out attempts."""
    check(config)
    trackers = chosen_trackers(config.tensorboard, config.trackers)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    if config.workers:
        torch.set_num_threads(choose_workers(config.workers))
    if config.adapter:
        config = replace(config, adapter=resolved(config.adapter))
    with processes.joined(device) as device:
        _train(config, device, precision, trackers)


def _train(config: Config, device: torch.device, precision: str, trackers: tuple[str, ...]) -> None:
    sim, sim_held = _split(config.sim, config)
    real, real_held = _split(config.real, config)
    camera = _camera(config, sim, real)
    methods = {name: config.methods[name] for name in feature_names(config.features)}
    network = _network(config, camera)
    training = replace(
        config.training, network=network, methods=methods, steps=config.steps, precision=precision, seed=config.seed
    )
    with processes.main_first():  # one decodes large pictures for all
        views = GraspData(
            sim=sim.simulated(extras=False) if sim else None,
            real=real.labelled(config.real_labels, config.seed) if real and config.real_labels else None,
            unlabelled=real.unlabelled() if real and methods else None,
        )
    views.check(methods)
    if network.join == "project" and camera is None:
        data, fix = (config.real, "give") if real else (config.sim, "collect it with")
        raise UserError(
            f"nobody has said the camera of {data}, through which the network sees: {fix} --camera FILE, or give "
            "--training.network.join add"
        )
    training = replace(training, steps=bounded_steps(training, views))
    inputs = {
        name: view.provenance()
        for name, view in (("sim", views.sim), ("real", views.real), ("unlabelled", views.unlabelled))
        if view is not None
    }
    facts: dict[str, Any] = {"policy": policy_facts(training)}
    facts["adapter"] = str(config.adapter) if config.adapter else None
    if config.adapter and (identity := adapter_identity(config.adapter)):  # a trained policy needs it no more
        facts["adapter_sha256"] = identity
    trained = (config.out / POLICY).exists()
    finished = trained and all(path.exists() for path in (config.out / FIGURES, config.out / CALIBRATION))
    method = None
    if config.adapter and not finished and not (trained and "front_end" in recorded_policy(config.out)):
        method = load_adapter(config.adapter, device, config.image_size)
    facts["policy"] |= _front_end_facts(config, method)
    with processes.main_first():
        begin_run(config.out, "policy", training, inputs | facts)
    if finished:
        print(f"{config.out}: already trained")
        return
    if method and views.sim and not trained:
        views = replace(views, adapted=_adapted(config, method, views.sim, device))
    held_out: dict[str, LabelledView] = {}
    if sim_held:
        view = sim_held.simulated(extras=False)
        if method and not method.front_end:  # which shows both domains, below
            view = replace(view, shown=_adapted(config, method, view, device, "-held"))
        held_out["sim"] = view
    if real_held and config.real_labels:
        held_out["real"] = real_held.labelled(config.real_labels, config.seed)
    domain = policy_domain(training)
    front_end = FrontEnd(method) if method and method.front_end else None
    if trained:
        predictor = load_predictor(config.out, config.device)
        net, front_end = predictor.net, predictor.front_end
    if front_end:
        held_out = {name: shown_through(front_end, view, device) for name, view in held_out.items()}

    def draw(path: Path, net: GraspNet) -> None:
        name, view = next(iter(held_out.items()))
        save_prediction_grid(path, net, view, device, domain if name == "real" else Domain.SIMULATION)

    if not trained:
        if front_end:
            with processes.main_first():
                front_end.save(config.out)
                views = views.shown_through(front_end, device)
        net = train_grasp(config.out, training, views, device, Watch(config.look_every, draw, trackers))
    if not processes.is_main():
        return
    metrics = save_held_out_metrics(config.out, net, held_out, device, domain)
    print(f"{config.out}: trained; held-out AUC " + ", ".join(f"{k} {v['auc']}" for k, v in metrics.items()))


def _network(config: Config, camera: Camera | None) -> GraspNetConfig:
    return resized(config.training.network, config.networks).fitted(config.image_size, camera)


def _adapted(
    config: Config, method: PixelMethod, view: SimulatedView, device: torch.device, part: str = ""
) -> UInt8[np.ndarray, "f 6 h w"]:
    """Simulated pairs as the adapter makes them, from where they are kept."""
    assert config.adapter is not None
    name = f"{view.provenance()['meta_sha256'][:12]}-{len(view)}-{config.seed}{part}"
    kept = config.out if config.adapter.parent == MODELS else config.adapter  # nothing is written to the zoo
    with processes.main_first():
        return adapted_view(kept, method, view, name, device)


def _camera(config: Config, sim: Dataset | None, real: Dataset | None) -> Camera | None:
    """The one that the network sees through; None for pictures of which nobody knows where they were taken from.

    Raises:
        UserError: if there is no data, or simulation and reality have different cameras.
    """
    if sim is None and real is None:
        raise UserError("training has no data: give --sim DATA, --real DATA, or both")
    if config.camera and not real:
        raise UserError("--camera says where the real pictures were taken from: give --real DATA too")
    simulated, seen = sim.camera if sim else None, real.camera if real else None
    if config.camera:
        seen = read_camera(config.camera).camera
    if sim and real:
        one_camera(sim.path, simulated, config.camera or real.path, seen)
    return simulated or seen


def _front_end_facts(config: Config, method: PixelMethod | None) -> dict[str, Any]:
    """What the policy run must tell of its front end, where it has one. A trained run has its own copy, whatever has
    become of the adapter's folder."""
    if (config.out / POLICY).exists():
        known = recorded_policy(config.out)
        return {name: known[name] for name in ("front_end",) if name in known}
    return {"front_end": adapter_choice(config.adapter)} if config.adapter and method and method.front_end else {}


def _split(path: Place | None, config: Config) -> tuple[Dataset | None, Dataset | None]:
    if path is None:
        return None, None
    data = open_dataset(path)
    data.require_image_size(config.image_size)
    return data.split_by_scene(HELD_OUT, config.seed)
