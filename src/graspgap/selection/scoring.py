"""Score adapter and policy runs with one pair of datasets; each finished run is kept, so that scoring resumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from graspgap.adaptation.pixel import PixelMethod
from graspgap.contract import Camera, Workspace
from graspgap.datasets import Dataset, SimulatedView, UnlabelledView
from graspgap.datasets.check import fields_of
from graspgap.deployment.front_end import FrontEnd
from graspgap.deployment.predictor import POLICY, load_predictor
from graspgap.errors import UserError
from graspgap.files import read_json, sha256, write_json
from graspgap.networks import Segmenter
from graspgap.progress import progress
from graspgap.runs import CONFIG, RETRAIN, read_run
from graspgap.selection.adapters import adapter_scores
from graspgap.selection.policies import policy_scores
from graspgap.selection.record import NONE, RunScores, run_scores
from graspgap.selection.samples import ScoreSettings, whole_attempts
from graspgap.settings import entry
from graspgap.training.adapt import ADAPTER, SNAPSHOTS, adapt_frames, load_adapter, shown_through
from graspgap.zoo import MODELS, adapter_of

T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """An adapter or policy to score."""

    kind: str
    path: Path
    """Its run folder; `none` for simulation as it is."""

    @property
    def name(self) -> str:
        """As in `RunScores`."""
        return run_name(self.path)

    @property
    def weights(self) -> Path:
        """The file that it is read from."""
        return self.path / (ADAPTER if self.kind == "adapter" else POLICY)


def run_name(path: Path) -> str:
    """A run's folder, and for a snapshot the step."""
    return f"{path.parent.parent.name}@{path.name}" if path.parent.name == SNAPSHOTS else path.name


def with_snapshots(run: Path) -> list[Path]:
    """An adapter run and its snapshots, earliest first; without a snapshot of its last step, which is the run itself.

    Raises:
        UserError: if the folder is not an adapter run.
    """
    if str(run) == NONE:
        return [run]
    steps = _fact(run, read_run(run, "adapter")["config"], "steps", int)
    found = sorted((run / SNAPSHOTS).glob("[0-9]*"), key=lambda path: int(path.name))
    return [*(path for path in found if int(path.name) != steps), run]


def _fact(run: Path, table: Any, name: str, kind: type[T]) -> T:
    """What the record of a run holds under `name` in a table of it.

    Raises:
        UserError: if there is no such value.
    """
    return entry(table, name, kind, run / CONFIG, RETRAIN)


@dataclass(frozen=True)
class _Looked:
    """The pictures that runs of one training seed are scored with."""

    sim: SimulatedView
    frames: Int64[np.ndarray, "f"]
    real: UnlabelledView
    real_frames: Int64[np.ndarray, "g"]


