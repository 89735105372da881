"""Portrait: a matrix that a fitted model shows of itself, such as a graph between variables or a map of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecast.errors import SchemaError


@dataclass(frozen=True, eq=False)
class Matrix:
    """Numbers with a name for every row and column.

    Args:
        values: (R, C) finite numbers. Made read-only.
        rows, columns: R and C names.
        of_what: what the numbers are, "cosine" say; "" where the name of the matrix tells.
        limit: numbers lie in [-limit, limit], so that several matrices are drawn on one scale; 0: as they come.

    Raises:
        SchemaError: no table of numbers, none at all, numbers that are not finite or beyond the limit, or another
            number of names.

    >>> graph = Matrix([[1.0, 0.5], [0.5, 1.0]], ("wind", "cloud"), ("wind", "cloud"))
    >>> graph.values.shape, graph.signed
    ((2, 2), False)
    """

    values: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    of_what: str = ""
    limit: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _numbers(self.values))
        for name in ("rows", "columns"):
            object.__setattr__(self, name, tuple(str(one) for one in getattr(self, name)))
        if self.values.shape != (len(self.rows), len(self.columns)):
            raise SchemaError(
                f"a matrix of shape {self.values.shape} has {len(self.rows)} names of rows and {len(self.columns)} of "
                "columns: give one for each"
            )
        widest = float(np.abs(self.values).max())
        if self.limit and widest > self.limit * (1 + 1e-6):
            raise SchemaError(f"a matrix of limit {self.limit:g} holds {widest:g}: leave the limit out")

    @property
    def signed(self) -> bool:
        """Whether numbers may be below zero: then zero is the middle of the colours."""
        return bool(self.limit) or bool((self.values < 0).any())

    def plain(self) -> dict[str, Any]:
        """As JSON-able data; `Matrix.of` takes it back."""
        numbers = {"values": self.values.tolist(), "rows": list(self.rows), "columns": list(self.columns)}
        return {**numbers, "of_what": self.of_what, "limit": self.limit}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Matrix:
        """From what `plain` gave."""
        return cls(**plain)


def _numbers(values: Any) -> np.ndarray:
    """(R, C) finite numbers as a read-only copy."""
    try:
        found = np.array(values, float)  # (R, C)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"a matrix needs rows of equally many numbers: {error}") from error
    if found.ndim != 2 or not found.size:
        raise SchemaError(f"a matrix has two axes and at least one number, this has shape {found.shape}")
    if not np.isfinite(found).all():
        row, column = np.argwhere(~np.isfinite(found))[0]
        raise SchemaError(
            f"{int((~np.isfinite(found)).sum())} numbers of a matrix are not finite, first at row {row}, column "
            f"{column}: {found[row, column]}. Show a model once it is fitted, and gaps as 0"
        )
    found.flags.writeable = False
    return found
