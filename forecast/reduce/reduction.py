"""What a reducer answers: which rows of a history may serve as training rows, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forecast.errors import SchemaError


@dataclass(frozen=True, eq=False)
class Reduction:
    """The rows worth training on.

    Args:
        keep: (T,) bool, oldest row first; True where a row may serve as a training row. Made read-only.
        why: one sentence for the log.
        evidence: what the choice rests on, ready for JSON. Variance Horizon gives `converged`, `final_ratio`,
            `stopped_at` (rows, None if it never settled) and, on request, `curve`.
        cpu_s: CPU seconds the choice took; whoever meters the reducer fills it in with `dataclasses.replace`.

    Raises:
        SchemaError: `keep` is not a one-dimensional array of bool, or keeps nothing.

    >>> reduction = Reduction(np.array([False, True, True]), why="the newest two")
    >>> reduction.rows, reduction.of
    (2, 3)
    """

    keep: np.ndarray
    why: str
    evidence: dict[str, Any] = field(default_factory=dict)
    cpu_s: float = 0.0

    def __post_init__(self) -> None:
        if self.keep.ndim != 1 or self.keep.dtype != np.bool_:
            raise SchemaError(
                f"keep has shape {self.keep.shape} and dtype {self.keep.dtype}: give one bool per row, shape (T,)."
            )
        if not self.keep.any():
            raise SchemaError(f"keep drops all {self.of} rows: leave at least one row to train on.")
        keep = self.keep.view()
        keep.flags.writeable = False
        object.__setattr__(self, "keep", keep)

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return int(np.count_nonzero(self.keep))

    @property
    def of(self) -> int:
        """How many rows there were."""
        return len(self.keep)
