"""A cell with a renderer as a `World`: simulation and the stand-in reality differ in what they plug in here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float64

from graspgap.contract import (
    GraspOutcome,
    Image,
    Layers,
    Mask,
    MotorCommand,
    Observation,
    Pose,
    WorldSpec,
    apply_command,
)
from graspgap.contract import checked_command as checked
from graspgap.errors import UserError
from graspgap.objects.model import ObjectModel, ObjectSet, Split
from graspgap.seeding import generator
from graspgap.worlds.looks import canonical_looks

START_Z = (0.13, 0.22)
"""Height of the gripper at the start of an attempt [m]."""
SMALLEST_IMAGE = 16
"""Pixels of a side."""
SCENES_KEPT = 2
"""Settled scenes kept in memory: the attempts of a scene come one after the other."""


@runtime_checkable
class AnyCell(Protocol):
    """What a world asks of its physics, whichever engine that is."""

    objects: list[ObjectModel]
    """Those in use."""

    def load(self, objects: list[ObjectModel]) -> Any:
        """Make these objects and use them; returns what `use` takes."""
        ...

    def use(self, loaded: Any) -> None:
        """Take up what `load` gave before."""
        ...

    def settle(self, rng: np.random.Generator) -> None:
        """Drop the objects into the bin and wait until they rest."""
        ...

    def save(self) -> Any:
        """The whole state of what is in use."""
        ...

    def restore(self, state: Any) -> None:
        """Return to a state that `save` gave, with nothing left of what happened since."""
        ...

    def set_dynamics(self, draw: dict[str, Any]) -> None:
        """Take up physics as `randomization.draw_dynamics` gives it; what is missing is nominal."""
        ...

    def place_arm(self, pose: Pose) -> None:
        """Put the gripper at a pose at once."""
        ...

    def tuck_arm(self) -> None:
        """Put the arm aside at once, out of the camera's view."""
        ...

    def move_to(self, pose: Pose, rng: np.random.Generator | None = None) -> None:
        """Move in a straight line to a reported pose."""
        ...

    def pose(self) -> Pose:
        """Gripper pose as the robot reports it."""
        ...

    def close_lift_hold(self) -> GraspOutcome:
        """Close the fingers, lift, hold, and judge."""
        ...

    def carry_away(self) -> None:
        """Bring the arm, and what it lifted, out of the camera's view at once."""
        ...

    def drop(self) -> None:
        """Let fall what was carried away into the bin, and wait until it rests."""
        ...

    def object_positions(self) -> Float64[np.ndarray, "n 3"]:
        """Centres of mass of the objects that lie in the bin, base frame [m]."""
        ...


CellT = TypeVar("CellT", bound=AnyCell)
_CellT = TypeVar("_CellT", bound=AnyCell, contravariant=True)


@runtime_checkable
class Renderer(Protocol[_CellT]):
    """Pictures of a cell."""

    def prepare(self, cell: _CellT, looks: dict[str, Any]) -> None:
        """New objects, new looks, or both."""
        ...

    def render(self, cell: _CellT) -> tuple[Image, Mask | None]:
        """The picture, and its semantic mask where the renderer knows it, from the cell's current state."""
        ...


@dataclass(frozen=True)
class Draws:
    """How chance decides what is not the layout. Each returns JSON-able values, which are recorded."""

    looks: Callable[[np.random.Generator, list[ObjectModel]], dict[str, Any]]
    dynamics: Callable[[np.random.Generator, list[ObjectModel]], dict[str, Any]]


@dataclass(frozen=True)
class Canonical(Generic[CellT]):
    """How a world is drawn a second time, in the canonical look."""

    renderer: Renderer[CellT]
    """One of its own, so that the random numbers of the other one's pictures stay what they are."""
    plain: Callable[[list[ObjectModel]], dict[str, Any]]
    """The plain looks of a scene, which `canonical_looks` joins with those of an attempt."""


class _Picture(NamedTuple):
    image: Image
    mask: Mask | None
    layers: Layers | None


@dataclass(frozen=True)
class _Scene:
    """Objects at rest in the bin."""

    loaded: Any
    """As the cell's `load` gave it."""
    state: Any
    """As the cell's `save` gave it."""


