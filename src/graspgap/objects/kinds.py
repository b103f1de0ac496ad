"""What kind of thing an object is, from its name."""

from __future__ import annotations

from graspgap.objects.everyday import EVERYDAY
from graspgap.objects.workshop import WORKSHOP

KINDS = {kinds.name: kinds for kinds in (EVERYDAY, WORKSHOP)}
"""Sets whose objects' names tell their family."""


def kind_of(name: str) -> str:
    """The family of an object of a set of families; of others their name."""
    kinds = KINDS.get(name.split("-")[0])
    return kinds.family_of(name) if kinds else name
