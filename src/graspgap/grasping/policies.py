"""Policies: given what is seen at a servo step, what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from graspgap.contract import Camera, MotorCommand, Observation, Pose, Workspace, command_between
from graspgap.errors import UserError
from graspgap.grasping.cem import CemConfig, cross_entropy_method, uniform_targets
from graspgap.worlds.protocol import StateWorld, World


@dataclass(frozen=True)
class Decision:
    """What a policy does at a servo step."""

    command: MotorCommand
    """Where to move next."""
    close: bool = False
    """Close the fingers here instead of moving."""
    predicted: float | None = None
    """C of what is done, C(v*) or that of staying, where the policy predicts it."""
    stay: float | None = None
    """C(null), where it was asked for."""
    best: float | None = None
    """C(v*), where it was searched for."""
    aim: Pose | None = None
    """Where v* leads, where it was searched for: `command` may go a part of the way only."""


@runtime_checkable
class Policy(Protocol):
    """One policy acts through one attempt after another."""

    name: str

    def begin(self, world: World, rng: np.random.Generator) -> None:
        """A new attempt starts; `rng` is the policy's only source of chance in it."""
        ...

    def decide(self, observation: Observation, step: int) -> Decision:
        """Decide at servo step 0, 1, ...; at the last one the fingers close, whatever is decided."""
        ...


@dataclass(frozen=True)
class ApproachConfig:
    """How the gripper approaches its target, so that every step of an attempt shows something else."""

    fraction: tuple[float, float] = (0.35, 0.65)
    """Range of the share of the remaining way that each step but the last goes."""
    wander: float = 0.02
    """Standard deviation of a sideways error [m] of each step but the last."""


