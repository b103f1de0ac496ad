"""Folders of LeRobotDataset, v3.0 and v2.1: which episodes there are, and the values and pictures of one.

v3.0 keeps many episodes in a Parquet file and in a video, v2.1 one in each; meta/info.json names the files.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64

from graspgap.contract import Image
from graspgap.datasets.pictures import decode_whole_picture
from graspgap.datasets.shards import UNREADABLE
from graspgap.errors import UserError, choose
from graspgap.files import read_json

WHAT = "a LeRobotDataset"
VERSIONS = ("v3.0", "v2.1")
MOST = 2**31
"""Episodes, and frames of one: nothing that is damaged may make us count further."""
_FEW = re.compile(r"0?[0-9]?d?")
"""How numbers stand in the names of files."""


@dataclass(frozen=True)
class Episode:
    """An episode of a folder."""

    index: int
    length: int
    """Frames."""
    facts: dict[str, Any]
    """Its row of meta/episodes."""


class LerobotFolder:
    """An opened folder: `features` by name as meta/info.json describes them, and `episodes` in their order."""

    def __init__(self, root: Path) -> None:
        """Raises:
        UserError: if `root` is no LeRobotDataset of a version that is known, or its meta files are damaged.
        """
        self.root = root
        info = read_json(root / "meta/info.json", WHAT)
        try:
            self.version = str(info["codebase_version"])
            self.features: dict[str, dict[str, Any]] = {name: dict(one) for name, one in info["features"].items()}
            self.fps = float(info["fps"])
            self.data_path, self.video_path = str(info["data_path"]), str(info.get("video_path"))
            self.chunk = _whole(info.get("chunks_size", 1000))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(f"{root / 'meta/info.json'} is damaged ({error!r}): copy the dataset again") from None
        if self.version not in VERSIONS or not (0 < self.fps < math.inf and self.chunk > 0):
            raise UserError(
                f"{root} is a LeRobotDataset of version {self.version}, {self.fps:g} frames a second, expected "
                f"{' or '.join(VERSIONS)}: convert it with LeRobot's own script"
            )
        rows = self._episodes_v3() if self.version == "v3.0" else self._episodes_v2()
        try:
            found = [Episode(_whole(row["episode_index"]), _whole(row["length"]), row) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{root / 'meta'} lists a damaged episode ({error!r}): copy the dataset again") from None
        self.episodes = sorted(found, key=lambda episode: episode.index)

    @property
    def cameras(self) -> list[str]:
        """Names of the features that hold pictures."""
        return [name for name, feature in self.features.items() if feature.get("dtype") in ("image", "video")]

    def is_video(self, name: str) -> bool:
        """Whether a camera's pictures are in video files."""
        return self.features[name].get("dtype") == "video"

    def table(self, episode: Episode, columns: Sequence[str]) -> pa.Table:
        """These columns of an episode's frames, in their order.

        Raises:
            UserError: if the file is missing, damaged, lacks a column or a frame.
        """
        path = self._path(self.data_path, episode, "data")
        wanted = sorted({"episode_index", "frame_index", "timestamp", *columns})
        try:
            names = pq.read_schema(path).names
            for name in wanted:
                choose(f"column of {path.name}", name, names)
            table = pq.read_table(
                path, columns=wanted, filters=[("episode_index", "=", episode.index)], partitioning=None
            )
        except FileNotFoundError:
            raise UserError(f"{path} is missing: copy the dataset again") from None
        except UNREADABLE as error:
            why = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{path} is damaged ({why}): copy it again, or record it again") from None
        frames = table["frame_index"].to_pylist()
        if len(frames) != episode.length or frames != list(range(episode.length)):
            raise UserError(
                f"{path} has {len(frames)} frames of episode {episode.index}, expected {episode.length}, "
                "numbered from 0: copy it again"
            )
        return table

    def pictures(self, episode: Episode, table: pa.Table, camera: str, frames: Sequence[int]) -> list[Image]:
        """The pictures of these frames, ascending. Those in Parquet files must be a column of `table`.

        Raises:
            UserError: if one is missing or damaged.
        """
        if self.is_video(camera):
            from graspgap.datasets.video_frames import frames_at

            start = 0.0
            if self.version == "v3.0":
                start = self._fact(episode, f"videos/{camera}/from_timestamp")
                if not isinstance(start, int | float):
                    raise UserError(f"{self.root}/meta/episodes has a from_timestamp of {start!r}: copy it again")
            path = self._path(self.video_path, episode, f"videos/{camera}", camera)
            times = numbers(table["timestamp"], "timestamp")[:, 0]
            return frames_at(path, [start + times[k] for k in frames], tolerance=0.5 / self.fps)
        return [decode_whole_picture(self._bytes(one)) for one in table[camera].take(pa.array(frames)).to_pylist()]

    def _bytes(self, stored: Any) -> bytes:
        """Bytes of a picture in the form of Hugging Face `datasets`, {bytes, path}."""
        if not isinstance(stored, dict) or not (stored.get("bytes") or stored.get("path")):
            raise UserError("no picture is stored")
        if stored.get("bytes"):
            return bytes(stored["bytes"])
        try:
            return self._inside(str(stored["path"])).read_bytes()
        except OSError as error:
            raise UserError(f"{error.filename} is missing") from None

    def _episodes_v3(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in sorted((self.root / "meta/episodes").glob("*/*.parquet")):
            try:
                names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
                rows += pq.read_table(path, columns=names, partitioning=None).to_pylist()
            except UNREADABLE as error:
                why = (str(error) or type(error).__name__).splitlines()[0]
                raise UserError(f"{path} is damaged ({why}): copy the dataset again") from None
        return rows

    def _episodes_v2(self) -> list[dict[str, Any]]:
        path = self.root / "meta/episodes.jsonl"
        try:
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except FileNotFoundError:
            raise UserError(f"{self.root} is not {WHAT}: it has no meta/episodes.jsonl") from None
        except ValueError as error:
            raise UserError(f"{path} is not valid JSON ({error}): copy the dataset again") from None

    def _path(self, template: str, episode: Episode, prefix: str, camera: str = "") -> Path:
        if self.version == "v3.0":
            values = {f"{part}_index": self._fact(episode, f"{prefix}/{part}_index") for part in ("chunk", "file")}
        else:
            values = {"episode_chunk": episode.index // self.chunk, "episode_index": episode.index}
        values["video_key"] = camera
        try:  # names alone, and few digits: a template may not reach into the values, or make them long
            parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
            if not all(name in values and _FEW.fullmatch(spec or "") and not how for _, name, spec, how in parts):
                raise KeyError
            return self._inside(template.format(**values))
        except (KeyError, ValueError):
            known = ", ".join(values)
            raise UserError(f"{self.root / 'meta/info.json'} has the path {template}, expected {known} in it") from None

    def _inside(self, name: str) -> Path:
        if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
            raise UserError(f"{self.root} names the file {name}, which is outside of it: refused")
        return self.root / name

    def _fact(self, episode: Episode, name: str) -> Any:
        if episode.facts.get(name) is None:
            raise UserError(f"{self.root}/meta/episodes has no '{name}' for episode {episode.index}: copy it again")
        return episode.facts[name]


def _whole(value: Any) -> int:
    """Raises:
    ValueError: if it is no whole number from 0.
    """
    if isinstance(value, bool) or not 0 <= value < MOST or value != int(value):
        raise ValueError(f"{value!r}, expected a whole number")
    return int(value)


def numbers(column: pa.ChunkedArray, name: str) -> Float64[np.ndarray, "t k"]:
    """A column of numbers, or of lists of as many numbers each; null becomes nan.

    Raises:
        UserError: if it holds anything else.
    """
    rows = [one if isinstance(one, list) else [one] for one in column.to_pylist()]
    try:
        values = np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.ndim != 2:
        raise UserError(f"'{name}' holds no lists of as many numbers each: map another field")
    return values
