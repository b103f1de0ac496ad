"""How a policy fares in a simulator that it was not trained in: one recipe, trained in each, tried in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graspgap.evaluation.stages import Stage
from graspgap.evaluation.study import collect_stage
from graspgap.evaluation.tables import Cell, markdown

TRIAL_SEED = 4000
"""Evaluation seed of study seed 0."""
SEED_STEP = 250
"""Between the seeds of the datasets of one study."""


@dataclass(frozen=True)
class TransferPreset:
    """Sizes of a transfer study."""

    attempts: int
    """Of each dataset."""
    train_steps: int
    trials: int
    """Of each policy in each world."""
    worlds: tuple[str, ...] = ("sim", "bullet")
    randomizations: tuple[str, ...] = ("none", "both")


TRANSFERS = {"transfer": TransferPreset(3000, 1200, 600), "transfer-tiny": TransferPreset(40, 4, 6)}
"""Studies by name; `transfer-tiny` proves that every stage runs and measures nothing."""


def plan_transfer(preset: TransferPreset, out: Path, seed: int) -> list[Stage]:
    """The stages in the order in which they should start."""
    sources = [(world, randomize) for world in preset.worlds for randomize in preset.randomizations]
    stages = []
    for number, (world, randomize) in enumerate(sources):
        name = world if randomize == "none" else f"{world}-{randomize}"
        cost, data_seed = 0.45 if world == "bullet" else 0.15, seed + SEED_STEP * (number + 1)
        more = ("--randomize", randomize)
        collect = collect_stage(out, f"data/{name}", world, preset.attempts, data_seed, cost, more)
        words = ["train", str(out / "policies" / name), "--sim", str(out / collect.name)]
        words += ["--steps", str(preset.train_steps), "--seed", str(seed)]
        train = Stage(f"policies/{name}", tuple(words), (collect.name,), preset.train_steps * 0.13)
        stages += [collect, train]
    policies: list[tuple[str, str, tuple[str, ...]]] = [("random", "random", ())]
    for train in stages[1::2]:
        policies.append((f"from {train.name.removeprefix('policies/')}", str(out / train.name), (train.name,)))
    for world in preset.worlds:
        stages += [_trial(out, preset, world, arm, policy, seed, after) for arm, policy, after in policies]
    return stages


def _trial(
    out: Path, preset: TransferPreset, world: str, arm: str, policy: str, seed: int, after: tuple[str, ...]
) -> Stage:
    name = f"trials/{arm.replace(' ', '-')}-in-{world}"
    words = ["evaluate", str(out / name), "--policy", policy, "--world", world, "--attempts", str(preset.trials)]
    words += ["--seed", str(TRIAL_SEED + seed), "--arm.name", arm, "--arm.seed", str(seed)]
    if arm != "random":
        words += ["--arm.ingredients", "simulation", *(["randomization"] if "-" in arm else [])]
    return Stage(name, tuple(words), after, preset.trials * 0.3)


def transfer_table(cells: Sequence[Cell]) -> list[list[str]]:
    """Success rates with 95% intervals: a row for each arm, a column for each world, a header row first.

    Empty unless an arm was tried in several worlds.
    """
    found = {(cell.arm, cell.world): cell for cell in cells if not cell.real_labels}
    worlds, arms = sorted({world for _, world in found}, reverse=True), sorted({arm for arm, _ in found})
    if len(worlds) < 2 or len(found) <= max(len(arms), len(worlds)):
        return []
    rows = [[arm, *(_entry(found.get((arm, world))) for world in worlds)] for arm in arms]
    return [["policy", *(f"in {world}" for world in worlds)], *rows]


def transfer_markdown(cells: Sequence[Cell]) -> str:
    """`transfer_table` in Markdown."""
    header, *rows = transfer_table(cells)
    return markdown(header, "l" + "r" * (len(header) - 1), rows)


def _entry(cell: Cell | None) -> str:
    if cell is None:
        return ""
    rate = cell.rate
    return f"{100 * rate.value:.1f}% ({100 * rate.low:.1f} to {100 * rate.high:.1f}), {cell.successes}/{cell.attempts}"
