"""Pictures out of video files, by PyAV (extra `recordings`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graspgap.contract import Image
from graspgap.errors import UserError

AHEAD = 1.0
"""Frames further ahead than this are sought, not decoded up to [s]."""
MOST = 1e6
"""No recording is longer [s]."""


def frames_at(path: Path, times: Sequence[float], tolerance: float) -> list[Image]:
    """The frames at these times [s] from the video's start, ascending; each within `tolerance` of its time.

    Raises:
        UserError: if PyAV or the file is missing, it is damaged, or has no frame there.
    """
    strange = [time for time in times if not -MOST < time < MOST]
    if strange:
        raise UserError(f"{path} was asked for a frame at {strange[0]} s: the recording's times are damaged")
    found: list[Image] = []
    with opened(path) as (container, stream):
        frames: Iterator[Any] = iter(())
        frame, now = None, float("-inf")
        for time in times:
            if not now <= time + tolerance <= now + AHEAD and not abs(now - time) <= tolerance:
                container.seek(int((time - tolerance + _start(stream)) / stream.time_base), stream=stream)
                frames, now = container.decode(stream), float("-inf")
            while now < time - tolerance:
                frame = next(frames, None)
                if frame is None or frame.time is None:
                    raise UserError(
                        f"{path} has no frame at {time:.3f} s (damaged, or cut short): copy it again, or move it away"
                    )
                now = frame.time - _start(stream)
            if frame is None or now > time + tolerance:
                raise UserError(f"{path} has no frame at {time:.3f} s, the next is at {now:.3f} s: copy it again")
            found.append(_rgb(frame))
    return found


def frames_every(path: Path, seconds: float) -> Iterator[tuple[float, Image]]:
    """(time [s], picture) of the first frame and then of the next after each `seconds`; 0: of all frames.

    Raises:
        UserError: as `frames_at`; also if the video ends a second before it says.
    """
    with opened(path) as (container, stream):
        due = now = float("-inf")
        for frame in container.decode(stream):
            if frame.time is None:
                raise UserError(f"{path} has frames without a time: convert it, for instance with ffmpeg")
            now = frame.time - _start(stream)
            if now >= due - 1e-6:
                due = max(due, now) + seconds
                yield now, _rgb(frame)
        if now < _length(container, stream) - 1:
            raise UserError(
                f"{path} ends at {now:.1f} s, before it says (damaged, or cut short): copy it again, or move it away"
            )


def duration(path: Path) -> float:
    """Length of a video [s], as it says itself; 0 where it doesn't.

    Raises:
        UserError: as `frames_at`.
    """
    with opened(path) as (container, stream):
        return _length(container, stream)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """(container, video stream) of a file.

    Raises:
        UserError: as `frames_at`, also for what goes wrong inside.
    """
    try:
        import av
    except ImportError:
        raise UserError("reading videos needs av: pip install 'graspgap[recordings]'") from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path} has no video: expected a file with pictures")
            yield container, container.streams.video[0]
    except FileNotFoundError:
        raise UserError(f"{path} is missing: copy it again") from None
    except (av.error.FFmpegError, OSError, ValueError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{path} can't be decoded ({why}): it is damaged or cut short: copy it again, or move it away"
        ) from None


def _start(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _length(container: Any, stream: Any) -> float:
    """As the stream says, or the container where it holds nothing else (sound may be longer); else 0."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6 if len(container.streams) == 1 else 0.0


def _rgb(frame: Any) -> Image:
    return np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
