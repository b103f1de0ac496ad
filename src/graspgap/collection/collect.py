"""Collect grasp attempts into a dataset, shard by shard, in parallel. A crash loses unfinished shards alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from graspgap.collection.policies import PolicyChoice, make_policy
from graspgap.config import to_json
from graspgap.datasets.shards import successes
from graspgap.datasets.writer import config_hash, finish, shard_done, shard_path, write_shard
from graspgap.errors import UserError, choose
from graspgap.files import read_json
from graspgap.grasping.attempt import run_attempt
from graspgap.locations import Location, is_private
from graspgap.parallel import BACKENDS, choose_workers, run_pieces
from graspgap.runs import begin_run
from graspgap.settings import entry
from graspgap.worlds.catalog import WorldChoice, cached_world, is_robot, processes


@dataclass(frozen=True)
class CollectSettings:
    """Everything that an attempt depends on, besides its number."""

    world: WorldChoice = field(default_factory=WorldChoice)
    policy: PolicyChoice = field(default_factory=PolicyChoice)
    seed: int = 0
    steps_per_attempt: int = 4
    """Servo steps, each with a picture."""
    attempts_per_scene: int = 10
    """Attempts that start from the same settled objects."""
    attempts_per_shard: int = 50


@dataclass(frozen=True)
class _Plan:
    out: Location
    attempts: int
    settings: CollectSettings
    settings_hash: str

    @property
    def shards(self) -> range:
        return range(-(-self.attempts // self.settings.attempts_per_shard))

    def numbers(self, index: int) -> range:
        """The attempts of shard `index`."""
        size = self.settings.attempts_per_shard
        return range(index * size, min((index + 1) * size, self.attempts))


def collect(
    out: Location, settings: CollectSettings, attempts: int, workers: int = 0, parallel: str = "loky"
) -> dict[str, Any]:
    """Make attempts 0 to `attempts` - 1 of a dataset; returns its meta.json. Resumes, and may extend a dataset.

    `parallel` is one of `graspgap.parallel.BACKENDS`.

    Raises:
        UserError: if a setting is refused, `out` holds something else, or more attempts would make a robot's last ones
            again.
    """
    if attempts < 1:
        raise UserError(f"--attempts {attempts} asks for nothing: give at least 1")
    choose("--parallel", parallel, BACKENDS)
    workers = choose_workers(processes(settings.world, workers))
    if workers > 1 and is_private(out):
        raise UserError(f"{out} is the memory of one process, --workers {workers} would not see it: give --workers 1")
    world = cached_world(settings.world)
    policy = make_policy(settings.policy, settings.steps_per_attempt)
    policy.check(world.spec)
    begin_run(out, "dataset", settings, {"policy": policy.identity})
    meta = out / "meta.json"
    fix = "delete it and run the same command again"
    held = entry(read_json(meta, "a dataset"), "attempts", int, meta, fix) if meta.exists() else 0
    if held > attempts:
        raise UserError(f"{out} holds {held} attempts, --attempts {attempts} would lose some: give {held} or more")
    half = held % settings.attempts_per_shard
    if half and held < attempts and is_robot(settings.world):
        raise UserError(
            f"{out} ends with a shard of {half} attempts, which would be made again, and no robot can: collect the "
            "others to another folder with another --seed, and join both by 'graspgap dataset merge'"
        )
    facts = to_json(settings)
    plan = _Plan(out, attempts, settings, config_hash(facts | {"policy_identity": policy.identity}))
    missing, succeeded = [], 0
    for k in plan.shards:
        if shard_done(out, k, len(plan.numbers(k)), plan.settings_hash):
            succeeded += successes(shard_path(out, k), len(plan.numbers(k)))
        else:
            missing.append(k)
    done = attempts - sum(len(plan.numbers(k)) for k in missing)
    run_pieces(partial(_collect_shard, plan), missing, workers, "collect", attempts, done, succeeded, parallel)
    drawn = {"randomization": asdict(settings.world.randomization)}
    return finish(out, facts, world.spec, len(plan.shards), drawn)


def _collect_shard(plan: _Plan, index: int) -> tuple[int, int]:
    settings = plan.settings
    world = cached_world(settings.world)
    policy = make_policy(settings.policy, settings.steps_per_attempt).policy
    rows = [
        run_attempt(world, policy, settings.seed, k, settings.steps_per_attempt, settings.attempts_per_scene)
        for k in plan.numbers(index)
    ]
    write_shard(plan.out, index, rows, plan.settings_hash)
    return len(rows), sum(row.outcome.success for row in rows)
