"""Decisions and latency of a policy's ONNX export beside PyTorch's, in turn, on frames of the world `sim`, one thread.

    pip install -e '.[onnx]' -c constraints.txt
    python benchmarks/export_onnx.py --policy runs/demo/policy

Nothing else should run meanwhile. `--frames 20` shows that it works.
"""

from __future__ import annotations

from common import begin, save, table

# isort: split
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from graspgap.deployment.load import open_predictor
from graspgap.deployment.onnx_export import ExportConfig, compare, export_onnx, frames
from graspgap.grasping.cem import CemConfig
from graspgap.seeding import generator
from servo import QUANTILES, decide
from untrained import write_untrained


@dataclass(frozen=True)
class Config:
    policy: Path | None = None
    """A policy run. Default: an untrained network of the default size, whose decisions hang on smaller differences."""
    frames: int = 1000
    """Looks at scenes of `sim`, each decided by both."""
    warm_up: int = 20
    """Decisions before, which are not timed."""
    seed: int = 1


def measure(config: Config, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row for each runtime, and how far the two agree."""
    run = config.policy or write_untrained(folder / "run")
    export_onnx(run, folder / "export", ExportConfig())
    predictors = {"pytorch": open_predictor(run)[0], "onnxruntime": open_predictor(folder / "export")[0]}
    first, second = predictors.values()
    seen = list(frames(first.image_size, ExportConfig(config.frames, config.seed)))
    agreement = compare(first, second, seen)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in predictors}
    for number, observation in enumerate([*seen[: config.warm_up], *seen]):
        for name, predictor in predictors.items():
            times[name].append(decide(predictor, observation, generator(number, "servo"), CemConfig()))
    rows = []
    for name, pairs in times.items():
        look, whole = 1e3 * np.array(pairs[min(config.warm_up, len(seen)) :]).T
        for what, values in {"look": look, "search": whole - look, "decision": whole}.items():
            quantiles = {f"ms_{q}": round(float(np.percentile(values, p)), 3) for q, p in QUANTILES.items()}
            rows.append({"runtime": name, "what": what, **quantiles})
    return rows, agreement


def main() -> None:
    """Measure, print, save."""
    config = tyro.cli(Config, description=__doc__)
    load = begin()
    with tempfile.TemporaryDirectory() as folder:
        rows, agreement = measure(config, Path(folder))
    print(table(rows))
    print(agreement)
    settings = {"frames": config.frames, "seed": config.seed, "policy": "untrained" if config.policy is None else "run"}
    print(save("export_onnx", settings, rows, load, agreement))


if __name__ == "__main__":
    main()
