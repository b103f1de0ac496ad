"""How long a world takes for what it is asked."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from graspgap.contract import GraspOutcome, MotorCommand, Observation
from graspgap.worlds.protocol import World

T = TypeVar("T")


class TimedWorld:
    """The `World` protocol over another world; notes the seconds of every call."""

    def __init__(self, world: World) -> None:
        self.world, self.spec = world, world.spec
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def reset(self, seed: int, scene_seed: int | None = None) -> Observation:
        return self._timed("reset", lambda: self.world.reset(seed, scene_seed))

    def observe(self) -> Observation:
        return self._timed("observe", self.world.observe)

    def move(self, command: MotorCommand) -> None:
        self._timed("move", lambda: self.world.move(command))

    def grasp(self) -> GraspOutcome:
        return self._timed("grasp", self.world.grasp)

    def record(self) -> dict[str, Any]:
        return self.world.record()

    def close(self) -> None:
        self.world.close()

    def rows(self) -> list[dict[str, Any]]:
        """For each call: how often, and the median and 95th percentile of its time [ms]."""
        return [
            {
                "call": what,
                "times": len(values),
                "ms_median": round(float(np.median(values)) * 1e3, 2),
                "ms_p95": round(float(np.percentile(values, 95)) * 1e3, 2),
            }
            for what, values in self.seconds.items()
        ]

    def _timed(self, what: str, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = call()
        self.seconds[what].append(time.perf_counter() - start)
        return result
