"""A policy run whose network is untrained: what it costs to run doesn't hang on its weights."""

from __future__ import annotations

from pathlib import Path

import torch

from graspgap.deployment.predictor import POLICY
from graspgap.networks import GraspNet
from graspgap.runs import begin_run
from graspgap.tensors import save_module
from graspgap.training.grasp import GraspTrainingConfig, policy_facts


def write_untrained(run: Path) -> Path:
    """The default network with seed 0, as a run that `serve` and `export` take."""
    config = GraspTrainingConfig()
    torch.manual_seed(0)
    begin_run(run, "policy", config, {"policy": policy_facts(config)})
    save_module(run / POLICY, GraspNet(config.network))
    return run
