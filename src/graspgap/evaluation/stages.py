"""Run the stages of a study: each a command with a folder of its own, done once, several at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graspgap.errors import UserError
from graspgap.files import LIFELINE, read_json, write_json
from graspgap.progress import progress
from graspgap.provenance import usable_cores


@dataclass(frozen=True)
class Stage:
    """One command of a study."""

    name: str
    """Also the folder that it writes, below the study's folder."""
    arguments: tuple[str, ...]
    """Words after `graspgap`, without `--workers`."""
    after: tuple[str, ...] = ()
    """Stages whose output this one reads."""
    cost: float = 1.0
    """Expected time on one core, relative to the other stages; for the progress bar."""
    workers: bool = True
    """Whether the command takes `--workers`."""


def finished_seconds(study: Path, stage: Stage) -> float | None:
    """Seconds that a finished stage took; None if it has not finished.

    Raises:
        UserError: if the folder holds a finished stage of this name with other settings.
    """
    path = _record(study, stage)
    if not path.exists():
        return None
    record = read_json(path, "a study")
    if record["arguments"] != list(stage.arguments):
        raise UserError(
            f"{study} holds stage '{stage.name}' with other settings ({' '.join(record['arguments'])}): "
            "choose another folder for this study"
        )
    return float(record["seconds"])


def run_stages(study: Path, stages: Sequence[Stage], workers: int = 0) -> None:
    """Run what has not finished, two stages at a time, each with half of the cores; on one core, one at a time.

    Stages are started in the given order as soon as what they read is there. Two single-threaded stages use two cores
    better than one stage with two threads. Each writes `logs/<stage>.log`.

    Raises:
        UserError: if a stage fails; the others that run are left to finish first.
    """
    cores = workers or usable_cores()
    slots = min(cores, 2)
    done = {stage.name for stage in stages if finished_seconds(study, stage) is not None}
    waiting = [stage for stage in stages if stage.name not in done]
    running: dict[Stage, _Process] = {}
    failure: UserError | None = None
    total = round(sum(stage.cost for stage in stages))
    before = round(sum(stage.cost for stage in stages if stage.name in done))
    with progress("study", total, before, unit="units of work") as advance:
        while running or (waiting and not failure):
            for stage in list(waiting):
                if len(running) < slots and not failure and set(stage.after) <= done:
                    waiting.remove(stage)
                    running[stage] = _Process(study, stage, max(1, cores // slots))
            time.sleep(0.2)
            for stage, process in list(running.items()):
                code = process.process.poll()
                if code is None:
                    continue
                del running[stage]
                if code:
                    failure = failure or process.failure(code)
                    continue
                seconds = process.finish()
                done.add(stage.name)
                print(f"{stage.name}: {process.last_line()} [{seconds:.0f} s]", flush=True)
                advance(stage.cost, ", ".join(other.name for other in running))
    if failure:
        raise failure


class _Process:
    """A running stage. The time that earlier, stopped runs of it took is added up."""

    def __init__(self, study: Path, stage: Stage, workers: int) -> None:
        self.study, self.stage, self.start = study, stage, time.monotonic()
        self.log = study / "logs" / f"{stage.name.replace('/', '-')}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "graspgap.cli.main", *stage.arguments]
        command += ["--workers", str(workers)] if stage.workers else []
        threads = {name: str(workers) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=os.environ | threads | {LIFELINE: "1"}
            )

    def last_line(self) -> str:
        """What the stage said last."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def finish(self) -> float:
        """Note that the stage is done."""
        self._close()
        seconds = round(time.monotonic() - self.start, 1)
        write_json(_record(self.study, self.stage), {"arguments": list(self.stage.arguments), "seconds": seconds})
        return seconds

    def failure(self, code: int) -> UserError:
        """The error that says which stage failed, and why."""
        self._close()
        words = self.last_line().removeprefix("graspgap: ")
        return UserError(f"stage '{self.stage.name}' failed with exit code {code}: {words} (all of it: {self.log})")

    def _close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()


def _record(study: Path, stage: Stage) -> Path:
    return study / "stages" / f"{stage.name.replace('/', '-')}.json"
