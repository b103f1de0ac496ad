"""Simulators and stand-ins by name, and what of simulation the first stand-in can have."""

from __future__ import annotations

from collections.abc import Sequence

from graspgap.errors import choose

SIMULATORS = ("sim", "bullet")
STANDIN = "standin"
SECOND = "standin2"
"""Of which results are reported, and which nothing is tuned on."""
STANDINS = (STANDIN, SECOND)
FACTORS = ("look", "camera", "objects", "physics")
"""What the stand-in can share with simulation. `look`: the ray-cast picture in plain colours; `camera`: the nominal
one; `objects`: prisms, and as many as there; `physics`: bin, gripper, motion and calibration."""
_WITH = f"{STANDIN} with sim's "
TRAINING = ", training objects"
"""Follows the name of a world where a policy was tried with objects that training saw: for development alone."""


def read_factors(text: str) -> tuple[str, ...]:
    """Factors written as `look,camera`, in the order of `FACTORS`, each once.

    Raises:
        UserError: if one is unknown.
    """
    return ordered([word.strip() for word in text.split(",")]) if text.strip() else ()


def ordered(factors: Sequence[str]) -> tuple[str, ...]:
    """The factors in the order of `FACTORS`, each once.

    Raises:
        UserError: if one is unknown.
    """
    given = {choose("--same", factor, FACTORS) for factor in factors}
    return tuple(factor for factor in FACTORS if factor in given)


def standin_name(same: Sequence[str]) -> str:
    """What the stand-in is called, as `standin with sim's look+camera`: another world, which no figure mixes."""
    return _WITH + "+".join(ordered(same)) if same else STANDIN


def is_standin(world: str) -> bool:
    """Whether a world of this name is a stand-in."""
    world = world.removesuffix(TRAINING)
    return world in STANDINS or world.startswith(_WITH)


def in_words(world: str) -> str:
    """A world as a sentence calls it."""
    if world.endswith(TRAINING):
        return f"{in_words(world.removesuffix(TRAINING))} with training objects"
    if not is_standin(world):
        return f"the world '{world}'"
    if world == SECOND:
        return "the second stand-in"
    first, *others = world.removeprefix(_WITH).split("+") if world != STANDIN else [""]
    shared = f"{', '.join([first, *others[:-1]])} and {others[-1]}" if others else first
    return "the stand-in reality" + (f" with simulation's {shared}" if shared else "")
