"""The dataset card: a README.md that a person reads and the Hugging Face hub understands."""

from __future__ import annotations

from typing import Any

_CARD = """---
configs:
- config_name: default
  data_files: data/*.parquet
task_categories:
- robotics
tags:
- grasping
- graspgap
---

# Grasp attempts of the world `{world}`

| | |
|---|---|
| attempts | {attempts} |
| pictures (besides one before each attempt) | {frames} |
| scenes | {scenes} |
| successes | {successes} |
| picture size | {image_size} x {image_size} |
| semantic masks | {masks} |
| gripper poses | {poses} |
{policies}
One row is one attempt: `image_before` (the bin, arm out of view), then for each servo step a picture (`images`), the
gripper pose (`poses`: x, y, z in metres, yaw in radians, robot base frame) and the motor command to the final pose
(`commands`: dx, dy, dz in metres, sin dyaw, cos dyaw), and whether the grasp held (`success`).
Masks hold 0 background, 1 bin, 2 arm and gripper, 3 object. `instances`, where there are any, hold 0 or
1 + the index in `objects`; `depths` are 16-bit pictures in units of 0.1 mm along the camera's axis, 0 for no hit;
`canonicals` are the same instants with plain table, bin, arm and light, by the same camera.

```python
import datasets

attempts = datasets.load_dataset("parquet", data_files="data/*.parquet", split="train")
attempts[0]["images"][-1].show()
```

`meta.json` holds the configuration, versions and hardware that made it, and the SHA-256 of every shard.

No licence is set: before you publish, choose one and add `license:` at the top of this file.
"""


def card(meta: dict[str, Any]) -> str:
    """Text of README.md for a dataset with this `meta.json`."""
    successes = (
        f"{meta['successes']} ({meta['successes'] / meta['attempts']:.1%})" if meta["has_labels"] else "unlabelled"
    )
    policies = "".join(
        f"| by policy `{name}` | {counts['attempts']} attempts{_won(counts) if meta['has_labels'] else ''} |\n"
        for name, counts in meta["policies"].items()
    )
    return _CARD.format(
        policies=policies,
        **{key: meta[key] for key in ("world", "attempts", "frames", "scenes", "image_size")},
        successes=successes,
        masks="yes" if meta["has_masks"] else "no",
        poses="yes" if meta["has_poses"] else "no",
    )


def _won(counts: dict[str, int]) -> str:
    return f", {counts['successes']} succeeded ({counts['successes'] / counts['attempts']:.1%})"
