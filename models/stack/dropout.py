"""Dropout whose masks each member draws from its own generator: in a stack it draws what it draws alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass
class Draws:
    """Where the members' chance comes from.

    Args:
        generators: one per member, on the device of the net. rows: each member's real rows of the present batch;
            the rest is padding, and draws nothing.
    """

    generators: list[torch.Generator]
    rows: Sequence[int] = field(default_factory=list)

    def __deepcopy__(self, memo: object) -> Draws:
        return self  # a copy of a net that is being trained draws from the same source


class Dropout(nn.Module):
    """Zeroes each element with probability `p` while training, and scales the others by 1 / (1 - p).

    Inputs (M, B, ...). Within `drawing(net, draws)` the masks come from the members' generators, otherwise from
    torch's global one.

    Source: Srivastava et al., "Dropout", JMLR 15 (2014).
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p
        self.draws: Draws | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = torch.empty(x.shape, dtype=x.dtype, device=x.device)  # (M, B, ...)
        if self.draws is None:
            keep.bernoulli_(1 - self.p)
        else:
            for one, rows, generator in zip(keep, self.draws.rows, self.draws.generators, strict=True):
                one[:rows].bernoulli_(1 - self.p, generator=generator)
                one[rows:] = 0
        return x * keep.mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


@contextmanager
def drawing(net: nn.Module, draws: Draws) -> Iterator[None]:
    """Every Dropout of `net` draws from `draws` inside."""
    parts = [part for part in net.modules() if isinstance(part, Dropout)]
    for part in parts:
        part.draws = draws
    try:
        yield
    finally:
        for part in parts:
            part.draws = None
