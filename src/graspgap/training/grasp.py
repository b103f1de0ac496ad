"""Train the grasp network C(I0, It, v) from simulation, adapted simulation, labelled and unlabelled reality."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from graspgap import processes
from graspgap.adaptation.batch import GraspBatch, joined
from graspgap.adaptation.feature import FRAMES, FeatureConfig, Losses, Seen, seen_as_one
from graspgap.adaptation.feature.statistics import recalibrate
from graspgap.adaptation.losses import grasp_loss, mask_loss
from graspgap.datasets import LabelledView, SimulatedView, UnlabelledView
from graspgap.deployment.front_end import FrontEnd
from graspgap.deployment.predictor import POLICY
from graspgap.errors import UserError
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.seeding import generator
from graspgap.tensors import save_module
from graspgap.training.adapt import shown_through
from graspgap.training.batches import AttemptFrames, AugmentConfig, GraspSamples
from graspgap.training.engine import Engine
from graspgap.training.loop import CHECKPOINT, Watch, run_steps


@dataclass(frozen=True)
class GraspTrainingConfig:
    """How the grasp network is trained. Every arm of a study has the same."""

    network: GraspNetConfig = field(default_factory=GraspNetConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    methods: dict[str, FeatureConfig] = field(default_factory=dict)
    """Feature-level methods by name, of `FEATURES`."""
    steps: int = 1500
    """Optimizer steps."""
    batch: int = 32
    """Pictures per step and source of labels, of all processes together."""
    commands_per_image: int = 6
    """Simulation only: labelled commands per picture, from attempts that share its settled scene."""
    learning_rate: float = 2e-3
    """Peak of Adam's learning rate; it warms up for 5% of the steps and falls along a cosine to 0."""
    weight_decay: float = 3e-2
    """Decoupled (AdamW)."""
    ema: float = 0.99
    """Decay of the averaged weights that a policy uses (0.9999 in the original, for thousands of times more steps)."""
    unlabelled: int = 6
    """Real attempts per step in feature-level methods, three pictures each."""
    masks: float = 0.5
    """Weight of predicting simulation's semantic masks from the trunk's features: many labels per picture, where a
    grasp gives one. Real data has none."""
    real_passes: float = 6.0
    """Each labelled real picture counts at most so often in all steps together, else few are learned by heart. Beside
    simulation's labels they weigh less; alone, training ends early."""
    fewest_steps: int = 300
    """It doesn't end before."""
    recalibration: int = 40
    """Batches from which the batch statistics of the averaged weights are taken at the end; no more than steps."""
    precision: str = "fp32"
    """`fp32`, `bf16` or `fp16`, from `choose_precision`. Losses of feature-level methods are always in fp32."""
    checkpoint_seconds: float = 30.0
    """Interval of the checkpoints."""
    seed: int = 0


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

    def shown_through(self, front_end: FrontEnd, device: torch.device) -> GraspData:
        """With the real pictures as the front end shows them to the policy, which `adapted` holds of `sim`."""
        real = None if self.real is None else shown_through(front_end, self.real, device)
        unlabelled = None if self.unlabelled is None else shown_through(front_end, self.unlabelled, device)
        return replace(self, real=real, unlabelled=unlabelled)

    def check(self, methods: Collection[str]) -> None:
        """Raises UserError if a feature-level method lacks its data, or there is no label at all."""
        if self.sim is None and self.real is None:
            raise UserError("training has no labels: give --sim DATA, or --real DATA with --real-labels above 0")
        names = ",".join(methods)
        if methods and self.unlabelled is None:
            raise UserError(f"--features {names} learn from unlabelled reality: give --real DATA")
        if methods and self.unlabelled is not None and self.unlabelled.poses is None:
            raise UserError("--features need gripper poses, and the dataset given as --real holds pictures alone")
        if methods and self.unlabelled is not None and np.diff(self.unlabelled.offsets).max(initial=0) < FRAMES:
            raise UserError(
                f"--features {names} read {FRAMES} pictures of an attempt, and no attempt of the dataset given as "
                f"--real has as many: collect one with --steps-per-attempt {FRAMES} or more"
            )


def bounded_steps(config: GraspTrainingConfig, data: GraspData) -> int:
    """`config.steps`, or fewer for real labels alone (`real_passes`)."""
    if data.sim is not None or data.real is None:
        return config.steps
    enough = round(config.real_passes * len(data.real.images) / config.batch)
    return min(config.steps, max(config.fewest_steps, enough))