@dataclass
class Scorer:
    """Both datasets, and what is kept between runs."""

    sim: Dataset
    real: Dataset
    held_out: float
    """Share of the scenes of each dataset that training keeps out."""
    settings: ScoreSettings
    device: torch.device
    judge: Segmenter | None = None
    """Of adapters, from `train_judge`."""
    camera: Camera | None = None
    """That of reality, if it is not the one that its dataset names."""
    _looked: dict[tuple[str, int], _Looked] = field(default_factory=dict)

    def parts(self, kind: str, seed: int) -> tuple[Dataset, Dataset]:
        """Scenes that runs of this training seed kept out; all of reality's for adapters, which have seen them anyway,
        if those kept out are a single attempt.

        Raises:
            UserError: if a dataset is too small for that.
        """
        sim, real = (data.split_by_scene(self.held_out, seed)[1] for data in (self.sim, self.real))
        real = self.real if kind == "adapter" and len(real) < 2 else real
        for part in (sim, real):
            if len(part) < 2:
                raise UserError(
                    f"{part.path} gives one attempt to score with, expected two or more: give a dataset of more scenes"
                )
        return sim, real

    def looked(self, kind: str, seed: int) -> _Looked:
        """The pictures of these scenes."""
        if (kind, seed) not in self._looked:
            sim, real = self.parts(kind, seed)
            views = sim.simulated(extras=False), real.unlabelled()
            frames, real_frames = (whole_attempts(view, self.settings.pictures, seed) for view in views)
            self._looked = {(kind, seed): _Looked(views[0], frames, views[1], real_frames)}  # one: pictures are large
        return self._looked[kind, seed]

    def score(self, run: Candidate) -> RunScores:
        """Every score of a run.

        Raises:
            UserError: if it has not finished, or doesn't fit the datasets.
        """
        return self._adapter(run) if run.kind == "adapter" else self._policy(run)

    def _adapter(self, run: Candidate) -> RunScores:
        assert self.judge is not None
        looked = self.looked("adapter", self.settings.seed)
        plain = run.name == NONE
        facts = {} if plain else read_run(run.path, "adapter")
        method = None if plain else load_adapter(run.path, self.device, self.sim.image_size)
        made = self._shown(method, looked)
        sim, frames, real, real_frames = looked.sim, looked.frames, looked.real, looked.real_frames
        if method and method.front_end:
            real = shown_through(FrontEnd(method), real, self.device)
        values = adapter_scores(self.judge, sim, frames, made, real, real_frames, self.settings, self.device)
        source = sim.provenance() if plain else _fact(run.path, facts["inputs"], "sim", dict)
        seed = self.settings.seed if plain else _fact(run.path, facts["config"], "seed", int)
        return self._record(run, looked, values, _fact(run.path, source, "meta_sha256", str), seed)

    def _policy(self, run: Candidate) -> RunScores:
        facts = read_run(run.path, "policy")
        inputs, training = facts["inputs"], facts["config"]
        policy = load_predictor(run.path, str(self.device))
        size = policy.net.config.image_size
        if size != self.sim.image_size:
            raise UserError(
                f"{run.path} was trained on pictures of {size} pixels, and {self.sim.path} has {self.sim.image_size}: "
                "give the datasets that it was trained on"
            )
        seed, methods = _fact(run.path, training, "seed", int), _fact(run.path, training, "methods", dict)
        masks = _fact(run.path, training, "masks", float)
        sources = {name: _fact(run.path, inputs, name, dict) for name in ("sim", "real") if name in inputs}
        adapter = Path(_fact(run.path, inputs, "adapter", str)) if inputs.get("adapter") else None
        if adapter and run.path.parent == MODELS:
            adapter = adapter_of(run.path) or adapter
        if adapter and not adapter.exists():
            raise UserError(
                f"{run.path} was trained with adapter {adapter}, which is not there: run this where that path leads "
                "to it, or bring it back"
            )
        looked = self.looked("policy", seed)
        method = load_adapter(adapter, self.device, size) if adapter else None
        values = policy_scores(
            policy,
            looked.sim,
            looked.frames,
            self._shown(method, looked),
            looked.real,
            looked.real_frames,
            (_camera(self.sim, self.sim), self.camera or _camera(self.real, self.sim)),
            _workspace(self.real, self.sim),
            bool("sim" in sources and masks),
            self.settings,
        )
        return self._record(
            run,
            looked,
            values,
            sources.get("sim", {}).get("meta_sha256", ""),
            seed,
            adapter=run_name(adapter) if adapter else NONE,
            features=list(methods),
            real_labels=sources.get("real", {}).get("labels", 0),
        )

    def _shown(self, method: PixelMethod | None, looked: _Looked) -> UInt8[np.ndarray, "f 6 h w"]:
        """Simulated pairs as the adapter makes them, or as they are."""
        if method is None:
            return looked.sim.pairs(looked.frames)
        return adapt_frames(method, looked.sim, looked.frames, self.settings.seed, self.device)

    def _record(
        self,
        run: Candidate,
        looked: _Looked,
        values: dict[str, float | None],
        sim: str,
        seed: int,
        adapter: str = NONE,
        features: Sequence[str] = (),
        real_labels: int = 0,
    ) -> RunScores:
        return RunScores(
            name=run.name,
            kind=run.kind,
            sha256=_hash(run),
            sim=sim,
            adapter=adapter,
            features=list(features),
            real_labels=real_labels,
            seed=seed,
            pictures={"sim": len(looked.frames), "real": len(looked.real_frames)},
            values={name: None if value is None else float(f"{value:.6g}") for name, value in values.items()},
        )


def require_distinct(runs: Sequence[Candidate]) -> None:
    """Refuse runs of one kind that would be kept under one name.

    Raises:
        UserError: if there are two.
    """
    names = [(run.kind, run.name) for run in runs]
    twice = next((name for kind, name in names if names.count((kind, name)) > 1), None)
    if twice:
        raise UserError(f"two runs are called {twice}: rename one, or score it into another folder")


def score_runs(out: Path, runs: Sequence[Candidate], scorer: Scorer) -> list[RunScores]:
    """Scores of all runs, in order. What an earlier call has scored into `out` is taken from there, if the run's
    weights are the same.

    Raises:
        UserError: if a run can't be scored, or what was kept of it is damaged.
    """
    found = []
    with progress("score", len(runs), unit="runs") as advance:
        for run in runs:
            path = out / "runs" / f"{run.kind}-{run.name}.json"
            kept = None
            if path.exists():
                kept = run_scores(read_json(path, "scores of a run"), path, "delete it and score again")
            if kept is None or kept.sha256 != _hash(run):
                kept = scorer.score(run)
                write_json(path, asdict(kept))
            found.append(kept)
            advance(1, run.name)
    return found


def _hash(run: Candidate) -> str:
    return sha256(run.weights) if run.weights.exists() else ""


def _camera(data: Dataset, otherwise: Dataset) -> Camera:
    return fields_of(Camera, _named("camera", data, otherwise))


def _workspace(data: Dataset, otherwise: Dataset) -> Workspace:
    return fields_of(Workspace, _named("workspace", data, otherwise))


def _named(what: str, data: Dataset, otherwise: Dataset) -> dict[str, Any]:
    """What a dataset's meta.json says of its world, or else that of another."""
    found: dict[str, Any] | None = data.meta[what] or otherwise.meta[what]
    if found is None:
        names = " and ".join(dict.fromkeys(f"{each.path}" for each in (data, otherwise)))
        raise UserError(f"nobody has said the {what} of {names}, which scores of a policy need: give other datasets")
    return found
