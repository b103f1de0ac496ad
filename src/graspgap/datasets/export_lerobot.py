"""A dataset as a folder of LeRobotDataset v3.0: an episode for each attempt, a frame for each servo step.

Some shards of the source become one file of data, one of episodes and, for each camera, one video. The file of episodes
is written last, so it says that its part is done; meta/info.json, without which nobody opens the folder, is the last
of all. A killed export goes on with the first part that is not done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float, Int64

from graspgap.contract import Image
from graspgap.datasets import lerobot_layout as layout
from graspgap.datasets import shards
from graspgap.datasets.lerobot_layout import ACTION, BEFORE, DONE, NOW, STATE, SUCCESS, TARGET
from graspgap.datasets.lerobot_stats import levels, of_levels, of_parts, of_values
from graspgap.datasets.pictures import encode_png
from graspgap.datasets.reader import Dataset, open_dataset
from graspgap.datasets.schema import schema_of
from graspgap.datasets.targets import target_of
from graspgap.datasets.video_writer import require_av, video_file
from graspgap.errors import UserError
from graspgap.files import atomic, read_json, sha256, write_json, write_text
from graspgap.locations import Location
from graspgap.progress import progress
from graspgap.runs import begin_run

_FACTS = ("attempt", "seed", "world", "policy", "success", "object_name", "objects", "randomization", "predicted")
"""Columns of a shard that become columns of meta/episodes as they are."""
_LEVELS = b"graspgap_levels"


@dataclass(frozen=True)
class LerobotExport:
    """How a dataset is exported."""

    images: bool = False
    """Keep pictures as PNG files inside the Parquet files, bit for bit, instead of videos."""
    fps: int = 4
    """Frames per second that timestamps are made with; servo steps have no clock. Powers of two make exact times."""
    crf: int = 18
    """Loss of the videos (H.264), from 0 to 51."""
    task: str = "grasp an object in the bin"
    """What the robot is told to do, in words."""


@dataclass(frozen=True)
class _Part:
    """Shards that become one file."""

    index: int
    shards: list[dict[str, Any]]
    """Their entries in meta.json."""
    first: int
    """Number of the first attempt."""
    start: int
    """Number of the first frame."""

    def path(self, folder: Path, suffix: str = ".parquet") -> Path:
        chunk, file = divmod(self.index, layout.CHUNK)
        return folder / (layout.FILE.format(chunk_index=chunk, file_index=file) + suffix)

    def place(self, prefix: str) -> dict[str, int]:
        chunk, file = divmod(self.index, layout.CHUNK)
        return {f"{prefix}/chunk_index": chunk, f"{prefix}/file_index": file}

    @property
    def attempts(self) -> int:
        return sum(entry["rows"] for entry in self.shards)


def export_lerobot(source: Location, out: Path, config: LerobotExport, part_mb: int = layout.DATA_MB) -> dict[str, Any]:
    """Write the dataset `source` as the LeRobotDataset `out`; returns its meta/info.json. Resumes.

    Masks, depth and canonical pictures stay behind. A part is about `part_mb` of the source, or a shard.

    Raises:
        UserError: if `source` is no whole dataset or has changed since an export of it was stopped, `out` holds
            something else, or videos can't be written.
    """
    data = open_dataset(source)
    if not config.images:
        require_av()
        if data.image_size % 2:
            raise UserError(f"a video can't hold pictures of {data.image_size} pixels, which is odd: give --images")
    begin_run(out, "lerobot", config, {"source": str(source), "meta_sha256": sha256(source / "meta.json")})
    export = _Export(data, out, config)
    parts = list(_parts(data, part_mb * 10**6))
    if (out / layout.INFO).exists() and all(export.is_done(part) for part in parts):
        return dict(read_json(out / layout.INFO, "a LeRobotDataset"))
    (out / layout.INFO).unlink(missing_ok=True)
    done = sum(part.attempts for part in parts if export.is_done(part))
    with progress("export", len(data), done, "attempts") as advance:
        for part in parts:
            if not export.is_done(part):
                export.write(part, advance)
    return export.finish(parts)


def _parts(data: Dataset, limit: int) -> Iterator[_Part]:
    bounds = np.concatenate([[0], np.cumsum(data.lengths)]).astype(np.int64)
    entries = list(data.meta["shards"])
    index = first = 0
    while entries:
        count = 1
        while count < len(entries) and sum(entry["bytes"] for entry in entries[: count + 1]) <= limit:
            count += 1
        mine, entries = entries[:count], entries[count:]
        yield _Part(index, mine, first, int(bounds[first]))
        index, first = index + 1, first + sum(entry["rows"] for entry in mine)


class _Export:
    def __init__(self, data: Dataset, out: Path, config: LerobotExport) -> None:
        self.data, self.out, self.config = data, out, config
        self.features = layout.features_of(data.meta, not config.images, config.fps, config.crf)
        self.schema = schema_of(layout.columns_of(self.features), {})
        self.wanted = ["image_before", "images", *_FACTS, *(("poses", "commands") if data.meta["has_poses"] else ())]

    def is_done(self, part: _Part) -> bool:
        """Whether the files of a part are there."""
        try:
            rows = pq.read_metadata(part.path(self.out / "meta/episodes")).num_rows
        except (pa.ArrowException, OSError):
            return False
        videos = [] if self.config.images else [part.path(self.out / "videos" / name, ".mp4") for name in (BEFORE, NOW)]
        return rows == part.attempts and all(path.exists() for path in (part.path(self.out / "data"), *videos))

    def write(self, part: _Part, advance: Callable[[int], None]) -> None:
        """Write the files of a part, holding one shard in memory."""
        episodes: list[dict[str, Any]] = []
        counts = {name: np.zeros((3, 256), np.int64) for name in (BEFORE, NOW)}
        with ExitStack() as files:
            data = files.enter_context(atomic(part.path(self.out / "data")))
            table = files.enter_context(pq.ParquetWriter(data, self.schema, compression="snappy", use_dictionary=True))
            append = {} if self.config.images else {name: self._video(files, part, name) for name in (BEFORE, NOW)}
            frames = 0
            for entry in part.shards:
                for facts, before, images, poses, commands in self._attempts(entry):
                    number = part.first + len(episodes)
                    pictures = {BEFORE: [before] * len(images), NOW: images}
                    columns = self._columns(number, part.start + frames, facts, len(images), poses, commands)
                    episode = self._facts(part, number, facts, frames, len(images))
                    statistics = {name: of_values(_flat(values)) for name, values in columns.items()}
                    for name, mine in pictures.items():
                        seen = _levels(mine)
                        counts[name] += seen
                        statistics[name] = of_levels(seen, len(mine))
                        if self.config.images:
                            columns[name] = _stored(mine)
                        else:
                            for picture in mine:
                                append[name](picture)
                    for name in self.features:
                        episode |= {f"stats/{name}/{what}": value for what, value in statistics[name].items()}
                    arrays = [pa.array(columns[field.name], type=field.type) for field in self.schema]
                    table.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
                    episodes.append(episode)
                    frames += len(images)
                    advance(1)
        seen_levels = json.dumps({name: seen.tolist() for name, seen in counts.items()})
        with atomic(part.path(self.out / "meta/episodes")) as temporary:
            found = pa.Table.from_pylist(episodes, schema=_episode_schema(episodes[0]))
            pq.write_table(found.replace_schema_metadata({_LEVELS: seen_levels}), temporary)

    def finish(self, parts: list[_Part]) -> dict[str, Any]:
        """Write what stands for all of the parts, meta/info.json last."""
        meta = self.data.meta
        statistics = {}
        for name, feature in self.features.items():
            if feature["dtype"] in ("image", "video"):
                seen = sum(self._seen(part, name) for part in parts)
                statistics[name] = of_levels(np.asarray(seen), meta["frames"])
            else:
                statistics[name] = of_parts(partial(self._values, parts, name))
        write_json(self.out / layout.STATS, statistics)
        with atomic(self.out / layout.TASKS) as temporary:
            pq.write_table(layout.tasks_table(self.config.task), temporary)
        longest = int(self.data.lengths.max())
        write_text(self.out / layout.MAPPING, layout.mapping_of(self.features, self.data.image_size, longest))
        info = layout.info_of(self.features, self.config.fps, meta["attempts"], meta["frames"], self.data.world)
        write_text(self.out / "README.md", layout.card_of(info, self.data.world))
        write_json(self.out / layout.INFO, info)
        return info

    def _video(self, files: ExitStack, part: _Part, name: str) -> Callable[[Image], None]:
        path = files.enter_context(atomic(part.path(self.out / "videos" / name, ".mp4")))
        return files.enter_context(video_file(path, self.data.image_size, self.config.fps, self.config.crf))

    def _attempts(self, entry: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Image, list[Image], Any, Any]]:
        """(facts, picture before, pictures, poses, commands) of each attempt of a shard."""
        path, size = self.data.path / entry["file"], self.data.image_size
        shards.check_size(path, entry)
        table = shards.read_columns(path, self.wanted, entry["rows"])
        befores, images = (shards.decoded(table[name], (3, size, size), path) for name in ("image_before", "images"))
        posed = "poses" in self.wanted
        poses, commands = (
            shards.flat_floats(table[n], k) if posed else None for n, k in (("poses", 4), ("commands", 5))
        )
        start = 0
        for facts, length in zip(
            table.select(_FACTS).to_pylist(), shards.lengths(table["images"]).tolist(), strict=True
        ):
            pictures = [_upright(picture) for picture in islice(images, length)]
            mine = slice(start, start + length)
            start += length
            yield facts, _upright(next(befores)), pictures, *(None if a is None else a[mine] for a in (poses, commands))

    def _columns(
        self, episode: int, start: int, facts: dict[str, Any], length: int, poses: Any, commands: Any
    ) -> dict[str, Any]:
        """The values of an episode by feature, without its pictures."""
        frame = np.arange(length)
        columns: dict[str, Any] = {}
        if poses is not None:
            target = np.tile(target_of(poses, commands), (length, 1))
            columns |= {STATE: list(poses), ACTION: list(commands), TARGET: list(target)}
        last = frame == length - 1
        if SUCCESS in self.features:
            columns[SUCCESS] = last & facts["success"]
        zero = np.zeros(length, np.int64)
        columns |= {DONE: last, "timestamp": (frame / self.config.fps).astype(np.float32), "frame_index": frame}
        return columns | {"episode_index": zero + episode, "index": start + frame, "task_index": zero}

    def _facts(self, part: _Part, episode: int, facts: dict[str, Any], frames: int, length: int) -> dict[str, Any]:
        """The row of meta/episodes, without statistics; `frames` are in the part's files already."""
        start = part.start + frames
        row: dict[str, Any] = {"episode_index": episode, "tasks": [self.config.task], "length": length}
        row |= part.place("data") | {"dataset_from_index": start, "dataset_to_index": start + length}
        if not self.config.images:
            for name in (BEFORE, NOW):
                times = {
                    "from_timestamp": frames / self.config.fps,
                    "to_timestamp": (frames + length) / self.config.fps,
                }
                row |= part.place(f"videos/{name}") | {f"videos/{name}/{key}": value for key, value in times.items()}
        return row | part.place("meta/episodes") | {**facts, "scene": int(self.data.scenes[episode])}

    def _seen(self, part: _Part, name: str) -> Int64[np.ndarray, "3 256"]:
        metadata = pq.read_schema(part.path(self.out / "meta/episodes")).metadata
        return np.array(json.loads(metadata[_LEVELS])[name], dtype=np.int64)

    def _values(self, parts: list[_Part], name: str) -> Iterator[Float[np.ndarray, "t k"]]:
        """The values of a feature that isn't a picture, part by part."""
        for part in parts:
            column = pq.read_table(part.path(self.out / "data"), columns=[name], partitioning=None)[name]
            width = self.features[name]["shape"][0]
            flat = column.combine_chunks() if width == 1 else column.combine_chunks().flatten()
            yield np.asarray(pc.cast(flat, pa.float64())).reshape(-1, width)


