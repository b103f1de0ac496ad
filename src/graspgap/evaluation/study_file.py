"""A study as a readable file: its worlds, data, adapters, arms, label fractions, seeds and attempts, in TOML."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graspgap.config import from_json
from graspgap.contract import Camera
from graspgap.errors import UserError, choose
from graspgap.evaluation.ingredients import (
    ATTEMPTS,
    OBJECTS,
    RANDOMIZATION,
    SIMULATION,
    SIMULATOR,
    feature_ingredients,
)
from graspgap.evaluation.tables import named_place
from graspgap.files import read_json
from graspgap.runs import read_run
from graspgap.settings import check_table, read_toml
from graspgap.worlds.standin_names import SIMULATORS, STANDINS

FOLDER = Path(__file__).parent / "presets"
PRESETS = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""Studies that come with graspgap."""
RESOLVED = "study.json"
"""What a study is made of, beside what it made."""
FEWEST = 40
"""Attempts of a dataset of a scaled study: less leaves some scenes no success to learn from."""
SEED = "seed"
"""What the folder of one of a study's seeds is called, before its number."""
MOST_SEEDS = 100
"""Policies of one arm: those of the study's next seed have the numbers after them."""
NAMES = r"[A-Za-z0-9][\w.+-]*"
"""Of datasets, adapters and cameras, which become names of files."""


@dataclass(frozen=True)
class StudyData:
    """A dataset: collected, or drawn from another one."""

    world: str = "sim"
    attempts: int = 1000
    objects: str = ""
    """Object set; empty: the world's own."""
    randomize: str = "none"
    camera: str = ""
    """One of the study's cameras or alignments; empty: the world's nominal one."""
    canonical: bool = False
    """Canonical pictures beside the randomized ones."""
    seed: int = 0
    """Added to the study's seed."""
    drawn_from: str = ""
    """Name of a dataset that the attempts are drawn from; empty: they are collected."""
    options: tuple[str, ...] = ()
    """More words for `graspgap collect`."""


@dataclass(frozen=True)
class StudyAlignment:
    """A camera that `graspgap align` finds from the study's own unlabelled attempts. A scaled study scales its data
    alone, and may leave too little to find a camera from."""

    sim: str = "randomized"
    """Simulated dataset in which its detector learns."""
    real: str = "standin"
    """Its unlabelled attempts."""
    options: tuple[str, ...] = ()
    """More words for `graspgap align`."""


@dataclass(frozen=True)
class StudyAdapter:
    """An adapter that arms share."""

    method: str
    sim: str = "sim"
    """Simulated dataset that it is trained on."""
    real: str = "standin"
    """Its unlabelled pictures."""
    options: tuple[str, ...] = ()
    """More words for `graspgap adapt`."""


@dataclass(frozen=True)
class StudyArm:
    """One recipe for a policy. All arms have the same network, steps and settings but for their `options`."""

    name: str
    sim: str = ""
    """Simulated dataset; empty: none."""
    adapter: str = ""
    """One of the study's adapters, or a method, which is then trained on `sim`'s plain data; empty: none."""
    features: str = ""
    """Feature-level methods, joined by commas."""
    real: str = "standin"
    """Real dataset, whose labels are read as far as `real_labels` says."""
    real_labels: tuple[float, ...] = (0.0,)
    """Fractions of the real labels; a policy for each."""
    options: tuple[str, ...] = ()
    """More words for `graspgap train`."""


def _fewer_steps(options: tuple[str, ...], share: float) -> tuple[str, ...]:
    """The options, with this share of the steps that they ask for."""
    fewer = list(options)
    for place, (name, value) in enumerate(itertools.pairwise(options), start=1):
        if name == "--steps" and value.isdigit():
            fewer[place] = str(max(2, round(share * int(value))))
    return tuple(fewer)


@dataclass(frozen=True)
class StudyTrials:
    """Closed-loop attempts of policies in a world."""

    name: str = ""
    """Part of the results' folders; empty for the main ones, in the stand-in as it is."""
    world: str = "standin"
    attempts: int = 0
    """For each policy; 0: the study's `trials`."""
    arms: tuple[str, ...] = ()
    """Arms that are tried; none: all."""
    options: tuple[str, ...] = ()
    """More words for `graspgap evaluate`."""


