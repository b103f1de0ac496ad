"""Train the grasp network C(I0, It, v) from simulation, adapted simulation, labelled and unlabelled reality."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from graspgap.adaptation.feature.consistency import agreement_loss, consistency_loss, location_loss, update_offset
from graspgap.adaptation.losses import grasp_loss, mask_loss
from graspgap.datasets import LabelledView, SimulatedView, UnlabelledView
from graspgap.deployment.predictor import POLICY
from graspgap.errors import UserError, choose
from graspgap.networks import DomainBatchNorm, GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.progress import progress
from graspgap.seeding import generator
from graspgap.tensors import load_checkpoint, save_checkpoint, save_module
from graspgap.training.batches import AttemptFrames, AugmentConfig, GraspBatch, GraspSamples
from graspgap.training.log import TrainingLog

FEATURES = ("consistency", "dbn", "adabn")
"""Feature-level methods: the label-free consistency loss, domain-specific batch statistics while training, and
batch statistics taken from unlabelled reality after training."""

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class GraspTrainingConfig:
    """How the grasp network is trained. Every arm of a study has the same."""

    network: GraspNetConfig = field(default_factory=GraspNetConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    features: tuple[str, ...] = ()
    """Feature-level methods, of `consistency`, `dbn`, `adabn`."""
    steps: int = 1500
    """Optimizer steps."""
    batch: int = 32
    """Pictures per step and source of labels."""
    commands_per_image: int = 6
    """Simulation only: labelled commands per picture, from attempts that share its settled scene."""
    learning_rate: float = 2e-3
    """Peak of Adam's learning rate; it warms up for 5% of the steps and falls along a cosine to 0."""
    weight_decay: float = 3e-2
    """Decoupled (AdamW)."""
    ema: float = 0.99
    """Decay of the averaged weights that a policy uses (0.9999 in the original, for thousands of times more steps)."""
    unlabelled: int = 6
    """Real attempts per step in the consistency loss, three pictures each."""
    masks: float = 0.5
    """Weight of predicting simulation's semantic masks from the trunk's features: many labels per picture, where a
    grasp gives one. Real data has none."""
    consistency: float = 2.0
    """Weight of the consistency loss on real pictures."""
    location: float = 1.0
    """Weight of locating the gripper in simulation, which the consistency loss rests on."""
    agreement: float = 0.0
    """Weight of the pictures of a real attempt agreeing on its success."""
    offset_momentum: float = 0.02
    """Weight of the newest batch in the measured image offset of reality's camera."""
    recalibration: int = 40
    """Batches from which the batch statistics of the averaged weights are taken at the end."""
    checkpoint_seconds: float = 30.0
    """Interval of the checkpoints."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.features:
            choose("--features", name, FEATURES)


@dataclass(frozen=True)
class GraspData:
    """What a run may see."""

    sim: SimulatedView | None = None
    adapted: np.ndarray | None = None
    """uint8 [f, 6, h, w]: adapted pictures of `sim`, used in place of its own."""
    real: LabelledView | None = None
    """Labelled reality."""
    unlabelled: UnlabelledView | None = None
    """Reality without labels."""

    def check(self, features: tuple[str, ...]) -> None:
        """Raises UserError if a feature-level method lacks its data, or there is no label at all."""
        if self.sim is None and self.real is None:
            raise UserError("training has no labels: give --sim DATA, or --real DATA with --real-labels above 0")
        if features and self.unlabelled is None:
            raise UserError(f"--features {','.join(features)} learn from unlabelled reality: give --real DATA")
        if features and self.unlabelled is not None and self.unlabelled.poses is None:
            raise UserError("--features need gripper poses, and the dataset given as --real holds pictures alone")
        if "consistency" in features and self.sim is None:
            raise UserError("--features consistency learns what a gripper looks like in simulation: give --sim DATA")


def test_domain(features: tuple[str, ...]) -> Domain:
    """Whose batch statistics a policy uses in reality."""
    return Domain.REALITY if {"dbn", "adabn"} & set(features) else Domain.SIMULATION


class GraspTrainer:
    """The losses of one step, over whichever sources of data a run has."""

    def __init__(self, config: GraspTrainingConfig, data: GraspData, device: torch.device) -> None:
        data.check(config.features)
        self.config, self.device = config, device
        self.separate = "dbn" in config.features
        self.consistent = "consistency" in config.features
        augment = config.augment
        self.sim = self.real = self.frames = None
        if data.sim is not None:
            self.sim = GraspSamples(data.sim, config.commands_per_image, data.adapted, augment)
        if data.real is not None:
            self.real = GraspSamples(data.real, augment_config=augment)
        if config.features and data.unlabelled is not None:
            self.frames = AttemptFrames(data.unlabelled, augment_config=augment)
        torch.manual_seed(int(generator(config.seed, "weights").integers(2**31)))
        self.net = GraspNet(config.network).to(device)
        self.average = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    @property
    def real_domain(self) -> Domain:
        """Whose batch statistics real pictures move."""
        return Domain.REALITY if self.separate else Domain.SIMULATION

    def learning_rate(self, step: int) -> float:
        """Warm-up, then a cosine to 0."""
        done = (step + 1) / self.config.steps
        return self.config.learning_rate * min(done / 0.05, 0.5 * (1 + math.cos(math.pi * done)))

    def losses(self, step: int) -> dict[str, Tensor]:
        """Weighted losses of step `step`, whose batches depend on (seed, step) alone."""
        config, net = self.config, self.net
        losses: dict[str, Tensor] = {}
        if self.sim is not None:
            batch = self.sim.batch(generator(config.seed, "sim", step), config.batch, self.device)
            features = net.encode(batch.pictures)
            logits = net.score(features, batch.poses, batch.commands, shift=batch.shift)
            losses["sim"] = grasp_loss(logits, batch.success)
            if config.masks and batch.masks is not None:
                losses["masks"] = config.masks * mask_loss(net.segment(features), batch.masks)
            if self.consistent:
                where = net.project(batch.poses[:, :3]) + batch.shift
                losses["location"] = config.location * location_loss(net.locate(features), where)
        if self.real is not None:
            batch = self.real.batch(generator(config.seed, "real", step), config.batch, self.device)
            features = net.encode(batch.pictures, self.real_domain)
            logits = net.score(features, batch.poses, batch.commands, self.real_domain, batch.shift)
            losses["real"] = grasp_loss(logits, batch.success)
        if self.consistent:
            losses |= self.consistency_losses(step)
        return losses

    def consistency_losses(self, step: int) -> dict[str, Tensor]:
        """The label-free losses on real attempts; they also measure the image offset of reality's camera."""
        config, net, domain = self.config, self.net, self.real_domain
        assert self.frames is not None
        draw = generator(config.seed, "unlabelled", step)
        pictures, poses, commands, shift = self.frames.batch(draw, config.unlabelled, self.device)
        features = net.encode(pictures, domain)
        groups = (config.unlabelled, self.frames.frames)
        located = net.locate(features).unflatten(0, groups)
        projected = (net.project(poses[:, :3]) + shift).unflatten(0, groups)
        losses = {"consistency": config.consistency * consistency_loss(located, projected)}
        if self.separate:
            update_offset(net.offset[domain], located, projected, config.offset_momentum)
        if config.agreement:
            logits = net.score(features, poses, commands[:, None], domain, shift).reshape(groups)
            losses["agreement"] = config.agreement * agreement_loss(logits)
        return losses

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; returns its losses."""
        self.net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        losses = self.losses(step)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()
        self.average.update_parameters(self.net)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def finished(self) -> GraspNet:
        """The averaged network, with batch statistics of its own weights for each domain it has seen."""
        net = self.average.module
        assert isinstance(net, GraspNet)
        buffers = dict(self.net.named_buffers())
        for name, buffer in net.named_buffers():
            buffer.copy_(buffers[name])
        if self.sim is not None:
            recalibrate(net, self._labelled_batches(self.sim), Domain.SIMULATION)
        if self.real is not None and (self.sim is None or self.separate):
            recalibrate(net, self._labelled_batches(self.real), self.real_domain)
        if self.frames is not None:
            recalibrate(net, self._unlabelled_batches(), Domain.REALITY)
        return net.eval()

    def _labelled_batches(self, samples: GraspSamples) -> Iterator[GraspBatch]:
        for index in range(self.config.recalibration):
            yield samples.batch(generator(self.config.seed, "recalibrate", index), self.config.batch, self.device)

    def _unlabelled_batches(self) -> Iterator[GraspBatch]:
        assert self.frames is not None
        for index in range(self.config.recalibration):
            draw = generator(self.config.seed, "recalibrate", index)
            attempts = max(1, self.config.batch // self.frames.frames)
            pictures, poses, commands, shift = self.frames.batch(draw, attempts, self.device)
            unknown = torch.full((len(poses), 1), math.nan)
            yield GraspBatch(pictures, poses, commands[:, None], unknown, shift)


@torch.no_grad()
def recalibrate(net: GraspNet, batches: Iterable[GraspBatch], domain: Domain) -> None:
    """Replace one domain's batch statistics by their plain average over these batches, whose labels are not read
    (AdaBN, Li et al. 2016, where they are pictures of the target domain)."""
    norms = [module for module in net.modules() if isinstance(module, DomainBatchNorm)]
    momenta = [norm.momentum for norm in norms]
    net.train()
    for index, batch in enumerate(batches):
        for norm in norms:
            norm.momentum = 1 / (index + 1)
        net.score(net.encode(batch.pictures, domain), batch.poses, batch.commands[:, :1], domain, batch.shift)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()


def train_grasp(out: Path, config: GraspTrainingConfig, data: GraspData, device: torch.device) -> GraspNet:
    """Train, writing `log.jsonl`, `checkpoint.safetensors` and at last `policy.safetensors` to `out`; resumes."""
    trainer = GraspTrainer(config, data, device)
    modules = {"net": trainer.net, "average": trainer.average}
    optimizers = {"adam": trainer.optimizer}
    done = load_checkpoint(out / CHECKPOINT, modules, optimizers)
    log = TrainingLog(out / "log.jsonl", done)
    saved = time.monotonic()
    with progress("train", config.steps, done) as advance:
        for step in range(done, config.steps):
            losses = trainer.step(step)
            log.write(step, losses)
            advance(1, " ".join(f"{name} {value:.3f}" for name, value in losses.items()))
            if time.monotonic() - saved >= config.checkpoint_seconds:
                save_checkpoint(out / CHECKPOINT, step + 1, modules, optimizers)
                saved = time.monotonic()
    save_checkpoint(out / CHECKPOINT, config.steps, modules, optimizers)
    net = trainer.finished()
    save_module(out / POLICY, net)
    (out / CHECKPOINT).unlink()
    return net


def policy_facts(config: GraspTrainingConfig) -> dict[str, object]:
    """What a policy run must tell so that its network can be built again, JSON-able."""
    network = json.loads(json.dumps(asdict(config.network)))
    return {"network": network, "domain": test_domain(config.features).name.lower()}
