"""Denominators of MASE and RMSSE that face what the test faces: the same lead, the same phase of the stride.

Weekly origins on Fridays look over a weekend at lead 3, but origins of any day mostly do not: a denominator over all
rows would make the task look harder, or easier, than it is.
Source of the ratio: Hyndman and Koehler, "Another look at measures of forecast accuracy", IJF 22 (2006), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.evaluation.question import Question
from forecast.windows import forward_fill


@dataclass(frozen=True, eq=False)
class Scale:
    """Naive errors in the history: means of |difference|, roots of means of its square, in the variables' units.

    Args:
        absolute, squared: (N, H, C), NaN where undefined: nothing known at that distance, or nothing ever changed.
    """

    absolute: np.ndarray
    squared: np.ndarray

    def unit(self) -> np.ndarray:
        """(2, N, C): one number per series for both kinds of error, the mean over the leads."""
        return np.stack([_mean(self.absolute, 1), np.sqrt(_mean(self.squared**2, 1))])


def matched_scale(question: Question) -> Scale:
    """What repeating the newest known value errs in the history, from rows of the origins' phase.

    A value may be `question.patience` rows old, as in the test; truths that are gaps are left out.
    With a stride and a patience of nothing this is `forecast.metrics.naive_scale`.
    """
    values, times = question.history.values, question.history.times  # (N, T, C), (T,)
    naive = _filled(values, question.patience)  # (N, T, C)
    away = (times - question.origins[0]) // np.timedelta64(question.history.step)  # (T,)
    rows = np.flatnonzero(away % question.stride == 0)
    shape = (values.shape[0], question.horizon, values.shape[2])
    absolute, squared = np.full(shape, np.nan), np.full(shape, np.nan)
    for h in range(question.horizon):
        here = rows[rows + h + 1 < len(times)]
        gap = values[:, here + h + 1] - naive[:, here]  # (N, t, C)
        absolute[:, h], squared[:, h] = _mean(np.abs(gap), 1), np.sqrt(_mean(gap**2, 1))
    rounding = 8 * np.finfo(float).eps * np.nanmax(np.abs(values), axis=1, initial=0.0)[:, None]  # (N, 1, C)
    moves = absolute > rounding
    return Scale(np.where(moves, absolute, np.nan), np.where(moves, squared, np.nan))


def _filled(values: np.ndarray, patience: int) -> np.ndarray:
    """(N, T, C) with gaps filled forward, by values at most `patience` rows old."""
    rows = np.arange(values.shape[1], dtype=float)[:, None]  # (T, 1)
    age = rows - forward_fill(np.where(np.isnan(values), np.nan, rows))  # (N, T, C)
    return np.where(age <= patience, forward_fill(values), np.nan)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean along an axis, NaN left out; NaN where there is nothing."""
    known = ~np.isnan(values)
    count = known.sum(axis)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis) / np.maximum(count, 1), np.nan)
