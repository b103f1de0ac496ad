"""The model card of a run: a README.md made of its own facts, for a person and for the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graspgap.deployment.calibration import CALIBRATION
from graspgap.errors import UserError
from graspgap.evaluation.held_out import FIGURES
from graspgap.files import read_json
from graspgap.runs import KINDS

_CARD = """---
library_name: graspgap
pipeline_tag: robotics
tags:
- grasping
- sim-to-real
- graspgap
---

# {title}

| | |
|---|---|
{rows}
{use}
`config.json` holds all settings, inputs and versions, `graspgap.json` the SHA-256 of every file. Nothing
here is pickled.

No licence is set: before you publish, choose one and add `license:` at the top of this file.
"""
_USE = {
    "policy": "graspgap serve --policy run",
    "export": "graspgap serve --policy run",
    "adapter": "graspgap train OUT --sim DATA --adapter run",
    "lerobot": "graspgap import lerobot run OUT --mapping run/meta/graspgap.toml",
}


def run_card(folder: Path, kind: str, facts: dict[str, Any], repo: str) -> str:
    """Text of README.md for a run with this config.json.

    Raises:
        UserError: if its figures are damaged.
    """
    rows = [("kind", KINDS[kind])]
    settings = facts.get("config", {})
    if kind == "adapter" and settings.get("method"):
        rows.append(("method", str(settings["method"])))
    for name, value in facts.get("inputs", {}).items():
        if isinstance(value, dict) and "attempts" in value:
            labels = f", {value['labels']} labels" if value.get("labels") else ", no label"
            rows.append((name, f"{value['attempts']} attempts of the world `{value.get('world')}`{labels}"))
    rows += [(name, f"{settings[name]}") for name in ("steps", "seed", "features") if name in settings]
    for name, metrics in _figures(folder / FIGURES).items():
        area, error = metrics.get("auc"), metrics.get("calibration_error")
        rows.append((f"held-out {name}", f"AUC {area}, calibration error {error}"))
    for name, version in facts.get("versions", {}).items():
        if name in ("graspgap", "torch"):
            rows.append((name, version))
    table = "".join(f"| {name} | {value} |\n" for name, value in rows)
    calibrated = "It comes with a calibration of its predictions.\n\n" if (folder / CALIBRATION).exists() else ""
    use = f"{calibrated}```sh\ngraspgap pull {repo} run\n{_USE[kind]}\n```\n"
    return _CARD.format(title=f"{repo.split('/')[-1]}: {KINDS[kind]} of graspgap", rows=table, use=use)


def _figures(path: Path) -> dict[str, dict[str, Any]]:
    found = read_json(path, "a policy run") if path.exists() else {}
    if not isinstance(found, dict) or not all(isinstance(metrics, dict) for metrics in found.values()):
        raise UserError(f"{path} is damaged: delete it and run the same train command again")
    return found
