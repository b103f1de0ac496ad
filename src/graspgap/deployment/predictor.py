"""A trained policy run as a `Predictor` for the servo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from graspgap.contract import Camera, Observation
from graspgap.deployment.front_end import FrontEnd, load_front_end
from graspgap.deployment.pictures import checked_pair
from graspgap.errors import choose
from graspgap.grasping.policies import Scorer
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.runs import CONFIG, RETRAIN, read_run
from graspgap.settings import build, entry
from graspgap.tensors import choose_device, load_module

POLICY = "policy.safetensors"
"""The averaged weights of a policy run."""


class NetworkPredictor:
    """C(I0, It, v) with the batch statistics of one domain, behind a front end where there is one."""

    def __init__(
        self, net: GraspNet, domain: Domain, device: torch.device | None = None, front_end: FrontEnd | None = None
    ) -> None:
        self.device = device or torch.device("cpu")
        self.net = net.to(self.device).eval()
        self.domain = domain
        self.front_end = None if front_end is None else front_end.to(self.device).eval()

    @property
    def image_size(self) -> int:
        """Pixels of a side of the pictures that it takes."""
        return self.net.config.image_size

    @property
    def camera(self) -> Camera:
        """The nominal camera of its training."""
        return self.net.config.camera

    def aim(self, camera: Camera) -> None:
        """See through the nominal camera of the world that it acts in."""
        self.net.aim(camera)

    @torch.inference_mode()
    def look(self, observation: Observation) -> Scorer:
        """Run front end and trunk once on what is seen now; the scorer runs the head alone.

        Raises:
            UserError: if the pictures have another size than the network was trained with.
        """
        pair = checked_pair(observation, self.image_size)
        pictures = torch.from_numpy(pair.transpose(2, 0, 1)[None]).to(self.device).float() / 127.5 - 1
        if self.front_end is not None:
            pictures = self.front_end(pictures)
        features = self.net.encode(pictures, self.domain)
        pose = torch.from_numpy(observation.pose[None]).to(self.device)

        @torch.inference_mode()
        def score(commands: np.ndarray) -> np.ndarray:
            tensor = torch.from_numpy(commands.astype(np.float32)[None]).to(self.device)
            return self.net.score(features, pose, tensor, self.domain)[0].sigmoid().cpu().numpy()

        return score


def recorded_policy(run: Path) -> dict[str, Any]:
    """What the record of a policy run says of its policy: `network`, `domain` and, where it has one, `front_end`.

    Raises:
        UserError: if the folder is not a policy run, or its record says nothing of a policy.
    """
    found: dict[str, Any] = entry(read_run(run, "policy")["inputs"], "policy", dict, run / CONFIG, RETRAIN)
    return found


def load_predictor(run: Path, device: str = "cpu") -> NetworkPredictor:
    """The policy of a finished `graspgap train` run.

    Raises:
        UserError: if the folder is not a policy run, is damaged, or its training has not finished.
    """
    facts, where = recorded_policy(run), run / CONFIG
    network = entry(facts, "network", dict, where, RETRAIN)
    domains = {domain.name.lower(): domain for domain in Domain}
    domain = domains[choose(f"domain in {where}", entry(facts, "domain", str, where, RETRAIN), domains)]
    net = GraspNet(build(GraspNetConfig, network, f"the network in {where}", RETRAIN))
    load_module(run / POLICY, net, f"the policy of {run}")
    chosen, front_end = choose_device(device), None
    if "front_end" in facts:
        front_end = load_front_end(run, entry(facts, "front_end", dict, where, RETRAIN), chosen)
    return NetworkPredictor(net, domain, chosen, front_end)
