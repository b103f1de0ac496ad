"""`graspgap COMMAND ...`: find the command's module, parse its configuration, run it."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Sequence

import tyro

from graspgap import __version__
from graspgap.errors import EXIT_CODE, UserError, choose
from graspgap.files import LIFELINE

COMMANDS = {
    "collect": "Make grasp attempts in a world and keep them as a dataset.",
    "adapt": "Train an adapter that makes simulated pictures look real, from unlabelled real ones.",
    "train": "Train a grasp network.",
    "evaluate": "Run closed-loop attempts with unseen objects and count successes.",
    "study": "Run a whole study: collect, adapt, train, evaluate, report. Resumes.",
    "report": "Write report.html of a study, or of any folder with evaluations.",
    "view": "Draw the objects of a set on a sheet (PNG).",
    "import-images": "Turn a folder of pictures into an unlabelled dataset (also: import images).",
    "import-rlds": "Turn RLDS/TFDS records into an unlabelled dataset (also: import rlds).",
    "doctor": "Tell what this machine can do, what is missing, and the fix.",
}
"""Command and what it does; the module of a command is loaded when it runs, so that the command line starts fast."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. A `UserError`, or a path that can't be used, is one line on standard
    error and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if os.environ.pop(LIFELINE, None):
        threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read our output has gone, as `| head` does; nothing may be written any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UserError as error:
        print(f"graspgap: {error}", file=sys.stderr)
        return EXIT_CODE
    except OSError as error:  # outside `files.atomic`: a full disk, a file where a folder should be, no permission
        where = f"can't use {error.filename}: " if error.filename else ""
        print(f"graspgap: {where}{error.strerror or error}; correct the path or free the disk", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        print("graspgap: stopped; run the same command again to go on", file=sys.stderr)
        return 130


def _end_with_parent() -> None:
    """A stage of a study ends when the study does, however that ended: its standard input closes then."""
    while os.read(0, 1):  # not sys.stdin, whose lock this thread would hold when Python shuts down
        pass
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
    if words[0] == "import":
        if len(words) == 1:
            raise UserError(
                "import needs a kind: graspgap import images FOLDER OUT, or graspgap import rlds FOLDER OUT"
            )
        words = [f"import-{choose('import kind', words[1], ('images', 'rlds'))}", *words[2:]]
    name = choose("command", words[0], COMMANDS)
    module = importlib.import_module(f"graspgap.cli.{name.replace('-', '_')}")
    config = tyro.cli(module.Config, args=words[1:], prog=f"graspgap {name}", description=COMMANDS[name])
    module.run(config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
