"""Checks of option values that a folder must not be begun with: a wrong one would stand in its `config.json`."""

from __future__ import annotations

from graspgap.errors import UserError


def at_least(option: str, value: int, least: int) -> None:
    """Refuse a smaller number.

    Raises:
        UserError: names the option, the value and the least value.
    """
    if value < least:
        raise UserError(f"{option} {value} is too small: give {least} or more")


def share_below_one(option: str, value: float) -> None:
    """Refuse what is not in [0, 1).

    Raises:
        UserError: names the option, the value and the range.
    """
    if not 0 <= value < 1:
        raise UserError(f"{option} {value:g} is out of range: give 0 or more, and less than 1")
