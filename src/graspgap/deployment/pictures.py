"""The pictures that a predictor looks at."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from graspgap.contract import Observation
from graspgap.errors import UserError


def checked_pair(observation: Observation, size: int) -> UInt8[np.ndarray, "h w 6"]:
    """The pictures (I0, It), stacked.

    Raises:
        UserError: if they have another size than the network was trained with.
    """
    pair = np.concatenate([observation.image_before, observation.image_now], axis=2)
    if pair.shape != (size, size, 6):
        raise UserError(
            f"the policy was trained on pictures of {size} pixels and is shown {pair.shape[0]} x {pair.shape[1]}: "
            f"use --image-size {size}"
        )
    return pair
