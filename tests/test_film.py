"""Films: what is drawn, that filming changes nothing, and which attempts are filmed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float
from PIL import Image as PillowImage
from PIL import ImageSequence

from conftest import REAL, PaperWorld
from graspgap.cli.main import main
from graspgap.contract import Camera, Observation, apply_command
from graspgap.evaluation import filming, gallery
from graspgap.evaluation.film import (
    FilmedAttempt,
    FilmFacts,
    film_attempt,
    first_of_each,
    frames,
    keep_first,
    save_film,
    saved_films,
    webp,
)
from graspgap.evaluation.filming import film_evaluation
from graspgap.evaluation.marks import AIM, DARK, HERE, draw_aim, enlarged, gripper_lines
from graspgap.evaluation.results import load
from graspgap.grasping.attempt import run_attempt
from graspgap.grasping.policies import RandomPolicy, Scorer, ServoPolicy
from graspgap.worlds.catalog import WorldChoice, cached_world, make_world

POSE = np.array([0.55, 0.0, 0.1, 0.0], dtype=np.float32)


def painted(picture: np.ndarray, colour: tuple[int, int, int]) -> Float[np.ndarray, "n 2"]:
    """Places (right, down) of the pixels of exactly this colour."""
    down, right = np.nonzero((picture == colour).all(axis=2))
    return np.stack([right, down], axis=1).astype(np.float64)


def drawn(pose: np.ndarray, aim: np.ndarray, camera: Camera | None = None) -> np.ndarray:
    picture = np.full((320, 320, 3), 128, dtype=np.uint8)
    draw_aim(picture, camera or Camera(), pose, aim)
    return picture


# Marks


def test_a_picture_is_enlarged_in_whole_blocks() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    large = enlarged(picture, 15)
    assert large.shape == (12, 12, 3)
    assert np.array_equal(large[1::3, 1::3], picture)
    assert enlarged(np.zeros((400, 400, 3), dtype=np.uint8), 320).shape == (400, 400, 3)


def test_fingers_open_along_the_yaw_and_point_down_to_the_grasp() -> None:
    left, _, right = gripper_lines(np.array([0.5, 0.1, 0.03, np.pi / 2], dtype=np.float32))
    assert left[0] == pytest.approx([0.5, 0.06, 0.03])
    assert right[1] == pytest.approx([0.5, 0.14, 0.03])
    assert left[1] == pytest.approx([0.5, 0.06, 0.06])


def test_marks_stand_where_the_camera_sees_the_poses() -> None:
    aim = np.array([0.58, 0.05, 0.03, 0.4], dtype=np.float32)
    picture, camera = drawn(POSE, aim), Camera()
    here = (camera.project(POSE[:3]) + 1) / 2 * 320 - 0.5
    assert painted(picture, HERE).mean(axis=0) == pytest.approx(here, abs=1)
    tips = (camera.project(gripper_lines(aim)[[0, 2], [0, 1]]) + 1) / 2 * 320 - 0.5
    yellow = painted(picture, AIM)
    for tip in tips:
        assert np.linalg.norm(yellow - tip, axis=1).min() < 2
    turned = painted(drawn(POSE, np.array([*aim[:3], 0.4 + np.pi / 2], dtype=np.float32)), AIM)
    assert not np.array_equal(turned, yellow)
    assert len(painted(picture, DARK)) > 50  # an edge, for bright ground


def test_what_the_camera_does_not_see_is_not_drawn() -> None:
    away = Camera(position=(0.33, 0.58, 0.72), target=(0.1, 1.2, 1.4))
    assert (drawn(POSE, POSE, away) == 128).all()


# Filming


class _Corner:
    """A predictor that thinks best of a corner of the workspace."""

    def aim(self, camera: Camera) -> None:
        pass

    def look(self, observation: Observation) -> Scorer:
        def score(commands: np.ndarray) -> np.ndarray:
            places = apply_command(observation.pose, commands)
            return np.exp(-20 * np.linalg.norm(places[:, :2] - [0.463, -0.087], axis=1))

        return score


def test_the_servo_tells_where_it_aims_though_it_goes_a_part_of_the_way() -> None:
    world = PaperWorld(REAL)
    policy = ServoPolicy(_Corner(), 4)
    seen = world.reset(0)
    policy.begin(world, np.random.default_rng(0))
    decision = policy.decide(seen, 0)
    assert decision.aim is not None
    assert decision.aim[:2] == pytest.approx([0.463, -0.087], abs=0.02)
    went = apply_command(seen.pose, decision.command)[:2] - seen.pose[:2]
    assert went == pytest.approx(0.55 * (decision.aim[:2] - seen.pose[:2]), abs=1e-4)


def test_filming_changes_nothing() -> None:
    choice = WorldChoice("sim", split="test", image_size=32)
    filmed, plain = make_world(choice), make_world(choice)
    for number in range(2):  # the second follows a picture that an evaluation wouldn't take
        film = film_attempt(filmed, RandomPolicy(4), 5, number, 4, 3)
        attempt = run_attempt(plain, RandomPolicy(4), 5, number, 4, 3)
        assert film.after is not None
        assert film.attempt.outcome == attempt.outcome
        assert all(np.array_equal(*both) for both in zip(film.attempt.images, attempt.images, strict=True))
        assert np.array_equal(film.attempt.poses, attempt.poses)


def paper_film(number: int = 0) -> FilmedAttempt:
    return film_attempt(PaperWorld(REAL), RandomPolicy(3), 0, number, 3, 3, after=False)


def test_a_film_shows_the_bin_every_step_and_the_end() -> None:
    film = paper_film()
    shown = frames(film)
    assert len(shown) == 1 + 3 + 1
    assert len({picture.shape for picture in shown}) == 1
    side = shown[0].shape[1]
    before = PillowImage.fromarray(shown[0][:side]).resize((32, 32), PillowImage.Resampling.NEAREST)
    assert np.array_equal(np.asarray(before), film.attempt.image_before)
    marked = [len(painted(picture[:side], AIM)) > 0 for picture in shown]
    assert marked == [False, True, True, True, False]
    film_file = PillowImage.open(io.BytesIO(webp(shown)))
    assert film_file.info["loop"] == 0
    assert sum(1 for _ in ImageSequence.Iterator(film_file)) == len(shown)


def test_words_of_a_film() -> None:
    assert FilmFacts(17, 3, True, "mug", (0.404, 0.7)).words == "attempt 17: predicts 40%, closes at 70%; holds mug"
    assert FilmFacts(1, 0, True, "everyday-test-001").words == "attempt 1; holds pear (everyday-test-001)"
    assert FilmFacts(2, 0, False, None).words == "attempt 2; fails"
    assert FilmFacts(2, 0, True, None, (0.5,)).words == "attempt 2: closes at 50%; holds an object"


def test_a_film_without_its_facts_is_no_film(tmp_path: Path) -> None:
    for number in (4, 1):
        save_film(tmp_path, paper_film(number))
    assert [film.facts.attempt for film in saved_films(tmp_path)] == [1, 4]
    (tmp_path / "films" / "000001.json").unlink()
    assert [film.path.name for film in saved_films(tmp_path)] == ["000004.webp"]


def test_the_first_of_each_outcome_are_kept(tmp_path: Path) -> None:
    attempts = [(5, True), (0, False), (1, False), (2, True), (3, False)]
    assert first_of_each(attempts, 2) == [0, 1, 2, 5]
    assert first_of_each(attempts, 1) == [0, 2]
    for number in range(5):
        save_film(tmp_path, paper_film(number))
    held = [film.facts for film in saved_films(tmp_path)]
    keep_first(tmp_path, 1)
    expected = first_of_each([(facts.attempt, facts.success) for facts in held], 1)
    assert [film.facts.attempt for film in saved_films(tmp_path)] == expected
    assert len(list((tmp_path / "films").iterdir())) == 2 * len(expected)


# Films of an evaluation


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    words = ["--policy", "scripted", "--world", "sim", "--attempts", "6", "--seed", "3", "--image-size", "32"]
    assert main(["evaluate", str(tmp_path / "trials"), *words, "--workers", "1", "--films", "1"]) == 0
    return tmp_path / "trials"


def test_an_evaluation_is_filmed_at_once_and_afterwards(evaluation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = load(evaluation).records
    first = first_of_each([(record.attempt, record.success) for record in records], 1)
    films = saved_films(evaluation)
    assert [film.facts.attempt for film in films] == first
    assert [film.facts.success for film in films] == [records[number].success for number in first]
    made = films[0].path.stat().st_mtime_ns
    assert main(["film", str(evaluation), "--attempts", "5", str(first[0])]) == 0
    assert {*first, 5} == {film.facts.attempt for film in saved_films(evaluation)}
    assert films[0].path.stat().st_mtime_ns == made  # there already
    assert "attempt 5" in capsys.readouterr().out


def test_an_evaluation_tells_which_objects_lay_in_the_bin(evaluation: Path) -> None:
    result = load(evaluation)
    assert set(result.scene_objects) == {"0", "1"}
    for record in result.records:
        if record.success:
            assert record.object_name in result.scene_objects[str(record.scene)]
    stored = json.loads((evaluation / "results.json").read_text())
    del stored["scene_objects"]
    (evaluation / "results.json").write_text(json.dumps(stored))
    assert load(evaluation).scene_objects == {}


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_can_not_be_filmed_is_refused_in_one_line(evaluation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*words: str) -> str:
        assert main(["film", str(evaluation), *words]) == 2
        return capsys.readouterr().err

    assert "has no attempt 9: it holds 0 to 5" in refused("--attempts", "9")
    assert "--each 0 is too small" in refused("--each", "0")
    assert "isn't the policy of" in refused("--attempts", "5", "--policy", "random")
    assert "isn't at runs/gone any more: say where it is with --policy" in refused(
        "--attempts", "5", "--policy", "runs/gone"
    )
    config = (evaluation / "config.json").read_text()
    change(evaluation / "config.json", '"policy": "scripted"', '"other": "scripted"')
    assert "config.json is damaged (it has no 'policy'): evaluate again" in refused("--attempts", "5")
    (evaluation / "config.json").write_text(config)
    record = load(evaluation).records[5]
    (evaluation / "results.json").write_text(
        (evaluation / "results.json").read_text().replace('"steps": 4', '"steps": 3')
    )
    assert record.steps == 4
    assert "attempt 5 of" in (err := refused("--attempts", "5"))
    assert "came out differently from its record" in err
    change(evaluation / "results.json", '"attempts_per_scene": 3', '"attempts_each": 3')
    err = refused("--attempts", "5")
    assert "the record of how" in err
    assert "'attempts_each' is unknown: did you mean 'attempts_per_scene'" in err
    change(evaluation / "results.json", '"attempts_each": 3', '"attempts_per_scene": 0')
    assert "0 attempts start from each scene: expected" in refused("--attempts", "5")
    change(evaluation / "results.json", '"image_size": 32', '"image_size": "32"')
    assert "'image_size' in [world] in it is '32', expected whole number" in refused("--attempts", "5")
    change(evaluation / "results.json", '"evaluation": {', '"nothing": {')
    assert "doesn't say how it was made" in refused("--attempts", "5")


def test_a_robots_attempts_can_not_be_made_again(evaluation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graspgap.worlds.catalog.is_robot", lambda choice: True)
    with pytest.raises(filming.UserError, match="evaluate with --films"):
        film_evaluation(evaluation, [5])


@pytest.mark.parametrize(
    ("last", "recorded", "near"),
    [
        (0.0, 2e-5, True),
        (0.5, 0.5, True),
        (0.0, None, False),
        (None, 0.0, False),
        (None, None, True),
        (0.1, 0.9, False),
    ],
)
def test_predictions_are_compared_also_where_they_are_tiny(
    last: float | None, recorded: float | None, near: bool
) -> None:
    assert filming._near(last, recorded) is near


def test_the_report_shows_films_in_two_rows(evaluation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film_evaluation(evaluation, range(6))
    (shown,) = gallery.galleries(evaluation.parent)
    won = [record.attempt for record in load(evaluation).records if record.success]
    assert 0 < len(won) < 6
    assert [row.label for row in shown.rows] == ["Successes", "Failures"]
    assert [film.facts.attempt for film in shown.rows[0].films] == won
    assert f"{len(won)} of its 6 attempts succeeded" in shown.caption
    assert shown.rows[0].films[0].webp[:4] == b"RIFF"
    monkeypatch.setattr(gallery, "LIMIT", 1)
    (shown,) = gallery.galleries(evaluation.parent)
    assert shown.rows[1].label == f"Failures, the first 1 of {6 - len(won)} films"
    assert main(["report", str(evaluation.parent)]) == 0
    assert (evaluation.parent / "report.html").read_text().count("data:image/webp;base64,") == 2


def test_a_study_films_its_best_arm_and_simulation_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arm, ingredients in (("best", ["simulation", "dann"]), ("sim-only", ["simulation"]), ("random", [])):
        words = ["--policy", "scripted", "--world", "sim", "--attempts", "3", "--image-size", "32", "--workers", "1"]
        words += ["--arm.name", arm, *(["--arm.ingredients", *ingredients] if ingredients else [])]
        assert main(["evaluate", str(tmp_path / arm), *words]) == 0
    change(tmp_path / "sim-only" / "results.json", '"name": "scripted"', '"name": "runs/gone"')
    (warning,) = gallery.film_study(tmp_path, each=1)
    assert "sim-only in sim was not filmed: the policy of" in warning
    assert saved_films(tmp_path / "best")
    assert not (tmp_path / "random" / "films").exists()


def test_a_robot_is_filmed_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graspgap.evaluation import trials

    cached_world.cache_clear()
    monkeypatch.setattr(trials, "is_robot", lambda choice: True)
    settings = trials.TrialSettings(WorldChoice("sim", split="test", image_size=32), seed=3)
    result = trials.evaluate(tmp_path, settings, 6, trials.Arm(), workers=1, films=1)
    wanted = first_of_each([(record.attempt, record.success) for record in result.records], 1)
    assert [film.facts.attempt for film in saved_films(tmp_path)] == wanted
