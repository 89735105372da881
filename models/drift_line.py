"""Drift line: on along the line through the first and the last value of the context."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, filled, training_rows, truth_at, windows_at
from models.arrays import read_arrays, write_arrays
from models.persistence import around_point, residual_quantiles


class DriftLine(Forecaster):
    """The newest value plus the mean change per row of the context, times the lead.

    Intervals are the quantiles of the training errors of each variable and lead, pooled over series.

    Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 5.2.
    """

    traits = Traits(learns=False)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)
        windows = filled(windows_at(panel, task, rows).values, self.means_)  # (B, N, L, V)
        errors = truth_at(panel, task, rows) - _line(windows, task)  # (B, N, H, C)
        self.spread_ = around_point(residual_quantiles(errors, task), task)  # (H, C, Q)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return _line(windows.values, task)[..., None] + self.spread_  # (B, N, H, C, Q)

    def _save(self, folder: Path) -> None:
        write_arrays(folder, spread=self.spread_)

    def _load(self, folder: Path) -> None:
        self.spread_ = read_arrays(folder)["spread"]


def _line(values: np.ndarray, task: Task) -> np.ndarray:
    """(B, N, H, C) along the line through the ends of windows (B, N, L, V) without gaps."""
    known = values[..., : len(task.targets)]
    slope = (known[:, :, -1] - known[:, :, 0]) / max(1, task.context - 1)  # (B, N, C)
    return known[:, :, -1, None] + slope[:, :, None] * np.array(task.leads)[:, None]
