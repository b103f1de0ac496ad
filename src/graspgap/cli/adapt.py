"""`graspgap adapt OUT --sim DATA --real DATA`"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from tyro.conf import Positional

from graspgap import processes
from graspgap.adaptation.pixel import METHODS, PixelConfig, PixelMethod
from graspgap.cli.checks import at_least, check_numbers, share_below_one, two_datasets
from graspgap.cli.hidden import hide
from graspgap.cli.place import Place
from graspgap.contract import Camera
from graspgap.datasets import Dataset, open_dataset
from graspgap.errors import UserError, choose
from graspgap.evaluation.pictures import GRID, save_adaptation_grid
from graspgap.networks import GraspNetConfig
from graspgap.networks.presets import with_networks
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run
from graspgap.tensors import choose_device
from graspgap.training.adapt import ADAPTER, AdapterTrainingConfig, load_adapter, train_adapter
from graspgap.training.engine import choose_precision
from graspgap.training.loop import Watch
from graspgap.training.trackers import chosen_trackers

hide(PixelConfig, "image_size")
hide(GraspNetConfig, "image_size", "camera")


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Run folder to write; a command that was stopped resumes."""
    sim: Place
    """Simulated dataset, with masks and labels."""
    real: Place
    """Real dataset: its pictures alone are read, never a label or a mask. `rcan` learns nothing from them, and shows
    in its grid what it makes of them."""
    method: str = "graspgan"
    """Adaptation method: `graspgan`, `pixelda`, `simgan`, `cyclegan`, `cut`, `fastcut`, `perceptual`, `rcan`
    (real pictures look simulated, at run time too; needs canonical pictures); without training: `histogram`,
    `fourier`, `composite`."""
    steps: int = 1500
    """Training steps."""
    batch: int = 16
    """Pairs of pictures per step, of all processes together."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, which the adapter is then made of; 0: none."""
    keep_every: int = 0
    """Keep the adapter every so many steps in OUT/snapshots, each an adapter run of its own; `graspgap score --adapter
    OUT` ranks them. 0: only the last one."""
    look_every: int = 0
    """Draw OUT/looks/STEP.png every so many steps, as the grid at the end; 0: never."""
    methods: dict[str, PixelConfig] = field(default_factory=lambda: {name: kind() for name, kind in METHODS.items()})
    """Networks and loss weights of each method; those of the chosen one count."""
    networks: str = "demo"
    """Sizes of its networks: `demo`, or `paper` (for 472 x 472 pixels; see `graspgap networks`). What `--methods` sets
    stays."""
    image_size: int = 64
    """Pixels of a side of the pictures, checked against both datasets."""
    seed: int = 0
    workers: int = 0
    """Threads; 0: one per core."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`."""
    precision: str = "auto"
    """`fp32`, `bf16`, `fp16` (GPUs alone), or `auto`: bf16 on GPUs that compute in it, else fp32."""
    tensorboard: bool = False
    """Log to OUT/tensorboard too (extra `tensorboard`); OUT/log.jsonl is always written."""
    trackers: str = ""
    """Other trackers that accelerate knows, joined by commas, such as `wandb`."""


def check(config: Config) -> None:
    """Refuse what can be refused before there is data."""
    two_datasets(config.sim, config.real)
    choose("--method", config.method, METHODS)
    at_least("--seed", config.seed, 0)
    at_least("--steps", config.steps, 1)
    at_least("--batch", config.batch, 1)
    at_least("--keep-every", config.keep_every, 0)
    at_least("--look-every", config.look_every, 0)
    share_below_one("--ema", config.ema)
    check_numbers(f"--methods.{config.method}", config.methods[config.method])
    _options(config).fitted(config.image_size, Camera())
    chosen_trackers(config.tensorboard, config.trackers)


def run(config: Config) -> None:
    """Train the adapter and draw a grid of what it does."""
    check(config)
    trackers = chosen_trackers(config.tensorboard, config.trackers)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    if config.workers:
        torch.set_num_threads(choose_workers(config.workers))
    with processes.joined(device) as device:
        _train(config, device, precision, trackers)


def _train(config: Config, device: torch.device, precision: str, trackers: tuple[str, ...]) -> None:
    sim_data, real_data = open_dataset(config.sim), open_dataset(config.real)
    for data in (sim_data, real_data):
        data.require_image_size(config.image_size)
    options = _options(config)
    with processes.main_first():  # one decodes large pictures for all
        sim, real = sim_data.simulated(extras=options.needs_canonical), real_data.unlabelled()
    options.check(sim)
    options = options.fitted(config.image_size, _camera(sim_data, options, config.method))
    training = AdapterTrainingConfig(
        config.method,
        options,
        config.steps,
        config.batch,
        config.ema,
        precision,
        keep_every=config.keep_every,
        seed=config.seed,
        image_size=config.image_size,
    )
    with processes.main_first():
        begin_run(config.out, "adapter", training, {"sim": sim.provenance(), "real": real.provenance()})

    def draw(path: Path, method: PixelMethod) -> None:
        save_adaptation_grid(path, method, sim, real, device)

    grid, trained = config.out / GRID, (config.out / ADAPTER).exists()
    if not trained:
        watch = Watch(config.look_every, draw, trackers)
        method = train_adapter(config.out, training, sim, real, device, watch)
    if not processes.is_main():
        return
    if not (trained and grid.exists()):
        draw(grid, load_adapter(config.out, device, config.image_size) if trained else method)
    print(f"{config.out}: adapter trained; look at {grid}")


def _options(config: Config) -> PixelConfig:
    return with_networks(config.methods[config.method], config.networks, config.method)


def _camera(sim: Dataset, options: PixelConfig, method: str) -> Camera:
    """The one that a grasp network beside the adapter sees through; any, where nothing looks through it.

    Raises:
        UserError: if nobody has said it, and such a network needs it.
    """
    networks = [value for one in fields(options) if isinstance(value := getattr(options, one.name), GraspNetConfig)]
    if sim.camera is None and any(network.join == "project" for network in networks):
        raise UserError(
            f"nobody has said the camera of {sim.path}, through which the grasp network of '{method}' sees: collect it "
            f"with --camera FILE, or give --methods.{method}.grasp.join add"
        )
    return sim.camera or Camera()
