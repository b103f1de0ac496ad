"""Training samples per second on one core, beside a folder of PNG files and the plain reader of `datasets`.

    pip install -e . -c constraints.txt
    python benchmarks/loader.py

A sample is (I0, It, mask of I0, mask of It, pose, command, label), in random order, decoded to arrays. The dataset is
collected first: attempts in `sim`, 64 x 64 pixels. Rows, which take turns:

- graspgap, first pass: open the dataset, decode all of it into a view, and gather every sample once in random order;
- graspgap, later passes: the same from the view that is there;
- graspgap, mapped: the same from a view that is mapped from files, as those larger than memory are, once it is decoded
  (the files are in the operating system's memory, as they would not be if they were larger);
- graspgap, training batches: augmented tensors as `GraspTrainer` and `AdapterTrainer` take them;
- PNG files in a folder: one file per picture and mask, read by OpenCV in random order, four files a sample;
- Hugging Face datasets: our shards by `load_dataset`, rows in random order, every step of a row used as it comes: less
  random than the others, because a row is an attempt, and to read one is to decode all of its pictures.

Rates are samples per second of the processor's time. Nothing else should run meanwhile.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
import tyro

from graspgap.caches import CACHE
from graspgap.cli.main import main as graspgap
from graspgap.datasets import SimulatedView, open_dataset
from graspgap.datasets.pictures import encode_png
from graspgap.seeding import generator
from graspgap.training.batches import GraspSamples

BATCH = 32
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Config:
    """What is measured."""

    attempts: int = 600
    """Attempts of the dataset."""
    repeats: int = 5
    """Passes over the data, of which the median counts."""


def gathered(view: SimulatedView, order: np.ndarray) -> int:
    """Every sample of a view, in batches; returns their number."""
    assert view.poses is not None
    assert view.commands is not None
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        pictures, masks = view.pairs(rows), view.mask_pairs(rows)
        _ = pictures, masks, view.poses[rows], view.commands[rows], view.success[view.owner[rows]]
    return len(order)


def batches(samples: GraspSamples, draw: int) -> int:
    """As many augmented batches as make a pass."""
    count = len(samples) // BATCH
    for index in range(count):
        samples.batch(generator(0, "loader", draw * count + index), BATCH, CPU)
    return count * BATCH


def write_files(view: SimulatedView, folder: Path) -> None:
    """Every picture and mask of a view as a PNG file."""
    arrays = {"images_before": view.images_before, "images": view.images}
    for name, array in (arrays | {"masks_before": view.masks_before, "masks": view.masks}).items():
        for row, picture in enumerate(array):
            flat = np.ascontiguousarray(picture.transpose(1, 2, 0)) if picture.ndim == 3 else picture
            (folder / f"{name}{row}.png").write_bytes(encode_png(flat, small=True))


def from_files(view: SimulatedView, folder: Path, order: np.ndarray) -> int:
    """Every sample from PNG files; numbers come from arrays."""
    assert view.poses is not None
    assert view.commands is not None
    for row in order:
        owner = view.owner[row]
        pictures = [
            cv2.imread(str(folder / n), cv2.IMREAD_COLOR_RGB) for n in (f"images_before{owner}.png", f"images{row}.png")
        ]
        masks = [
            cv2.imread(str(folder / n), cv2.IMREAD_GRAYSCALE) for n in (f"masks_before{owner}.png", f"masks{row}.png")
        ]
        _ = pictures, masks, view.poses[row], view.commands[row], view.success[owner]
    return len(order)


def from_hugging_face(rows: Any, draw: int) -> int:
    """Every sample of the shards, attempt by attempt."""
    count = 0
    for row in rows.shuffle(seed=draw):
        before = np.asarray(row["image_before"]), np.asarray(row["mask_before"])
        steps = zip(row["images"], row["masks"], row["poses"], row["commands"], strict=True)
        for image, mask, pose, command in steps:
            _ = before, np.asarray(image), np.asarray(mask), np.float32(pose), np.float32(command), row["success"]
            count += 1
    return count


def passes(folder: Path) -> Iterator[tuple[str, Callable[[int], int]]]:
    """What is measured: a function of the number of the pass that returns how many samples it gave."""
    import datasets

    data, files = folder / "data", folder / "png"
    files.mkdir()
    view, far = open_dataset(data).simulated(), open_dataset(data, memory=0).simulated()
    write_files(view, files)
    samples = GraspSamples(view, 6)
    rows = datasets.load_dataset(
        "parquet", data_files=str(data / "data/*.parquet"), split="train", cache_dir=str(folder / "cache")
    )

    def order(draw: int) -> np.ndarray:
        return generator(0, "order", draw).permutation(len(view.images))

    yield "graspgap, first pass", lambda draw: gathered(open_dataset(data).simulated(), order(draw))
    yield "graspgap, later passes", lambda draw: gathered(view, order(draw))
    yield "graspgap, mapped", lambda draw: gathered(far, order(draw))
    yield "graspgap, training batches", lambda draw: batches(samples, draw)
    yield "PNG files in a folder", lambda draw: from_files(view, files, order(draw))
    yield "Hugging Face datasets", lambda draw: from_hugging_face(rows, draw)


def measure(config: Config, folder: Path) -> list[dict[str, Any]]:
    """A row per way to read."""
    os.environ[CACHE] = str(folder / "mapped")
    graspgap(["collect", str(folder / "data"), "--world", "sim", "--attempts", str(config.attempts), "--workers", "1"])
    rates: dict[str, list[float]] = {}
    contenders = dict(passes(folder))
    for draw in range(config.repeats + 1):
        for name, run in contenders.items():
            start = time.process_time()
            count = run(draw)
            if draw:  # the first one warms up
                rates.setdefault(name, []).append(count / (time.process_time() - start))
    return [
        {"what": name, "samples_per_second": round(median(r)), "interval": f"{min(r):.0f} to {max(r):.0f}"}
        for name, r in rates.items()
    ]


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(config, Path(folder))
    print(table(rows))
    print(save("loader", asdict(config), rows, load))


if __name__ == "__main__":
    main()
