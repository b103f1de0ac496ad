"""Each score on cases that were made so that its value is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graspgap.contract import SemanticClass
from graspgap.datasets import open_dataset
from graspgap.errors import UserError
from graspgap.seeding import generator
from graspgap.selection.adapters import random_features
from graspgap.selection.distances import colour_distance, kernel_distance, scaled
from graspgap.selection.domains import PictureClassifier, domain_error, feature_classifier
from graspgap.selection.judge import drawn_masks, train_judge
from graspgap.selection.masks import agreement, mean_iou, overlap
from graspgap.selection.predictions import entropy, information, intraclass_correlation, mean_entropy
from graspgap.selection.samples import half_of_scenes, whole_attempts
from trainers import CPU


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def normal(rng: np.random.Generator, *shape: int, mean: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(rng.normal(mean, 1, shape).astype(np.float32))


def test_the_kernel_distance_is_its_definition_over_pairs() -> None:
    rng = generator(0)
    one, other = normal(rng, 5, 3), normal(rng, 7, 3, mean=0.5)

    def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
        return (float(x.double() @ y.double()) / 3 + 1) ** 3

    within = [np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (one, other)]
    between = np.mean([kernel(x, y) for x in one for y in other])
    assert kernel_distance(one, other) == pytest.approx(sum(within) - 2 * between)


def test_the_kernel_distance_of_equal_distributions_is_zero_on_average() -> None:
    rng = generator(1)
    same = [kernel_distance(normal(rng, 20, 2), normal(rng, 20, 2)) for _ in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(len(same))
    assert min(same) < 0
    assert kernel_distance(normal(rng, 20, 2), normal(rng, 20, 2, mean=2)) > max(same)


def test_scaled_features_have_the_reference_in_the_middle_and_keep_their_proportions() -> None:
    reference = normal(generator(2), 1000, 2) * torch.tensor([1.0, 3.0]) + 5
    found = scaled(reference, reference)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.var(dim=0).mean(), torch.tensor(1.0))
    torch.testing.assert_close(
        found.std(dim=0)[1] / found.std(dim=0)[0], reference.std(dim=0)[1] / reference.std(dim=0)[0]
    )
    assert torch.isfinite(scaled(torch.ones(3, 2), torch.ones(4, 2))).all()


def test_colours_are_compared_as_a_whole_wherever_they_are() -> None:
    pairs = np.zeros((2, 6, 4, 4), np.uint8)
    pairs[:, :, :2] = 255
    assert colour_distance(pairs, pairs[:, :, ::-1].copy()) == 0
    assert colour_distance(np.zeros_like(pairs), np.full_like(pairs, 255)) == 1
    assert colour_distance(pairs, np.zeros_like(pairs)) == 0.5
    red, blue = np.zeros_like(pairs), np.zeros_like(pairs)
    red[:, [0, 3]] = blue[:, [2, 5]] = 255
    assert colour_distance(red, blue) == 1


def folds(one: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(one) % 2 == 0, np.arange(other) % 2 == 0


def test_what_cannot_be_told_apart_confuses_the_classifier_and_what_can_does_not() -> None:
    rng, build = generator(3), feature_classifier(4)
    one, same, far = normal(rng, 400, 4), normal(rng, 600, 4), normal(rng, 600, 4, mean=6)
    assert domain_error(build, one, same, folds(400, 600), 100, 32, 0) == pytest.approx(0.5, abs=0.07)
    assert domain_error(build, one, far, folds(400, 600), 100, 32, 0) < 0.01
    constant = torch.zeros(10, 4)
    assert domain_error(build, constant, constant, folds(10, 10), 5, 8, 0) == pytest.approx(0.5)


def test_a_classifier_is_tested_on_what_it_has_not_learned() -> None:
    """In fold A the first set is positive, in fold B it is negative: who knew would make no error."""
    signs = torch.where(torch.arange(200) % 2 == 0, 1.0, -1.0)[:, None] * 3
    assert domain_error(feature_classifier(1), signs, -signs, folds(200, 200), 100, 32, 0) > 0.95


def test_the_classifier_of_pictures_sees_colours() -> None:
    rng = generator(4)
    one = torch.from_numpy(rng.uniform(-1, 1, (40, 6, 16, 16)).astype(np.float32))
    tinted = torch.from_numpy(rng.uniform(-1, 1, (40, 6, 16, 16)).astype(np.float32))
    tinted[:, [0, 3]] += 0.8
    assert domain_error(PictureClassifier, one, tinted, folds(40, 40), 60, 16, 0) < 0.1


def test_overlap_is_intersection_over_union() -> None:
    one, other = np.zeros((2, 10), bool), np.zeros((2, 10), bool)
    one[0, :6], other[0, 3:9] = True, True
    assert overlap(one, other) == pytest.approx(3 / 9)
    assert overlap(one, one) == 1
    assert overlap(np.zeros(3, bool), np.zeros(3, bool)) == 0
    arm, thing = int(SemanticClass.ARM), int(SemanticClass.OBJECT)
    true = np.array([arm, arm, thing, thing, 0])
    assert mean_iou(true, true) == 1
    assert mean_iou(np.array([arm, arm, thing, 0, 0]), true) == pytest.approx((1 + 0.5) / 2)
    assert mean_iou(np.zeros(5, int), true) == 0


def test_masks_agree_where_no_arm_hides_an_object() -> None:
    thing, arm = int(SemanticClass.OBJECT), int(SemanticClass.ARM)
    before = np.array([[[thing, thing, thing, 0]]])
    assert agreement(before, np.array([[[thing, arm, arm, 0]]])) == 1
    assert agreement(before, np.array([[[thing, 0, 0, thing]]])) == pytest.approx(1 / 4)
    assert agreement(np.zeros((1, 1, 4), int), np.zeros((1, 1, 4), int)) == 0


def test_entropy_is_one_bit_for_the_undecided() -> None:
    np.testing.assert_allclose(entropy(np.array([0.0, 0.5, 1.0])), [0, 1, 0], atol=1e-9)
    assert mean_entropy(np.array([0.5, 1.0])) == pytest.approx(0.5)


def test_information_is_what_decided_predictions_of_both_kinds_have() -> None:
    assert information(np.full(8, 0.2)) == pytest.approx(0, abs=1e-9)
    assert information(np.array([0.0, 1.0] * 4)) == pytest.approx(1)
    assert information(np.array([0.4, 0.6] * 4)) < 0.1


def test_attempts_agree_if_their_pictures_do_and_others_do_not() -> None:
    groups = np.repeat(np.arange(50), 4)
    rng = generator(5)
    own = rng.uniform(size=50)[groups]
    assert intraclass_correlation(own, groups) == pytest.approx(1)
    assert abs(intraclass_correlation(rng.uniform(size=200), groups)) < 0.15
    assert intraclass_correlation(np.full(200, 0.3), groups) == 0
    assert intraclass_correlation(np.tile([0.0, 1.0], 100), groups) < 0
    assert intraclass_correlation(own[:4], groups[:4]) == 0
    uneven = np.repeat(np.arange(30), rng.integers(1, 6, 30))
    assert intraclass_correlation(rng.uniform(size=30)[uneven], uneven) == pytest.approx(1)


def test_the_intraclass_correlation_is_that_of_shrout_and_fleiss() -> None:
    """Their example (1979, table 2): six targets, four judges, ICC(1, 1) = 0.17 (table 4)."""
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    values, groups = np.array(ratings, float).ravel(), np.repeat(np.arange(6), 4)
    assert intraclass_correlation(values, groups) == pytest.approx(0.17, abs=0.005)


def test_whole_attempts_are_looked_at_and_folds_share_no_scene(sim_data: Path) -> None:
    view = open_dataset(sim_data).unlabelled()
    frames = whole_attempts(view, 30, 0)
    owners, counts = np.unique(view.owner[frames], return_counts=True)
    np.testing.assert_array_equal(counts, np.diff(view.offsets)[owners])
    assert 30 <= len(frames) < 30 + np.diff(view.offsets).max()
    second = half_of_scenes(view, frames, generator(0))
    scenes = view.scenes[view.owner[frames]]
    assert set(scenes[second])
    assert set(scenes[~second])
    assert not set(scenes[second]) & set(scenes[~second])
    one_scene = replace(view, scenes=np.zeros_like(view.scenes))
    second = half_of_scenes(one_scene, frames, generator(0))
    assert not set(view.owner[frames][second]) & set(view.owner[frames][~second])
    assert 0 < second.mean() < 1
    with pytest.raises(UserError, match="one attempt"):
        whole_attempts(view, 1, 0)


def test_the_judge_finds_masks_by_shape_whatever_the_colours(sim_data: Path) -> None:
    train, held = open_dataset(sim_data).split_by_scene(0.3)
    judge = train_judge(train.simulated(), 150, 8, 0, CPU)
    view = held.simulated()
    frames = np.arange(len(view.images))
    masks = view.mask_pairs(frames)
    true = masks[:, :, ::2, ::2]
    greys = np.array([0, 128, 60, 20], np.uint8)[masks].repeat(3, axis=1)  # dark shapes, which were bright
    assert mean_iou(drawn_masks(judge, view.pairs(frames), CPU), true) > 0.4
    assert mean_iou(drawn_masks(judge, greys, CPU), true) > 0.05
    assert mean_iou(drawn_masks(judge, np.full_like(greys, 128), CPU), true) < 0.01


def test_random_features_depend_on_colours_and_are_the_same_again() -> None:
    pairs = np.full((2, 6, 32, 32), 60, np.uint8)
    pairs[1, [0, 3]] = 200
    once, again = random_features(pairs, 0, CPU), random_features(pairs, 0, CPU)
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert (once[0] - once[1]).abs().max() > 0.1
