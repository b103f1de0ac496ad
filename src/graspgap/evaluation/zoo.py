"""Put a run of a finished study into the zoo: `python -m graspgap.evaluation.zoo STUDY RUN NAME ABOUT`.

RUN is the folder of a policy or adapter below the study's, such as `policies/graspgan-seed0`.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from graspgap.config import to_json
from graspgap.errors import UserError
from graspgap.evaluation.findings import rate_text
from graspgap.evaluation.results import EvaluationResult, find_results
from graspgap.evaluation.statistics import wilson_interval
from graspgap.files import read_json, sha256, write_json, write_text
from graspgap.runs import CONFIG, KINDS
from graspgap.zoo import ENTRY, MODELS, Entry

USES = {
    "policy": (
        "graspgap evaluate OUT --policy zoo:{name} --attempts 30",
        "graspgap serve --policy zoo:{name}",
        "graspgap export onnx zoo:{name} OUT",
    ),
    "adapter": (
        "graspgap view --adapter zoo:{name} --out adapter.png",
        "graspgap train OUT --sim DATA --adapter zoo:{name}",
    ),
}


KEPT = ("*.safetensors", CONFIG, "calibration.json", "log.jsonl")
"""Files of a run that an entry has."""
LARGEST = 8_000_000
"""Bytes of an entry."""


def add(study: Path, run: str, name: str, about: str) -> Entry:
    """Copy the run, write its entry and its card.

    Raises:
        UserError: if the run is not there, its attempts aren't, or it is too large.
    """
    source = study / run
    facts = read_json(source / CONFIG, "a run")
    if facts["kind"] not in ("policy", "adapter"):
        raise UserError(f"{source} holds {KINDS[facts['kind']]}, expected a policy or adapter run")
    files = [path for pattern in KEPT for path in sorted(source.glob(pattern))]
    size = sum(path.stat().st_size for path in files)
    if size > LARGEST:
        raise UserError(f"{source} takes {size:,} bytes, and an entry of the zoo may take {LARGEST:,}: choose another")
    result = _result(study, run) if facts["kind"] == "policy" else None
    target = MODELS / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in files:
        shutil.copyfile(path, target / path.name)
    facts["inputs"] = {key: _nameless(key, value) for key, value in facts["inputs"].items()}
    write_json(target / CONFIG, facts)
    settings = read_json(study / CONFIG, "a study")["config"]
    command = f"graspgap study {study.name} --preset {settings['preset']} --seed {settings['seed']}"
    entry = Entry(name, about, command, source.name)
    if result:
        entry = replace(
            entry,
            world=result.world,
            attempts=result.attempts,
            successes=result.successes,
            evaluation_seed=result.evaluation_seed,
            real_labels=result.real_label_count,
        )
    entry = replace(entry, files={path.name: sha256(path) for path in sorted(target.iterdir())})
    write_json(target / ENTRY, to_json(entry))
    write_text(target / "README.md", card(entry))
    return entry


def _result(study: Path, run: str) -> EvaluationResult:
    """The attempts of the run's policy in the stand-in."""
    policy = str(study / run)
    for result in find_results(study / "trials"):
        tried = result.config["evaluation"]
        if Path(tried["policy"]["name"]).name == Path(policy).name and result.world == "standin":
            return result
    raise UserError(f"{study} holds no attempts of {run} in the stand-in: run the study first")


def _nameless(key: str, value: object) -> object:
    """An input's facts without the folder it was in: paths of the machine that made the run."""
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if name != "path"}
    return Path(value).name if key == "adapter" and isinstance(value, str) else value


def card(entry: Entry) -> str:
    """The model card of an entry, in Markdown."""
    facts = read_json(entry.folder / CONFIG, "the zoo")
    lines = [f"# {entry.name}", entry.about, ""]
    if entry.attempts:
        held = ", a tenth of them held out" if entry.real_labels else ""
        rate = rate_text(wilson_interval(entry.successes, entry.attempts))
        where = "the stand-in reality, a second simulated world" if entry.world == "standin" else entry.world
        lines += [
            f"- Success of this one training of its recipe: {entry.successes} of {entry.attempts} attempts, {rate}, in "
            f"{where}, with objects that nothing was trained on (evaluation seed {entry.evaluation_seed}). Other "
            "trainings differ.",
            f"- Real labels it was given: {entry.real_labels:,} attempts{held}.",
        ]
    lines += [
        f"- Made by `{entry.command}`, with graspgap {facts['versions'].get('graspgap', '')}; settings and software: "
        f"[{CONFIG}]({CONFIG}).",
        "- No robot was involved. Pictures of 64 x 64 pixels; a camera, arm or bin that look otherwise need training "
        "anew, from your own pictures.",
        "",
        "```sh",
        *(use.format(name=entry.name) for use in USES[str(facts["kind"])]),
        "```",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    study_folder, *words = sys.argv[1:]
    print(add(Path(study_folder), *words))
