"""Make attempts of an evaluation again, which depend on their number and its settings alone, and film them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graspgap.collection.policies import UNTRAINED, ChosenPolicy, PolicyChoice, make_policy
from graspgap.errors import UserError
from graspgap.evaluation.film import (
    FilmedAttempt,
    SavedFilm,
    facts_of,
    film_attempt,
    first_of_each,
    save_film,
    saved_films,
)
from graspgap.evaluation.results import AttemptRecord, EvaluationResult, load
from graspgap.evaluation.trials import TrialSettings
from graspgap.progress import progress
from graspgap.runs import CONFIG, read_run
from graspgap.settings import build, entry
from graspgap.worlds.catalog import cached_world, require_repeatable
from graspgap.zoo import resolved

AGAIN = "evaluate again, with --films"
CLOSE = 1e-3
"""Two predictions closer than this count as equal: an ONNX export and its policy differ by less."""


def film_evaluation(folder: Path, attempts: Sequence[int] = (), each: int = 3, policy: str = "") -> list[SavedFilm]:
    """Film attempts of the evaluation in `folder` that have no film yet; returns the films of all that were asked for.

    Args:
        attempts: their numbers; none: the first `each` successes and the first `each` failures.
        policy: folder of the policy, if it has moved since.

    Raises:
        UserError: if the attempts can't be made again, or one came out differently.
    """
    result = load(folder)
    records = {record.attempt: record for record in result.records}
    missing = sorted(set(attempts) - records.keys())
    if missing:
        raise UserError(f"{folder} has no attempt {missing[0]}: it holds {min(records)} to {max(records)}")
    pairs = [(record.attempt, record.success) for record in result.records]
    wanted = sorted(set(attempts)) or first_of_each(pairs, each)
    made = {film.facts.attempt for film in saved_films(folder)}
    todo = [number for number in wanted if number not in made]
    if todo:
        settings = _settings(folder, result, policy)
        chosen = _policy(folder, settings)
        with progress("film", len(todo), unit="attempts") as advance:
            for number in todo:
                save_film(folder, _again(folder, settings, chosen, records[number]))
                advance(1, f"attempt {number}")
    return [film for film in saved_films(folder) if film.facts.attempt in wanted]


def _settings(folder: Path, result: EvaluationResult, policy: str) -> TrialSettings:
    """The settings of the evaluation, with the policy where it is now."""
    found = result.config.get("evaluation")
    if not isinstance(found, dict):
        raise UserError(f"{folder} doesn't say how it was made: {AGAIN}")
    settings = build(TrialSettings, found, f"the record of how {folder} was made", AGAIN)
    require_repeatable(settings.world, "evaluate with --films")
    settings = replace(settings, policy=PolicyChoice(policy or settings.policy.name, settings.policy.noise))
    name = settings.policy.name
    if name not in UNTRAINED and not resolved(Path(name)).is_dir():
        raise UserError(f"the policy of {folder} isn't at {name} any more: say where it is with --policy")
    return settings


def _policy(folder: Path, settings: TrialSettings) -> ChosenPolicy:
    """The policy, which must be the one that was evaluated, where that is known."""
    chosen = make_policy(settings.policy, settings.steps_per_attempt)
    if (folder / CONFIG).exists():
        inputs = read_run(folder, "evaluation")["inputs"]
        identity = entry(inputs, "policy", str, folder / CONFIG, AGAIN)
        if identity != chosen.identity:
            raise UserError(f"{settings.policy.name} isn't the policy of {folder}, its weights differ: give that one")
    chosen.check(cached_world(settings.world).spec)
    return chosen


def _near(last: float | None, recorded: float | None) -> bool:
    """Whether two predictions are one, as far as machines of one kind agree."""
    if last is None or recorded is None:
        return last is recorded
    return abs(last - recorded) < CLOSE


def _again(folder: Path, settings: TrialSettings, chosen: ChosenPolicy, record: AttemptRecord) -> FilmedAttempt:
    """An attempt made again."""
    film = film_attempt(
        cached_world(settings.world),
        chosen.policy,
        settings.seed,
        record.attempt,
        settings.steps_per_attempt,
        settings.attempts_per_scene,
    )
    facts = facts_of(film)
    last = facts.predicted[-1] if facts.predicted else None
    told = (facts.success, facts.object_name, len(film.steps))
    if told != (record.success, record.object_name, record.steps) or not _near(last, record.predicted):
        raise UserError(
            f"attempt {record.attempt} of {folder} came out differently from its record: films need the versions and "
            "the kind of machine that made the evaluation, or evaluate again"
        )
    return film
