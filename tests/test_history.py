"""The pool of earlier pictures, against the rule of its papers."""

from __future__ import annotations

import itertools

import torch

from graspgap.adaptation.pixel.history import History

CAPACITY = 8


def numbered(first: int, count: int) -> torch.Tensor:
    """Pictures of 1 x 1 x 1 that show their number, from 1."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None]


def fed(pool: History, pictures: int, batch: int = 5) -> list[tuple[int, int]]:
    """(number that went in, number that came out), in order."""
    numbers = []
    for first in range(1, pictures + 1, batch):
        given = numbered(first, batch)
        numbers += list(zip(given.flatten().int().tolist(), pool(given).flatten().int().tolist(), strict=True))
    return numbers


def test_the_first_pictures_fill_the_pool_and_come_out_again() -> None:
    pool = History(CAPACITY, (1, 1, 1))
    assert all(given == shown for given, shown in fed(pool, 10)[:CAPACITY])
    assert pool.count == CAPACITY


def test_pictures_come_out_as_the_rule_says() -> None:
    """Once full, a picture is shown at once with probability 1/2; else it is kept, and shown when its slot is drawn,
    which happens with probability 1 / (2 capacity) at each later picture, once, after which it is gone."""
    torch.manual_seed(0)
    pictures = 20_000
    numbers = fed(History(CAPACITY, (1, 1, 1)), pictures)
    times = [shown for _, shown in numbers]
    later = numbers[CAPACITY:]
    new = sum(given == shown for given, shown in later) / len(later)
    assert abs(new - 0.5) < 4 * 0.5 / pictures**0.5
    waits = [given - shown for given, shown in later if given != shown and shown > CAPACITY]
    drawn = 1 / (2 * CAPACITY)
    for least in (1, 4, 16, 40):
        expected = (1 - drawn) ** (least - 1)
        share = sum(wait >= least for wait in waits) / len(waits)
        assert abs(share - expected) < 4 * (expected * (1 - expected) / len(waits)) ** 0.5 + 1e-9
    counts = torch.bincount(torch.tensor(times))
    assert (counts[1 : CAPACITY + 1] == 2).all()  # those that filled the pool: at once, and once more
    assert (counts[CAPACITY + 1 : pictures - 1000] == 1).all()


def test_each_slot_is_drawn_as_often_as_the_others() -> None:
    torch.manual_seed(1)
    pool = History(4, (1, 1, 1))
    pool(numbered(1, 4))
    replaced = torch.zeros(4)
    for number in itertools.count(5):
        before = pool.pictures.flatten().clone()
        pool(numbered(number, 1))
        replaced += pool.pictures.flatten() != before
        if replaced.sum() == 2000:
            break
    assert (replaced - 500).abs().max() < 4 * (2000 * 0.25 * 0.75) ** 0.5


def test_a_picture_may_come_out_again_within_its_batch() -> None:
    torch.manual_seed(2)
    pool = History(1, (1, 1, 1))
    pool(numbered(1, 1))
    given = list(range(2, 40))
    shown = pool(numbered(2, 38)).flatten().int().tolist()
    waits = [number - other for number, other in zip(given, shown, strict=True) if number != other]
    assert min(waits) > 0
    assert pool.pictures.item() > 30


def test_a_pool_restored_from_its_buffers_goes_on_alike() -> None:
    torch.manual_seed(3)
    pool, other = History(CAPACITY, (1, 1, 1)), History(CAPACITY, (1, 1, 1))
    fed(pool, 30)
    other.load_state_dict(pool.state_dict())
    shown = []
    for one in (pool, other):
        torch.manual_seed(4)
        shown.append(fed(one, 50))
    assert shown[0] == shown[1]


def test_what_comes_out_has_no_gradient_and_a_pool_of_none_keeps_nothing() -> None:
    given = numbered(1, 3).requires_grad_()
    for capacity in (0, 2):
        shown = History(capacity, (1, 1, 1))(given)
        assert not shown.requires_grad
        assert torch.equal(shown[:2], given[:2])
