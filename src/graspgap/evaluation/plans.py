"""Studies by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from graspgap.evaluation.stages import Stage
from graspgap.evaluation.study import PRESETS, plan
from graspgap.evaluation.transfer import TRANSFERS, plan_transfer

PLANS: dict[str, Callable[[Path, int], list[Stage]]] = {
    **{name: partial(plan, preset) for name, preset in PRESETS.items()},
    **{name: partial(plan_transfer, preset) for name, preset in TRANSFERS.items()},
}
"""The stages of each study, in the order in which they should start, from its folder and seed."""
