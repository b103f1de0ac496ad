"""`graspgap export onnx RUN OUT`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from graspgap.cli.checks import at_least
from graspgap.deployment.onnx_export import ExportConfig, export_onnx
from graspgap.zoo import resolved


@dataclass(frozen=True)
class Config:
    run: Positional[Path]
    """Folder of a policy run, or `zoo:NAME`."""
    out: Positional[Path]
    """Folder to write `trunk.onnx` and `head.onnx` to."""
    check: OmitArgPrefixes[ExportConfig] = field(default_factory=ExportConfig)


def run(config: Config) -> None:
    """Export, and print how far the export is from PyTorch."""
    at_least("--frames", config.check.frames, 1)
    at_least("--seed", config.check.seed, 0)
    report = export_onnx(resolved(config.run), config.out, config.check)
    print(
        f"{config.out}: differs from PyTorch by at most {report['largest_difference']:.1g} of predicted success; "
        f"{report['same_decisions']} of {report['frames']} servo decisions are the same to the last bit"
    )
