"""Tiny networks and runs for tests of training, and a way to stop a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import SIM
from graspgap.adaptation.pixel.graspgan import GraspGanConfig
from graspgap.datasets import SimulatedView
from graspgap.networks import DiscriminatorsConfig, GeneratorConfig, GraspNetConfig
from graspgap.training.adapt import AdapterTrainingConfig
from graspgap.training.grasp import GraspTrainingConfig

CPU = torch.device("cpu")
NETWORK = GraspNetConfig(image_size=32, fine=8, coarse=8, head=16, camera=SIM.camera)
TRAINING = GraspTrainingConfig(network=NETWORK, steps=8, batch=8, unlabelled=3, recalibration=2, ema=0.9)
GRASPGAN = GraspGanConfig(GeneratorConfig(widths=(4, 6, 8)), DiscriminatorsConfig(scales=2, widths=(4, 6)), NETWORK)
ADAPTER = AdapterTrainingConfig("graspgan", GRASPGAN, steps=6, batch=4)


def with_canonical(view: SimulatedView) -> SimulatedView:
    """A view with canonical pictures, which are the negatives, and depths by class: 0, 0.4, 0.5, 0.6 m."""
    depths = np.array([0, 4000, 5000, 6000], np.uint16)
    return replace(
        view,
        canonical_before=255 - view.images_before,
        canonicals=255 - view.images,
        depth_before=depths[view.masks_before],
        depths=depths[view.masks],
    )


class Stopped(Exception):
    pass


def stop_after(monkeypatch: pytest.MonkeyPatch, trainer: type, steps: int) -> None:
    """The process dies in step `steps`."""
    original = trainer.step

    def step(self, number: int) -> dict[str, float]:
        if number == steps:
            raise Stopped
        return original(self, number)

    monkeypatch.setattr(trainer, "step", step)
