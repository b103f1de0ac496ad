"""The losses of CUT and of perception consistency by their definitions, and what a judge of masks learns from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from graspgap.adaptation.augment import recoloured
from graspgap.adaptation.frozen import frozen
from graspgap.adaptation.losses import mask_disagreement, mask_distance, patch_nce
from graspgap.adaptation.pixel.perceptual import perception_loss
from graspgap.contract import SemanticClass


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_patch_nce_is_the_loop_over_places() -> None:
    made, source, temperature = random(3, 5, 4).double(), random(3, 5, 4, seed=1).double(), 0.2
    losses = []
    for m, s in zip(made, source, strict=True):
        for place in range(5):
            likeness = [float(m[place] @ other / (m[place].norm() * other.norm())) / temperature for other in s]
            losses.append(-likeness[place] + np.log(np.sum(np.exp(likeness))))
    assert patch_nce(made, source, temperature).item() == pytest.approx(np.mean(losses), rel=1e-10)


def test_patch_nce_as_its_authors_arrange_it() -> None:
    """Own similarity in a first column; among the others, it is blotted out by -10 before the division."""
    made, source = random(2, 6, 4), random(2, 6, 4, seed=1)
    q, k = (nn.functional.normalize(x, dim=-1) for x in (made, source))
    others = (q @ k.transpose(1, 2)).masked_fill(torch.eye(6, dtype=torch.bool), -10.0)
    columns = torch.cat([(q * k).sum(-1, keepdim=True), others], dim=-1) / 0.07
    expected = -columns.log_softmax(dim=-1)[..., 0].mean()
    torch.testing.assert_close(patch_nce(made, source, 0.07), expected)


def test_patch_nce_looks_at_one_picture_at_a_time_and_teaches_the_made_side_alone() -> None:
    made, source = random(2, 5, 4).requires_grad_(), random(2, 5, 4, seed=1).requires_grad_()
    patch_nce(made, source, 0.07).backward()
    assert source.grad is None
    assert made.grad is not None
    first = 2 * patch_nce(made, source, 0.07) - patch_nce(made[1:], source[1:], 0.07)
    torch.testing.assert_close(first, patch_nce(made[:1], source[:1], 0.07))
    alike = torch.ones(2, 5, 4)
    assert patch_nce(alike, alike, 0.07).item() == pytest.approx(np.log(5), rel=1e-5)


def logits(masks: torch.Tensor) -> torch.Tensor:
    """Sure of the given classes."""
    return 50 * nn.functional.one_hot(masks, len(SemanticClass)).movedim(-1, -3).float()


def test_mask_distance_is_the_mean_brier_score() -> None:
    drawn, masks = random(2, 2, 4, 3, 3), torch.randint(0, 4, (2, 2, 3, 3), generator=torch.Generator().manual_seed(1))
    scores = []
    for b, k, row, column in np.ndindex(*masks.shape):
        p = np.exp(drawn[b, k, :, row, column].double().numpy())
        p /= p.sum()
        scores.append(sum((p[c] - float(c == masks[b, k, row, column])) ** 2 for c in range(4)))
    assert mask_distance(drawn, masks).item() == pytest.approx(float(np.mean(scores)), rel=1e-5)
    assert mask_distance(logits(masks), masks).item() == pytest.approx(0, abs=1e-6)
    assert mask_distance(logits((masks + 1) % 4), masks).item() == pytest.approx(2)


def test_mask_disagreement_of_hard_masks_is_one_less_dice() -> None:
    one, other = torch.randint(0, 4, (2, 3, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    dice = []
    for a, b in zip(one.flatten(0, 1), other.flatten(0, 1), strict=True):
        for kind in range(4):
            here, there = set(np.flatnonzero(a == kind)), set(np.flatnonzero(b == kind))
            dice.append(2 * len(here & there) / (len(here) + len(there)))
    for pair in ((one, other), (other, one)):
        assert mask_disagreement(*map(logits, pair)).item() == pytest.approx(1 - np.mean(dice), rel=1e-5)
    assert mask_disagreement(logits(one), logits(one)).item() == 0


@pytest.mark.parametrize("side", [2, 6])
def test_a_small_object_that_vanishes_counts_as_much_as_a_large_one(side: int) -> None:
    seen = torch.full((1, 2, 16, 16), int(SemanticClass.BIN))
    lost = seen.clone()
    seen[:, :, :side, :side] = SemanticClass.OBJECT
    bin_area = 16 * 16 - side * side
    bin_loss = 1 - 2 * bin_area / (bin_area + 16 * 16)
    assert mask_disagreement(logits(seen), logits(lost)).item() == pytest.approx((1 + bin_loss) / 4, rel=1e-4)


def test_a_class_that_neither_sees_adds_nothing() -> None:
    sure = logits(torch.zeros(1, 2, 4, 4, dtype=torch.long))
    less = (sure * 0.5).requires_grad_()
    loss = mask_disagreement(sure, less)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert less.grad is not None
    assert less.grad.isfinite().all()


def test_cycled_pairs_count_half() -> None:
    right = logits(torch.zeros(1, 2, 4, 4, dtype=torch.long))
    wrong = logits(torch.ones(1, 2, 4, 4, dtype=torch.long))
    apart = mask_disagreement(right, wrong).item()
    assert apart == pytest.approx(0.5)
    assert perception_loss(right, right, wrong).item() == pytest.approx(apart * (0.5 + 0.5))
    assert perception_loss(right, wrong, right).item() == pytest.approx(apart * (1 + 0.5))
    assert perception_loss(wrong, right, right).item() == pytest.approx(apart * (1 + 0.5))


def test_recoloured_classes_get_any_colour_the_same_in_both_pictures() -> None:
    torch.manual_seed(0)
    masks = torch.full((200, 2, 16, 16), int(SemanticClass.BIN))
    masks[:, :, 4:12, 4:12] = SemanticClass.OBJECT
    pairs = torch.where(masks == SemanticClass.OBJECT, 0.3, -0.3).repeat_interleave(3, dim=1)
    made = recoloured(pairs, masks)
    assert made.abs().max() <= 1
    before, now = made.split(3, 1)
    inside, outside = before[:, :, 5:11, 5:11].mean((2, 3)), before[:, :, :3].mean((2, 3))
    inside_now = now[:, :, 5:11, 5:11].mean((2, 3))
    assert (inside - inside_now).abs().mean() < 0.2 < (inside[:100] - inside[100:]).abs().mean()
    brighter = (inside > outside).float().mean(dim=0)
    assert (brighter > 0.5).all()  # contrast is kept in part
    assert (brighter < 0.9).all()


def test_frozen_networks_pass_a_gradient_on_and_keep_none() -> None:
    net, fixed = nn.Linear(3, 2), nn.Linear(2, 1).requires_grad_(False)
    x = torch.ones(1, 3, requires_grad=True)
    with frozen(net, fixed):
        out = fixed(net(x)).sum()
    out.backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in net.parameters())
    with pytest.raises(ValueError, match="stop"), frozen(net, fixed):
        raise ValueError("stop")
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(parameter.requires_grad for parameter in fixed.parameters())
