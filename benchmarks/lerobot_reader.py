"""Does LeRobot itself read what `graspgap export lerobot` writes? Its reader, in an environment of its own, opens an
export as pictures and one as videos, and every value of every frame is compared with our dataset.

    graspgap collect data/sim --world sim --attempts 300
    python benchmarks/lerobot_reader.py data/sim --venv /tmp/lerobot-venv     # 8 GB, once; with --python for another

LeRobot's pins exclude current versions of torch, so it is installed without them; torchcodec finds the FFmpeg that PyAV
brings along.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import common
from graspgap.datasets import open_dataset
from graspgap.datasets.export_lerobot import LerobotExport, export_lerobot

TORCH = ("torch==2.14.1", "torchvision==0.29.1")
SHARED = (
    *("accelerate<2", "av>=15,<16", "datasets>=4.7,<5", "deepdiff<9", "einops<0.9", "gymnasium<2", "imageio<3"),
    *("jsonlines<5", "numpy<2.3", "opencv-python-headless<4.13", "packaging<26", "setuptools<81", "termcolor<4"),
    "torchcodec",
)
NEEDED = {
    "0.4.4": (*SHARED, "draccus==0.10.0", "huggingface-hub>=0.34.2,<0.36"),
    "0.6.1": (*SHARED, "draccus>=0.11.6,<0.12", "huggingface-hub>=1.6,<2", "pandas<3"),
}
"""What a version of LeRobot imports to read a dataset, as it pins it. 0.4.4 is the newest for Python 3.11."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="labelled dataset")
    parser.add_argument("--venv", type=Path, nargs="+", required=True, help="environments with LeRobot, made if absent")
    parser.add_argument("--python", default=sys.executable, help="Python that an environment is made with")
    arguments = parser.parse_args()
    load = common.begin()
    environments = {venv: prepared(venv, arguments.python) for venv in arguments.venv}
    rows, readers = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_values(arguments.data, folder / "values.npz")
        for kind in ("images", "videos"):
            config = LerobotExport(images=kind == "images")
            export_lerobot(arguments.data, folder / kind, config)
            megabytes = sum(path.stat().st_size for path in (folder / kind).rglob("*") if path.is_file()) / 1e6
            for venv, environment in environments.items():
                worker = Path(__file__).with_name("lerobot_reader_worker.py")
                command = [venv / "bin/python", worker, folder / kind, folder / "values.npz"]
                out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
                found = json.loads(out.splitlines()[-1])
                versions = found.pop("versions")
                readers += [] if versions in readers else [versions]
                what = {"what": kind, "lerobot": versions["lerobot"], "megabytes": round(megabytes, 1)}
                rows.append({**what, **found})
    print(common.table(rows))
    source = sum(path.stat().st_size for path in arguments.data.rglob("*.parquet")) / 1e6
    settings = {"attempts": len(open_dataset(arguments.data)), "source_megabytes": round(source, 1)}
    common.save("lerobot_reader", settings, rows, load, {"readers": readers})


def save_values(data: Path, path: Path) -> None:
    """What each frame must hold."""
    view = open_dataset(data).labelled(1.0)
    frames = np.arange(len(view.images))
    np.savez(
        path,
        before=view.images_before[view.owner],
        now=view.images,
        poses=view.poses,
        commands=view.commands,
        owner=view.owner,
        index=frames,
        ends=np.isin(frames, view.offsets[1:] - 1),
        success=view.success[view.owner],
    )


def prepared(venv: Path, python: str) -> dict[str, str]:
    """Environment variables for LeRobot's Python, which is installed where it isn't there."""
    if not (venv / "bin/python").exists():
        subprocess.run([python, "-m", "venv", venv], check=True)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    if not any(venv.glob("lib/*/site-packages/lerobot")):
        version = "0.4.4" if any(venv.glob("lib/python3.11")) else "0.6.1"
        for what in (TORCH, NEEDED[version], ("--no-deps", f"lerobot=={version}")):
            subprocess.run([*pip, *what], check=True)
    libraries = next(venv.glob("lib/*/site-packages/av.libs")).absolute()
    links = (venv / "ffmpeg").absolute()
    links.mkdir(exist_ok=True)
    for path in libraries.glob("lib*"):  # libavcodec-1a2b3c4d.so.61.19.101 is asked for as libavcodec.so.61
        found = re.fullmatch(r"(lib[a-z]+)-[0-9a-f]+\.so\.(\d+)\..*", path.name)
        if found and not (links / f"{found[1]}.so.{found[2]}").exists():
            (links / f"{found[1]}.so.{found[2]}").symlink_to(path)
    return os.environ | {"LD_LIBRARY_PATH": f"{links}:{libraries}", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
