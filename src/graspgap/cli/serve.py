"""`graspgap serve --policy RUN`"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes

from graspgap.cli.checks import at_least
from graspgap.contract import Workspace
from graspgap.deployment.settings import ServerConfig
from graspgap.errors import UserError
from graspgap.worlds.camera_file import read_camera, require_sight
from graspgap.zoo import resolved


@dataclass(frozen=True)
class Config:
    policy: Path
    """Folder of a policy run, or of an ONNX export, which needs no PyTorch, or `zoo:NAME`."""
    server: OmitArgPrefixes[ServerConfig] = field(default_factory=ServerConfig)
    camera: Path | None = None
    """File with the camera of your cell, as for `collect`. Default: the nominal one of the policy's training."""
    workspace: Workspace = field(default_factory=Workspace)
    """Limits of the gripper pose of your cell [m]."""
    steps_per_attempt: int = 4
    """Servo steps, 2 to 10, for clients that number them."""
    abstain_rate: float = 0.1
    """Abstain where at most this share of the held-out attempts of training succeeded; 0: never."""
    seed: int = 0
    """Of the servo's candidates."""
    threads: int = 1
    """Threads that compute an answer."""
    device: str = "cpu"
    """`auto`, `cpu`, `cuda`."""


def run(config: Config) -> None:
    """Serve until SIGINT or SIGTERM."""
    at_least("--seed", config.seed, 0)
    at_least("--threads", config.threads, 1)
    camera = read_camera(config.camera).camera if config.camera else None
    if camera is not None:
        require_sight(camera, config.workspace, "--camera")
    try:
        from graspgap.deployment.served import ServedConfig, load_served
        from graspgap.deployment.server import serve
    except ImportError as error:
        raise UserError(f"serving needs {error.name}: pip install 'graspgap[serve]'") from None
    served = ServedConfig(config.seed, config.steps_per_attempt, config.abstain_rate, config.workspace, camera)
    serve(load_served(resolved(config.policy), served, config.device, config.threads), config.server)