class _OpenLoop:
    """Goes to a target chosen at the first step, on a wandering way."""

    name = "open-loop"

    def __init__(self, steps: int, approach: ApproachConfig | None = None) -> None:
        self.steps = steps
        self.approach = approach or ApproachConfig()

    def begin(self, world: World, rng: np.random.Generator) -> None:
        self.world, self.rng = world, rng
        self.target = world.spec.workspace.clip(self.choose_target(world, rng))

    def choose_target(self, world: World, rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError

    def decide(self, observation: Observation, step: int) -> Decision:
        if step == self.steps - 1:
            return Decision(command_between(observation.pose, observation.pose), close=True)
        waypoint = np.array(self.target)
        if step < self.steps - 2:
            waypoint = wandering_waypoint(observation.pose, self.target, self.approach, self.rng)
            waypoint = self.world.spec.workspace.clip(waypoint)
        return Decision(command_between(observation.pose, waypoint))


def wandering_waypoint(pose: Pose, target: Pose, approach: ApproachConfig, rng: np.random.Generator) -> Pose:
    """A pose part of the way from `pose` to `target`, off it sideways."""
    command = command_between(pose, target)
    share = rng.uniform(*approach.fraction)
    waypoint = np.array(pose, dtype=np.float32)
    waypoint[:3] += share * command[:3]
    waypoint[:2] += rng.normal(0, approach.wander, 2)
    waypoint[3] += share * np.arctan2(command[3], command[4])
    return waypoint


class RandomPolicy(_OpenLoop):
    """A target drawn evenly from the workspace: what a real cell can do before it has learned anything."""

    name = "random"

    def choose_target(self, world: World, rng: np.random.Generator) -> np.ndarray:
        return uniform_targets(rng, 1, world.spec.workspace)[0]


class ScriptedPolicy(_OpenLoop):
    """Aims near an object, which only a simulated world can tell; every second target is random."""

    name = "scripted"

    def __init__(
        self, steps: int, approach: ApproachConfig | None = None, error: float = 0.01, random_share: float = 0.5
    ) -> None:
        """`error`: standard deviation of the aim in x and y [m]."""
        super().__init__(steps, approach)
        self.error, self.random_share = error, random_share

    @staticmethod
    def refusal(world: str) -> str:
        """Why this policy can't act in a world without object poses."""
        return (
            f"policy 'scripted' aims at object poses, which world '{world}' doesn't tell, as no real cell does: "
            "use --policy random, or the folder of a trained policy"
        )

    def begin(self, world: World, rng: np.random.Generator) -> None:
        """Raises UserError if the world doesn't tell where its objects are, as no real cell does."""
        if not (world.spec.has_state and isinstance(world, StateWorld)):
            raise UserError(self.refusal(world.spec.name))
        super().begin(world, rng)

    def choose_target(self, world: World, rng: np.random.Generator) -> np.ndarray:
        assert isinstance(world, StateWorld)
        target = uniform_targets(rng, 1, world.spec.workspace)[0]
        positions = world.object_positions()
        if len(positions) and rng.uniform() >= self.random_share:
            spot = positions[rng.integers(len(positions))]
            target[:2] = spot[:2] + rng.normal(0, self.error, 2)
            target[2] = spot[2] + rng.normal(-0.01, 0.007)
        target[2] = np.clip(target[2], *world.spec.workspace.grasp_z)
        return target


Scorer = Callable[[np.ndarray], np.ndarray]
"""Predicted success [n] of commands [n, 5], with the picture's part of the work done once per servo step."""


@runtime_checkable
class Predictor(Protocol):
    """A grasp-success network as the servo sees it."""

    def aim(self, camera: Camera) -> None:
        """Take up the nominal camera of the world that it acts in."""
        ...

    def look(self, observation: Observation) -> Scorer:
        """Run the trunk on what is seen now."""
        ...


@dataclass(frozen=True)
class ServoConfig:
    """Servoing with C(I0, It, v) (Levine et al. 2016)."""

    cem: CemConfig = field(default_factory=CemConfig)
    close_ratio: float = 0.9
    """Close when C(null) >= close_ratio C(v*)."""
    raise_ratio: float = 0.5
    """When C(null) < raise_ratio C(v*), travel at no less than `raise_z`, so as not to plough through the objects."""
    raise_z: float = 0.09
    """[m]"""
    fraction: float = 0.55
    """Share of v* that each move goes while pictures remain to correct it; the move before the last decision goes all
    the way. The published servo always moves by v*, with ten steps instead of our four."""
    noise: float = 0.0
    """Standard deviation of the position of exploration noise on the target [m] (yaw gets 10 rad per metre of it)."""


class ServoPolicy:
    """Moves by the command that C scores best, and closes when staying is about as good."""

    def __init__(
        self, predictor: Predictor, steps: int, config: ServoConfig | None = None, name: str = "servo"
    ) -> None:
        self.predictor, self.steps, self.name = predictor, steps, name
        self.config = config or ServoConfig()

    @staticmethod
    def refusal(world: str) -> str:
        """Why a trained policy can't act where nobody has said where the camera is."""
        return (
            f"world '{world}' doesn't tell where its camera is, and a trained policy looks for its targets "
            "in the picture: give --camera FILE, as graspgap align writes it"
        )

    def begin(self, world: World, rng: np.random.Generator) -> None:
        """Raises UserError if the world doesn't tell where its camera is."""
        if world.spec.camera is None:
            raise UserError(self.refusal(world.spec.name))
        self.start(world.spec.workspace, world.spec.camera, rng)

    def start(self, workspace: Workspace, camera: Camera, rng: np.random.Generator) -> None:
        """As `begin`, where there is no world to be had: a server sees requests alone."""
        self.workspace = workspace
        self.predictor.aim(camera)
        self.rng = rng
        self.noise = rng.normal(0, self.config.noise, 4) * [1, 1, 1, 10] if self.config.noise else np.zeros(4)

    def decide(self, observation: Observation, step: int | None) -> Decision:
        """As `Policy.decide`; None: neither the first step nor one of the last two, in an attempt that goes on until
        staying is about as good as moving."""
        config, pose = self.config, observation.pose
        null = command_between(pose, pose)
        scorer = self.predictor.look(observation)
        stay = float(scorer(null[None])[0])
        if step == self.steps - 1:
            return Decision(null, close=True, predicted=stay, stay=stay)
        target, best = cross_entropy_method(
            lambda targets: scorer(command_between(pose, targets)), self.workspace, self.rng, config.cem
        )
        in_reach = pose[2] <= self.workspace.grasp_z[1] + 0.005
        if step != 0 and in_reach and stay >= config.close_ratio * best:
            return Decision(null, close=True, predicted=stay, stay=stay, best=best)
        aim = self.workspace.clip(target + self.noise)
        command = command_between(pose, aim)
        share = 1.0 if step == self.steps - 2 else config.fraction
        waypoint = np.array(pose)
        waypoint[:3] += share * command[:3]
        waypoint[3] += share * np.arctan2(command[3], command[4])
        if share < 1 and stay < config.raise_ratio * best:
            waypoint[2] = max(waypoint[2], config.raise_z)
        command = command_between(pose, self.workspace.clip(waypoint))
        return Decision(command, predicted=best, stay=stay, best=best, aim=aim)
