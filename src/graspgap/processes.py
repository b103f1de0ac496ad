"""Several processes that train one network, started by `accelerate launch`: each has its share of every batch.

A process's loss is the mean over its share, and gradients are averaged: where every loss is a mean over equal shares,
that is the gradient of the whole batch. What looks at the batch as a whole asks for `whole` or `total`, whose gradients
are those of the sum of all processes' losses. Alone, every function here returns what it was given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from graspgap.errors import UserError

PATIENCE = timedelta(days=1)
"""How long processes wait for each other; the first adapts pictures and measures policies alone."""

_alone = False


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Inside, this is one of the processes that `accelerate launch` started; yields its device, `device` itself when
    alone. Processes but the first are silent on standard output."""
    try:
        yield _join(device)
    finally:
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()


def _join(device: torch.device) -> torch.device:
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "LOCAL_RANK" not in os.environ:
        return device
    from accelerate import PartialState  # half a second

    on_cpu = device.type == "cpu" or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    state = PartialState(cpu=on_cpu, timeout=PATIENCE)
    if state.is_main_process:
        print(f"{state.num_processes} processes share every batch", file=sys.stderr)
    else:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return state.device


def count() -> int:
    """Number of processes."""
    together = not _alone and distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def rank() -> int:
    """This process's number, from 0."""
    return distributed.get_rank() if count() > 1 else 0


def is_main() -> bool:
    """Whether this is the process that writes files."""
    return rank() == 0


def wait() -> None:
    """Until every process is here."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


@contextmanager
def main_first() -> Iterator[None]:
    """What runs inside is done by the first process before the others, which find what it wrote."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()
    wait()


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process doesn't speak with the others: for work on whole batches, and for what one process does."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


def share(size: int, option: str) -> slice:
    """This process's samples of a batch of `size`.

    Raises:
        UserError: if the batch can't be shared out evenly; names the option.
    """
    each, rest = divmod(size, count())
    if rest or not each:
        raise UserError(
            f"{option} {size} can't be shared out evenly among {count()} processes: give a multiple of {count()}"
        )
    return slice(rank() * each, (rank() + 1) * each)


def require_one(what: str) -> None:
    """Refuse several processes for `what`, whose losses would change with the share of a batch that they see.

    Raises:
        UserError: if there are several.
    """
    if count() > 1:
        raise UserError(
            f"{what} can't share a batch out among {count()} processes: what one sample gives depends on the whole "
            "batch; use one process, or another method"
        )


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(count())]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        return _summed(grads[0]).tensor_split(count())[rank()]


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        return _summed(grads[0])


def _summed(x: Tensor) -> Tensor:
    x = x.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(x)
    return x


def whole(x: Float[Tensor, "b *n"]) -> Float[Tensor, "w *n"]:
    """The whole batch of which each process holds an equal share, differentiable."""
    return _Whole.apply(x) if count() > 1 else x


def total(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The sum over all processes, differentiable."""
    return _Total.apply(x) if count() > 1 else x


def average(tensors: list[Tensor]) -> None:
    """Replace tensors, in place, by their means over all processes; one message for all of them."""
    if count() == 1 or not tensors:
        return
    flat = _summed(torch.cat([tensor.flatten() for tensor in tensors])) / count()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
