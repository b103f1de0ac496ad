"""Whether a two-finger gripper can pick an object up at all."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial import ConvexHull

from graspgap.errors import UserError
from graspgap.objects.model import ObjectModel, Part, part_volume
from graspgap.objects.parts import bounds, outline
from graspgap.seeding import generator

SPAN = 0.08
"""The gripper's opening of 10 cm less room for the fingers' errors [m]."""
LONGEST = 0.4
"""Larger than this is taken for wrong units; no bin is as large [m]."""
SHORTEST = 0.02
"""Smaller than this is taken for wrong units: the fingers would close over it [m]."""
HEAVIEST = 1.5
"""Half of what the weakest randomized grip can hold: 2 fingers x 18 N x friction 0.84 = 30 N [kg]."""
LEAST_VOLUME = 1e-9
"""A cubic millimetre [m^3]."""
OPPOSED = 0.7
"""Cosine of the largest angle between the faces of a grasp, as the fingers' friction allows."""
TRIALS = 400
"""Places of the surface that are tried."""


def check_graspable(thing: ObjectModel, source: object) -> ObjectModel:
    """The object, if a gripper that opens 10 cm can pick it up.

    Raises:
        UserError: if it has no volume, is too large or too small, nowhere thin enough for the gripper, or too heavy;
            names `source`.
    """
    box = bounds(thing.parts)
    if not np.isfinite(box).all():
        raise UserError(f"{source} has places that are not finite numbers: export it again")
    extents = np.ptp(box, axis=0)
    size = " x ".join(f"{extent:.3g}" for extent in extents)
    if extents.max() > LONGEST or (extents.min() > SPAN and thinnest(thing.parts) > SPAN):
        raise UserError(
            f"{source} measures {size} m, expected at most {LONGEST:g} m and a place within {SPAN:g} m, which the "
            "gripper spans: is it in millimetres? scale it to metres"
        )
    if extents.max() < SHORTEST:
        raise UserError(f"{source} measures {size} m, expected at least {SHORTEST:g} m: scale it to metres")
    if sum(part_volume(part) for part in thing.parts) < LEAST_VOLUME:
        raise UserError(f"{source} has no volume, expected a solid: give it a thickness")
    if not 0 < thing.mass <= HEAVIEST:
        raise UserError(f"{source} weighs {thing.mass:.3g} kg, expected at most {HEAVIEST:g} kg: lower its density")
    return thing


def thinnest(parts: tuple[Part, ...]) -> float:
    """Least distance [m] between opposed faces of the parts' union, straight through it, over about 400 places drawn
    evenly over its surface; infinite if there are none."""
    hulls = [ConvexHull(outline(part)) for part in parts]
    rng = generator(0, "thinnest")
    corners = np.concatenate([hull.points[hull.simplices] for hull in hulls])
    normals = np.concatenate([hull.equations[:, :3] for hull in hulls])
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    face = rng.choice(len(area), TRIALS, p=area / area.sum())
    start = np.einsum("nk,nkd->nd", rng.dirichlet((1, 1, 1), TRIALS), corners[face])
    inward = -normals[face]
    spans = np.stack([_span(hull.equations, start, inward) for hull in hulls], axis=1)
    enter, leave = spans[..., 0], spans[..., 1]
    on_surface = ~((enter < -1e-6) & (leave > 1e-6)).any(axis=1)
    length, last = np.zeros(TRIALS), np.zeros(TRIALS, dtype=int)
    for _ in parts:  # through one part after the other, while they overlap
        reach = np.where(enter <= length[:, None] + 1e-6, leave, 0)
        further = reach.max(axis=1) > length + 1e-9
        length, last = np.where(further, reach.max(axis=1), length), np.where(further, reach.argmax(axis=1), last)
    end = start + length[:, None] * inward
    facing = np.array(
        [
            (hulls[part].equations[_nearest(hulls[part].equations, point), :3] @ way)
            for part, point, way in zip(last, end, inward, strict=True)
        ]
    )
    good = on_surface & (facing > OPPOSED) & (length > 0)
    return float(length[good].min(initial=np.inf))


def _span(
    planes: Float[np.ndarray, "m 4"], start: Float64[np.ndarray, "n 3"], way: Float64[np.ndarray, "n 3"]
) -> Float64[np.ndarray, "n 2"]:
    """Where lines enter and leave a convex body; (inf, -inf) where they miss it."""
    height, slope = start @ planes[:, :3].T + planes[:, 3], way @ planes[:, :3].T
    along = np.abs(slope) < 1e-12
    crossing = -height / np.where(along, 1, slope)
    enter = np.where(~along & (slope < 0), crossing, -np.inf).max(axis=1)
    leave = np.where(~along & (slope > 0), crossing, np.inf).min(axis=1)
    missed = (enter > leave) | (along & (height > 1e-9)).any(axis=1)
    return np.stack([np.where(missed, np.inf, enter), np.where(missed, -np.inf, leave)], axis=1)


def _nearest(planes: Float[np.ndarray, "m 4"], point: Float64[np.ndarray, "3"]) -> int:
    """The face on which a point of the surface lies."""
    return int(np.abs(planes[:, :3] @ point + planes[:, 3]).argmin())
