"""Make an attempt of a dataset again from its record, and compare every bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graspgap.collection.collect import CollectSettings
from graspgap.collection.policies import make_policy
from graspgap.contract import Image
from graspgap.datasets import open_dataset, shards
from graspgap.datasets.check import read_meta
from graspgap.datasets.pictures import decode_mask, decode_picture
from graspgap.datasets.reader import Dataset
from graspgap.datasets.schema import arrow_schema, groups_of, to_row
from graspgap.datasets.view import image_grid
from graspgap.errors import UserError
from graspgap.grasping.attempt import run_attempt
from graspgap.provenance import versions
from graspgap.settings import build
from graspgap.worlds.catalog import cached_world, require_repeatable


@dataclass(frozen=True)
class Replay:
    """An attempt as it was recorded, and as it was made again; rows of `datasets.schema.COLUMNS`."""

    recorded: dict[str, Any]
    again: dict[str, Any]

    @property
    def differences(self) -> list[str]:
        """Columns that are not equal bit for bit."""
        return [name for name, value in self.recorded.items() if value != self.again[name]]

    def filmstrip(self) -> Image:
        """The pictures as recorded, as made again, and masks and canonical pictures where there are any."""
        rows = [_pictures(self.recorded), _pictures(self.again)]
        labels = ["recorded", "made again"]
        if self.recorded["masks"] is not None:
            masks = [self.recorded["mask_before"], *self.recorded["masks"]]
            rows.append([decode_mask(mask["bytes"]) for mask in masks])
            labels.append("masks")
        if self.recorded.get("canonicals") is not None:
            pictures = [self.recorded["canonical_before"], *self.recorded["canonicals"]]
            rows.append([decode_picture(picture["bytes"]) for picture in pictures])
            labels.append("canonical")
        return image_grid(rows, labels, scale=max(1, 192 // rows[0][0].shape[0]))


def replay(folder: Path, attempt: int, seed: int | None = None) -> Replay:
    """Make attempt number `attempt` of a collected dataset again; `seed` tells attempts of a merged dataset apart.

    Raises:
        UserError: if the dataset holds no such attempt, or several, doesn't say how it was made, or in the words of
            another version, or its policy is gone.
    """
    data = open_dataset(folder)
    recorded, meta = _row(data, attempt, seed), data.meta
    found = [each for each in _settings(meta["config"]) if each["seed"] == recorded["seed"]]
    if not found or any(each != found[0] for each in found):
        why = "were not collected by graspgap" if not found else "have several settings"
        raise UserError(f"attempts of seed {recorded['seed']} in {folder} {why}: nothing says how to make them again")
    fix = "replay it with the version of graspgap that made it, or collect it again"
    settings = build(CollectSettings, found[0], f"the record of how {folder} was made", fix)
    require_repeatable(settings.world, "read its pictures from the dataset")
    world = cached_world(settings.world)
    policy = make_policy(settings.policy, settings.steps_per_attempt)
    policy.check(world.spec)
    made = run_attempt(
        world, policy.policy, settings.seed, attempt, settings.steps_per_attempt, settings.attempts_per_scene
    )
    schema = arrow_schema({}, groups_of(meta))
    row = to_row(made)
    columns = [pa.array([row.get(field.name)], type=field.type) for field in schema]
    (again,) = pa.Table.from_arrays(columns, names=schema.names).to_pylist()
    return Replay(recorded, again)


def require_equal(result: Replay, folder: Path) -> None:
    """Refuse an attempt that came out differently.

    Raises:
        UserError: names the columns that differ, and the versions if they do.
    """
    if not result.differences:
        return
    before, now = read_meta(folder)["versions"], versions()
    other = [name for name in now if before.get(name) not in (None, now[name])]
    why = "; ".join(f"{name} {before[name]} then, {now[name]} now" for name in other)
    raise UserError(
        f"attempt {result.recorded['attempt']} of {folder} came out differently in {', '.join(result.differences)}: "
        f"use the versions and the kind of machine that made it{f' ({why})' if why else ''}, or collect it again"
    )


def _row(data: Dataset, attempt: int, seed: int | None) -> dict[str, Any]:
    """The row of an attempt."""
    names = arrow_schema({}, groups_of(data.meta)).names
    wanted = data.keys[:, 1] == attempt
    if seed is not None:
        wanted &= data.keys[:, 0] == seed
    numbers = np.flatnonzero(wanted)
    if len(numbers) != 1:
        seeds = ", ".join(str(each) for each in sorted(set(data.keys[numbers, 0].tolist())))
        fix = f"add --seed, one of {seeds}" if len(numbers) else f"it has {len(data)} attempts"
        raise UserError(f"{data.path} holds {len(numbers) or 'no'} attempts with number {attempt}: {fix}")
    number = int(numbers[0])
    for entry in data.meta["shards"]:
        if number < entry["rows"]:
            break
        number -= entry["rows"]
    (row,) = shards.read_columns(data.path / entry["file"], names, entry["rows"]).slice(number, 1).to_pylist()
    return dict(row)


def _settings(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings of each collection that a dataset goes back to."""
    if {"world", "policy", "seed"} <= set(config):
        yield config
    for origin in config.get("made_from", []):
        yield from _settings(origin["config"])


def _pictures(row: dict[str, Any]) -> list[Image]:
    return [decode_picture(picture["bytes"]) for picture in (row["image_before"], *row["images"])]
