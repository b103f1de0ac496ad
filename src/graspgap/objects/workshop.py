"""Things of a workshop, generated: what the second stand-in grasps, and nothing else does."""

from __future__ import annotations

from graspgap.objects import fittings, hardware
from graspgap.objects.families import Kinds

WORKSHOP = Kinds(
    name="workshop",
    train={
        "nut": hardware.nut,
        "bracket": hardware.bracket,
        "elbow": fittings.elbow,
        "gear": hardware.gear,
        "knob": hardware.knob,
        "handle": fittings.handle,
        "bearing": hardware.bearing,
        "coupling": fittings.coupling,
        "caster": hardware.caster,
        "clamp": hardware.clamp,
    },
    unseen={
        "tee": fittings.tee,
        "valve": fittings.valve,
        "wing nut": hardware.wing_nut,
        "pulley": hardware.pulley,
        "eye bolt": fittings.eye_bolt,
    },
    counts={"train": 120, "test": 36},
    stride=3,
)
