"""Persistence: tomorrow is like today. The yardstick of every nowcast, and the cheapest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, truth_at, windows_at
from models.arrays import read_arrays, write_arrays


class Persistence(Forecaster):
    """The last known value at every lead; intervals from the training changes of each variable and lead.

    Quantiles other than the median are the last value plus the empirical quantile of the h-step changes,
    pooled over series; a quantile never crosses the last value, so the median stays there. Needs no tuning.
    """

    traits = Traits(learns=False)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)
        last = windows_at(panel, task, rows).last_known(len(task.targets))  # (B, N, C)
        change = truth_at(panel, task, rows) - last[:, :, None]  # (B, N, H, C)
        self.spread_ = around_point(residual_quantiles(change, task), task)  # (H, C, Q)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        last = windows.last_known(len(task.targets))  # (B, N, C)
        return last[:, :, None, :, None] + self.spread_  # (B, N, H, C, Q)

    def _save(self, folder: Path) -> None:
        write_arrays(folder, spread=self.spread_)

    def _load(self, folder: Path) -> None:
        self.spread_ = read_arrays(folder)["spread"]


def around_point(quantiles: np.ndarray, task: Task) -> np.ndarray:
    """Error quantiles (..., Q) with zero at the median and none on its wrong side: the point stays the median.

    Else, where all errors have one sign (a trend), sorting would put another quantile into the median's place.
    """
    levels = np.array(task.levels)  # (Q,)
    return np.clip(quantiles, np.where(levels < 0.5, -np.inf, 0.0), np.where(levels > 0.5, np.inf, 0.0))


def residual_quantiles(errors: np.ndarray, task: Task) -> np.ndarray:
    """Empirical quantiles (H, C, Q) of errors (B, N, H, C), NaN left out.

    A lead without an error (the history ends before it) takes the quantiles of the widest lead that has some: it
    is no surer than that. Zero for a variable without any error.
    """
    flat = errors.reshape(-1, *errors.shape[2:])  # (B*N, H, C)
    none = np.isnan(flat).all(0)  # (H, C)
    flat = np.where(none, 0.0, flat)
    found = np.moveaxis(np.nanquantile(flat, task.levels, axis=0), 0, -1)  # (H, C, Q)
    reach = np.maximum(found[..., -1], 0) - np.minimum(found[..., 0], 0)  # (H, C), the point at 0 included
    widest = np.where(none, -1.0, reach).argmax(0)  # (C,)
    return np.where(none[..., None], found[widest, np.arange(len(widest))], found)
