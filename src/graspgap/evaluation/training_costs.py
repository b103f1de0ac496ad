"""What training the policies of a study took: `costs.csv` of its folder, which outlives its runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import fmean

from graspgap.errors import UserError
from graspgap.evaluation.costs import used_seconds
from graspgap.evaluation.guide import Cost
from graspgap.evaluation.stages import ADAPTING, Stage, record_path
from graspgap.evaluation.tables import markdown, percent
from graspgap.files import read_json, write_text

FILE_NAME = "costs.csv"


@dataclass(frozen=True)
class TrainingCost:
    """Of one policy."""

    arm: str
    real_labels: float
    """Fraction of the real labels."""
    seed: int
    adapter: float
    """Processor time of its adapter and of adapting the pictures [s], which other policies may share; 0 without one."""
    policy: float
    """Processor time of its own training [s]."""


def measured_costs(out: Path, stages: Sequence[Stage]) -> list[TrainingCost]:
    """Of the evaluated policies whose stages have finished in the study's folder."""
    by_folder = {stage.arguments[1]: stage for stage in stages}
    found: dict[tuple[str, float, int], TrainingCost] = {}
    for stage in stages:
        policy = by_folder.get(stage.option("--policy")) if stage.arguments[0] == "evaluate" else None
        if policy is None:
            continue
        adapter = by_folder.get(policy.option("--adapter"))
        own = used_seconds(record_path(out, policy))
        shared = used_seconds(record_path(out, adapter)) if adapter else 0.0
        if own is None or shared is None:
            continue
        if adapter:  # the first policy has the pictures adapted, for the others too
            adapting = _adapting_seconds(out / adapter.name, policy.option("--sim"))
            shared, own = shared + adapting, own - (adapting if policy.work[0].endswith(ADAPTING) else 0.0)
        key = stage.option("--arm.name"), float(stage.option("--arm.real-labels") or 0)
        seed = int(stage.option("--arm.seed") or 0)
        found[*key, seed] = TrainingCost(*key, seed, round(shared, 1), round(own, 1))
    return list(found.values())


def _adapting_seconds(adapter: Path, sim: str) -> float:
    """Processor time of adapting the pictures of a simulated dataset of the study, wherever that lay then; 0 where that
    isn't known."""
    notes = [read_json(path, "an adapter") for path in sorted(adapter.glob("adapted-*.json"))]
    return sum(float(note["cpu_seconds"]) for note in notes if Path(note["sim"]).name == Path(sim).name)


def update_costs(out: Path, stages: Sequence[Stage]) -> list[TrainingCost]:
    """Write what was measured to `costs.csv`, beside what it holds of policies that are no longer there; all of it.

    Raises:
        UserError: if the file is damaged.
    """
    costs = [*read_costs(out), *measured_costs(out, stages)]  # the later of two of one policy counts
    known = {(cost.arm, cost.real_labels, cost.seed): cost for cost in costs}
    found = [known[key] for key in sorted(known)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(TrainingCost)])
    writer.writerows(map(astuple, found))
    if found:
        write_text(out / FILE_NAME, text.getvalue())
    return found


def read_costs(out: Path) -> list[TrainingCost]:
    """Those of a study's `costs.csv`; none without it.

    Raises:
        UserError: if the file is damaged.
    """
    path = out / FILE_NAME
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            TrainingCost(
                row["arm"], float(row["real_labels"]), int(row["seed"]), float(row["adapter"]), float(row["policy"])
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it, the study writes it anew") from None


def costs_below(out: Path) -> list[TrainingCost]:
    """Those of the studies in a folder, which may be one itself."""
    return [cost for path in sorted(out.rglob(FILE_NAME)) for cost in read_costs(path.parent)]


def mean_costs(costs: Iterable[TrainingCost]) -> Mapping[tuple[str, float], Cost]:
    """By arm and fraction of real labels, over training seeds."""
    groups: dict[tuple[str, float], list[TrainingCost]] = {}
    for cost in costs:
        groups.setdefault((cost.arm, cost.real_labels), []).append(cost)
    return {
        key: Cost(fmean(cost.adapter for cost in group), fmean(cost.policy for cost in group))
        for key, group in groups.items()
    }


def costs_markdown(costs: Iterable[TrainingCost]) -> str:
    """Minutes of one core by arm, few first."""
    rows = sorted(mean_costs(costs).items(), key=lambda item: (item[1].total, item[0]))
    lines = [
        [arm, percent(labels) if labels else "0", *(f"{value / 60:.1f}" for value in (cost.adapter, cost.policy))]
        for (arm, labels), cost in rows
    ]
    return markdown(["arm", "real labels", "adapter (core minutes)", "policy (core minutes)"], "lrrr", lines)