class GraspTrainer:
    """The losses of one step, over whichever sources of data a run has."""

    def __init__(self, config: GraspTrainingConfig, data: GraspData, device: torch.device) -> None:
        data.check(config.methods)
        self.config, self.device, self.engine = config, device, Engine(device, config.precision)
        self.share = processes.share(config.batch, "--training.batch")
        if config.methods and config.batch < 2:
            raise UserError("--training.batch 1 gives feature-level methods nothing to compare: give 2 or more")
        augment = config.augment
        self.sim = self.real = self.frames = None
        if data.sim is not None:
            self.sim = GraspSamples(data.sim, config.commands_per_image, data.adapted, augment)
        if data.real is not None:
            self.real = GraspSamples(data.real, augment_config=augment)
        self.real_weight = 1.0
        if self.sim is not None and self.real is not None:
            self.real_weight = min(1.0, config.real_passes * len(self.real) / (config.steps * config.batch))
        if config.methods and data.unlabelled is not None:
            self.frames = AttemptFrames(data.unlabelled, FRAMES, augment)
            attempts = processes.share(config.unlabelled, "--training.unlabelled")
            self.share_of_frames = slice(attempts.start * FRAMES, attempts.stop * FRAMES)
        torch.manual_seed(int(generator(config.seed, "weights").integers(2**31)))
        self.net = GraspNet(config.network).to(device)
        self.methods = {name: options.build(self.net).to(device) for name, options in config.methods.items()}
        self.method_modules = nn.ModuleDict(self.methods)
        for name, method in self.methods.items():
            if method.needs_simulation and self.sim is None:
                raise UserError(f"--features {name} compares reality with simulation: give --sim DATA")
            if not method.divisible:
                processes.require_one(f"--features {name}")
        self.separate = any(options.separate for options in config.methods.values())
        self.looks = any(method.looks for method in self.methods.values())
        trained = self.separate and (self.real is not None or self.looks)
        if config.network.own_affine and policy_domain(config) is Domain.REALITY and not trained:
            raise UserError(
                "--training.network.own-affine gives reality a scale and shift that nothing here trains: with dbn, "
                "give --real-labels above 0 or a method that looks at real pictures, such as dann"
            )
        self.average = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
        groups = [{"params": list(module.parameters())} for module in (self.net, self.method_modules)]
        self.optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.means: dict[str, float] = {}
        """Losses of the newest step."""
        self.modules: dict[str, nn.Module] = {
            "net": self.net,
            "average": self.average,
            "methods": self.method_modules,
        }
        self.optimizers: dict[str, torch.optim.Optimizer] = {"adam": self.optimizer}

    def learning_rate(self, step: int) -> float:
        """Warm-up, then a cosine to 0."""
        done = (step + 1) / self.config.steps
        return self.config.learning_rate * min(done / 0.05, 0.5 * (1 + math.cos(math.pi * done)))

    def losses(self, step: int) -> Losses:
        """Weighted losses of step `step`, whose batches depend on (seed, step) alone."""
        config, net, progress = self.config, self.net, step / self.config.steps
        supervised = all(method.supervised(progress) for method in self.methods.values())
        batches = {}
        if self.sim is not None:
            batches["sim"] = self.sim.batch(generator(config.seed, "sim", step), config.batch, self.device)
        if self.real is not None and supervised:
            batches["real"] = self.real.batch(generator(config.seed, "real", step), config.batch, self.device)
        batches = {name: batch.part(self.share) for name, batch in batches.items()}
        reads = supervised or any(method.reads_simulation(progress) for method in self.methods.values())
        unread = None if reads else batches.pop("sim", None)
        if self.frames is not None and self.looks:
            batch = self.frames.batch(generator(config.seed, "unlabelled", step), config.unlabelled, self.device)
            batches["unlabelled"] = batch.part(self.share_of_frames)
        seen = self._see(batches)
        if unread:
            seen["sim"] = Seen(unread, unread.pictures.new_empty(0, 0, 0, 0), Domain.SIMULATION)
        labelled = {name: one for name, one in seen.items() if name != "unlabelled" and supervised}
        losses: Losses = self._grasp_losses(labelled)
        if "real" in losses:
            losses["real"] = self.real_weight * losses["real"]
        sim = seen.get("sim")
        if config.masks and sim and supervised and sim.batch.masks is not None:
            with self.engine.autocast():
                drawn = net.segment(sim.features)
            losses["masks"] = config.masks * mask_loss(drawn.float(), net.thinned(sim.batch.masks))
        if "unlabelled" in seen:
            for method in self.methods.values():
                losses |= method.losses(net, sim, seen["unlabelled"], progress)
        return losses

    def _together(self, names: Iterable[str]) -> list[tuple[Domain, list[str]]]:
        """Which sources are normalized in one batch, and whose batch statistics that moves."""
        if self.separate:
            return [(Domain.SIMULATION if name == "sim" else Domain.REALITY, [name]) for name in names]
        return [(Domain.SIMULATION, list(names))]

    def _see(self, batches: Mapping[str, GraspBatch]) -> dict[str, Seen]:
        """What the trunk makes of each source."""
        seen: dict[str, Seen] = {}
        for domain, names in self._together(batches):
            with self.engine.autocast():
                features = self.net.encode(joined([batches[name] for name in names]).pictures, domain)
            parts = features.float().split([len(batches[name].poses) for name in names])
            seen |= {name: Seen(batches[name], part, domain) for name, part in zip(names, parts, strict=True)}
        return seen

    def _grasp_losses(self, seen: Mapping[str, Seen]) -> Losses:
        """Of each source, which all have labels."""
        losses: Losses = {}
        for domain, names in self._together(seen) if seen else ():
            together = seen_as_one([seen[name] for name in names])
            batch = together.batch
            with self.engine.autocast():
                logits = self.net.score(together.features, batch.poses, batch.commands, domain, batch.shift)
            sizes = [len(seen[name].features) for name in names]
            parts = zip(names, logits.float().split(sizes), batch.success.split(sizes), strict=True)
            losses |= {name: grasp_loss(scored, success) for name, scored, success in parts}
        return losses

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; returns its losses."""
        torch.manual_seed(int(generator(self.config.seed, "step", step).integers(2**31)))
        self.net.train()
        own, methods = self.optimizer.param_groups
        methods["lr"] = self.learning_rate(step)
        own["lr"] = methods["lr"] * math.prod(m.rate(step / self.config.steps) for m in self.methods.values())
        losses = self.losses(step)
        self.engine.descend("net", losses, self.optimizer)
        self.average.update_parameters(self.net)
        self.means = self.engine.means(losses)
        return self.means

    def health(self) -> dict[str, float]:
        """As `Trainer.health`: gradients, and losses of domain classifiers whose gradient is reversed."""
        found = {f"gradient_{side}": norm for side, norm in self.engine.norms.items()}
        names = {method.reversed for method in self.methods.values()}
        return found | {f"reversed_{name}": loss for name, loss in self.means.items() if name in names}

    def look(self) -> GraspNet:
        """As `Trainer.look`, but with the newest weights: batch statistics of the averaged ones come at the end."""
        return self.net.eval()

    def finished(self) -> GraspNet:
        """The averaged network, with batch statistics of its own weights for each domain it has seen."""
        net = self.average.module
        assert isinstance(net, GraspNet)
        labelled = (self.sim,) if self.separate else (self.sim, self.real)
        sources = [self._labelled(samples) for samples in labelled if samples is not None]
        if self.looks and not self.separate:
            sources.append(self._unlabelled(self.config.unlabelled))
        if sources:
            recalibrate(net, map(joined, zip(*sources, strict=True)), Domain.SIMULATION)
        if self.frames is not None:
            recalibrate(net, self._unlabelled(max(1, self.config.batch // FRAMES)), Domain.REALITY)
        return net.eval()

    def _recalibration(self) -> range:
        return range(min(self.config.recalibration, self.config.steps))

    def _labelled(self, samples: GraspSamples) -> Iterator[GraspBatch]:
        """Batches to take statistics from."""
        for index in self._recalibration():
            yield samples.batch(generator(self.config.seed, "recalibrate", index), self.config.batch, self.device)

    def _unlabelled(self, attempts: int) -> Iterator[GraspBatch]:
        """The same, of unlabelled reality."""
        assert self.frames is not None
        for index in self._recalibration():
            yield self.frames.batch(generator(self.config.seed, "recalibrate", index), attempts, self.device)


def train_grasp(
    out: Path, config: GraspTrainingConfig, data: GraspData, device: torch.device, watch: Watch | None = None
) -> GraspNet:
    """Train, writing `log.jsonl`, `checkpoint.safetensors` and at last `policy.safetensors` to `out`; resumes."""
    trainer = GraspTrainer(config, data, device)
    run_steps(out, "train", trainer, config.steps, config.checkpoint_seconds, watch or Watch())
    with processes.alone():  # every process does the same, on whole batches
        net = trainer.finished()
    if processes.is_main():
        save_module(out / POLICY, net)
        (out / CHECKPOINT).unlink()
    return net


def policy_domain(config: GraspTrainingConfig) -> Domain:
    """Whose batch statistics a policy uses in reality."""
    real = any(options.separate or options.recalibrate for options in config.methods.values())
    return Domain.REALITY if real else Domain.SIMULATION


def policy_facts(config: GraspTrainingConfig) -> dict[str, object]:
    """What a policy run must tell so that its network can be built again, JSON-able.

    Raises:
        UserError: if the network or a method can't be built of these settings, which no run should begin with.
    """
    with torch.device("meta"):
        net = GraspNet(config.network)
        for options in config.methods.values():
            options.build(net)
    network = json.loads(json.dumps(asdict(config.network)))
    return {"network": network, "domain": policy_domain(config).name.lower()}
