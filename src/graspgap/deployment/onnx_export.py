"""A policy run as two ONNX files, compared with PyTorch before anybody may use them (extra `onnx`).

`trunk.onnx`: (image_before, image_now: uint8 [h, w, 3]) to features; once per look. `head.onnx`: (features, pose
float32 [4], commands float32 [n, 5], and the nominal camera: eye float32 [3], rotation float32 [3, 3], which is
`Camera.projection`) to predicted success float32 [n] in [0, 1]; for any n. Batch statistics are those of the policy's
domain.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from graspgap.contract import Observation, Workspace, command_between
from graspgap.deployment.calibration import CALIBRATION
from graspgap.deployment.load import TrainedPredictor
from graspgap.deployment.onnx_predictor import CHECK, HEAD, TRUNK, OnnxPredictor
from graspgap.deployment.predictor import POLICY, load_predictor, recorded_policy
from graspgap.errors import UserError
from graspgap.files import atomic, read_json, sha256, write_json
from graspgap.grasping.cem import uniform_targets
from graspgap.grasping.policies import ServoPolicy
from graspgap.networks import GraspNet
from graspgap.networks.normalization import Domain
from graspgap.networks.projection import Projection
from graspgap.runs import begin_run
from graspgap.seeding import generator
from graspgap.settings import checked
from graspgap.worlds.catalog import WorldChoice, cached_world

EXPORTABLE = {"network", "domain"}
"""What a policy may be made of; anything else, such as a network in front of the pictures, is refused."""
TOLERANCE = 1e-4
"""Largest difference of a predicted success, of 1. Rounding makes about 1e-6."""


@dataclass(frozen=True)
class ExportConfig:
    """How an export is checked."""

    frames: int = 16
    """Pictures of the world `sim` that both networks look at."""
    seed: int = 0


@dataclass(frozen=True)
class _Report:
    """What `check.json` holds."""

    frames: int
    largest_difference: float
    same_decisions: int


class _Trunk(nn.Module):
    def __init__(self, net: GraspNet, domain: Domain) -> None:
        super().__init__()
        self.net, self.domain = net, domain

    def forward(
        self, image_before: UInt8[Tensor, "h w 3"], image_now: UInt8[Tensor, "h w 3"]
    ) -> Float[Tensor, "1 c h2 w2"]:
        pair = torch.cat([image_before, image_now], dim=2).permute(2, 0, 1)[None]
        return self.net.encode(pair.float() / 127.5 - 1, self.domain)


class _Scores(nn.Module):
    def __init__(self, net: GraspNet, domain: Domain) -> None:
        super().__init__()
        self.net, self.domain = net, domain

    def forward(
        self, features: Float[Tensor, "1 c h2 w2"], pose: Float[Tensor, "4"], commands: Float[Tensor, "n 5"]
    ) -> Float[Tensor, "n"]:
        return self.net.score(features, pose[None], commands[None], self.domain)[0].sigmoid()


class _Head(nn.Module):
    """The camera, which is a constant of the network, as an input: the servo aims it anew in every world."""

    def __init__(self, net: GraspNet, domain: Domain) -> None:
        super().__init__()
        self.scores = _Scores(net, domain)
        self.sights = [name for name, part in self.scores.named_modules() if isinstance(part, Projection)]

    def forward(
        self,
        features: Float[Tensor, "1 c h2 w2"],
        pose: Float[Tensor, "4"],
        commands: Float[Tensor, "n 5"],
        eye: Float[Tensor, "3"],
        rotation: Float[Tensor, "3 3"],
    ) -> Float[Tensor, "n"]:
        sight = {f"{name}.eye": eye for name in self.sights} | {f"{name}.rotation": rotation for name in self.sights}
        return torch.func.functional_call(self.scores, sight, (features, pose, commands))


def export_onnx(run: Path, out: Path, config: ExportConfig) -> dict[str, Any]:
    """Write the policy of a run to `out`, and how far it is from PyTorch to `out/check.json`, which is returned.

    Raises:
        UserError: if the run is no finished policy run or can't be exported, if a package is missing, or if the export
            predicts other success than PyTorch.
    """
    _require_packages()
    facts = recorded_policy(run)
    beyond = sorted(facts.keys() - EXPORTABLE)
    if beyond:
        raise UserError(f"the policy of {run} has '{beyond[0]}', which can't be exported yet: serve it with PyTorch")
    predictor = load_predictor(run)
    begin_run(out, "export", config, {"policy": facts, "sha256": sha256(run / POLICY)})
    if (out / CHECK).exists():
        return checked(_Report, read_json(out / CHECK, "an ONNX export"), out / CHECK, "delete it and export again")
    write_networks(predictor.net, predictor.domain, out)
    if (run / CALIBRATION).exists():
        with atomic(out / CALIBRATION) as temporary:
            shutil.copyfile(run / CALIBRATION, temporary)
    network = predictor.net.config
    exported = OnnxPredictor(out / TRUNK, out / HEAD, network.image_size, network.camera)
    report = compare(predictor, exported, list(frames(network.image_size, config)))
    if not report["largest_difference"] <= TOLERANCE:  # also not a number
        raise UserError(
            f"the export differs from PyTorch by up to {report['largest_difference']:.2g} of predicted success, "
            f"expected at most {TOLERANCE:g}: don't use {out}; other versions of torch and onnxruntime may do better"
        )
    write_json(out / CHECK, report)
    return report


def write_networks(net: GraspNet, domain: Domain, out: Path) -> None:
    """Write `trunk.onnx` and `head.onnx`."""
    net = net.cpu().eval()
    size = net.config.image_size
    pictures = [torch.full((size, size, 3), value, dtype=torch.uint8) for value in (0, 1)]  # two, not one twice
    side = net.trunk.side(size)
    features = torch.zeros(1, net.channels, side, side)
    sight = (net.project.eye.clone(), net.project.rotation.clone())
    parts: list[tuple[str, nn.Module, tuple[Tensor, ...], str, str]] = [
        (TRUNK, _Trunk(net, domain), tuple(pictures), "image_before image_now", "features"),
        (
            HEAD,
            _Head(net, domain),
            (features, torch.zeros(4), torch.zeros(7, 5), *sight),
            "features pose commands eye rotation",
            "success",
        ),
    ]
    for name, module, inputs, names, output in parts:
        any_number = {0: torch.export.Dim("n", min=1)}
        shapes = tuple(any_number if label == "commands" else None for label in names.split())
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                inputs,
                dynamo=True,
                verbose=False,
                input_names=names.split(),
                output_names=[output],
                dynamic_shapes=shapes,
            )
        assert program is not None
        with atomic(out / name) as temporary:
            temporary.write_bytes(_bare(program.model_proto).SerializeToString())


def _bare(model: Any) -> Any:
    """Without what the exporter notes beside each node: where the code lay on this machine."""
    del model.metadata_props[:]
    for graph in (model.graph, *model.functions):
        del graph.metadata_props[:]
        for entry in (*graph.node, *graph.value_info, *getattr(graph, "input", ()), *getattr(graph, "output", ())):
            if hasattr(entry, "metadata_props"):
                del entry.metadata_props[:]
    return model


def frames(image_size: int, config: ExportConfig) -> Iterator[Observation]:
    """Looks at scenes of the world `sim`, above the bin and, in turn, within reach of the objects."""
    world = cached_world(WorldChoice(image_size=image_size))
    for number in range(config.frames):
        observation = world.reset(config.seed + number // 2)
        if number % 2:
            target = uniform_targets(generator(config.seed, number), 1, world.spec.workspace)[0]
            world.move(command_between(observation.pose, target))
            observation = world.observe()
        yield observation


def compare(
    first: TrainedPredictor, second: TrainedPredictor, observations: list[Observation], commands: int = 64
) -> dict[str, Any]:
    """The largest difference of predicted success over random commands, and how many servo decisions are the same."""
    workspace, largest, same = Workspace(), 0.0, 0
    servos = [ServoPolicy(predictor, steps=4) for predictor in (first, second)]
    for number, observation in enumerate(observations):
        targets = uniform_targets(generator(number, "compare"), commands, workspace)
        vectors = command_between(observation.pose, targets)
        scores = [predictor.look(observation)(vectors) for predictor in (first, second)]
        largest = max(largest, float(np.abs(scores[0] - scores[1]).max()))
        decisions = []
        for servo in servos:
            servo.start(workspace, first.camera, generator(number, "servo"))
            decisions.append(servo.decide(observation, None))
        same += decisions[0].close == decisions[1].close and np.array_equal(decisions[0].command, decisions[1].command)
    return {"frames": len(observations), "largest_difference": largest, "same_decisions": int(same)}


def _require_packages() -> None:
    try:
        import onnx
        import onnxruntime
        import onnxscript

        _ = onnx, onnxruntime, onnxscript
    except ImportError as error:
        raise UserError(f"an ONNX export needs {error.name}: pip install 'graspgap[onnx]'") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings to itself: a deprecated helper of its own, and a package that isn't needed."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
            yield
    finally:
        log.setLevel(level)
