"""A policy server within the test's process, and policies that do as they are told."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from websockets.sync.client import ClientConnection, connect

from graspgap.contract import Observation, Workspace
from graspgap.deployment.calibration import CALIBRATION, Calibration, save_calibration
from graspgap.deployment.predictor import POLICY, NetworkPredictor
from graspgap.deployment.requests import Request
from graspgap.deployment.served import ServedConfig, ServedPolicy
from graspgap.deployment.settings import ServerConfig
from graspgap.grasping.cem import uniform_targets
from graspgap.networks import GraspNet, GraspNetConfig
from graspgap.networks.normalization import Domain
from graspgap.runs import begin_run
from graspgap.seeding import generator
from graspgap.tensors import save_module
from graspgap.training.grasp import GraspTrainingConfig, policy_facts
from trainers import NETWORK

SIZE = NETWORK.image_size


def tiny_policy(**settings: Any) -> ServedPolicy:
    """An untrained network, always the same."""
    torch.manual_seed(0)
    return ServedPolicy(NetworkPredictor(GraspNet(NETWORK), Domain.SIMULATION), ServedConfig(**settings), "none")


class Told(ServedPolicy):
    """Does what it is told with each request but the first, which warms it up."""

    def __init__(self, act: Callable[[Request], None]) -> None:
        tiny = tiny_policy()
        super().__init__(tiny.predictor, tiny.config, tiny.identity)
        self.act: Callable[[Request], None] | None = None
        self.next = act

    def answer(self, request: Request) -> dict[str, Any]:
        if self.act:
            self.act(request)
        self.act = self.next
        return super().answer(request)


class Blocked(Told):
    """Computes only while `go` is set; `begun` is released when it begins; `seen` holds the steps it computed."""

    def __init__(self) -> None:
        self.begun, self.go, self.seen = threading.Semaphore(0), threading.Event(), []
        super().__init__(self._wait)

    def _wait(self, request: Request) -> None:
        self.seen.append(request.step)
        self.begun.release()
        assert self.go.wait(20)


@contextmanager
def served(policy: ServedPolicy, **settings: Any) -> Iterator[tuple[str, Any]]:
    """HOST:PORT of a running server, and the server."""
    from graspgap.deployment.server import listening

    with listening(policy, ServerConfig(**{"port": 0, **settings})) as (server, address):
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield address, server
        finally:
            server.handle_exit(15, None)
            thread.join(20)
            assert not thread.is_alive()


def observation(seed: int = 0, step: int | None = None) -> dict[str, Any]:
    """What a client sends."""
    rng = np.random.default_rng(seed)
    before, now = rng.integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    pose = rng.uniform((0.47, -0.08, 0.02, -1.5), (0.63, 0.08, 0.2, 1.5)).astype(np.float32)
    fields = {"image_before": before, "image_now": now, "pose": pose}
    return fields if step is None else fields | {"step": step}


def asked(fields: dict[str, Any]) -> Request:
    """The same, in process."""
    return Request(Observation(fields["image_before"], fields["image_now"], fields["pose"]), fields.get("step"))


def write_policy(run: Path, network: GraspNetConfig, **facts: object) -> Path:
    """A policy run of an untrained network that has batch statistics of one domain."""
    torch.manual_seed(0)
    net = GraspNet(network)
    for norm in net.norms():
        norm.momentum = 1.0
    draw, size = generator(0, "statistics"), network.image_size
    pictures = torch.from_numpy(draw.uniform(-1, 1, (8, 6, size, size))).float()
    poses = torch.from_numpy(uniform_targets(draw, 8, Workspace())).float()
    commands = torch.from_numpy(draw.normal(0, 0.1, (8, 4, 5))).float()
    net.train()(pictures, poses, commands, Domain.REALITY)
    config = GraspTrainingConfig(network=network)
    begin_run(run, "policy", config, {"policy": policy_facts(config) | {"domain": "reality"} | facts})
    save_module(run / POLICY, net)
    save_calibration(run / CALIBRATION, Calibration("sim", 100, 0.5, -0.2, ((0.3, 0.05, 0.2),)))
    return run


def post(address: str, body: bytes, scheme: str = "http", **headers: str) -> tuple[int, Any]:
    """Status and JSON of POST /act."""
    request = urllib.request.Request(f"{scheme}://{address}/act", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def get(address: str, path: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as answer:
        return answer.status, answer.read()


def as_json(fields: dict[str, Any]) -> bytes:
    return json.dumps({key: np.asarray(value).tolist() for key, value in fields.items()}).encode()


@contextmanager
def raw(address: str) -> Iterator[ClientConnection]:
    """A connection that has read the metadata."""
    with connect(f"ws://{address}", compression=None, proxy=None, close_timeout=1) as connection:
        assert isinstance(connection.recv(20), bytes)
        yield connection


def same(answer: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether they are equal but for the time they took."""
    left, right = ({key: np.asarray(v).tolist() for key, v in one.items()} for one in (answer, expected))
    left.pop("server_timing")
    return left == right
