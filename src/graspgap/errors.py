"""Errors that a user can cause: one clear line that names the thing, the expectation and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_CODE = 2
"""Exit code of the command line for every `UserError`."""
LONGEST = 4000
"""Characters of a message: what a damaged file holds may be quoted in it."""


class UserError(Exception):
    """Something the user asked for can't be done. The message is one line: the thing, the expectation, the fix.

    Control characters, which names of files and messages of other libraries may hold, become question marks; of a
    message that is too long the middle is left out.
    """

    def __init__(self, message: str) -> None:
        if len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
        lines = " ".join(message.splitlines())
        super().__init__("".join(char if char.isprintable() else "?" for char in lines))


def choose(name: str, value: str, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`.

    Raises:
        UserError: names the option, the value, the valid values and the nearest of them.
    """
    valid = list(options)
    if value in valid:
        return value
    near = difflib.get_close_matches(value, valid, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UserError(f"{name} '{value}' is unknown: {hint}valid values are {', '.join(valid)}")
