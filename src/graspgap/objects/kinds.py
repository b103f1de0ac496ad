"""What kind of thing an object is, from its name."""

from __future__ import annotations

import re

from graspgap.objects.everyday import EVERYDAY
from graspgap.objects.workshop import WORKSHOP

KINDS = {kinds.name: kinds for kinds in (EVERYDAY, WORKSHOP)}
"""Sets whose objects' names tell their family."""


def kind_of(name: str) -> str:
    """The family of an object of a set of families; of others their name."""
    found = re.fullmatch(r"(\w+)-(train|test)-\d{3,}", name)
    kinds = KINDS.get(found[1]) if found else None
    return kinds.family_of(name) if kinds else name
