"""Intervals from errors: what a model missed by on rows it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from forecast.panel import Panel
from forecast.schema import Task
from models.arrays import by_name
from models.persistence import around_point, residual_quantiles

PRIOR = 50  # errors by which a series' own width is pulled to that of all series


@dataclass(frozen=True, eq=False)
class Residuals:
    """Quantiles of errors, common to all series, times the width of each series.

    Args:
        shape: (H, C, Q) quantiles of the errors of a series of width 1, zero at the median.
        widths: (N, C) mean absolute error of each series by that of all; 1 for a series without errors.
    """

    shape: np.ndarray
    widths: np.ndarray

    @classmethod
    def none(cls, series: int, task: Task) -> Residuals:
        """No interval: every quantile is the point."""
        count = len(task.targets)
        return cls(np.zeros((task.horizon, count, len(task.levels))), np.ones((series, count)))

    @classmethod
    def of(cls, errors: np.ndarray, task: Task) -> Residuals:
        """Learnt from errors (B, N, H, C), truth minus point; NaN is left out."""
        size = np.abs(errors)
        known = ~np.isnan(errors)
        count = known.sum((0, 1))  # (H, C)
        mean = np.where(known, size, 0).sum((0, 1)) / np.maximum(count, 1)  # (H, C)
        relative = np.where(known, size / np.where(mean > 0, mean, 1), 0).sum((0, 2))  # (N, C)
        widths = (relative + PRIOR) / (known.sum((0, 2)) + PRIOR)  # (N, C)
        return cls(around_point(residual_quantiles(errors / widths[:, None], task), task), widths)

    def around(self, point: np.ndarray, series: Sequence[str], known: Sequence[str]) -> np.ndarray:
        """(B, N, H, C, Q) quantiles around points (B, N, H, C) of `series`; `known` names the rows of `widths`."""
        if not self.shape.any():
            return point[..., None] + self.shape
        widths = by_name(self.widths, known, series, np.ones(point.shape[3]))  # (N, C)
        return point[..., None] + widths[:, None, :, None] * self.shape


def block_rows(task: Task) -> int:
    """Rows in a block to hold out: 4 H at least, and whole days, or some hours of the day would never be among them."""
    day = max(1, timedelta(days=1) // task.step)
    return -(-4 * task.horizon // day) * day


def clear_of(rows: np.ndarray, held: np.ndarray, horizon: int) -> np.ndarray:
    """(B,) bool: those of `rows` (B,) whose truths are none of those of the rows `held` (K,).

    An origin just before or after a held one shares truths with it: trained on, it would make the errors there small.
    """
    if not len(held):
        return np.ones(len(rows), bool)
    held = np.sort(held)
    after = np.searchsorted(held, rows)  # (B,)
    before = np.abs(rows - held[np.maximum(after - 1, 0)])  # (B,)
    beyond = np.abs(held[np.minimum(after, len(held) - 1)] - rows)  # (B,)
    return np.minimum(before, beyond) >= horizon


def held_out(panel: Panel, rows: np.ndarray, block: int, every: int) -> np.ndarray:
    """(B,) bool: those of `rows` (B,) in every `every`-th block of `block` rows, counted from 1970 so that a row's
    part stays the same from one training to the next; none where `every` is 0 or nothing would be left.
    """
    none = np.zeros(len(rows), bool)
    if every < 1:
        return none
    number = panel.times[rows].astype("datetime64[us]").astype(np.int64) // np.timedelta64(panel.step).astype(
        "timedelta64[us]"
    ).astype(np.int64)  # (B,)
    held = number // block % every == every - 1  # (B,)
    return none if held.all() else held
