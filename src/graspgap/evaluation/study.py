"""What a study runs: a stage for each dataset, adapter, policy and set of attempts, as the command that makes it."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graspgap.config import to_json
from graspgap.errors import UserError
from graspgap.evaluation.costs import USUAL
from graspgap.evaluation.stages import ADAPTING, Stage, finished_seconds
from graspgap.evaluation.study_file import Study, StudyArm, StudyData, StudyTrials
from graspgap.files import read_json, write_json

RANDOM = StudyArm("random")
"""The arm that everything is compared with: random commands."""


def plan(study: Study, out: Path, seed: int) -> list[Stage]:
    """The stages of a study in the order in which they should start. Seeds share no data, training or attempts.

    Raises:
        UserError: if two stages would have one name, and so one folder.
    """
    stages = _data_stages(study, out, seed)
    stages += [_trials(study, out, seed, tried, RANDOM, 0.0, seed * 100, "") for tried in _trying(study, RANDOM)]
    for number in range(study.training_seeds):
        stages += _seed_stages(study, out, seed, seed * 100 + number)
    if study.score:
        stages += _score_stages(study, out, seed, stages)
    names = Counter(stage.name for stage in stages)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice:
        raise UserError(
            f"two stages of the study would be called '{twice}': give its arms names that differ in letters and digits "
            "('random' is taken), each real_labels once, and each [[tried]] a name"
        )
    return stages


def _data_stages(study: Study, out: Path, seed: int) -> list[Stage]:
    """The datasets that something reads, in the study's order, drawn ones after those that they are drawn from."""
    read = {arm.sim for arm in study.arms} | {arm.real for arm in study.arms if arm.features or any(arm.real_labels)}
    for arm in study.arms:
        if arm.adapter:
            adapter = study.adapter(arm)[1]
            read |= {adapter.sim, adapter.real}
    aligned = sorted({found for name in read if name in study.data and (found := study.through(name))})
    read |= {source for name in aligned for source in (study.alignments[name].sim, study.alignments[name].real)}
    read |= {data.drawn_from for name, data in study.data.items() if name in read}
    wanted = [(name, data) for name, data in study.data.items() if name in read]
    wanted.sort(key=lambda item: bool(item[1].drawn_from))
    stages = [_data_stage(study, out, name, data, seed) for name, data in wanted if not study.through(name)]
    stages += [_align(study, out, name, seed) for name in aligned]
    return stages + [_data_stage(study, out, name, data, seed) for name, data in wanted if study.through(name)]


def _align(study: Study, out: Path, name: str, seed: int) -> Stage:
    alignment = study.alignments[name]
    words = ["align", str(out / "cameras" / name), "--sim", str(out / "data" / alignment.sim)]
    words += ["--real", str(out / "data" / alignment.real), "--seed", str(seed), *alignment.options]
    after = (f"data/{alignment.sim}", f"data/{alignment.real}")
    return Stage(f"cameras/{name}", tuple(words), after, _work(study, "align", 1))


def _data_stage(study: Study, out: Path, name: str, data: StudyData, seed: int) -> Stage:
    if data.drawn_from:
        words = ["dataset", "sample", str(out / "data" / name), str(out / "data" / data.drawn_from)]
        words += ["--attempts", str(data.attempts), "--seed", str(seed + data.seed)]
        after = (f"data/{data.drawn_from}",)
        return Stage(f"data/{name}", tuple(words), after, ("draw", data.attempts), workers=False)
    more = ["--randomize", data.randomize] if data.randomize != "none" else []
    more += ["--objects", data.objects] if data.objects else []
    more += ["--canonical"] if data.canonical else []
    more += _camera(study, out, data.camera)
    more += [*_image_size(study), *data.options]
    stage = collect_stage(out, f"data/{name}", data.world, data.attempts, seed + data.seed, tuple(more))
    before = (f"cameras/{data.camera}",) if study.through(name) else ()
    return replace(stage, after=before, work=_work(study, *stage.work))


