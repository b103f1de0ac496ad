"""Pictures to video files, by PyAV (extra `recordings`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from graspgap.contract import Image
from graspgap.errors import UserError

CODEC, PIXELS, GROUP = "libx264", "yuv420p", 2
"""H.264, which every player decodes; a picture is at most one other away from one that stands alone, so that any of
them is found at once."""


def require_av() -> Any:
    """PyAV.

    Raises:
        UserError: if it isn't installed.
    """
    try:
        import av
    except ImportError:
        raise UserError("writing videos needs av: pip install 'graspgap[recordings]', or give --images") from None
    return av


@contextmanager
def video_file(path: Path, size: int, fps: int, crf: int) -> Iterator[Callable[[Image], None]]:
    """Yield what appends a picture of size x size pixels; picture k is shown at k / `fps` seconds. The file is whole
    when the block has ended. `crf` is the loss, from 0 (nearly none) to 51.

    Raises:
        UserError: if PyAV is missing, or `size` is odd, which the pixel format can't hold.
    """
    av = require_av()
    if size % 2:
        raise UserError(f"a video can't hold pictures of {size} pixels, which is odd: give --images")
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(CODEC, rate=fps)
        stream.width = stream.height = size
        stream.pix_fmt, stream.time_base = PIXELS, Fraction(1, fps)
        stream.codec_context.options = {"crf": str(crf), "g": str(GROUP), "bf": "0", "threads": "1"}
        count = 0

        def append(picture: Image) -> None:
            nonlocal count
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = count, Fraction(1, fps)
            container.mux(stream.encode(frame))
            count += 1

        yield append
        container.mux(stream.encode())
