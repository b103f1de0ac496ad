"""Can friction be fitted to a real cell from unlabelled attempts? Three ways to tell it, tried in simulation.

    pip install -e . -c constraints.txt
    graspgap collect runs/friction/sim --world sim --randomize both --attempts 6000 --seed 0
    python benchmarks/friction.py --sim runs/friction/sim

changed    The same attempts of random commands with all frictions (object, fingers, bin) scaled: in how many does what
           is recorded without labels change, the pictures and the reported poses up to where the fingers close? In how
           many does the outcome change, which is the label?
told       A network is shown all pictures, poses and commands of an attempt and says what was drawn for it: how does
           that correlate with the truth on held-out scenes? The light, drawn as well, shows that it can learn.
rates      Should outcomes be known without a person (gripper opening, drop test): how the success of random commands
           hangs on friction, and on the objects, which nobody knows as well.

Results are written to `benchmarks/results/friction_changed.json`, `friction_told.json` and `friction_rates.json`.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import itertools
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional

from graspgap.contract import GraspAttempt
from graspgap.datasets import Dataset, UnlabelledView, open_dataset
from graspgap.errors import choose
from graspgap.evaluation.statistics import wilson_interval
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy
from graspgap.progress import progress
from graspgap.training.batches import to_float
from graspgap.worlds.catalog import WorldChoice, make_world
from graspgap.worlds.tabletop import TabletopWorld

FRICTIONS = ("object_friction", "finger_friction", "bin_friction")
DYNAMICS = (*FRICTIONS, "damping", "grip_force")
CONTROL = "light"
"""Mean strength of the light, which pictures show plainly."""
PIXEL, LEVELS, MOVED = 0.01, 16, 0.001
"""A picture has changed if this share of its pixels did by more than so many of 255 levels; a pose, if it moved by more
than this [m]."""


@dataclass(frozen=True)
class Config:
    """What is tried."""

    sim: Path
    """Simulated dataset with randomized appearance and dynamics."""
    attempts: int = 400
    """Of each object set and friction."""
    objects: tuple[str, ...] = ("prisms", "everyday", "published")
    scales: tuple[float, ...] = (0.5, 0.71, 1.0, 1.41, 2.0)
    """Of all frictions; 1 is what the others are compared with."""
    seed: int = 40
    steps: int = 1000
    """Training steps of the network."""
    held_out: float = 0.2
    """Share of the scenes that it is asked about."""
    ways: tuple[str, ...] = ("changed", "told")
    """`changed` gives the rates too."""


class Teller(nn.Module):
    """What was drawn for an attempt, from its pictures and its motion, or from the motion alone."""

    def __init__(self, pictures: int, numbers: int, outputs: int, see: bool) -> None:
        super().__init__()
        widths = (3 * pictures, 32, 48, 64, 64)
        layers: list[nn.Module] = []
        for inputs, width in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        self.look = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3)) if see else None
        self.feel = nn.Sequential(nn.Linear(numbers, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.say = nn.Linear(128 + (16 * widths[-1] if see else 0), outputs)

    def forward(self, pictures: Tensor, numbers: Tensor) -> Tensor:
        felt = self.feel(numbers)
        return self.say(felt if self.look is None else torch.cat([felt, self.look(pictures)], dim=1))


def attempts_at(objects: str, scale: float, config: Config) -> list[GraspAttempt]:
    """Random commands in plain simulation with all frictions scaled."""
    world = make_world(WorldChoice("sim", objects=objects))
    assert isinstance(world, TabletopWorld)
    world.draws = replace(world.draws, dynamics=lambda rng, things: dict.fromkeys(FRICTIONS, scale))
    policy, made = RandomPolicy(4), []
    with progress(f"{objects} x {scale:g}", config.attempts, 0, "attempts") as advance:
        for number in range(config.attempts):
            made.append(run_attempt(world, policy, config.seed, number))
            advance(1)
    world.close()
    return made


def compare(one: GraspAttempt, other: GraspAttempt) -> tuple[bool, bool, bool]:
    """Whether pictures, poses and outcome of two attempts differ."""
    seen = any(
        (np.abs(a.astype(int) - b).max(axis=-1) > LEVELS).mean() > PIXEL
        for a, b in zip(one.images, other.images, strict=True)
    )
    moved = np.abs(one.poses[:, :3] - other.poses[:, :3]).max() > MOVED
    return seen, bool(moved), one.outcome.success != other.outcome.success


def by_friction(config: Config, load: float) -> None:
    """The ways `changed` and `rates`."""
    changed, rates = [], []
    for objects in config.objects:
        made = {scale: attempts_at(objects, scale, config) for scale in config.scales}
        for scale in config.scales:
            count = sum(attempt.outcome.success for attempt in made[scale])
            interval = wilson_interval(count, config.attempts)
            rates.append(
                {
                    "objects": objects,
                    "friction": f"x {scale:g}",
                    "attempts": config.attempts,
                    "success": f"{count / config.attempts:.1%}",
                    "95%_interval": f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
                }
            )
            if scale == 1:
                continue
            pairs = [compare(a, b) for a, b in zip(made[1.0], made[scale], strict=True)]
            pictures, poses, outcome = np.mean(pairs, axis=0)
            changed.append(
                {
                    "objects": objects,
                    "friction": f"x {scale:g}",
                    "attempts": config.attempts,
                    "pictures_change": f"{pictures:.1%}",
                    "poses_change": f"{poses:.1%}",
                    "outcome_changes": f"{outcome:.1%}",
                }
            )
    settings = {name: value for name, value in asdict(config).items() if name != "sim"}
    print(table(changed), table(rates), sep="\n\n")
    save("friction_changed", settings, changed, load)
    save("friction_rates", settings, rates, load)


def attempts_of(data: Dataset) -> tuple[UnlabelledView, Tensor, Tensor]:
    """A dataset's unlabelled view, the motion of each attempt as numbers, and what was drawn for it."""
    view, draws = data.unlabelled(), data.draws()
    assert view.poses is not None
    assert view.commands is not None
    motion = np.concatenate([view.poses, view.commands], axis=1).reshape(len(view), -1)
    drawn = [
        [*(np.log(each["dynamics"][name]) for name in DYNAMICS), float(np.mean(each["looks"]["light_color"]))]
        for each in draws
    ]
    return view, torch.from_numpy(motion), torch.tensor(drawn, dtype=torch.float32)


