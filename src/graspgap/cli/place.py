"""The type of an option that takes a folder or a URL; a `Path` would turn `s3://x` into `s3:/x`."""

from __future__ import annotations

from typing import Annotated

from tyro.constructors import PrimitiveConstructorSpec

from graspgap.locations import Location, location

Place = Annotated[
    Location,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: location(words[0]),
        is_instance=lambda value: isinstance(value, Location),
        str_from_instance=lambda place: [str(place)],
    ),
]