class TabletopWorld(Generic[CellT]):
    """The `World` protocol over a cell. See there for what the methods promise."""

    def __init__(
        self,
        spec: WorldSpec,
        cell: CellT,
        renderer: Renderer[CellT],
        object_set: ObjectSet,
        split: Split,
        object_count: tuple[int, int],
        draws: Draws,
        layers: Callable[[], Layers] | None = None,
        canonical: Canonical[CellT] | None = None,
    ) -> None:
        """`object_count`: fewest and most objects of a scene; `layers`: gives those of the renderer's last picture, to
        which `canonical` adds a picture.

        Raises:
            UserError: if the pictures are too small or the counts make no range.
        """
        if spec.image_size < SMALLEST_IMAGE:
            raise UserError(
                f"--image-size {spec.image_size} is too small to show an object: use {SMALLEST_IMAGE} or more"
            )
        self.spec, self.cell, self.renderer = spec, cell, renderer
        self.object_set, self.split, self.object_count, self.draws = object_set, split, object_count, draws
        self.layers, self.canonical = layers, canonical
        fewest, most = object_count
        if not 0 <= fewest <= most:
            raise UserError(f"object counts are {fewest} to {most}, expected 0 <= fewest <= most: give (fewest, most)")
        self._scenes: OrderedDict[int, _Scene] = OrderedDict()
        self._before: _Picture | None = None
        """The first picture of the attempt under way; None: there is no attempt."""

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        if scene_seed is None:
            scene_seed = int(generator(seed, "scene").integers(2**31))
        cell = self.cell
        scene = self._scene(scene_seed)
        cell.use(scene.loaded)
        objects = cell.objects
        self.rng = generator(seed, "attempt")
        self.dynamics = self.draws.dynamics(generator(seed, "dynamics"), objects)
        self.looks = self.draws.looks(generator(seed, "looks"), objects)
        cell.set_dynamics(self.dynamics)
        cell.restore(scene.state)
        self.renderer.prepare(cell, self.looks | {"noise_seed": seed})
        if self.canonical:
            self.canonical.renderer.prepare(cell, canonical_looks(self.looks, self.canonical.plain(objects)))
        cell.tuck_arm()
        self._before = self._render()
        low, high = self.spec.workspace.low, self.spec.workspace.high
        start = self.rng.uniform((*low[:2], START_Z[0], -np.pi / 2), (*high[:2], START_Z[1], np.pi / 2))
        cell.place_arm(start.astype(np.float32))
        self.start = [round(float(value), 5) for value in start]
        self._open = True
        return self.observe()

    def _scene(self, scene_seed: int) -> _Scene:
        if scene_seed not in self._scenes:
            rng = generator(scene_seed, "scene")
            fewest, most = self.object_count
            objects = self.object_set.sample(rng, int(rng.integers(fewest, most + 1)), self.split)
            loaded = self.cell.load(objects)
            self.cell.settle(rng)
            self._scenes[scene_seed] = _Scene(loaded, self.cell.save())
            if len(self._scenes) > SCENES_KEPT:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(scene_seed)
        return self._scenes[scene_seed]

    def _render(self) -> _Picture:
        image, mask = self.renderer.render(self.cell)
        layers = self.layers() if self.layers else None
        if layers and self.canonical:
            layers = replace(layers, canonical=self.canonical.renderer.render(self.cell)[0])
        return _Picture(image, mask if self.spec.has_masks else None, layers)

    def _attempt(self) -> _Picture:
        """The first picture of the attempt under way.

        Raises:
            UserError: if there is none.
        """
        if self._before is None:
            raise UserError(f"world '{self.spec.name}' has no attempt under way: call reset first")
        return self._before

    def observe(self) -> Observation:
        before, now = self._attempt(), self._render()
        pose = self.cell.pose()
        return Observation(before.image, now.image, pose, before.mask, now.mask, before.layers, now.layers)

    def move(self, command: MotorCommand) -> None:
        self._attempt()
        target = apply_command(self.cell.pose(), checked(command))
        self.cell.move_to(self.spec.workspace.clip(target), self.rng)

    def grasp(self) -> GraspOutcome:
        self._attempt()
        if not self._open:
            raise UserError(f"world '{self.spec.name}' has closed its fingers already: call reset first")
        self._open = False
        return self.cell.close_lift_hold()

    def drop_test(self) -> tuple[Image, Image]:
        """See `DropTestWorld`.

        Raises:
            UserError: if the fingers have not closed in this attempt.
        """
        self._attempt()
        if self._open:
            raise UserError(f"world '{self.spec.name}' holds nothing to drop: call grasp first")
        self.cell.carry_away()
        without = self._render().image
        self.cell.drop()
        return without, self._render().image

    def record(self) -> dict[str, Any]:
        self._attempt()
        return {
            "objects": [thing.name for thing in self.cell.objects],
            "randomization": {"start": self.start, "looks": self.looks, "dynamics": self.dynamics},
        }

    def object_positions(self) -> Float64[np.ndarray, "n 3"]:
        """Centres of mass of the objects in the bin, base frame [m].

        Raises:
            UserError: if this world doesn't tell, as no real cell does, or there is no attempt under way.
        """
        if not self.spec.has_state:
            raise UserError(f"world '{self.spec.name}' doesn't tell where its objects are, as no real cell does")
        self._attempt()
        return self.cell.object_positions()

    def close(self) -> None:
        self._scenes.clear()
        self._before = None
