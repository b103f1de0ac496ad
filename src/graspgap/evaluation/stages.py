"""Run the stages of a study: each a command with a folder of its own, done once, several at a time.

Several `graspgap study` commands, on as many machines, may share a study's folder: a stage that one of them runs is
claimed by a file, and the others take the next one.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path

from graspgap.errors import UserError
from graspgap.evaluation.costs import measured_rates, rate_of, used_seconds
from graspgap.files import LIFELINE, read_json, write_json
from graspgap.progress import progress
from graspgap.provenance import usable_cores
from graspgap.settings import entry
from graspgap.worlds.standin_names import SIMULATORS, STANDINS

ADAPTING = " adapting"
"""What follows the kind of work of a training that adapts the pictures first."""
POLL = 0.2
"""Between looks at running stages [s]."""
HEARTBEAT = 20.0
"""A claim is renewed this often [s]."""
STALE = 600.0
"""A claim that was not renewed for so long [s] is of a command that is gone: another may take the stage. Clocks of
machines that share a folder may differ by minutes."""


@dataclass(frozen=True)
class Stage:
    """One command of a study."""

    name: str
    """Also the folder that it writes, below the study's folder."""
    arguments: tuple[str, ...]
    """Words after `graspgap`, without `--workers`."""
    after: tuple[str, ...] = ()
    """Stages whose output this one reads."""
    work: tuple[str, float] = ("other", 1.0)
    """Kind of work and how much of it, in units as `costs` knows them; its expected time follows."""
    workers: bool = True
    """Whether the command takes `--workers`."""
    grows: bool = False
    """Whether the command adds to what it wrote before: with other words it has not finished, where other stages are
    refused."""
    behind: tuple[str, ...] = ()
    """Stages that this one had better wait for, if they are to run at all."""

    def option(self, name: str) -> str:
        """What follows an option of the command; empty if it has none."""
        words = self.arguments
        return words[words.index(name) + 1] if name in words else ""

    @property
    def robot(self) -> str:
        """The installed world that it acts in, which may be a robot; empty if it acts in none."""
        world = self.option("--world").partition(":")[0]
        return "" if world in (*SIMULATORS, *STANDINS) else world


def finished_seconds(study: Path, stage: Stage) -> float | None:
    """Seconds that a finished stage took; None if it has not finished.

    Raises:
        UserError: if the folder holds a finished stage of this name with other settings, or its record is damaged.
    """
    path = record_path(study, stage)
    if not path.exists():
        return None
    record, fix = read_json(path, "a study"), "restore it, or delete it to run the stage again"
    arguments = entry(record, "arguments", list[str], path, fix)
    seconds = entry(record, "seconds", float, path, fix)
    if "cpu_seconds" in record:  # for its costs
        entry(record, "cpu_seconds", float, path, fix)
    if _from_home(stage, arguments) != _from_home(stage, stage.arguments):
        if stage.grows:
            return None
        raise UserError(
            f"{study} holds stage '{stage.name}' with other settings ({' '.join(arguments)}): "
            "choose another folder for this study"
        )
    return float(seconds)


def _from_home(stage: Stage, arguments: Sequence[str]) -> list[str]:
    """The stage's words with the paths of its study as seen from there, so that a study may be moved or copied. Where
    the study lies, the path of the stage's own folder tells."""
    folder = str(Path(stage.name))
    home = next((word.removesuffix(folder) for word in arguments if word.endswith(os.sep + folder)), "")
    return [word.removeprefix(home) for word in arguments]


