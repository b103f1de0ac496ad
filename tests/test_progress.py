"""What a log file is told about long work."""

from __future__ import annotations

import pytest

from graspgap.progress import progress


def test_parts_that_add_up_to_more_than_the_total_leave_no_negative_time(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("study", 3, 1, "seconds of work") as advance:
        advance(2.6, "data/sim")
    line = capsys.readouterr().err.strip()
    assert line.startswith("study: 4/3 seconds of work, ")
    assert line.endswith(" 0 s left data/sim")
    assert " -" not in line
