"""`graspgap score OUT --sim DATA --real DATA [--adapter RUN ...] [--policy RUN ...]`"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import torch
from rich.console import Console
from tyro.conf import Positional, UseAppendAction

from graspgap.cli.checks import at_least, two_datasets
from graspgap.cli.hidden import hide
from graspgap.cli.place import Place
from graspgap.cli.train import HELD_OUT
from graspgap.datasets import Dataset, open_dataset
from graspgap.errors import UserError, choose
from graspgap.files import sha256, write_text
from graspgap.networks import Segmenter
from graspgap.parallel import choose_workers
from graspgap.runs import begin_run, read_run
from graspgap.selection.judge import JUDGE, load_judge, train_judge
from graspgap.selection.record import ranked, ranked_markdown, save
from graspgap.selection.samples import ScoreSettings
from graspgap.selection.scoring import Candidate, Scorer, require_distinct, score_runs, with_snapshots
from graspgap.selection.table import DEFAULTS, KINDS
from graspgap.tensors import choose_device, save_module
from graspgap.worlds.camera_file import read_camera
from graspgap.zoo import resolved

Runs = Annotated[tuple[tuple[Path, ...], ...], UseAppendAction]

hide(ScoreSettings, "seed")


@dataclass(frozen=True)
class Config:
    out: Positional[Path]
    """Folder to write `scores.json` and `scores.md` to; a command that was stopped resumes, and runs may be added."""
    sim: Place
    """Simulated dataset, with masks and labels."""
    real: Place
    """Real dataset: pictures, poses and commands alone are read, never a label or a mask."""
    adapter: Runs = ()
    """Adapter runs, with the snapshots that they kept; `none`: simulation as it is."""
    policy: Runs = ()
    """Policy runs."""
    rank_adapters: str = DEFAULTS["adapter"]
    """Score to rank adapters by: `mask_consistency`, `kernel_distance`, `random_kernel_distance`, `domain_confusion`,
    `colour_distance`."""
    rank_policies: str = DEFAULTS["policy"]
    """Score to rank policies by: `sim_auc`, `recoloured_auc`, `feature_distance`, `feature_confusion`, `entropy`,
    `information`, `attempt_agreement`, `mask_agreement`, `optimism`."""
    camera: Path | None = None
    """Policies: where the real pictures were taken from, as in `evaluate`; default: what the real dataset says."""
    judge: Path | None = None
    """Folder of earlier scores whose judge of adapters to use, so that both compare. Default: one is trained."""
    settings: ScoreSettings = field(default_factory=ScoreSettings)
    """How much is looked at."""
    image_size: int = 64
    """Pixels of a side of the pictures, checked against both datasets."""
    seed: int = 0
    workers: int = 0
    """Threads; 0: one per core."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`."""


def run(config: Config) -> None:
    """Score what has not been scored, print the ranking."""
    rank_by = {"adapter": config.rank_adapters, "policy": config.rank_policies}
    choose("--rank-adapters", config.rank_adapters, KINDS["adapter"])
    choose("--rank-policies", config.rank_policies, KINDS["policy"])
    for name, least in (("pictures", 8), ("judge_steps", 1), ("classifier_steps", 1), ("looks", 1), ("batch", 1)):
        at_least(f"--settings.{name.replace('_', '-')}", getattr(config.settings, name), least)
    at_least("--seed", config.seed, 0)
    device = choose_device(config.device)
    if config.workers:
        torch.set_num_threads(choose_workers(config.workers))
    adapters = [path for group in config.adapter for run in group for path in with_snapshots(resolved(run))]
    policies = [resolved(path) for group in config.policy for path in group]
    for path in policies:
        read_run(path, "policy")  # refuses what is none
    runs = [*(Candidate("adapter", path) for path in adapters), *(Candidate("policy", path) for path in policies)]
    if not runs:
        raise UserError("there is nothing to score: give --adapter RUN, --policy RUN, or both")
    two_datasets(config.sim, config.real)
    sim, real = open_dataset(config.sim), open_dataset(config.real)
    for data in (sim, real):
        data.require_image_size(config.image_size)
    sim.require_simulated()
    if policies and not real.meta["has_poses"]:
        raise UserError(f"--policy needs gripper poses, and {real.path}, given as --real, holds pictures alone")
    require_distinct(runs)
    settings = replace(config.settings, seed=config.seed)
    camera = read_camera(config.camera).camera if config.camera else None
    inputs = {"sim": sim.facts(), "real": real.facts(), "judge": str(config.judge) if config.judge else None}
    inputs |= {"camera": asdict(camera)} if camera else {}
    scorer = Scorer(sim, real, HELD_OUT, settings, device, camera=camera)
    if adapters:
        scorer.parts("adapter", settings.seed)  # refuses what is too small before the judge learns
        if config.judge:
            scorer.judge = load_judge(config.judge, device)
            inputs["judge_sha256"] = sha256(config.judge / JUDGE)
    begin_run(config.out, "scores", settings, inputs)
    if adapters and not scorer.judge:
        scorer.judge = _judge(config.out, sim, settings, device)
    scored = score_runs(config.out, runs, scorer)
    facts = {"settings": asdict(settings), "held_out": HELD_OUT, "inputs": inputs, "ranked_by": rank_by}
    path = save(config.out, scored, facts)
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in scored)]
    tables = {kind: ranked_markdown(scored, kind, rank_by[kind]) for kind in kinds}
    write_text(config.out / "scores.md", "\n".join(tables.values()))
    for kind, table in tables.items():
        Console().print(table, markup=False, soft_wrap=True)
        best = ranked(scored, kind, rank_by[kind])[0]
        where = next(one.path for one in runs if (one.kind, one.name) == (kind, best.name))
        known = best.values.get(rank_by[kind]) is not None
        print(f"best {kind} by {rank_by[kind]}: {where if known else 'none has this score'}")
    print(f"scores: {path}")


def _judge(out: Path, sim: Dataset, settings: ScoreSettings, device: torch.device) -> Segmenter:
    """The judge that an earlier command left in `out`, or one that learns from scenes that adapters aren't scored
    on."""
    if (out / JUDGE).exists():
        return load_judge(out, device)
    view = sim.split_by_scene(HELD_OUT, settings.seed)[0].simulated(extras=False)
    judge = train_judge(view, settings.judge_steps, settings.batch, settings.seed, device)
    save_module(out / JUDGE, judge)
    return judge