def told_of(data: Dataset, config: Config, see: bool) -> tuple[Tensor, Tensor]:
    """What a network says of held-out attempts, and what was drawn for them: a column for each drawn value."""
    parts = [attempts_of(part) for part in data.split_by_scene(config.held_out, config.seed)]
    (view, motion, drawn), (_, held_motion, held_drawn) = parts
    scale = [(values.mean(dim=0), values.std(dim=0) + 1e-6) for values in (motion, drawn)]
    rng, device = np.random.default_rng(config.seed), torch.device("cpu")
    torch.manual_seed(config.seed)
    teller = Teller(1 + motion.shape[1] // 9, motion.shape[1], drawn.shape[1], see)
    optimizer = torch.optim.AdamW(teller.parameters(), lr=1e-3, weight_decay=1e-2)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)

    def said(view: UnlabelledView, motion: Tensor, rows: np.ndarray) -> Tensor:
        steps = len(view.images) // len(view)
        images = view.images.reshape(len(view), steps, *view.images.shape[1:])[rows]
        shown = np.concatenate([view.images_before[rows][:, None], images], axis=1).reshape(
            len(rows), -1, *images.shape[3:]
        )
        pictures = to_float(shown, device) if see else torch.empty(0)
        return teller(pictures, (motion[rows] - scale[0][0]) / scale[0][1])

    with progress("teller", config.steps) as advance:
        for _ in range(config.steps):
            rows = rng.integers(len(view), size=64)
            loss = functional.mse_loss(said(view, motion, rows), (drawn[rows] - scale[1][0]) / scale[1][1])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            falling.step()
            advance(1, f"loss {float(loss.detach()):.3f}")
    teller.eval()
    held = parts[1][0]
    with torch.no_grad():
        chunks = np.array_split(np.arange(len(held)), max(1, len(held) // 200))
        answer = torch.cat([said(held, held_motion, rows) for rows in chunks])
    return answer, held_drawn


def told(config: Config, load: float) -> None:
    """The way `told`."""
    data = open_dataset(config.sim)
    sights = {"motion": False, "motion_and_pictures": True}
    found = {what: told_of(data, config, see) for what, see in sights.items()}
    rows: list[dict[str, str | int]] = []
    for k, name in enumerate((*DYNAMICS, CONTROL)):
        row: dict[str, str | int] = {"drawn": name.replace("_", " ")}
        for what, (said, truth) in found.items():
            r = float(np.corrcoef(said[:, k], truth[:, k])[0, 1])
            margin = 1.96 / np.sqrt(len(said) - 3)
            low, high = np.tanh(np.arctanh(r) + np.array([-margin, margin]))  # Fisher's transformation
            row[what] = f"{r:+.2f} ({low:+.2f} to {high:+.2f})"
            row["attempts"] = len(said)
        rows.append(row)
    print(table(rows))
    settings = {"steps": config.steps, "seed": config.seed, "held_out": config.held_out, "attempts": len(data)}
    save("friction_told", settings, rows, load)


def main() -> None:
    """Try, compare, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    for way in config.ways:
        {"changed": by_friction, "told": told}[choose("--ways", way, ("changed", "told"))](config, load)


if __name__ == "__main__":
    main()