@dataclass(frozen=True)
class Study:
    """What a study is made of."""

    about: str
    """In a sentence."""
    train_steps: int
    trials: int
    """Closed-loop attempts per policy."""
    data: dict[str, StudyData]
    arms: tuple[StudyArm, ...]
    cameras: dict[str, Camera] = field(default_factory=dict)
    """Where the real camera was found to be, such as by `graspgap align`. Arms whose simulation is seen through one
    take the real pictures to be from there too, and act through it."""
    alignments: dict[str, StudyAlignment] = field(default_factory=dict)
    """Cameras that the study finds itself, for its data to name like those."""
    adapter_steps: int = 1500
    adapters: dict[str, StudyAdapter] = field(default_factory=dict)
    tried: tuple[StudyTrials, ...] = (StudyTrials(),)
    seeds: tuple[int, ...] = ()
    """Seeds to run, each the whole study with data, trainings and scenes of its own, in OUT/seedN; none: seed 0, in OUT
    itself."""
    trial_seed: int = 1000
    """Evaluation seed of study seed 0; development uses other ones."""
    training_seeds: int = 1
    """Policies per arm and label fraction, of one seed's data."""
    image_size: int = 64
    adapt_options: tuple[str, ...] = ()
    """More words for every `graspgap adapt`."""
    train_options: tuple[str, ...] = ()
    """More words for every `graspgap train`."""
    score: bool = False
    """Whether `graspgap score` ranks the adapters and the policies without real labels."""
    score_options: tuple[str, ...] = ()
    """More words for it."""
    compare: tuple[tuple[str, str], ...] = ()
    """Pairs of arms to compare besides those that differ in an ingredient; `ARM@0.02` is an arm with 2% of the real
    labels."""

    def folders(self, out: Path, seed: int | None) -> list[tuple[Path, int]]:
        """Where each seed is run: this one in `out` itself; None: the study's own.

        Raises:
            UserError: if `out` would hold folders of seeds and has one seed in itself.
        """
        if seed is None and self.seeds:
            if (out / RESOLVED).exists():
                raise UserError(f"{out} holds one seed of a study: give its --seed to go on, or choose another folder")
            return [(out / f"{SEED}{each}", each) for each in self.seeds]
        return [(out, seed or 0)]

    def scaled(self, share: float, image_size: int = 0) -> Study:
        """The same study with this share of the attempts and steps, and pictures with as many pixels a side (0: its
        own), to try it out.

        Raises:
            UserError: unless 0 < share <= 1.
        """
        if not 0 < share <= 1:
            raise UserError(f"--scale {share:g} is no share: give a number above 0, and 1 or less")
        sized = replace(self, image_size=image_size or self.image_size)
        if share == 1:
            return sized
        data = {
            name: replace(each, attempts=max(FEWEST, round(share * each.attempts))) for name, each in self.data.items()
        }
        return replace(
            sized,
            data=data,
            adapter_steps=max(2, round(share * self.adapter_steps)),
            train_steps=max(2, round(share * self.train_steps)),
            trials=max(3, round(share * self.trials)),
            tried=tuple(
                replace(each, attempts=max(3, round(share * each.attempts)) if each.attempts else 0)
                for each in self.tried
            ),
            adapters={
                name: replace(each, options=_fewer_steps(each.options, share)) for name, each in self.adapters.items()
            },
            arms=tuple(replace(arm, options=_fewer_steps(arm.options, share)) for arm in self.arms),
            adapt_options=_fewer_steps(self.adapt_options, share),
            train_options=_fewer_steps(self.train_options, share),
        )

    def adapter(self, arm: StudyArm) -> tuple[str, StudyAdapter]:
        """Name and settings of an arm's adapter."""
        if arm.adapter in self.adapters:
            return arm.adapter, self.adapters[arm.adapter]
        return f"{arm.adapter}-sim", StudyAdapter(arm.adapter)

    def camera_of(self, name: str) -> str:
        """The camera or alignment that a dataset, or the one that it is drawn from, is seen through; empty: the
        nominal one."""
        return self.data[self.data[name].drawn_from or name].camera

    def through(self, name: str) -> str:
        """The alignment that a dataset is seen through; empty: none."""
        return camera if (camera := self.camera_of(name)) in self.alignments else ""

    def realities(self) -> list[str]:
        """The real datasets that arms and adapters read, in place of drawn ones those that they are drawn from."""
        read = {arm.real for arm in self.arms if arm.features or any(arm.real_labels)}
        read |= {self.adapter(arm)[1].real for arm in self.arms if arm.adapter}
        read |= {self.alignments[name].real for arm in self.arms if arm.sim and (name := self.through(arm.sim))}
        return sorted({self.data[name].drawn_from or name for name in read})

    def ingredients(self, arm: StudyArm) -> tuple[str, ...]:
        """What the arm is made of besides real labels. `statistics`: batch statistics of reality's own pictures."""
        name, adapter = self.adapter(arm)
        names = [*([arm.sim] if arm.sim else []), *([adapter.sim] if arm.adapter else [])]
        read = [self.data[source] for source in names]
        kinds = {data.randomize for data in read} - {"none"}
        found = [SIMULATION] if arm.sim else []
        found += sorted(RANDOMIZATION if kind == "both" else f"{kind} {RANDOMIZATION}" for kind in kinds)
        found += sorted({data.objects + OBJECTS for data in read if data.objects})
        found += sorted({f"{camera} camera" for source in names if (camera := self.camera_of(source))})
        found += sorted({data.world + SIMULATOR for data in read if data.world != "sim"})
        if len({data.attempts for data in self.data.values() if data.world in SIMULATORS}) > 1:
            found += sorted({f"{data.attempts}{ATTEMPTS}" for data in read})
        found += feature_ingredients(arm.features)
        if arm.adapter:
            found.append(name if adapter.options or self.data[adapter.real].drawn_from else adapter.method)
        return tuple(dict.fromkeys(found))


