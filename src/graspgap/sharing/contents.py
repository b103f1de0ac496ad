"""What of a folder is shared: finished datasets, LeRobot exports, adapter and policy runs, ONNX exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from graspgap.datasets.check import read_meta
from graspgap.datasets.lerobot_layout import INFO
from graspgap.deployment.onnx_predictor import CHECK
from graspgap.errors import UserError
from graspgap.files import read_json, sha256
from graspgap.progress import progress
from graspgap.runs import CONFIG, KINDS

MANIFEST = "graspgap.json"
"""In a repository: what graspgap pushed there, with the size and SHA-256 of each file."""
CARD = "README.md"
SUFFIXES = ("csv", "json", "jsonl", "md", "mp4", "onnx", "parquet", "png", "safetensors", "toml")
"""Kinds of files that are shared: data alone, nothing that runs or unpickles when it is opened."""
WHOLE = {"adapter": "adapter.safetensors", "policy": "policy.safetensors", "export": CHECK, "lerobot": INFO}
"""The file that a finished folder of a kind has."""
_LEFT_BEHIND = ("checkpoint.safetensors", MANIFEST)


@dataclass(frozen=True)
class Contents:
    """The shared files of a folder."""

    kind: str
    """One of `runs.KINDS`."""
    files: list[str]
    """Relative to the folder; the last of them make it one that graspgap opens."""
    facts: dict[str, Any]
    """meta.json of a dataset, config.json of anything else."""

    @property
    def repo_type(self) -> str:
        """What the Hub calls it."""
        return "dataset" if self.kind in ("dataset", "lerobot") else "model"


def contents(folder: Path) -> Contents:
    """What of this folder is shared.

    Raises:
        UserError: if it is nothing that can be shared, isn't finished, or a file of it is a link to the outside.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: expected a dataset or a run")
    if (folder / "meta.json").exists() or any((folder / "data").glob("shard-*.parquet")):
        meta = read_meta(folder)
        names = [entry["file"] for entry in meta["shards"]]
        names += [name for name in (CARD, "import.json", CONFIG, "meta.json") if (folder / name).exists()]
        return Contents("dataset", [_inside(folder, name) for name in names], meta)
    facts = read_json(folder / CONFIG, "a dataset or a run of graspgap")
    kind = facts.get("kind") if isinstance(facts, dict) else None
    if not isinstance(kind, str) or kind not in WHOLE:
        known = ", ".join(KINDS[one] for one in ("dataset", *WHOLE))
        raise UserError(
            f"{folder} holds {KINDS.get(str(kind), 'something else')}, which isn't shared: expected {known}"
        )
    if not (folder / WHOLE[kind]).exists():
        raise UserError(f"{folder} is unfinished (it has no {WHOLE[kind]}): run its command to the end first")
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and is_shared(path.relative_to(folder).as_posix()) and path.name not in _LEFT_BEHIND
    )
    last = [WHOLE[kind], CONFIG]
    return Contents(kind, [_inside(folder, name) for name in (*(n for n in found if n not in last), *last)], facts)


def is_shared(name: str) -> bool:
    """Whether a file of this name, relative to its folder, may be shared: it holds data and stays inside."""
    path = PurePosixPath(name)
    parts = name.split("/")
    plain = not path.is_absolute() and all(part and part[0] != "." for part in parts) and "\\" not in name
    return plain and path.suffix[1:] in SUFFIXES


def manifest_of(folder: Path, found: Contents) -> dict[str, Any]:
    """Content of `MANIFEST`."""
    files = {}
    with progress("hash", len(found.files), unit="files") as advance:
        for name in found.files:
            files[name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
            advance(1)
    return {"format": "graspgap-share", "version": 1, "kind": found.kind, "files": files}


def _inside(folder: Path, name: str) -> str:
    path = folder / name
    if not is_shared(name):
        raise UserError(f"{path} is no file that is shared: expected one of {', '.join(SUFFIXES)} inside the folder")
    if not path.is_file():
        raise UserError(f"{path} is missing: make the folder whole first")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} is a link out of {folder}, which is never pushed: put the file itself there")
    return name
