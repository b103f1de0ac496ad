"""`python -m graspgap.objects.decompose IN OUT`: one run of CoACD, in a process of its own that may hang or crash."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from graspgap.files import write_json


def main(source: str, target: str) -> None:
    """Decompose the mesh of an .npz file (`vertices`, `faces`; settings as numbers) into the hulls of a JSON file."""
    import coacd

    coacd.set_log_level("error")
    with np.load(source, allow_pickle=False) as data:
        mesh = coacd.Mesh(data["vertices"], data["faces"])
        hulls = coacd.run_coacd(
            mesh,
            threshold=float(data["threshold"]),
            max_convex_hull=int(data["most"]),
            max_ch_vertex=int(data["corners"]),
            decimate=True,
            resolution=int(data["resolution"]),
            mcts_iterations=int(data["iterations"]),
            seed=0,
        )
    write_json(Path(target), [np.asarray(vertices).round(9).tolist() for vertices, _ in hulls])


if __name__ == "__main__":
    main(*sys.argv[1:])
