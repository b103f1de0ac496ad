"""What LeRobot's own reader makes of a folder, compared with the values that it was exported from.

Run by lerobot_reader.py, in an environment of its own: python lerobot_reader_worker.py FOLDER VALUES.npz
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from lerobot.datasets.compute_stats import aggregate_stats
from lerobot.datasets.lerobot_dataset import LeRobotDataset

CAMERAS = {"observation.images.before": "before", "observation.images.now": "now"}
NUMBERS = {"observation.state": "poses", "action": "commands", "index": "index", "episode_index": "owner"}


def main(folder: Path, values: dict[str, np.ndarray]) -> dict[str, object]:
    data = LeRobotDataset("local/compared", root=folder)
    assert len(data) == len(values["now"]), f"{len(data)} frames, expected {len(values['now'])}"
    worst, total, same = 0, 0, 0
    loader = torch.utils.data.DataLoader(data, batch_size=64)
    first = 0
    for batch in loader:
        rows = slice(first, first + len(batch["index"]))
        first = rows.stop
        for name, key in NUMBERS.items():
            np.testing.assert_array_equal(batch[name].numpy(), values[key][rows], err_msg=name)
        ends = values["ends"][rows]
        np.testing.assert_array_equal(batch["next.done"].numpy(), ends)
        np.testing.assert_array_equal(batch["next.success"].numpy(), ends & values["success"][rows])
        for name, key in CAMERAS.items():
            found = (batch[name] * 255).round().to(torch.int64).numpy()
            error = np.abs(found - values[key][rows])
            worst, total, same = (
                max(worst, int(error.max())),
                total + float((error**2).sum()),
                same + int((error == 0).sum()),
            )
    pixels = 2 * values["now"].size
    history = LeRobotDataset(
        "local/compared",
        root=folder,
        episodes=[1],
        delta_timestamps={"action": [0.0, 1 / data.fps], "observation.images.now": [-1 / data.fps, 0.0]},
    )
    item, start = history[1], int(np.searchsorted(values["owner"], 1))
    np.testing.assert_array_equal(item["action"].numpy(), values["commands"][start + 1 : start + 3])
    pair = (item["observation.images.now"] * 255).round().numpy()
    apart = np.abs(pair - values["now"][start : start + 2]).mean()
    return {
        "frames": first,
        "episodes": data.num_episodes,
        "numbers": "equal",
        "pixels_equal": round(same / pixels, 4),
        "largest_error": worst,
        "psnr_db": None if total == 0 else round(10 * np.log10(255**2 * pixels / total), 1),
        "history_mean_error": round(float(apart), 2),
        "statistics_differ_by": statistics(folder, data),
        "versions": {name: version(name) for name in ("lerobot", "torch", "torchcodec", "av", "datasets", "numpy")},
    }


def statistics(folder: Path, data: LeRobotDataset) -> float:
    """The largest relative difference of meta/stats.json from what LeRobot makes of the statistics of all episodes."""
    rows = Dataset.from_parquet([str(path) for path in sorted(folder.glob("meta/episodes/*/*.parquet"))])
    kinds = ("min", "max", "mean", "std", "count")
    parts = [
        {name: {kind: np.array(row[f"stats/{name}/{kind}"]) for kind in kinds} for name in data.features}
        for row in rows
    ]
    found = aggregate_stats(parts)
    return max(
        float(np.max(np.abs(found[name][kind] - data.meta.stats[name][kind]) / (np.abs(found[name][kind]) + 1)))
        for name in data.features
        for kind in kinds
    )


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), dict(np.load(sys.argv[2])))))