def read_study(name_or_file: str) -> Study:
    """The study of a preset's name or of a TOML file's path.

    Raises:
        UserError: if there is none, or it can't be read, or it names what it doesn't hold.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = FOLDER / f"{choose('--preset', name_or_file, PRESETS)}.toml"
    values = read_toml(path, "--preset", f"one of {', '.join(PRESETS)}, or a TOML file")
    check_table(Study, values, str(path))
    study = from_json(Study, values)
    _check(study, str(path))
    return study


def study_of(out: Path) -> Study:
    """The study whose folder `out` is.

    Raises:
        UserError: if it holds none, or its file is damaged.
    """
    path = out / RESOLVED
    if not path.exists():  # of a version that kept the preset's name alone
        return read_study(str(read_run(out, "study")["config"]["preset"]))
    values = read_json(path, "a study")
    if not isinstance(values, dict):
        raise UserError(f"{path} is no table: run the same 'graspgap study' command again, it writes it anew")
    check_table(Study, values, str(path))
    study = from_json(Study, values)
    _check(study, str(path))
    return study


def studies_below(folder: Path) -> list[Path]:
    """The folder, if a study is in it, and those directly below that hold one, as a study's seeds do."""
    return sorted({path.parent for pattern in (RESOLVED, f"*/{RESOLVED}") for path in folder.glob(pattern)})


def seeds_below(out: Path) -> list[Path]:
    """The folders of a study's seeds directly below `out`."""
    return sorted(path.parent for path in out.glob(f"{SEED}*/{RESOLVED}"))


