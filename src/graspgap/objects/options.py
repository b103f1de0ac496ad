"""How object sets are written on the command line: `NAME`, `NAME:key=value,...`, `NAME:FOLDER,key=value,...`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from graspgap.errors import UserError, choose

Reader = Callable[[str], Any]
"""Turns the text of an option's value into its value; raises ValueError with what was expected."""

MOST_PARTS = 30


def split_choice(text: str) -> tuple[str, str, dict[str, str]]:
    """Name, folder (empty: none) and options of an object set.

    Options are looked for from the right, so that a folder's name may hold commas and equals signs elsewhere.

    Raises:
        UserError: if an option is given twice.
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    while match := re.fullmatch(r"(|.*,)([a-z_]+)=([^,/\\]*)", rest, re.DOTALL):
        key = match[2]
        if key in options:
            raise UserError(f"--objects {text} gives '{key}' twice: give it once")
        options[key], rest = match[3], match[1].removesuffix(",")
    return name, rest, options


def read_options(name: str, given: Mapping[str, str], known: Mapping[str, Reader]) -> dict[str, Any]:
    """The values of a set's options.

    Raises:
        UserError: if an option is unknown or its value isn't what it should be.
    """
    if given and not known:
        raise UserError(f"object set '{name}' has no options: leave away {', '.join(given)}")
    values = {}
    for key, text in given.items():
        read = known[choose(f"option of object set '{name}'", key, known)]
        try:
            values[key] = read(text)
        except ValueError as error:
            raise UserError(f"option {key} of object set '{name}' is '{text}', expected {error}") from None
    return values


def number(text: str) -> float:
    """A positive number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e6:
        raise ValueError("a positive number, as 0.05")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ValueError("a share from 0 to 1, as 0.5")
    return value


def count(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise ValueError("a whole number above 0")
    return int(text)


def span(text: str) -> tuple[float, float]:
    """Two positive numbers, the smaller first."""
    low, _, high = text.partition("-")
    try:
        values = number(low), number(high or low)
    except ValueError:
        values = (1.0, 0.0)
    if values[0] > values[1]:
        raise ValueError("a range of positive numbers, as 0.03-0.09")
    return values


def part_span(text: str) -> tuple[int, int]:
    """Fewest and most parts."""
    low, _, high = text.partition("-")
    try:
        values = count(low), count(high or low)
    except ValueError:
        values = (1, 0)
    if not 1 <= values[0] <= values[1] <= MOST_PARTS:
        raise ValueError(f"a number of parts, as 3, or a range, as 2-6, up to {MOST_PARTS}")
    return values


def words(text: str) -> tuple[str, ...]:
    """Words joined by plus signs."""
    found = tuple(word.strip() for word in text.split("+"))
    if not all(found):
        raise ValueError("words joined by +, as mug+bottle")
    return found


def flag(text: str) -> bool:
    """Yes or no."""
    if text not in ("yes", "no"):
        raise ValueError("yes or no")
    return text == "yes"


def one_of(*choices: str) -> Reader:
    """One of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(" or ".join(choices))
        return text

    return read
