"""Recordings as other programs write them, in their documented layouts."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

av = pytest.importorskip("av", reason="extra recordings")
MCAP = pytest.importorskip("mcap.writer", reason="extra recordings")

FPS = 10
TOP, WRIST = "observation.images.top", "observation.images.wrist"


def shade(value: int, height: int = 16, width: int = 24) -> np.ndarray:
    """Grey levels value and 200, so that a picture is told by its first pixel."""
    picture = np.full((height, width, 3), value, dtype=np.uint8)
    picture[-height // 2 :] = 200
    return picture


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def write_video(path: Path, pictures: list[np.ndarray], codec: str = "libx264rgb", first: int = 0) -> None:
    """Lossless; frame k is at (first + k) / FPS seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options={"crf": "0", "g": "4"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb24" if codec == "libx264rgb" else "bgr0"
        stream.time_base = Fraction(1, FPS)
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = first + k, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def state(episode: int, frame: int) -> list[float]:
    """x, y, z [m], a gripper straight down as xyzw, and the opening of its fingers: it closes at frame 4."""
    half = (0.1 * episode + 0.02 * frame) / 2
    return [0.5 + 0.01 * frame, 0.01 * episode, 0.2, np.cos(half), np.sin(half), 0.0, 0.0, 0.0 if frame >= 4 else 1.0]


def level(episode: int, frame: int) -> int:
    return 30 * episode + frame


def write_lerobot(root: Path, version: str, lengths: list[int], video: bool = True) -> Path:
    """A dataset with a video (`TOP`) and a picture feature (`WRIST`, 100 brighter); `next.success` at the last frame of
    even episodes, and in meta/episodes `grasp` as the opposite, unknown for the last episode."""
    v3 = version == "v3.0"
    features: dict[str, Any] = {
        WRIST: {"dtype": "image", "shape": [16, 24, 3], "names": ["height", "width", "channels"]},
        "observation.state": {"dtype": "float32", "shape": [8], "names": None},
        "action": {"dtype": "float32", "shape": [8], "names": None},
        "next.success": {"dtype": "bool", "shape": [1], "names": None},
        **{name: {"dtype": "int64", "shape": [1], "names": None} for name in ("frame_index", "episode_index", "index")},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    }
    if video:
        features[TOP] = {"dtype": "video", "shape": [16, 24, 3], "names": ["height", "width", "channels"]}
    paths = (
        "chunk-{chunk_index:03d}/file-{file_index:03d}",
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}",
    )
    if not v3:
        paths = (
            "chunk-{episode_chunk:03d}/episode_{episode_index:06d}",
            "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}",
        )
    info = {"codebase_version": version, "fps": FPS, "features": features, "chunks_size": 2 if not v3 else 1000}
    info |= {"data_path": f"data/{paths[0]}.parquet", "video_path": f"{paths[1]}.mp4" if video else None}
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    columns = datasets.Features(
        {
            WRIST: datasets.Image(),
            "observation.state": datasets.List(datasets.Value("float32"), length=8),
            "action": datasets.List(datasets.Value("float32"), length=8),
            "next.success": datasets.Value("bool"),
            **{name: datasets.Value("int64") for name in ("frame_index", "episode_index", "index")},
            "timestamp": datasets.Value("float32"),
        }
    )
    rows, facts = [], []
    for episode, length in enumerate(lengths):
        start = len(rows)
        for frame in range(length):
            values = state(episode, frame)
            rows.append(
                {
                    WRIST: {"bytes": png(shade(100 + level(episode, frame))), "path": None},
                    "observation.state": values,
                    "action": [values[0], values[1], values[2] - 0.05, *values[3:]],
                    "next.success": frame == length - 1 and episode % 2 == 0,
                    "frame_index": frame,
                    "episode_index": episode,
                    "index": start + frame,
                    "timestamp": frame / FPS,
                }
            )
        grasp = None if episode == len(lengths) - 1 else episode % 2
        fact = {"episode_index": episode, "tasks": ["pick"], "length": length, "grasp": grasp}
        # two episodes in a file: as LeRobot rolls files, only sooner
        where = {"chunk_index": 0, "file_index": episode // 2}
        fact |= {f"data/{key}": value for key, value in where.items()} if v3 else {}
        if v3 and video:
            offset = sum(lengths[episode // 2 * 2 : episode]) / FPS
            fact |= {f"videos/{TOP}/{key}": value for key, value in where.items()}
            fact |= {f"videos/{TOP}/from_timestamp": offset, f"videos/{TOP}/to_timestamp": offset + length / FPS}
        facts.append(fact)
    groups = (
        [[k] for k in range(len(lengths))]
        if not v3
        else [[k for k in range(len(lengths)) if k // 2 == f] for f in range((len(lengths) + 1) // 2)]
    )
    for number, group in enumerate(groups):
        name = f"chunk-000/file-{number:03d}" if v3 else f"chunk-{number // 2:03d}/episode_{number:06d}"
        path = root / f"data/{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = [row for row in rows if row["episode_index"] in group]
        datasets.Dataset.from_list(mine, features=columns).to_parquet(path)
        if video:
            pictures = [shade(level(episode, frame)) for episode in group for frame in range(lengths[episode])]
            name = f"{TOP}/chunk-000/file-{number:03d}" if v3 else f"chunk-{number // 2:03d}/{TOP}/episode_{number:06d}"
            write_video(root / f"videos/{name}.mp4", pictures)
    if v3:
        path = root / "meta/episodes/chunk-000/file-000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(facts), path)
    else:
        (root / "meta/episodes.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    return root


class Cdr:
    """Writes values as ROS 2 does: aligned to their size after a header of 4 bytes."""

    def __init__(self, order: str = "<") -> None:
        self.order, self.data = order, b""

    def put(self, kind: str, *values: float) -> Cdr:
        for value in values:
            self.data += b"\0" * (-len(self.data) % struct.calcsize(kind)) + struct.pack(self.order + kind, value)
        return self

    def many(self, data: bytes) -> Cdr:
        self.put("I", len(data))
        self.data += data
        return self

    def text(self, text: str) -> Cdr:
        return self.many(text.encode() + b"\0")

    def header(self, time: float, frame: str = "base") -> Cdr:
        return self.put("i", int(time)).put("I", round(time % 1 * 1e9)).text(frame)

    def done(self) -> bytes:
        return (b"\0\1\0\0" if self.order == "<" else b"\0\0\0\0") + self.data


def raw(picture: np.ndarray, encoding: str, time: float, pad: int = 0, order: str = "<", frame: str = "base") -> bytes:
    """sensor_msgs/msg/Image; `picture` has the channels of the encoding, `pad` bytes stand after each row."""
    rows = np.pad(picture.reshape(len(picture), -1), ((0, 0), (0, pad)))
    head = Cdr(order).header(time, frame).put("I", *picture.shape[:2]).text(encoding).put("B", 0)
    return head.put("I", rows.shape[1]).many(rows.tobytes()).done()


def compressed(picture: np.ndarray, time: float) -> bytes:
    """sensor_msgs/msg/CompressedImage."""
    return Cdr().header(time).text("png").many(png(picture)).done()


def pose_stamped(values: list[float], time: float, frame: str = "base") -> bytes:
    return Cdr().header(time, frame).put("d", *values).done()


def write_mcap(path: Path, channels: dict[str, str], rows: list[tuple[str, float, bytes]], **options: Any) -> Path:
    """`channels`: topic to type; `rows`: topic, time of recording [s], message."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = MCAP.Writer(str(path), **options)
    writer.start(profile="ros2", library="test")
    numbers = {}
    for topic, kind in channels.items():
        schema = writer.register_schema(kind, "ros2msg", b"")
        numbers[topic] = writer.register_channel(topic, "json" if kind == "json" else "cdr", schema)
    for topic, time, data in rows:
        writer.add_message(numbers[topic], round(time * 1e9), data, round(time * 1e9))
    writer.finish()
    return path