def _check(study: Study, where: str) -> None:
    """Refuse what names something that the study doesn't hold, and numbers that make no sense."""
    for option in ("adapter_steps", "train_steps", "trials", "training_seeds", "image_size"):
        if getattr(study, option) < 1:
            raise UserError(f"{option} in {where} is {getattr(study, option)}, expected 1 or more: correct it")
    if study.training_seeds > MOST_SEEDS:
        raise UserError(
            f"training_seeds in {where} is {study.training_seeds}, expected at most {MOST_SEEDS}: correct it"
        )
    for seed in study.seeds:
        if seed < 0 or study.seeds.count(seed) > 1:
            raise UserError(f"seeds in {where} holds {seed}, expected different numbers of 0 or more: correct it")
    tables: dict[str, Mapping[str, object]] = {
        "data": study.data,
        "adapters": study.adapters,
        "cameras": study.cameras,
        "alignments": study.alignments,
    }
    for kind, named in tables.items():
        for name in named:
            if not re.fullmatch(NAMES, name):
                raise UserError(
                    f"[{kind}.{name!r}] in {where} can't name a file: begin with a letter or digit, then letters, "
                    "digits, '.', '_', '+' or '-'"
                )
    for name, data in study.data.items():
        if data.attempts < 1:
            raise UserError(f"[data.{name}] in {where} asks for {data.attempts} attempts: give 1 or more")
        if data.drawn_from:
            _known(f"[data.{name}] in {where} is drawn from", data.drawn_from, study.data)
            if study.data[data.drawn_from].drawn_from or study.data[data.drawn_from].attempts < data.attempts:
                raise UserError(
                    f"[data.{name}] in {where} draws {data.attempts} attempts from '{data.drawn_from}', expected a "
                    "collected dataset of at least as many"
                )
        if data.camera:
            _known(f"camera of [data.{name}] in {where}", data.camera, [*study.cameras, *study.alignments])
    for name, alignment in study.alignments.items():
        if name in study.cameras:
            raise UserError(f"{where} has a camera and an alignment '{name}': give one of them another name")
        for which, read in (("sim", alignment.sim), ("real", alignment.real)):
            what = f"{which} of [alignments.{name}] in {where}"
            _known(what, read, study.data)
            world = study.data[study.data[read].drawn_from or read].world
            if world in (STANDINS if which == "sim" else SIMULATORS):
                raise UserError(f"{what} is of the world '{world}': sim is simulation's dataset, real reality's")
            if study.through(read):
                raise UserError(f"{what} is itself seen through an alignment: give a dataset that was there before it")
    for name, adapter in study.adapters.items():
        _known(f"sim of [adapters.{name}] in {where}", adapter.sim, study.data)
        _known(f"real of [adapters.{name}] in {where}", adapter.real, study.data)
    names = [arm.name for arm in study.arms]
    for arm in study.arms:
        run = study.adapter(arm)[0] if arm.adapter else ""
        if arm.adapter not in study.adapters and run in study.adapters:
            raise UserError(
                f"[adapters.{run}] in {where} has the name of the run of '{arm.adapter}', which arm '{arm.name}' reads "
                "without settings: give it another name"
            )
        if names.count(arm.name) > 1:
            raise UserError(f"two arms in {where} are called '{arm.name}': give each a name of its own")
        _check_arm(study, arm, f"arm '{arm.name}' in {where}")
    for tried in study.tried:
        for name in tried.arms:
            _known(f"an arm of [[tried]] in {where}", name, [*names, "random"])
    if study.score and len(study.realities()) != 1:
        read = ", ".join(study.realities()) or "none"
        raise UserError(f"score in {where} needs one real dataset that arms read, and they read {read}: correct it")
    places = {(arm.name, share) for arm in study.arms for share in arm.real_labels}
    for name in itertools.chain(*study.compare):
        place = named_place(name)
        _known(f"an arm of compare in {where}", place[0], names)
        if place not in places:
            raise UserError(f"compare in {where} names '{name}', and that arm has no such share of labels: correct it")


def _check_arm(study: Study, arm: StudyArm, what: str) -> None:
    for fraction in arm.real_labels:
        if not (0 <= fraction <= 1 and math.isfinite(fraction)):
            raise UserError(f"{what} has real_labels {fraction}, expected fractions from 0 to 1: correct it")
    if arm.sim:
        _known(f"sim of {what}", arm.sim, study.data)
    reads_real = arm.features or any(arm.real_labels)
    if reads_real:
        _known(f"real of {what}", arm.real, study.data)
    if arm.adapter and not arm.sim:
        raise UserError(f"{what} has an adapter and no simulated data: give sim")
    if arm.adapter and arm.adapter not in study.adapters:
        _known(f"sim of the adapter '{arm.adapter}' of {what}", "sim", study.data)
        _known(f"real of the adapter '{arm.adapter}' of {what}", "standin", study.data)
    if not (arm.sim or any(arm.real_labels)):
        raise UserError(f"{what} has nothing to learn from: give sim, or real_labels")


def _known(what: str, name: str, known: Any) -> None:
    choose(what, name, list(known))
