"""Pairs: truths beside forecasts, the one input of every statistic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from forecast.errors import SchemaError


def _no_quantiles() -> np.ndarray:
    return np.empty(0)  # (Q,) with Q = 0


def _no_scale() -> np.ndarray:
    return np.array(np.nan)  # ()


@dataclass(frozen=True, eq=False)
class Pairs:
    """Truths and forecasts of one shape, usually (N, H, C); NaN where either is not known.

    Args:
        truth: (...,) observed values, in the variable's unit.
        point: (...,) point forecasts, same unit.
        quantiles: (..., Q) quantile forecasts; left out for point forecasts.
        levels: Q increasing quantile levels inside (0, 1).
        scale: broadcasts to (...,): denominators of MASE and RMSSE, see `naive_scale`; NaN where undefined.

    Raises:
        SchemaError: shapes that do not fit, levels out of order, an infinite value.

    >>> Pairs(np.array([1.0, np.nan]), np.array([2.0, 2.0])).present.tolist()
    [True, False]
    """

    truth: np.ndarray
    point: np.ndarray
    quantiles: np.ndarray = field(default_factory=_no_quantiles)
    levels: tuple[float, ...] = ()
    scale: np.ndarray = field(default_factory=_no_scale)

    def __post_init__(self) -> None:
        if not self.levels and not self.quantiles.size:
            object.__setattr__(self, "quantiles", np.empty((*self.truth.shape, 0)))  # (..., 0)
        object.__setattr__(self, "levels", tuple(float(q) for q in self.levels))
        self._check_shapes()
        self._check_levels()
        for name in ("truth", "point", "quantiles"):
            bad = int(np.isinf(getattr(self, name)).sum())
            if bad:
                raise SchemaError(f"{name} has {bad} infinite values: use NaN for what is not known, and mend the rest")

    def _check_shapes(self) -> None:
        shape, expected = self.truth.shape, (*self.truth.shape, len(self.levels))
        if self.point.shape != shape or self.quantiles.shape != expected:
            raise SchemaError(
                f"truth has shape {shape}, so point must have {shape} (it has {self.point.shape}) and quantiles, with "
                f"{len(self.levels)} levels, {expected} (they have {self.quantiles.shape})"
            )
        try:
            fits = np.broadcast_shapes(self.scale.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise SchemaError(f"scale has shape {self.scale.shape}, which does not broadcast to that of truth, {shape}")

    def _check_levels(self) -> None:
        ordered = all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False))
        if not ordered or not all(0 < q < 1 for q in self.levels):
            raise SchemaError(f"levels {list(self.levels)} must increase strictly and lie inside (0, 1)")

    @cached_property
    def present(self) -> np.ndarray:
        """(...,) bool: truth and point forecast are both numbers."""
        return np.asarray(~(np.isnan(self.truth) | np.isnan(self.point)))

    def quantile(self, level: float) -> np.ndarray:
        """(...,) forecasts at `level`; raises SchemaError where the pairs have no such level."""
        near = np.flatnonzero(np.isclose(self.levels, level, rtol=0, atol=1e-9))  # (0 or 1,)
        if not near.size:
            raise SchemaError(f"no quantile at level {level:g}: given are {list(self.levels)}; add it to Task.levels")
        return np.asarray(self.quantiles[..., near[0]])
