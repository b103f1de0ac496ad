"""What a dataset holds, for a person to read: counts, pictures, settings, and which policy made which attempts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from graspgap.datasets import shards
from graspgap.datasets.check import read_meta
from graspgap.datasets.schema import OPTIONAL_COLUMNS, groups_of
from graspgap.locations import Location

NAMES = {"layers": "instances, depth", "canonical": "canonical pictures"}
"""What groups of columns are called here."""


def summary(folder: Location) -> dict[str, Any]:
    """Facts of a dataset folder, JSON-able. `successes` are null where nobody noted how a grasp ended.

    Raises:
        UserError: if the folder is no finished dataset, or a shard is missing or damaged.
    """
    meta = read_meta(folder)
    for entry in meta["shards"]:
        shards.check_size(folder / entry["file"], entry)
    labels = meta["has_labels"]
    return {
        "path": str(folder),
        **{key: meta[key] for key in ("world", "is_reality", "attempts", "scenes")},
        "successes": meta["successes"] if labels else None,
        "pictures": meta["attempts"] + meta["frames"],
        "image_size": meta["image_size"],
        **{key: meta[key] for key in ("has_labels", "has_masks", "has_poses", "camera")},
        **{f"has_{group}": group in groups_of(meta) for group in OPTIONAL_COLUMNS},
        "policies": [
            {"policy": name, "attempts": counts["attempts"], "successes": counts["successes"] if labels else None}
            for name, counts in meta.get("policies", {}).items()
        ],
        "made_from": [
            {"path": path, "settings": _flat(config)} for path, config in _origins(str(folder), meta["config"])
        ],
        "shards": len(meta["shards"]),
        "bytes": sum(entry["bytes"] for entry in meta["shards"]),
        "versions": meta["versions"],
    }


def as_table(facts: dict[str, Any]) -> Table:
    """The facts of `summary` as a table of two columns."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")

    def row(name: str, value: str) -> None:
        table.add_row(Text(name), Text(value))

    row("world", facts["world"] + (" (counts as reality)" if facts["is_reality"] else ""))
    row("attempts", f"{facts['attempts']} in {facts['scenes']} scenes")
    row("successes", _share(facts["successes"], facts["attempts"]))
    size, camera = facts["image_size"], facts["camera"]
    row("pictures", f"{facts['pictures']} of {size} x {size} pixels")
    for what in ("masks", "poses", "labels", *OPTIONAL_COLUMNS):
        row(NAMES.get(what, what), "yes" if facts[f"has_{what}"] else "no")
    row("camera", ", ".join(f"{key} {_plain(value)}" for key, value in camera.items()) if camera else "unknown")
    for policy in facts["policies"]:
        share = f"{policy['attempts'] / max(facts['attempts'], 1):.1%} of the attempts"
        row(f"policy {policy['policy']}", f"{share}, successes {_share(policy['successes'], policy['attempts'])}")
    for origin in facts["made_from"]:
        name = "settings" if origin["path"] == facts["path"] else f"from {origin['path']}"
        row(name, ", ".join(f"{key} {_plain(value)}" for key, value in origin["settings"].items()))
    row("shards", f"{facts['shards']}, {facts['bytes'] / 1e6:.1f} MB")
    row("versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    return table


def _share(successes: int | None, attempts: int) -> str:
    return "unknown" if successes is None else f"{successes} of {attempts} ({successes / max(attempts, 1):.1%})"


def _origins(path: str, config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, settings) of each collection or import that a dataset goes back to."""
    if "made_from" not in config:
        yield path, config
    for origin in config.get("made_from", []):
        yield from _origins(origin["path"], origin["config"])


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level, `world.objects` and so on, without those that are empty."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value not in ("", None):
            flat[prefix + key] = value
    return flat


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
