import itertools

import pytest
import torch

from graspgap.adaptation.augment import augmented
from graspgap.adaptation.feature.consistency import agreement_loss, consistency_loss, update_offset
from graspgap.adaptation.losses import (
    grasp_loss,
    lsgan_discriminator,
    lsgan_generator,
    mask_loss,
    masked_pmse,
    pmse,
)


def pairwise(difference: torch.Tensor) -> float:
    """The definition: mean over unordered pairs of the squared difference of differences."""
    pairs = [(a - b) ** 2 for a, b in itertools.combinations(difference.flatten().tolist(), 2)]
    return sum(pairs) / len(pairs)


def test_pmse_is_the_mean_over_pairs() -> None:
    made, source = torch.randn(2, 3, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    expected = sum(pairwise(m - s) for m, s in zip(made, source, strict=True)) / len(made)
    assert pmse(made, source).item() == pytest.approx(expected, rel=1e-10)
    assert pmse(made + 0.3, source).item() == pytest.approx(expected, rel=1e-10)  # a shift of all pixels costs nothing


def test_masked_pmse_is_the_mean_over_pairs_inside_the_mask() -> None:
    draw = torch.Generator().manual_seed(1)
    made, source = torch.randn(2, 2, 3, 4, 4, generator=draw).double()
    mask = torch.rand(2, 4, 4, generator=draw) > 0.6
    inside = [(m - s)[:, k] for m, s, k in zip(made, source, mask, strict=True)]
    expected = sum(map(pairwise, inside)) / 2
    assert masked_pmse(made, source, mask).item() == pytest.approx(expected, rel=1e-10)


def test_masked_pmse_ignores_a_shift_inside_and_anything_outside() -> None:
    source = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[:, 2:4, 2:5] = True
    made = source + 0.3 * mask[:, None] + 5 * torch.randn_like(source) * ~mask[:, None]
    assert masked_pmse(made, source, mask).item() == pytest.approx(0, abs=1e-10)
    made[0, :, 2, 2] += 1
    assert masked_pmse(made, source, mask).item() > 0.01


def test_an_empty_mask_adds_nothing() -> None:
    source = torch.randn(1, 3, 4, 4)
    assert masked_pmse(source + 1, source, torch.zeros(1, 4, 4, dtype=torch.bool)).item() == 0


def test_lsgan_targets() -> None:
    ones, zeros = [torch.ones(2, 1, 3, 3)], [torch.zeros(2, 1, 3, 3)]
    assert lsgan_discriminator(ones, zeros).item() == 0
    assert lsgan_discriminator(zeros, ones).item() == 1
    assert lsgan_generator(ones).item() == 0
    assert lsgan_generator(zeros).item() == 1


def test_mask_loss_is_small_when_right_and_large_when_wrong() -> None:
    masks = torch.randint(0, 4, (2, 2, 5, 5), generator=torch.Generator().manual_seed(3))
    right = 10 * torch.nn.functional.one_hot(masks, 4).permute(0, 1, 4, 2, 3).float()
    assert mask_loss(right, masks).item() < 0.01 < 5 < mask_loss(-right, masks).item()


def test_grasp_loss_leaves_unknown_labels_out() -> None:
    logits = torch.tensor([[2.0, -1.0]])
    known = grasp_loss(logits[:, :1], torch.tensor([[1.0]]))
    assert grasp_loss(logits, torch.tensor([[1.0, float("nan")]])).item() == pytest.approx(known.item())


def test_consistency_is_zero_for_any_common_offset_and_not_otherwise() -> None:
    projected = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(4))
    offset = torch.tensor([0.1, -0.2])
    assert consistency_loss(projected + offset, projected).item() == pytest.approx(0, abs=1e-12)
    moved = projected + offset
    moved[0, 0, 0] += 0.3
    assert consistency_loss(moved, projected).item() > 1e-3


def test_the_offset_moves_towards_what_the_pictures_say() -> None:
    projected = torch.zeros(2, 3, 2)
    offset = torch.zeros(2)
    for _ in range(200):
        update_offset(offset, projected + torch.tensor([0.1, -0.05]), projected, momentum=0.05)
    torch.testing.assert_close(offset, torch.tensor([0.1, -0.05]), atol=1e-4, rtol=0)


def test_agreement_punishes_pictures_of_one_attempt_that_disagree() -> None:
    assert agreement_loss(torch.tensor([[1.0, 1.0], [-2.0, -2.0]])).item() == 0
    assert agreement_loss(torch.tensor([[1.0, -1.0]])).item() == pytest.approx(1)


def test_augmentation_with_middling_draws_changes_nothing() -> None:
    pairs = torch.rand(3, 6, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(augmented(pairs, torch.full((3, 5), 0.5)), pairs)


def test_augmentation_changes_both_pictures_of_a_pair_alike_and_each_pair_by_its_own_draw() -> None:
    pairs = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).repeat(1, 2, 1, 1)
    draws = torch.tensor([[0.5, 0.5, 0.5, 1.0, 0.25], [1.0, 0.0, 0.5, 0.5, 0.5]])
    moved, grey = augmented(pairs, draws)
    torch.testing.assert_close(moved[:3], moved[3:])
    torch.testing.assert_close(moved[:, :15, 2:], pairs[0, :, 1:, :14])  # u: +2 pixels, v: -1
    assert not moved[:, 15].any()
    assert not moved[:, :, :2].any()
    torch.testing.assert_close(grey, (pairs[1, :3].mean(dim=0) + 0.5).expand(6, 16, 16))


def test_augmentation_hands_gradients_back_to_the_pictures_that_are_still_in_view() -> None:
    pairs = torch.zeros(1, 6, 16, 16, requires_grad=True)
    augmented(pairs, torch.tensor([[0.5, 0.5, 0.5, 1.0, 0.5]])).sum().backward()
    assert pairs.grad is not None
    torch.testing.assert_close(pairs.grad[..., :14], torch.ones(1, 6, 16, 14))
    assert not pairs.grad[..., 14:].any()
