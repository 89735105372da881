"""Metric = a statistic and an aggregation; Tally = a metric as it streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from forecast.errors import SchemaError
from forecast.metrics.pairs import Pairs

Statistic = Callable[[Pairs], np.ndarray]  # Pairs of (...,) -> (...,)
Aggregation = Callable[[np.ndarray, np.ndarray], np.ndarray]  # total, count -> value, all of the kept axes


def mean(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Total over count; NaN where nothing was counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 0, total / count, np.nan))  # (kept,)


def root_mean(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Square root of the mean."""
    return np.asarray(np.sqrt(mean(total, count)))  # (kept,)


@dataclass(frozen=True)
class Metric:
    """A statistic per pair, aggregated.

    Args:
        name: name in tables and runs, e.g. `mae`.
        statistic: pairs -> (...,), NaN where undefined.
        aggregation: (total, count) -> value.

    >>> from forecast.metrics.standard import RMSE
    >>> RMSE(Pairs(np.array([0.0, 0.0, np.nan]), np.array([3.0, 1.0, 2.0])))
    2.23606797749979
    """

    name: str
    statistic: Statistic
    aggregation: Aggregation = mean

    def __call__(self, pairs: Pairs, keep: tuple[int, ...] = ()) -> float | np.ndarray:
        """The value over all pairs at once; `keep` as in `start`."""
        tally = self.start(keep)
        tally.update(pairs)
        return tally.value

    def start(self, keep: tuple[int, ...] = ()) -> Tally:
        """An empty tally; `keep` names the axes that stay, e.g. (1,) of (N, H, C) for a curve by lead."""
        return Tally(self, keep)


@final
class Tally:
    """Running total of a metric: O(1) memory, any chunks, mergeable between processes.

    Args:
        metric: what is tallied.
        keep: axes (not negative) that stay; the others are summed over.

    `missing` counts pairs whose truth or forecast is NaN; `undefined` those where both are known and the statistic is
    not (a flat history under MASE, a missing quantile). Both are left out of the value.
    """

    def __init__(self, metric: Metric, keep: tuple[int, ...] = ()) -> None:
        self.metric = metric
        self.keep = tuple(sorted(keep))
        self.total = np.zeros(0)  # (kept,) after the first update
        self.count = np.zeros(0, np.int64)  # (kept,)
        self.missing = 0
        self.undefined = 0

    def update(self, pairs: Pairs) -> None:
        """Adds pairs; raises SchemaError where a kept axis does not exist, or has another length than before."""
        self.add(self.metric.statistic(pairs), pairs.present)

    def add(self, values: np.ndarray, present: np.ndarray) -> None:
        """Adds statistics (...,) that are already computed; `present` (...,) says which pairs are known."""
        if not all(0 <= axis < values.ndim for axis in self.keep):
            raise SchemaError(f"cannot keep axes {self.keep} of pairs with shape {values.shape}")
        used = present & ~np.isnan(values)  # (...,)
        axes = tuple(i for i in range(values.ndim) if i not in self.keep)
        total = np.asarray(np.where(used, values, 0.0).sum(axis=axes))  # (kept,)
        self._grow(total, np.asarray(used.sum(axis=axes)))
        self.missing += int((~present).sum())
        self.undefined += int((present & ~used).sum())

    def merge(self, other: Tally) -> Tally:
        """A new tally of both streams; raises SchemaError where the metrics or the kept axes differ."""
        if (other.metric.name, other.keep) != (self.metric.name, self.keep):
            raise SchemaError(
                f"cannot merge {self.metric.name} over axes {self.keep} with {other.metric.name} over {other.keep}"
            )
        merged = Tally(self.metric, self.keep)
        for part in (self, other):
            merged._grow(part.total, part.count)
            merged.missing += part.missing
            merged.undefined += part.undefined
        return merged

    def _grow(self, total: np.ndarray, count: np.ndarray) -> None:
        if total.shape == (0,):  # a tally that has seen nothing
            return
        if self.total.shape == (0,):
            self.total, self.count = np.zeros(total.shape), np.zeros(total.shape, np.int64)
        if self.total.shape != total.shape:
            raise SchemaError(
                f"{self.metric.name} keeps axes {self.keep} of shape {self.total.shape}, the new chunk has "
                f"{total.shape}: chunks may differ only along the axes that are summed over"
            )
        self.total, self.count = np.asarray(self.total + total), np.asarray(self.count + count)  # (kept,), also for ()

    @property
    def value(self) -> float | np.ndarray:
        """The metric: a float, or an array of the kept axes; NaN where nothing was counted."""
        if self.total.shape == (0,):
            return np.nan if not self.keep else np.zeros(0)
        value = self.metric.aggregation(self.total, self.count)  # (kept,)
        return value if self.keep else float(value)

    def __str__(self) -> str:
        left_out = f"{self.missing} missing, {self.undefined} undefined"
        return f"{self.metric.name} {self.value} (n={self.count.sum()}, {left_out})"
