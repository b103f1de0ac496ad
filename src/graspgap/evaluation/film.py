"""Films of an evaluation: what the camera saw, where the servo sent the gripper and what it promised, how it ended.

A film is an animated WebP beside a JSON file of its facts, `films/000017.webp` in the folder of the evaluation.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from graspgap.contract import Camera, GraspAttempt, Image, Observation, Pose, apply_command
from graspgap.evaluation.marks import draw_aim, enlarged
from graspgap.files import atomic, write_json
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import Decision, Policy
from graspgap.objects.kinds import kind_of
from graspgap.settings import read_record
from graspgap.worlds.protocol import World

FOLDER = "films"
SIDE = 320
"""Of a film's pictures [pixels], or a little less: whole multiples of the camera's alone."""
BAND = 34
"""Height of the words below a picture [pixels]."""
PAUSE, LAST_PAUSE = 900, 2200
"""How long a picture is shown [ms], and the last one."""
GREY, GREEN, RED = (58, 62, 69), (24, 121, 78), (176, 42, 48)


@dataclass(frozen=True)
class Step:
    """What was seen at a servo step, and what was decided."""

    observation: Observation
    decision: Decision

    @property
    def aim(self) -> Pose:
        """Where the servo sees the best grasp, or else where the gripper is sent."""
        if self.decision.aim is not None:
            return self.decision.aim
        return apply_command(self.observation.pose, self.decision.command)


@dataclass(frozen=True)
class FilmedAttempt:
    """An attempt with every decision on the way."""

    attempt: GraspAttempt
    steps: list[Step]
    after: Image | None
    """After the lift; None for a robot, which is not asked for more than an evaluation needs."""
    camera: Camera | None
    """Nominal; None: nobody has said where it is, and no aim is drawn."""


@dataclass(frozen=True)
class FilmFacts:
    """What is told about a film."""

    attempt: int
    scene: int
    success: bool
    object_name: str | None
    """Which object was held, where the world knows it."""
    predicted: tuple[float, ...] = field(default=())
    """At each servo step, where the policy predicts; the last is that of closing."""

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return f"holds {kind_of(self.object_name) if self.object_name else 'an object'}" if self.success else "fails"

    @property
    def words(self) -> str:
        """The film in a sentence."""
        text = f"attempt {self.attempt}"
        if self.predicted:
            *before, last = (f"{100 * value:.0f}%" for value in self.predicted)
            text += (f": predicts {', '.join(before)}," if before else ":") + f" closes at {last}"
        text += f"; {self.ending}"
        return f"{text} ({self.object_name})" if self.object_name and self.object_name not in text else text


@dataclass(frozen=True)
class SavedFilm:
    """A film on the disk."""

    facts: FilmFacts
    path: Path


class _Watched:
    """A policy that keeps what it saw and decided."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.name = policy, policy.name
        self.steps: list[Step] = []

    def begin(self, world: World, rng: np.random.Generator) -> None:
        self.steps = []
        self.policy.begin(world, rng)

    def decide(self, observation: Observation, step: int) -> Decision:
        decision = self.policy.decide(observation, step)
        self.steps.append(Step(observation, decision))
        return decision


def film_attempt(
    world: World, policy: Policy, seed: int, attempt: int, steps: int, per_scene: int, after: bool = True
) -> FilmedAttempt:
    """`run_attempt`, watched; `after`: take a picture when the attempt is over, too."""
    watched = _Watched(policy)
    made = run_attempt(world, watched, seed, attempt, steps, per_scene)
    last = world.observe().image_now if after else None
    return FilmedAttempt(made, watched.steps, last, world.spec.camera)


def facts_of(film: FilmedAttempt) -> FilmFacts:
    """What is told about a film."""
    attempt = film.attempt
    predicted = tuple(round(value, 4) for value in attempt.predicted or [])
    return FilmFacts(attempt.attempt, attempt.scene, attempt.outcome.success, attempt.outcome.object_name, predicted)


def frames(film: FilmedAttempt) -> list[Image]:
    """The pictures of a film, one after another, with words below each."""
    facts, total = facts_of(film), len(film.steps)
    shown = [_captioned(enlarged(film.attempt.image_before, SIDE), "before the attempt", GREY)]
    for number, step in enumerate(film.steps, start=1):
        picture = enlarged(step.observation.image_now, SIDE)
        closes = number == total  # the fingers close at the last one, whatever is decided
        if film.camera is not None:
            draw_aim(picture, film.camera, step.observation.pose, step.observation.pose if closes else step.aim)
        predicted = step.decision.predicted
        words = f"{number}: " + ("closes" if closes else "moves")
        shown.append(
            _captioned(picture, words if predicted is None else f"{words}, predicts {100 * predicted:.0f}%", GREY)
        )
    last = film.after if film.after is not None else film.steps[-1].observation.image_now
    shown.append(_captioned(enlarged(last, SIDE), facts.ending, GREEN if facts.success else RED))
    return shown


def save_film(folder: Path, film: FilmedAttempt) -> SavedFilm:
    """Write a film below `folder`; the facts come last, so a film with facts is whole."""
    facts = facts_of(film)
    path = folder / FOLDER / f"{facts.attempt:06d}.webp"
    with atomic(path) as temporary:
        temporary.write_bytes(webp(frames(film)))
    write_json(path.with_suffix(".json"), asdict(facts))
    return SavedFilm(facts, path)


def saved_films(folder: Path) -> list[SavedFilm]:
    """The films of an evaluation, in the order of their attempts.

    Raises:
        UserError: if the facts of one are damaged.
    """
    fix = "delete it and film the attempt again"
    found = sorted((folder / FOLDER).glob("*.json"))
    return [SavedFilm(read_record(path, FilmFacts, "a film", fix), path.with_suffix(".webp")) for path in found]


def first_of_each(attempts: Sequence[tuple[int, bool]], count: int) -> list[int]:
    """Numbers of the first `count` successes and the first `count` failures among (number, success) pairs."""
    chosen: list[int] = []
    for wanted in (True, False):
        chosen += sorted(number for number, success in attempts if success == wanted)[:count]
    return sorted(chosen)


def keep_first(folder: Path, count: int) -> None:
    """Remove all films but the first `count` of successes and of failures."""
    films = saved_films(folder)
    chosen = first_of_each([(film.facts.attempt, film.facts.success) for film in films], count)
    for film in films:
        if film.facts.attempt not in chosen:
            film.path.with_suffix(".json").unlink()
            film.path.unlink(missing_ok=True)


def webp(pictures: Sequence[Image]) -> bytes:
    """An animated WebP that goes round, its last picture shown longer."""
    first, *others = (PillowImage.fromarray(picture) for picture in pictures)
    pauses = [PAUSE] * len(others) + [LAST_PAUSE]
    out = io.BytesIO()
    first.save(out, "WEBP", save_all=True, append_images=others, duration=pauses, loop=0, quality=70, method=4)
    return out.getvalue()


def _captioned(picture: Image, words: str, colour: tuple[int, int, int]) -> UInt8[np.ndarray, "page_h w 3"]:
    """The picture over a band of words."""
    height, width = picture.shape[:2]
    page = PillowImage.new("RGB", (width, height + BAND), colour)
    page.paste(PillowImage.fromarray(picture))
    font = ImageFont.load_default(20)
    draw = ImageDraw.Draw(page)
    while draw.textlength(words, font=font) > width - 12 and len(words) > 2:
        words = words.rstrip("…")[:-1] + "…"
    draw.text((8, height + BAND // 2), words, font=font, fill=(255, 255, 255), anchor="lm")
    return np.asarray(page)
