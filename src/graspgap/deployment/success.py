"""Whether a grasp succeeded, without a person: the two ways of Levine et al. 2016 and Bousmalis et al. 2017.

The fingers' opening after the lift tells at once, but not when the object is thin. The *drop test* compares the bin
without what the gripper may hold to the bin after the gripper has opened over it: if an object came back, the two
pictures differ. It costs a drop, and sees what the fingers don't.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from graspgap.contract import Image
from graspgap.errors import UserError, choose

WAYS = ("opening", "pictures", "either", "both")


@dataclass(frozen=True)
class SuccessConfig:
    """Thresholds. Choose them on a few dozen attempts that a person has judged (`best_threshold`)."""

    way: str = "opening"
    """`opening`, `pictures`; `either` of them, as the original; or `both`. In the stand-in, `opening` and `both` told
    more attempts right than `either` (`benchmarks/success_labels.py`), and `opening` needs no drop."""
    opening: float = 0.005
    """Fingers that stay further apart [m] hold something. The original's 1 cm missed 4 thin objects in 32 successes of
    the stand-in."""
    changed: float = 0.0042
    """The pictures differ if more than this share of their pixels changed."""
    contrast: float = 24.0
    """A pixel changed if a colour of it did by more than this, of 255."""
    blur: float = 0.03
    """Standard deviation of the blur before, as a share of the picture's side: against noise, and pictures that shift
    by less than a pixel."""


def held_by_opening(opening: float, config: SuccessConfig) -> bool:
    """Whether the fingers, `opening` [m] apart after the lift, hold something.

    Raises:
        UserError: if the opening is no length: a gripper that doesn't tell mustn't count as empty.
    """
    if not 0 <= opening < 1:
        raise UserError(
            f"the gripper's opening is {opening} m, expected 0 to 1 m: give metres, or use way = 'pictures'"
        )
    return opening > config.opening


def change(without: Image, dropped: UInt8[np.ndarray, "height width 3"], config: SuccessConfig) -> float:
    """Share of pixels that changed between two pictures of the bin; brightness and white balance may differ.

    Raises:
        UserError: if the pictures have different sizes.
    """
    if without.shape != dropped.shape:
        raise UserError(f"pictures of a drop test are {without.shape} and {dropped.shape}: take both with one camera")
    one, two = (_smooth(each, config.blur) for each in (without, dropped))
    gain = np.median((one + 1) / (two + 1), axis=(0, 1))  # the light that changed for the whole picture
    return float((np.abs(one - (two + 1) * gain + 1).max(axis=2) > config.contrast).mean())


def _smooth(picture: Image, blur: float) -> Float32[np.ndarray, "h w 3"]:
    return cv2.GaussianBlur(picture.astype(np.float32), (0, 0), max(0.1, blur * picture.shape[0]))


def judge(opening: float | None, pictures: tuple[Image, Image] | None, config: SuccessConfig) -> bool:
    """Whether something was held. `opening` [m] and `pictures` (without what is held, after the drop) may be None
    where `config.way` doesn't need them.

    Raises:
        UserError: if the way is unknown, or what it needs is missing.
    """
    choose("the way to tell success", config.way, WAYS)
    verdicts = []
    if config.way != "pictures":
        if opening is None:
            raise UserError(f"way = '{config.way}' needs the gripper's opening, which is missing: use way = 'pictures'")
        verdicts.append(held_by_opening(opening, config))
    if config.way != "opening":
        if pictures is None:
            raise UserError(f"way = '{config.way}' needs a drop test, which is missing: use way = 'opening'")
        verdicts.append(change(*pictures, config) > config.changed)
    return all(verdicts) if config.way == "both" else any(verdicts)


def best_threshold(scores: list[float], truth: list[bool]) -> float:
    """The threshold that tells the most attempts right, a success being what scores higher: of `opening` or `changed`,
    from attempts that a person has judged.

    Raises:
        UserError: if either kind of attempt is missing.
    """
    if len(scores) != len(truth) or len(set(truth)) < 2:
        raise UserError("a threshold needs attempts of both kinds: judge some successes and some failures by hand")
    found = np.unique(scores)
    between = [found[0] - 1e-9, *((found[1:] + found[:-1]) / 2), found[-1]]
    right = [np.mean([(score > limit) == true for score, true in zip(scores, truth, strict=True)]) for limit in between]
    return float(between[int(np.argmax(right))])
