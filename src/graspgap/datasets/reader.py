"""Open a dataset folder and give out views: the only way from a dataset to arrays.

A view holds exactly the attempts, labels and masks that were asked for, so what training can't use it can't see.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from graspgap.contract import Camera
from graspgap.datasets import mapped, shards
from graspgap.datasets.check import check_shards, fields_of, read_meta
from graspgap.datasets.schema import groups_of
from graspgap.datasets.views import LabelledView, SimulatedView, UnlabelledView
from graspgap.errors import UserError
from graspgap.files import sha256
from graspgap.locations import Location, location
from graspgap.progress import progress
from graspgap.seeding import generator


@dataclass(frozen=True)
class _Index:
    """What is known of every row of the dataset without its pictures and without its labels."""

    keys: Int64[np.ndarray, "n 2"]
    """(seed, attempt)."""
    scenes: Int64[np.ndarray, "n"]
    lengths: Int64[np.ndarray, "n"]


@dataclass(frozen=True)
class Dataset:
    """A dataset folder, or a part of one. Made by `open_dataset`."""

    path: Location
    meta: dict[str, Any]
    """The content of meta.json."""
    rows: Int64[np.ndarray, "m"]
    """Which rows of the folder this is, ascending."""
    parts: tuple[str, ...]
    """How it was cut out of the folder, in words; empty for the whole."""
    _index: _Index
    memory: int
    """A view with more bytes of pictures is not held in memory, but mapped (see `mapped`)."""

    def __len__(self) -> int:
        """Number of attempts."""
        return len(self.rows)

    @property
    def world(self) -> str:
        """Name of the world that the attempts were made in."""
        return str(self.meta["world"])

    @property
    def image_size(self) -> int:
        """Pictures are image_size x image_size pixels."""
        return int(self.meta["image_size"])

    @property
    def camera(self) -> Camera | None:
        """Nominal camera of the world; None: nobody has said where the pictures were taken from."""
        found = self.meta["camera"]
        return None if found is None else fields_of(Camera, found)

    @property
    def scenes(self) -> Int64[np.ndarray, "m"]:
        """Number of the scene of each attempt, from 0, within the whole folder: equal scenes began alike."""
        return self._index.scenes[self.rows]

    @property
    def lengths(self) -> Int64[np.ndarray, "m"]:
        """Servo steps of each attempt."""
        return self._index.lengths[self.rows]

    @property
    def keys(self) -> Int64[np.ndarray, "m 2"]:
        """(seed, attempt) of each attempt, which tells it apart from all others of its world."""
        return self._index.keys[self.rows]

    def facts(self) -> dict[str, Any]:
        """What it is known by in the record of what reads it."""
        meta = sha256(self.path / "meta.json")
        return {"path": str(self.path), "meta_sha256": meta, "world": self.world, "attempts": len(self)}

    def draws(self) -> Iterator[dict[str, Any]]:
        """What was drawn for each attempt, as its world recorded it: start, looks, dynamics; {} where nothing is known.

        Raises:
            UserError: if a shard is damaged.
        """
        for _, _, table in self._tables(["randomization"]):
            yield from map(json.loads, table["randomization"].to_pylist())

    def verify(self) -> None:
        """Compare every shard of the folder with meta.json, byte by byte.

        Raises:
            UserError: names how many shards differ, and for the first of them what was expected, and the fix.
        """
        check_shards(self.path, self.meta, shards.check_hash)

    def require_image_size(self, size: int) -> None:
        """Refuse pictures of another size.

        Raises:
            UserError: names both sizes.
        """
        if self.image_size != size:
            raise UserError(
                f"{self.path} has pictures of {self.image_size} pixels, expected {size}: "
                f"pass --image-size {self.image_size}, or make it again with --image-size {size}"
            )

    def require_simulated(self) -> None:
        """Refuse a dataset that counts as reality, where all labels would be too much to know, or that lacks what only
        a simulation has.

        Raises:
            UserError: names the world, or what the dataset lacks.
        """
        if self.meta["is_reality"]:
            raise UserError(
                f"{self.path} was given as --sim, but its world '{self.world}' counts as reality: give it as --real"
            )
        for what in ("labels", "masks"):
            if not self.meta[f"has_{what}"]:
                raise UserError(
                    f"{self.path}, given as --sim, has no {what}: collect it in a world that gives them, as 'sim' does"
                )

    def limit(self, attempts: int, seed: int = 0) -> Dataset:
        """`attempts` attempts of this dataset by the seeded order, or all where there are fewer; smaller limits are
        subsets of larger ones.

        Raises:
            UserError: if attempts < 1.
        """
        if attempts < 1:
            raise UserError(f"{attempts} attempts of {self.path} were asked for, expected at least 1")
        return self._part(self._order("limit", seed)[:attempts], f"{attempts} attempts, seed {seed}")

    def split_by_scene(self, held_out: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """(rest, held out): no scene is on both sides. The fraction `held_out` of the scenes, drawn by `seed`, rounded,
        at least one on each side.

        Raises:
            UserError: if `held_out` is not inside (0, 1), or there are fewer than 2 scenes.
        """
        present = np.unique(self.scenes)
        if not 0 < held_out < 1:
            raise UserError(f"held-out fraction {held_out} of the scenes of {self.path} must be between 0 and 1")
        if len(present) < 2:
            raise UserError(
                f"{self.path} has {len(present)} scene: splitting needs at least 2, collect more scenes, or import "
                "several episodes (of pictures: sub-folders)"
            )
        count = min(max(round(held_out * len(present)), 1), len(present) - 1)
        chosen = generator(seed, "scenes").permutation(present)[:count]
        inside = np.isin(self.scenes, chosen)
        what = f"{held_out:g} of the scenes, seed {seed}"
        return self._part(self.rows[~inside], f"without {what}"), self._part(self.rows[inside], what)

    def unlabelled(self) -> UnlabelledView:
        """Pictures, poses and commands of all attempts."""
        return UnlabelledView(**self._read(labels=0, masks=0))

    def labelled(self, fraction: float = 0.02, seed: int = 0) -> LabelledView:
        """Attempts whose labels the run may use, and no others.

        Every attempt of the *folder* gets a random number that depends on `seed` and its place alone; of the n in this
        part, the fraction x n (rounded, at least one) with the smallest numbers are given. So 1% is a subset of 2%, 2%
        of 10%, and so on, for one seed, and attempts added to the folder later leave the order of these as it is.

        Raises:
            UserError: if the fraction is not in (0, 1], or the dataset has no labels.
        """
        if not 0 < fraction <= 1:
            raise UserError(
                f"label fraction {fraction} of {self.path} must be above 0 and at most 1: "
                "without labels leave the dataset unlabelled"
            )
        if not self.meta["has_labels"]:
            raise UserError(f"{self.path} has no labels: use it unlabelled, or give a dataset of recorded attempts")
        count = max(1, math.floor(fraction * len(self) + 0.5))
        part = self._part(self._order("labels", seed)[:count], f"{fraction:g} of the labels, seed {seed}")
        return LabelledView(**part._read(labels=count, masks=0))

    def simulated(self, extras: bool = True) -> SimulatedView:
        """All attempts with labels and masks, which only a simulation has; with canonical pictures and depth where the
        dataset holds them, unless `extras` are refused to save memory.

        Raises:
            UserError: if the dataset counts as reality, or has no labels or masks.
        """
        self.require_simulated()
        groups = groups_of(self.meta) if extras else ()
        return SimulatedView(**self._read(labels=len(self), masks=len(self), groups=groups))

    def _order(self, purpose: str, seed: int) -> Int64[np.ndarray, "m"]:
        order = np.argsort(generator(seed, purpose).random(len(self._index.keys)), kind="stable")
        return order[np.isin(order, self.rows)]

    def _part(self, rows: Int64[np.ndarray, "k"], words: str) -> Dataset:
        return replace(self, rows=np.sort(rows), parts=(*self.parts, words))

    def _read(self, labels: int, masks: int, groups: tuple[str, ...] = ()) -> dict[str, Any]:
        """The arrays of a view of these rows: labels and masks only where their number is not 0, and these groups of
        `OPTIONAL_COLUMNS`."""
        lengths = self.lengths
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        n, f, size = len(self), int(offsets[-1]), self.image_size
        source = self._source(labels, masks)
        shapes: mapped.Shapes = {
            "images_before": ((n, 3, size, size), np.uint8),
            "images": ((f, 3, size, size), np.uint8),
        }
        if masks:
            shapes |= {"masks_before": ((n, size, size), np.uint8), "masks": ((f, size, size), np.uint8)}
        if "layers" in groups:
            shapes |= {"depth_before": ((n, size, size), np.uint16), "depths": ((f, size, size), np.uint16)}
        if "canonical" in groups:
            shapes |= {"canonical_before": ((n, 3, size, size), np.uint8), "canonicals": ((f, 3, size, size), np.uint8)}
        rest: dict[str, Any] = {
            "poses": np.empty((f, 4), np.float32) if self.meta["has_poses"] else None,
            "commands": np.empty((f, 5), np.float32) if self.meta["has_poses"] else None,
        }
        if labels:
            rest["success"] = np.empty(n, np.bool_)
        self._check_first_picture()
        if mapped.size(shapes) <= self.memory:
            pictures = mapped.in_memory(shapes)
            self._fill(pictures | rest, offsets)
        else:
            key = f"{source['meta_sha256']} {hashlib.sha256(self.rows.tobytes()).hexdigest()}"
            pictures = mapped.mapped(shapes, key, lambda files: self._fill(files, offsets, "decode pictures"))
            self._fill(rest, offsets)
        return {
            **pictures,
            **rest,
            "owner": np.repeat(np.arange(n), lengths),
            "offsets": offsets,
            "scenes": self.scenes,
            "attempts": self.keys[:, 1],
            "source": source,
        }

    def _check_first_picture(self) -> None:
        """Refuse a folder whose pictures are not as large as it says, before there is memory taken for all of them."""
        entry = self.meta["shards"][0]
        column = shards.read_columns(self.path / entry["file"], ["image_before"], entry["rows"])["image_before"]
        next(shards.decoded(column.slice(0, 1), (3, self.image_size, self.image_size), self.path / entry["file"]))

    def _fill(self, arrays: dict[str, Any], offsets: Int64[np.ndarray, "bounds"], what: str = "") -> None:
        """Read the columns that `arrays` has, shard by shard, with progress if there is a word for it."""
        single = {"images_before": "image_before", "masks_before": "mask_before", "success": "success"}
        single |= {name: name for name in ("depth_before", "canonical_before")}
        several = ("images", "masks", "poses", "commands", "depths", "canonicals")
        columns = {name: column for name, column in single.items() if name in arrays}
        columns |= {name: name for name in several if arrays.get(name) is not None}
        if not columns:
            return
        with progress(what, len(self), unit="attempts") if what else nullcontext(lambda count: None) as advance:
            first = 0
            for path, count, table in self._tables(list(columns.values())):
                last = first + count
                for name, column in columns.items():
                    where = slice(offsets[first], offsets[last]) if name in several else slice(first, last)
                    _store(arrays[name][where], table[column], path)
                advance(count)
                first = last

    def _tables(self, columns: list[str]) -> Iterator[tuple[Location, int, pa.Table]]:
        """For each shard that holds some of these rows: where it lies, how many, and these columns of them, in
        order."""
        start = 0
        for entry in self.meta["shards"]:
            first, last = np.searchsorted(self.rows, (start, start + entry["rows"])).tolist()
            if first < last:
                path = self.path / entry["file"]
                table = shards.read_columns(path, columns, entry["rows"])
                if last - first < entry["rows"]:
                    table = table.take(pa.array(self.rows[first:last] - start))
                yield path, last - first, table
            start += entry["rows"]

    def _source(self, labels: int, masks: int) -> dict[str, Any]:
        return {**self.facts(), "parts": list(self.parts), "labels": labels, "masks": masks}


def open_dataset(path: Location | str, memory: int | None = None) -> Dataset:
    """Open the dataset folder `path` (its shards' footers and small columns; no pictures, no labels).

    `memory`: bytes of pictures that a view may hold in memory; a quarter of the machine's if None. Larger ones are
    decoded to files in the cache once, and mapped.

    Raises:
        UserError: if the folder is missing, empty, unfinished, of a later format, or a shard is missing or truncated.
    """
    folder = location(path)
    meta = read_meta(folder)
    keys, scenes, lengths = [], [], []
    for entry in meta["shards"]:
        shards.check_size(folder / entry["file"], entry)
        columns = ["attempt", "seed", "scene", shards.LENGTHS]
        table = shards.read_columns(folder / entry["file"], columns, entry["rows"])
        keys.append(shards.pairs(table, "attempt"))
        scenes.append(shards.pairs(table, "scene"))
        lengths.append(shards.lengths(table["images"]))
    index = _Index(
        keys=np.concatenate(keys),
        scenes=np.unique(np.concatenate(scenes), axis=0, return_inverse=True)[1].reshape(-1),
        lengths=np.concatenate(lengths),
    )
    return Dataset(
        folder, meta, np.arange(len(index.keys)), (), index, mapped.most_in_memory() if memory is None else memory
    )


def _store(out: np.ndarray, column: pa.ChunkedArray, path: Location) -> None:
    if out.dtype in (np.uint8, np.uint16):
        shards.decode_into(out, column, path)
        return
    if out.dtype == np.bool_:
        values = np.array(column.to_pylist(), dtype=object)
        whole = not column.null_count
    else:
        values = shards.flat_floats(column, out.shape[1])
        whole = bool(np.isfinite(values).all())
    if not whole or values.shape != out.shape:
        raise shards.damaged(path, "labels, poses or commands are missing", "one for each attempt or picture")
    out[:] = values