def collect_stage(out: Path, name: str, world: str, attempts: int, seed: int, more: tuple[str, ...] = ()) -> Stage:
    """Collect a dataset."""
    words = ("collect", str(out / name), "--world", world, "--attempts", str(attempts), "--seed", str(seed), *more)
    kind = [f"collect {world}", "canonical" if "--canonical" in more else ""]
    kind += ["randomized"] if "--randomize" in more and "none" not in more else []
    return Stage(name, words, work=(" ".join(filter(None, kind)), attempts))


def _seed_stages(study: Study, out: Path, seed: int, training_seed: int) -> list[Stage]:
    """Adapters, policies and attempts of one training seed: each adapter, then what is made with it, so that a study
    that was stopped has whole arms; last the arms without one, which wait for nothing and so leave no core idle."""
    stages: list[Stage] = []
    adapting: dict[tuple[str, str], str] = {}
    adapters = list(dict.fromkeys(study.adapter(arm)[0] for arm in study.arms if arm.adapter))
    made: set[str] = set()
    for arm in sorted(study.arms, key=lambda arm: adapters.index(study.adapter(arm)[0]) if arm.adapter else math.inf):
        if arm.adapter and study.adapter(arm)[0] not in made:
            made.add(study.adapter(arm)[0])
            stages.append(_adapt(study, out, arm, training_seed))
        for fraction in arm.real_labels:
            key = (study.adapter(arm)[0], arm.sim)
            train = _train(study, out, arm, fraction, training_seed, adapting.get(key, ""))
            if arm.adapter:  # the first arm adapts the pictures, the next ones find them
                adapting.setdefault(key, train.name)
            stages.append(train)
            stages += [
                _trials(study, out, seed, tried, arm, fraction, training_seed, train.name)
                for tried in _trying(study, arm)
            ]
    return stages


def _adapt(study: Study, out: Path, arm: StudyArm, seed: int) -> Stage:
    run, adapter = study.adapter(arm)
    name, data = f"adapters/{run}-seed{seed}", out / "data"
    words = ["adapt", str(out / name), "--sim", str(data / adapter.sim), "--real", str(data / adapter.real)]
    words += ["--method", adapter.method, "--steps", str(study.adapter_steps), "--seed", str(seed)]
    words += [*_image_size(study), *study.adapt_options, *adapter.options]
    after = (f"data/{adapter.sim}", f"data/{adapter.real}")
    return Stage(name, tuple(words), after, _work(study, f"adapt {adapter.method}", _steps(words)))


def _train(study: Study, out: Path, arm: StudyArm, fraction: float, seed: int, follow: str) -> Stage:
    name = f"policies/{place(arm, fraction)}-seed{seed}"
    words = ["train", str(out / name), "--steps", str(study.train_steps), "--seed", str(seed)]
    after = []
    if arm.sim:
        words += ["--sim", str(out / "data" / arm.sim)]
        after.append(f"data/{arm.sim}")
    if arm.adapter:
        adapter = f"adapters/{study.adapter(arm)[0]}-seed{seed}"
        words += ["--adapter", str(out / adapter)]
        after.append(adapter)
    if fraction or arm.features:
        words += ["--real", str(out / "data" / arm.real)]
        after.append(f"data/{arm.real}")
    if fraction:
        words += ["--real-labels", f"{fraction:g}"]
    if arm.features:
        words += ["--features", arm.features]
    if arm.sim and (fraction or arm.features):
        words += _camera(study, out, study.camera_of(arm.sim))
    words += [*_image_size(study), *study.train_options, *arm.options]
    kind = f"train {arm.features}".rstrip() + (ADAPTING if arm.adapter and not follow else "")
    behind = (follow,) if follow else ()
    return Stage(name, tuple(words), tuple(after), _work(study, kind, _steps(words)), behind=behind)


def _steps(words: Sequence[str]) -> int:
    """Steps of a training: the last that its words ask for, as the command line has it."""
    return [int(value) for name, value in itertools.pairwise(words) if name == "--steps" and value.isdigit()][-1]


def place(arm: StudyArm, fraction: float) -> str:
    """Name of an arm's policy with these real labels, for folders."""
    name = re.sub(r"[^\w.+-]+", "-", arm.name)
    return f"{name}-{fraction:g}" if fraction else name


