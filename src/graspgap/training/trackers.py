"""Numbers of a training for programs that draw them: TensorBoard, and the others that accelerate knows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graspgap.errors import UserError, choose

TENSORBOARD = "tensorboard"


def chosen_trackers(tensorboard: bool, trackers: str) -> tuple[str, ...]:
    """Names for `tracking`, of `--tensorboard` and `--trackers NAME,NAME`.

    Raises:
        UserError: if accelerate doesn't know a name, or the package is not installed; names the fix.
    """
    others = [name for name in trackers.split(",") if name]
    names = tuple(dict.fromkeys([TENSORBOARD] * tensorboard + others))
    if not names:
        return ()
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    for name in names:
        choose("--trackers", name, LOGGER_TYPE_TO_CLASS)
        if name not in [str(found) for found in get_available_trackers()]:
            package = "'graspgap[tensorboard]'" if name == TENSORBOARD else name.replace("_", "-")
            flag = "--tensorboard" if tensorboard and name == TENSORBOARD else f"--trackers {name}"
            raise UserError(f"{flag} needs a package that is not installed: pip install {package}")
    return names


@contextmanager
def tracking(
    names: Sequence[str], out: Path, done: int, config: Any
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Yield `track(step, numbers)`. `config` is a dataclass, for trackers that keep settings. TensorBoard's events go
    to `out/tensorboard`; those of steps after `done`, from before a crash, are dropped there."""
    if not names:
        yield lambda step, numbers: None
        return
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

    PartialState(cpu=True)  # as good as any: in several processes there is one already
    trackers: list[GeneralTracker] = []
    for name in names:
        kind = LOGGER_TYPE_TO_CLASS[name]
        where = [str(out)] if kind.requires_logging_directory else []
        tracker = kind(TENSORBOARD, *where, purge_step=done + 1) if name == TENSORBOARD else kind(out.name, *where)
        tracker.start()
        if name != TENSORBOARD:
            tracker.store_init_configuration(json.loads(json.dumps(dataclasses.asdict(config))))
        trackers.append(tracker)

    def track(step: int, numbers: Mapping[str, float]) -> None:
        for tracker in trackers:
            tracker.log(dict(numbers), step=step)

    try:
        yield track
    finally:
        for tracker in trackers:
            tracker.finish()