def _flat(values: Any) -> Float[np.ndarray, "t k"]:
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def _upright(picture: np.ndarray) -> Image:
    """[3, h, w] as [h, w, 3]."""
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def _levels(pictures: list[Image]) -> Int64[np.ndarray, "3 256"]:
    """The sum of the pictures' levels; those of one picture that stands there several times are counted once."""
    if all(picture is pictures[0] for picture in pictures):
        return levels(pictures[0]) * len(pictures)
    return levels(np.concatenate(pictures))


def _stored(pictures: list[Image]) -> list[dict[str, Any]]:
    """As Hugging Face `datasets` stores pictures."""
    known: dict[int, bytes] = {}
    for picture in pictures:
        if id(picture) not in known:
            known[id(picture)] = encode_png(picture, small=True)
    return [{"bytes": known[id(p)], "path": f"frame-{k:06d}.png"} for k, p in enumerate(pictures)]


def _episode_schema(row: dict[str, Any]) -> pa.Schema:
    """Types of meta/episodes, also of what is null in all rows."""
    types = {
        "tasks": pa.list_(pa.string()),
        "success": pa.bool_(),
        "object_name": pa.string(),
        "objects": pa.list_(pa.string()),
        "predicted": pa.list_(pa.float32()),
    }
    return pa.schema([(name, types.get(name) or pa.scalar(value).type) for name, value in row.items()])