def needed(stages: Sequence[Stage], done: set[str], only: str = "") -> list[Stage]:
    """The stages that must run, in their order: those that nothing else reads or that have grown, as far as they have
    not finished and their names match the pattern `only`, and what they read, and so on.

    So a study whose attempts are all there needs no data any more.

    Raises:
        UserError: if no stage matches the pattern.
    """
    if only and not any(fnmatchcase(stage.name, only) for stage in stages):
        names = ", ".join(sorted({stage.name.split("/")[0] for stage in stages}))
        raise UserError(f"--only {only} matches no stage: they lie below {names} (see --plan)")
    read = {name for stage in stages for name in stage.after}
    wanted: set[str] = set()
    for stage in reversed(stages):  # what a stage reads comes before it
        goal = fnmatchcase(stage.name, only) if only else stage.grows or stage.name not in read
        if stage.name not in done and (goal or stage.name in wanted):
            wanted |= {stage.name, *stage.after}
    return [stage for stage in stages if stage.name in wanted - done]


def expected_seconds(study: Path, stages: Sequence[Stage]) -> dict[str, float]:
    """Expected work of each stage [s of one core], by its name; that of finished ones as measured."""
    took = {stage.name: used_seconds(record_path(study, stage)) for stage in stages}
    rates = measured_rates([(*stage.work, seconds) for stage in stages if (seconds := took[stage.name]) is not None])
    found = {}
    for stage in stages:
        seconds = took[stage.name]
        found[stage.name] = stage.work[1] * rate_of(stage.work[0], rates) if seconds is None else seconds
    return found


