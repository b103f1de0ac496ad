"""Checks of option values that a folder must not be begun with: a wrong one would stand in its `config.json`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from graspgap.contract import Camera
from graspgap.errors import UserError
from graspgap.settings import Bounds, in_range

COUNT = Bounds(1)
NOT_NEGATIVE = Bounds(0)
POSITIVE = Bounds(0, above=True)
SHARE = Bounds(0, 1)
SHARE_BELOW_ONE = Bounds(0, 1, below=True)

BOUNDS = {
    # how long, how fast, of how many; one picture has no batch statistics
    "batch": Bounds(2), "steps": COUNT, "fewest-steps": COUNT, "unlabelled": COUNT, "commands-per-image": COUNT,
    "recalibration": COUNT, "learning-rate": POSITIVE, "critic-rate": POSITIVE, "judge-rate": POSITIVE,
    "adda.rate": POSITIVE, "ema": SHARE_BELOW_ONE, "beta2": SHARE_BELOW_ONE, "momentum": SHARE,
    "augment.contrast": SHARE, "augment.tint": SHARE,
    # networks; after its two convolutions 7 cells leave the grasp network's crop one
    "image-size": COUNT, "width": COUNT, "widths": COUNT, "critic-widths": COUNT, "fine": COUNT, "coarse": COUNT,
    "head": COUNT, "lateral": COUNT, "private": COUNT, "scales": COUNT, "halvings": COUNT,
    "last": COUNT, "crop-cells": Bounds(7), "crop-size": POSITIVE, "critic-dropout": SHARE_BELOW_ONE,
    "pixelda.noise": COUNT,
    # of single methods
    "references": COUNT, "backgrounds": COUNT, "composite.pictures": COUNT, "patches": COUNT, "fourier.beta": SHARE,
    "temperature": POSITIVE, "reach": POSITIVE, "refiner-only": SHARE, "critic-only": SHARE, "refiner-turns": COUNT,
    "--detector.attempts": COUNT, "kept": Bounds(0, 1, above=True), "judge-share": SHARE, "source": SHARE,
}  # fmt: skip
"""Of settings, by the last word of their option or, before that, the last two. Any other number is 0 or more."""
CHECKED_ELSEWHERE = ("camera", "hidden")


def at_least(option: str, value: int, least: int) -> None:
    """Refuse a smaller number.

    Raises:
        UserError: names the option, the value and the least value.
    """
    in_range(option, value, Bounds(least))


def share_below_one(option: str, value: float) -> None:
    """Refuse what is not in [0, 1).

    Raises:
        UserError: names the option, the value and the range.
    """
    in_range(option, value, SHARE_BELOW_ONE)


def two_datasets(sim: object, real: object) -> None:
    """Refuse one dataset, by its place, in both roles.

    Raises:
        UserError: names it.
    """
    if sim == real:
        raise UserError(f"--sim and --real are both {real}: give simulation's dataset and reality's")


def one_camera(sim: object, simulated: Camera | None, real: object, seen: Camera | None) -> None:
    """Refuse cameras that differ; of unknown ones (None) nobody can tell. `sim` and `real` name what says so.

    Raises:
        UserError: names both.
    """
    if seen not in (None, simulated):
        raise UserError(
            f"{sim} and {real} have different nominal cameras, and the network sees through one: collect the "
            "simulation with --camera FILE that says where the real one is, or give that file to train too"
        )


def check_numbers(option: str, config: Any) -> None:
    """Refuse a configuration one of whose numbers is out of its `BOUNDS`; `option` is the one that it stands under.

    Raises:
        UserError: names the setting's own option, the value and the bounds.
    """
    for field in fields(config):
        value, name = getattr(config, field.name), f"{option}.{field.name.replace('_', '-')}"
        if field.name in CHECKED_ELSEWHERE:
            continue
        if is_dataclass(value):
            check_numbers(name, value)
            continue
        words = name.split(".")
        bounds = BOUNDS.get(".".join(words[-2:])) or BOUNDS.get(words[-1], NOT_NEGATIVE)
        if value == ():
            raise UserError(f"{name} is empty: give one number or more")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float):
                in_range(name, number, bounds)
