"""What a LeRobotDataset v3.0 of ours looks like: its features, its files and the facts about them.

Only the layout is theirs (github.com/huggingface/lerobot, Apache-2.0); it is written without their library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from graspgap.datasets.schema import IMAGE, Column, list_of, value_of
from graspgap.datasets.video_writer import GROUP, PIXELS

VERSION = "v3.0"
BEFORE, NOW = "observation.images.before", "observation.images.now"
STATE, ACTION, TARGET = "observation.state", "action", "target"
SUCCESS, DONE = "next.success", "next.done"
CHUNK, DATA_MB, VIDEO_MB = 1000, 100, 200
"""Files in a folder, and about how large they are, as LeRobot does it."""
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
INFO, STATS, TASKS, MAPPING = "meta/info.json", "meta/stats.json", "meta/tasks.parquet", "meta/graspgap.toml"

_TYPES = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}


def features_of(meta: Mapping[str, Any], videos: bool, fps: int, crf: int) -> dict[str, dict[str, Any]]:
    """The features of a dataset with this meta.json, as meta/info.json describes them."""
    size = meta["image_size"]
    picture: dict[str, Any] = {"shape": [size, size, 3], "names": ["height", "width", "channels"]}
    if videos:
        facts = {"height": size, "width": size, "codec": "h264", "pix_fmt": PIXELS, "is_depth_map": False}
        facts |= {"fps": fps, "channels": 3, "g": GROUP, "crf": crf}
        info = {f"video.{name}": value for name, value in facts.items()} | {"has_audio": False}
        picture = {"dtype": "video", **picture, "info": info}
    else:
        picture = {"dtype": "image", **picture}
    found = {BEFORE: picture, NOW: picture}
    if meta["has_poses"]:
        pose = _feature("float32", "x", "y", "z", "yaw")
        found |= {STATE: pose, ACTION: _feature("float32", "dx", "dy", "dz", "sin_dyaw", "cos_dyaw"), TARGET: pose}
    if meta["has_labels"]:
        found[SUCCESS] = _feature("bool")
    found |= {DONE: _feature("bool"), "timestamp": _feature("float32")}
    return found | {name: _feature("int64") for name in ("frame_index", "episode_index", "index", "task_index")}


def _feature(dtype: str, *names: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [len(names) or 1], "names": list(names) or None}


def columns_of(features: Mapping[str, dict[str, Any]]) -> dict[str, Column]:
    """The columns of a data file: pictures in videos have none."""
    columns = {}
    for name, feature in features.items():
        if feature["dtype"] == "image":
            columns[name] = IMAGE
        elif feature["dtype"] != "video":
            one = value_of(_TYPES[feature["dtype"]], feature["dtype"])
            columns[name] = one if feature["shape"] == [1] else list_of(one, feature["shape"][0])
    return columns


def info_of(features: Mapping[str, Any], fps: int, episodes: int, frames: int, robot: str) -> dict[str, Any]:
    """Content of meta/info.json."""
    videos = any(feature["dtype"] == "video" for feature in features.values())
    return {
        "codebase_version": VERSION,
        "robot_type": robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": 1,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": f"data/{FILE}.parquet",
        "video_path": f"videos/{{video_key}}/{FILE}.mp4" if videos else None,
        "features": dict(features),
    }


def tasks_table(task: str) -> pa.Table:
    """Content of meta/tasks.parquet: a pandas frame whose index is the task in words."""
    columns = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
        {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"},
    ]
    facts = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [{**column, "metadata": None} for column in columns],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": pa.array([task])})
    return table.replace_schema_metadata({"pandas": json.dumps(facts)})


def mapping_of(features: Mapping[str, Any], image_size: int, longest: int) -> str:
    """A mapping file for `graspgap import lerobot`, by which it reads every value back."""
    lines = {"images": [NOW], "before": BEFORE, "scene": "scene", "image_size": image_size}
    lines["frames_per_attempt"] = longest
    if STATE in features:
        lines |= {"pose": STATE}
    if SUCCESS in features:
        lines |= {"target": TARGET, "success": SUCCESS, "grasp": "last-frame"}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())


_CARD = """---
configs:
- config_name: default
  data_files: data/*/*.parquet
task_categories:
- robotics
tags:
- LeRobot
- grasping
- graspgap
---

# Grasp attempts of the world `{world}`

A LeRobotDataset {version} with {episodes} episodes, one for each grasp attempt, and {frames} frames, one for each servo
step, at {fps} a second by convention: steps have no clock.

| feature | |
|---|---|
| `{before}` | the bin before the attempt, arm out of view; the same in all frames of an episode |
| `{now}` | the bin now, with the arm |
{rest}
`meta/episodes` also tells attempt, seed, scene, world, policy and objects. Attempts with the same scene
began alike: split by it.
`graspgap import lerobot FOLDER OUT --mapping FOLDER/{mapping}` makes it a graspgap dataset again.

No licence is set: before you publish, choose one and add `license:` at the top of this file.
"""
_ROWS = {
    STATE: "gripper pose x, y, z [m], yaw [rad], robot base frame; the gripper points straight down",
    ACTION: "motor command from there to the final grasp pose: dx, dy, dz [m], sin and cos of the turn",
    TARGET: "that pose",
    SUCCESS: "whether the grasp held, in the last frame; false in the others",
}


def card_of(info: Mapping[str, Any], world: str) -> str:
    """Text of README.md."""
    rest = "".join(f"| `{name}` | {words} |\n" for name, words in _ROWS.items() if name in info["features"])
    return _CARD.format(
        world=world,
        version=VERSION,
        episodes=info["total_episodes"],
        frames=info["total_frames"],
        fps=info["fps"],
        before=BEFORE,
        now=NOW,
        rest=rest,
        mapping=MAPPING,
    )