def run_stages(study: Path, stages: Sequence[Stage], workers: int = 0, only: str = "") -> None:
    """Run what is needed and has not finished, two stages at a time, each with half of the cores; on one core, one at a
    time.

    Stages are started in the given order as soon as what they read is there. Two single-threaded stages use two cores
    better than one stage with two threads. One at a time acts in an installed world, which may be a robot. Each writes
    `logs/<stage>.log`. What another command has claimed is waited for where something here reads it.

    Raises:
        UserError: if a stage fails; the others that run are left to finish first.
    """
    cores = workers or usable_cores()
    slots = min(cores, 2)
    done = {stage.name for stage in stages if finished_seconds(study, stage) is not None}
    waiting = needed(stages, done, only)
    costs = expected_seconds(study, stages)
    left, before = (round(sum(costs[name] for name in names)) for names in ([stage.name for stage in waiting], done))
    running: dict[Stage, _Process] = {}
    failure: UserError | None = None
    with progress("study", before + left, before, unit="core-seconds of work") as advance:
        while running or (waiting and not failure):
            for stage in list(waiting):
                if finished_seconds(study, stage) is not None:  # by another command
                    waiting.remove(stage)
                    done.add(stage.name)
                    advance(costs[stage.name], "")
                    continue
                ready = set(stage.after) <= done and stage.robot not in {each.robot for each in running if each.robot}
                ready = ready and not set(stage.behind) & {each.name for each in (*waiting, *running)}
                if ready and len(running) < slots and not failure and _claim(study, stage):
                    waiting.remove(stage)
                    running[stage] = _Process(study, stage, max(1, cores // slots))
            time.sleep(POLL)
            for stage, process in list(running.items()):
                code = process.poll()
                if code is None:
                    process.renew()
                    continue
                del running[stage]
                if code:
                    failure = failure or process.failure(code)
                    continue
                seconds = process.finish()
                done.add(stage.name)
                print(f"{stage.name}: {process.last_line()} [{seconds:.0f} s]", flush=True)
                advance(costs[stage.name], ", ".join(other.name for other in running))
    if failure:
        raise failure


def _claim(study: Path, stage: Stage) -> bool:
    """Take the stage for this command, unless another one has it, or has the robot that it drives."""
    paths = _claim_paths(study, stage)
    taken = list(takewhile(_take, paths))
    if taken == paths and finished_seconds(study, stage) is None:  # else it has just finished elsewhere
        return True
    for path in taken:
        path.unlink()
    return False


def _take(path: Path) -> bool:
    """Write this command's claim, unless another one's is there that is not stale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = path.read_text(encoding="utf-8")
        fresh = time.time() - path.stat().st_mtime < STALE  # the number of a process that is gone may be another's
        if fresh and (_lives(found) or _owner(found)[0] != platform.node()):
            return False
        aside = path.with_suffix(f".{uuid.uuid4().hex}")
        path.rename(aside)
        late = aside.read_text(encoding="utf-8") != found  # another command saw the stale claim, too, and was quicker
        if late:
            os.link(aside, path)
        aside.unlink()
        if late:
            return False
    except FileNotFoundError:
        pass
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_mine())
    except FileExistsError:
        return False
    return True


def _mine() -> str:
    """What this command's claims hold."""
    return f"{platform.node()} {os.getpid()}"


def _owner(claim: str) -> tuple[str, int]:
    """Machine and process of a claim."""
    node, _, pid = claim.rpartition(" ")
    return node, int(pid) if pid.isdigit() else 0


def _lives(claim: str) -> bool:
    """Whether a claim is of a living process of this machine."""
    node, pid = _owner(claim)
    if node != platform.node() or not pid or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class _Process:
    """A running stage."""

    def __init__(self, study: Path, stage: Stage, workers: int) -> None:
        self.study, self.stage, self.start = study, stage, time.monotonic()
        self.renewed, self.cpu_seconds = self.start, 0.0
        self.log = study / "logs" / f"{_flat(stage)}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.resumed = self.log.exists()
        command = [sys.executable, "-m", "graspgap.cli.main", *stage.arguments]
        command += ["--workers", str(workers)] if stage.workers else []
        threads = {name: str(workers) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=os.environ | threads | {LIFELINE: "1"}
            )

    def poll(self) -> int | None:
        """Exit code, None while it runs; when it has ended, `cpu_seconds` is the processor time of it and its workers,
        0 where the system doesn't tell (Windows)."""
        if not hasattr(os, "wait4"):
            return self.process.poll()
        ended, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not ended:
            return None
        self.cpu_seconds = round(usage.ru_utime + usage.ru_stime, 1)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode

    def renew(self) -> None:
        """Say that the stage still runs; end it where another command has taken it over, as after a sleep."""
        now = time.monotonic()
        if now - self.renewed > HEARTBEAT:
            self.renewed = now
            for path in _claim_paths(self.study, self.stage):
                owner = _held_by(path)
                if owner == _mine():
                    path.touch()
                elif owner:
                    self.process.terminate()

    def last_line(self) -> str:
        """What the stage said last."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def finish(self) -> float:
        """Note that the stage is done."""
        seconds = round(time.monotonic() - self.start, 1)
        record = {"arguments": list(self.stage.arguments), "work": list(self.stage.work), "seconds": seconds}
        record |= {"cpu_seconds": self.cpu_seconds}
        record |= {"resumed": True} if self.resumed else {}
        write_json(record_path(self.study, self.stage), record)
        self._close()
        return seconds

    def failure(self, code: int) -> UserError:
        """The error that says which stage failed, and why."""
        lost = [path for path in _claim_paths(self.study, self.stage) if _held_by(path) not in ("", _mine())]
        self._close()
        if lost:
            return UserError(
                f"stage '{self.stage.name}' was taken over by another command, since {lost[0]} was not renewed for "
                f"{STALE:.0f} s: run the same command again to go on with the other stages"
            )
        words = self.last_line().removeprefix("graspgap: ")
        return UserError(f"stage '{self.stage.name}' failed with exit code {code}: {words} (all of it: {self.log})")

    def _close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        for path in _claim_paths(self.study, self.stage):
            if _held_by(path) == _mine():
                path.unlink(missing_ok=True)


def _flat(stage: Stage) -> str:
    return stage.name.replace("/", "-")


def record_path(study: Path, stage: Stage) -> Path:
    """Where a finished stage is noted."""
    return study / "stages" / f"{_flat(stage)}.json"


def _claim_paths(study: Path, stage: Stage) -> list[Path]:
    """Where a command claims the stage, and before it the robot that it drives."""
    names = [f"robot-{stage.robot}"] * bool(stage.robot) + [_flat(stage)]
    return [study / "stages" / f"{name}.claim" for name in names]


def _held_by(claim: Path) -> str:
    """Machine and process that hold a claim; empty if nobody does."""
    try:
        return claim.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
