"""Single: a plain module made a stack, so that the one training routine trains it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.stack.joining import size


class Single(nn.Module):
    """A plain module as a stack of one member: its parameters and buffers get the leading member axis.

    More members, joined by `stacked`, are computed one after another. A plain module draws its dropout from torch's
    global generator, so only a member trained by itself (`training.together: 1`) repeats what it does alone.

    Args:
        net: from tensors (B, ...) to a tensor (B, ...); it is copied.

    >>> Single(nn.Linear(3, 2))(torch.zeros(1, 5, 3)).shape
    torch.Size([1, 5, 2])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = deepcopy(net)
        for held in (*self.net.parameters(), *self.net.buffers()):
            held.data = held.data.unsqueeze(0)

    def plain(self, member: int = 0) -> Any:
        """A copy of a member's module, without the member axis."""
        net = deepcopy(self.net)
        for held in (*net.parameters(), *net.buffers()):
            held.data = held.data[member]
        return net

    def forward(self, *inputs: Tensor) -> Tensor:
        """(M, B, ...) each to (M, B, ...)."""
        held = dict(self.net.named_parameters()) | dict(self.net.named_buffers())
        members = [{name: values[m] for name, values in held.items()} for m in range(size(self))]
        if len(members) == 1:  # a view in the backward pass too
            members = [{name: values.squeeze(0) for name, values in held.items()}]
        parts = [functional_call(self.net, own, tuple(x[m] for x in inputs)) for m, own in enumerate(members)]
        return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(parts)