def _trying(study: Study, arm: StudyArm) -> list[StudyTrials]:
    return [tried for tried in study.tried if not tried.arms or arm.name in tried.arms]


def _trials(
    study: Study,
    out: Path,
    seed: int,
    tried: StudyTrials,
    arm: StudyArm,
    fraction: float,
    training_seed: int,
    policy: str,
) -> Stage:
    """Attempts of a policy, or random ones without it."""
    name = "-".join(filter(None, (f"trials/{place(arm, fraction)}", tried.name, f"seed{training_seed}")))
    attempts = tried.attempts or study.trials
    words = ["evaluate", str(out / name), "--policy", str(out / policy) if policy else "random"]
    words += ["--attempts", str(attempts), "--seed", str(study.trial_seed + seed)]
    words += ["--world", tried.world] if tried.world != "standin" else []
    count = round(fraction * study.data[arm.real].attempts) if fraction else 0
    words += ["--arm.name", arm.name, "--arm.real-labels", f"{fraction:g}"]
    words += ["--arm.real-label-count", str(count), "--arm.seed", str(training_seed)]
    ingredients = study.ingredients(arm) if policy else ()
    if ingredients:
        words += ["--arm.ingredients", *ingredients]
    words += _camera(study, out, study.camera_of(arm.sim)) if arm.sim else []
    words += [*_image_size(study), *tried.options]
    return Stage(name, tuple(words), (policy,) if policy else (), _work(study, f"evaluate {tried.world}", attempts))


def camera_file(study: Study, out: Path, name: str) -> Path:
    """Where a study keeps one of its cameras."""
    return out / "cameras" / (f"{name}/camera.json" if name in study.alignments else f"{name}.json")


def write_cameras(out: Path, study: Study, stages: Sequence[Stage]) -> None:
    """Write the study's cameras where its stages read them.

    Raises:
        UserError: if a stage has finished with another camera of this name.
    """
    for name, camera in study.cameras.items():
        path, wanted = camera_file(study, out, name), to_json(camera)
        if path.exists() and read_json(path, "a study's camera") != wanted:
            done = [
                s.name for s in stages if s.option("--camera") == str(path) and finished_seconds(out, s) is not None
            ]
            if done:
                raise UserError(
                    f"{out} holds stage '{done[0]}' with another camera '{name}': choose another folder for this study"
                )
        write_json(path, wanted)


def _camera(study: Study, out: Path, name: str) -> list[str]:
    return ["--camera", str(camera_file(study, out, name))] if name else []


def _work(study: Study, kind: str, amount: float) -> tuple[str, float]:
    """As `Stage.work`; its kind says how large the pictures are where they have another size than most."""
    return kind if study.image_size == USUAL else f"{study.image_size} {kind}", amount


def _image_size(study: Study) -> list[str]:
    return [] if study.image_size == USUAL else ["--image-size", str(study.image_size)]


def _score_stages(study: Study, out: Path, seed: int, stages: Sequence[Stage]) -> list[Stage]:
    """Score the adapters and policies among the stages that have no real label, those of each simulated dataset
    together; one judge for all adapters, of the first dataset."""
    found: list[Stage] = []
    (real,) = study.realities()
    for data in [stage.name for stage in stages if stage.arguments[0] == "collect" and "sim" in stage.arguments]:
        runs = [
            stage
            for stage in stages
            if stage.arguments[0] in ("adapt", "train")
            and data in stage.after
            and "--real-labels" not in stage.arguments
        ]
        if not runs:
            continue
        name = f"scores/{data.removeprefix('data/')}"
        words = ["score", str(out / name), "--sim", str(out / data), "--real", str(out / "data" / real)]
        for option, command, first in (("--adapter", "adapt", ["none"]), ("--policy", "train", [])):
            words += [option, *first, *(str(out / run.name) for run in runs if run.arguments[0] == command)]
        words += ["--seed", str(seed), *_camera(study, out, study.camera_of(data.removeprefix("data/")))]
        words += study.score_options
        if found:
            words += ["--judge", str(out / found[0].name)]
        after = [data, f"data/{real}", *(stage.name for stage in (*runs, *found))]
        found.append(Stage(name, tuple(words), tuple(after), ("score", len(runs)), grows=True))
    return found
