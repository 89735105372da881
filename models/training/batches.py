"""Batches of a stack: each member's rows in an order of its own, epoch after epoch on a clock of its own.

Members with fewer rows have fewer batches an epoch, and go on to their next epoch while others are in their first:
so every member that trains takes part in every step, and the optimiser's count of steps is right for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Batches:
    """Args: rows of each member that are trained on; size of a batch; generators, one per member."""

    def __init__(self, rows: Sequence[int], size: int, generators: Sequence[torch.Generator]) -> None:
        self.rows, self.generators = list(rows), list(generators)
        self.per_epoch = [max(1, round(count / size)) for count in rows]
        self.orders = torch.zeros(len(self.rows), max(self.rows), dtype=torch.long)  # (M, rows): of present epochs

    def at(self, step: int) -> tuple[Tensor, list[int]]:
        """Row numbers (M, B) of step 0, 1, ..., and how many of each member's are real: the first."""
        for member, batches in enumerate(self.per_epoch):
            if step % batches == 0:
                torch.randperm(
                    self.rows[member], generator=self.generators[member], out=self.orders[member, : self.rows[member]]
                )
        if min(self.rows) == max(self.rows):
            start, count = self._part(0, step)
            return self.orders[:, start : start + count], [count] * len(self.rows)
        parts = [self._part(member, step) for member in range(len(self.rows))]
        counts = [count for _, count in parts]
        table = torch.zeros(len(parts), max(counts), dtype=torch.long)
        for line, order, (start, count) in zip(table, self.orders, parts, strict=True):
            line[:count] = order[start : start + count]
        return table, counts

    def ends(self, step: int) -> list[int]:
        """Members whose epoch ends with this step."""
        return [member for member, count in enumerate(self.per_epoch) if step % count == count - 1]

    def keep_only(self, chosen: Sequence[int]) -> None:
        self.rows = [self.rows[member] for member in chosen]
        self.generators = [self.generators[member] for member in chosen]
        self.per_epoch = [self.per_epoch[member] for member in chosen]
        self.orders = self.orders[list(chosen)]

    def _part(self, member: int, step: int) -> tuple[int, int]:
        """Where a member's batch begins in its order, and its size: all but equal, as by tensor_split."""
        size, longer = divmod(self.rows[member], self.per_epoch[member])
        batch = step % self.per_epoch[member]
        return batch * size + min(batch, longer), size + (batch < longer)


class Rows:
    """Tensors (M, B, ...) on a device, from which members take rows; one that all members share is kept there once."""

    def __init__(self, tensors: Sequence[Tensor], device: torch.device) -> None:
        self.flat: list[Tensor] = []
        self.strides: list[int] = []
        for tensor in tensors:
            shared = len(tensor) == 1 or tensor.stride(0) == 0
            flat = tensor[0] if shared else tensor.flatten(0, 1)  # (B, ...) or (M * B, ...)
            self.flat.append(flat.to(device))
            self.strides.append(0 if shared else tensor.shape[1])

    def take(self, members: Tensor, index: Tensor) -> list[Tensor]:
        """Rows `index` (A, B) of the active `members` (A, 1): tensors (A, B, ...)."""
        taken = []
        for flat, stride in zip(self.flat, self.strides, strict=True):
            where = index + members * stride if stride else index
            taken.append(flat.index_select(0, where.reshape(-1)).view(*index.shape, *flat.shape[1:]))
        return taken
