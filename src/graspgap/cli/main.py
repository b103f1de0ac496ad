"""`graspgap COMMAND ...`: find the command's module, parse its configuration, run it."""

from __future__ import annotations

import _thread
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import tyro

from graspgap import __version__
from graspgap.cli.hidden import OPTIONS
from graspgap.errors import EXIT_CODE, UserError, choose
from graspgap.files import FULL, LIFELINE

COMMANDS = {
    "collect": "Make grasp attempts in a world and keep them as a dataset.",
    "adapt": "Train an adapter that makes simulated pictures look real, from unlabelled real ones.",
    "train": "Train a grasp network.",
    "evaluate": "Run closed-loop attempts with unseen objects and count successes.",
    "score": "Rank adapters and policies without a real label, mask or test object.",
    "rounds": "Collect, train, and collect again with the better policy plus noise. Resumes.",
    "study": "Run a whole study: collect, adapt, train, evaluate, report. Resumes.",
    "zoo": "List the trained policies and adapters that come with graspgap.",
    "film": "Make attempts of an evaluation again and film them.",
    "replay": "Make an attempt of a dataset again and compare every bit.",
    "report": "Write report.html of a study, or of any folder with evaluations.",
    "view": "Draw objects, worlds side by side, or what a randomization or an adapter makes of simulation (PNG).",
    "serve": "Serve a policy over websocket (openpi's protocol) and HTTP.",
    "export onnx": "Write a policy as ONNX files, compared with PyTorch.",
    "export lerobot": "Write a dataset as a LeRobotDataset (v3.0).",
    "import images": "Turn a folder of pictures into an unlabelled dataset.",
    "import rlds": "Turn RLDS/TFDS records into an unlabelled dataset.",
    "import lerobot": "Turn a LeRobotDataset (v3.0, v2.1) into a dataset, labelled or not.",
    "import google-grasping": "Turn the public grasping dataset of Levine et al. 2016 into a labelled dataset.",
    "import video": "Turn videos into an unlabelled dataset.",
    "import rosbag": "Turn MCAP files of ROS 2 into an unlabelled dataset, with gripper poses if recorded.",
    "dataset info": "Tell what a dataset holds, and which policy made it.",
    "dataset verify": "Check every byte, picture and attempt number of a dataset.",
    "dataset merge": "Make one dataset of several.",
    "dataset split": "Make two datasets of one, no scene on both sides.",
    "dataset sample": "Make a smaller dataset of one.",
    "push": "Put a dataset or a run into a repository of the Hugging Face Hub.",
    "pull": "Get a dataset or a run from there, verified. Resumes.",
    "networks": "Tell what each network costs and how far it sees.",
    "align": "Find where your camera stands, from pictures with the gripper or a board at known places.",
    "check": "Try a world with hostile commands, and name the first promise that it breaks.",
    "doctor": "Tell what this machine can do, what is missing, and the fix.",
}
"""Command and what it does; the module of a command is loaded when it runs, so that the command line starts fast."""
ENDS = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
"""Signals that would end a process at once."""
GRACE = 5.0
"""How long a stage may take to end by itself when the command that started it is gone [s]."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. A `UserError`, or a path that can't be used, is one line on standard
    error and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if os.environ.pop(LIFELINE, None):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with _told_to_stop():
            code = _run(words)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"graspgap: {error}", file=sys.stderr)
        return EXIT_CODE
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing may be written any more
            return 1
        print(f"graspgap: {_told(error)}", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt as stop:
        print("graspgap: stopped; run the same command again to go on", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)


def _nobody_reads() -> bool:
    """Whether who read our output has gone, as `| head` does, rather than who was at the end of another pipe."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return True
    return False


def _told(error: OSError) -> str:
    """What to say of an error outside `files.atomic`: a full disk, a file where a folder should be, no permission; or a
    connection, as to a robot."""
    text = error.strerror or str(error) or type(error).__name__
    if error.filename:
        return f"can't use {error.filename}: {text}; correct the path or free the disk"
    if error.errno in FULL:
        return f"{text}; free the disk"
    return f"a connection failed: {text}" if isinstance(error, (ConnectionError, TimeoutError)) else text


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Inside, `kill`, a scheduler's time limit and a lost terminal do what Ctrl-C does: a robot is stopped and worker
    processes end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in ENDS}
    for number, handler in kept.items():
        if handler is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def _end_with_parent() -> None:
    """A stage of a study ends when the study does, however that ended: its standard input closes then."""
    while os.read(0, 1):  # not sys.stdin, whose lock this thread would hold when Python shuts down
        pass
    _thread.interrupt_main()  # as Ctrl-C: a robot is stopped
    time.sleep(GRACE)
    os._exit(1)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {name:{width}}  {text}" for name, text in COMMANDS.items()]
        print("usage: graspgap COMMAND [--help] ...\n\n" + "\n".join(lines))
        return 0
    if words[0] == "--version":
        print(f"graspgap {__version__}")
        return 0
    name, rest = _command(words)
    module = importlib.import_module(f"graspgap.cli.{name.replace(' ', '_').replace('-', '_')}")

    def parse(default: Any = tyro.MISSING_NONPROP) -> Any:
        program, about = f"graspgap {name}", COMMANDS[name]
        return tyro.cli(module.Config, args=rest, prog=program, description=about, default=default, registry=OPTIONS)

    if name.startswith("import "):
        from graspgap.cli.importing import parsed

        module.run(parsed(parse))
    else:
        module.run(parse())
    return 0


def _command(words: list[str]) -> tuple[str, list[str]]:
    """The command that `words` begin with, and the words after it. `import images` may be written `import-images`."""
    if words[0].partition("-")[0] in {name.split()[0] for name in COMMANDS if " " in name}:
        words = [*words[0].split("-", 1), *words[1:]]
    first = choose("command", words[0], dict.fromkeys(name.split()[0] for name in COMMANDS))
    if first in COMMANDS:
        return first, words[1:]
    kinds = [name.split()[1] for name in COMMANDS if name.split()[0] == first]
    if len(words) == 1 or words[1] in ("-h", "--help"):
        raise UserError(f"{first} needs one of {', '.join(kinds)}: graspgap {first} {kinds[0]} --help")
    return f"{first} {choose(f'{first} command', words[1], kinds)}", words[2:]


if __name__ == "__main__":
    sys.exit(main())
