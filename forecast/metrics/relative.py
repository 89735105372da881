"""Skill as it streams: how much of the reference's error a forecast takes away, on identical pairs."""

from __future__ import annotations

from typing import final

import numpy as np

from forecast.errors import SchemaError
from forecast.metrics.metric import Metric
from forecast.metrics.pairs import Pairs


@final
class SkillTally:
    """1 - E / E_ref; a pair counts only where both forecasts can be scored against the same truth.

    Args:
        metric: the error E, lower is better, at least 0 (MAE, RMSE, CRPS).
        keep: axes that stay, as in `Metric.start`.

    1 is perfect, 0 as good as the reference, below 0 worse; NaN where the reference makes no error, or no pair counts.

    >>> from forecast.metrics.standard import MAE
    >>> tally, truth = SkillTally(MAE), np.zeros(2)
    >>> tally.update(Pairs(truth, np.array([1.0, 1.0])), Pairs(truth, np.array([4.0, np.nan])))
    >>> tally.value, tally.left_out
    (0.75, 1)
    """

    def __init__(self, metric: Metric, keep: tuple[int, ...] = ()) -> None:
        self.metric = metric
        self.own = metric.start(keep)
        self.reference = metric.start(keep)

    def update(self, pairs: Pairs, reference: Pairs) -> None:
        """Adds pairs (...,) of the forecast and of the reference; raises SchemaError where their truths differ."""
        if not np.array_equal(pairs.truth, reference.truth, equal_nan=True):
            raise SchemaError("forecast and reference must be paired with the same truths, in the same order")
        own, other = self.metric.statistic(pairs), self.metric.statistic(reference)  # (...,), (...,)
        both = pairs.present & reference.present & ~np.isnan(own) & ~np.isnan(other)  # (...,)
        self.own.add(own, both)
        self.reference.add(other, both)

    def merge(self, other: SkillTally) -> SkillTally:
        """A new tally of both streams."""
        merged = SkillTally(self.metric, self.own.keep)
        merged.own = self.own.merge(other.own)
        merged.reference = self.reference.merge(other.reference)
        return merged

    @property
    def left_out(self) -> int:
        """Pairs that one of the two forecasts could not be scored on."""
        return self.own.missing

    @property
    def value(self) -> float | np.ndarray:
        """Skill, without unit: a float, or an array of the kept axes."""
        own, reference = np.asarray(self.own.value), np.asarray(self.reference.value)  # (kept,), (kept,)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.asarray(np.where(reference > 0, 1 - own / reference, np.nan))  # (kept,)
        return value if self.own.keep else float(value)
