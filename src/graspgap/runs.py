"""Output folders: the resolved configuration, versions and inputs of a run stand beside what it wrote."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from graspgap.config import to_json
from graspgap.errors import UserError
from graspgap.files import read_json, write_json
from graspgap.locations import Location
from graspgap.provenance import hardware, versions

CONFIG = "config.json"
RETRAIN = "restore it, or train again"
"""What to do about a training's damaged record."""
PLACES = {"path": "meta_sha256", "source": "meta_sha256", "adapter": "adapter_sha256", "judge": "judge_sha256"}
"""Inputs that say where something lies, and the input beside each that says what lies there: that one is compared, so
that a folder may be moved, or its path be spelled otherwise."""
KINDS = {
    "dataset": "a dataset",
    "adapter": "an adapter run",
    "policy": "a policy run",
    "export": "an ONNX export",
    "lerobot": "a LeRobotDataset made of a dataset",
    "evaluation": "an evaluation",
    "alignment": "an alignment of a camera with attempts",
    "scores": "scores of adapters and policies",
    "study": "a study",
    "rounds": "on-policy rounds",
}


def begin_run(
    out: Location, kind: str, config: Any, inputs: dict[str, Any] | None = None, places: Collection[str] = ()
) -> dict[str, Any]:
    """Write `out/config.json`, or check that the one there is of the same run, which then resumes.

    `config` is a dataclass; `inputs` are facts about what the run reads, such as the hash of a dataset. Settings in
    `places`, by their names with dots, say where something lies that the inputs tell, and aren't compared.

    Raises:
        UserError: if `out` holds another kind of run, or the same kind with another configuration or other inputs.
    """
    path = out / CONFIG
    wanted = json.loads(json.dumps({"kind": kind, "config": to_json(config), "inputs": inputs or {}}))
    if path.exists():
        found = _config(path, "a graspgap run")
        if found["kind"] != kind:
            held = KINDS.get(found["kind"], "something else")
            raise UserError(f"{out} holds {held}, not {KINDS[kind]}: choose another folder")
        for part in ("config", "inputs"):
            for name, old, new in _differences(found[part], wanted[part]):
                if name not in places:
                    raise UserError(
                        f"{out} was begun with {name} = {old}, and is now asked for with {name} = {new}: "
                        "choose another folder, or run with the same settings to resume"
                    )
        return found
    if out.is_file():
        raise UserError(f"{out} is a file, expected a folder to write to: choose another name")
    if out.is_dir() and any(child.name[0] != "." for child in out.iterdir()):
        raise UserError(f"{out} is not empty and holds no {CONFIG}: choose another folder")
    wanted |= {"versions": versions(), "hardware": hardware()}
    write_json(path, wanted)
    return wanted


def read_run(path: Location, kind: str) -> dict[str, Any]:
    """The `config.json` of a run.

    Raises:
        UserError: if `path` is missing or is not a run of this kind.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: expected the folder of {KINDS[kind]}")
    found = _config(path / CONFIG, KINDS[kind])
    if found["kind"] != kind:
        raise UserError(f"{path} holds {KINDS.get(found['kind'], 'something else')}, expected {KINDS[kind]}")
    return found


def _config(path: Location, what: str) -> dict[str, Any]:
    found = read_json(path, what)
    parts = {"kind": str, "config": dict, "inputs": dict}
    if isinstance(found, dict):
        found.setdefault("inputs", {})
    if not isinstance(found, dict) or not all(isinstance(found.get(name), part) for name, part in parts.items()):
        raise UserError(f"{path} is damaged (expected {', '.join(parts)}): restore it, or choose another folder")
    return found


def _differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The settings in which two JSON values differ, each as (name, old, new); of `PLACES` what lies there counts, where
    both tell it."""
    if isinstance(old, dict) and isinstance(new, dict):
        told = {what for what in PLACES.values() if what in old and what in new}
        passed = {place for place, what in PLACES.items() if what in told} | (set(PLACES.values()) - told)
        for key in sorted((old.keys() | new.keys()) - passed):
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _differences(*pair, f"{name}[{index}]")
    elif old != new:
        yield name, old, new
