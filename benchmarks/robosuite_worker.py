"""robosuite's attempts, for `collect.py --robosuite PYTHON`: it needs an older MuJoCo and NumPy, so it has a process of
its own, in an environment of its own:

    python3.11 -m venv /tmp/robosuite && /tmp/robosuite/bin/pip install robosuite 'mujoco<3.4'

Reads lines "SEED COUNT" and answers each with "SUCCESSES PICTURES" when the attempts are done. An attempt is PickPlace
with the IIWA arm and its 4 objects: 8 random actions of half a second with a picture and a class mask each, the fingers
closed in the last one. The model is kept between attempts (`hard_reset=False`), which is robosuite's fast way.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the library prints is no answer

import numpy as np  # noqa: E402
import robosuite  # noqa: E402

ACTIONS = 8


def main(size: int) -> None:
    """Answer until the input ends."""
    env = robosuite.make(
        "PickPlace",
        robots="IIWA",
        has_renderer=False,
        has_offscreen_renderer=True,
        use_camera_obs=True,
        camera_names="agentview",
        camera_heights=size,
        camera_widths=size,
        camera_segmentations="class",
        control_freq=2,
        horizon=2 * ACTIONS,
        hard_reset=False,
    )
    for line in sys.stdin:
        seed, count = map(int, line.split())
        rng = np.random.default_rng(seed)
        pictures = successes = 0
        for _ in range(count):
            env.reset()
            pictures += 1
            reward = 0.0
            for step in range(ACTIONS):
                action = rng.uniform(-1, 1, env.action_dim)
                action[-1] = 1 if step == ACTIONS - 1 else -1
                _, reward, _, _ = env.step(action)
                pictures += 1
            successes += reward > 0
        print(successes, pictures, file=answers, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
