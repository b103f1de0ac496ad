"""What kind of thing an object is, from its name."""

from __future__ import annotations

from graspgap.objects import everyday


def kind_of(name: str) -> str:
    """The family of one of the everyday shapes; of others their name."""
    return everyday.family_of(name) if name.startswith("everyday-") else name
