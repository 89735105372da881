"""Drift line: on along the line through the newest value of the context and an older one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, filled, training_rows, truth_at, windows_at
from models.arrays import read_arrays, write_arrays
from models.persistence import around_point, residual_quantiles


class DriftLine(Forecaster):
    """The newest value plus the mean change per row of the newest rows, times the lead.

    Intervals are the quantiles of the training errors of each variable and lead, pooled over series.

    Args:
        rows: newest rows that the line spans, one more than the changes whose mean it takes; None: the whole context.

    Raises:
        SchemaError: at fit, with fewer than 2 rows (but for None), or more than the task's context.

    Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 5.2.

    >>> from datetime import timedelta
    >>> from forecast.schema import Variable
    >>> times = np.datetime64("2024-01-01", "us") + np.arange(9) * np.timedelta64(1, "D")
    >>> squares = np.arange(9.0)[None, :, None] ** 2  # (N, T, C), newest: 36, 49, 64
    >>> panel = Panel(squares, times, ("a",), ("count",), timedelta(days=1))
    >>> task = Task([Variable("count")], step="1d", horizon=2, context=5)
    >>> [DriftLine(rows).fit(panel, task).predict(panel).point[0, :, 0].tolist() for rows in (2, 3, None)]
    [[79.0, 94.0], [78.0, 92.0], [76.0, 88.0]]
    """

    traits = Traits(learns=False)

    def __init__(self, rows: int | None = None) -> None:
        self.rows = rows

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if self.rows is not None and not 2 <= self.rows <= task.context:
            raise SchemaError(
                f"DriftLine spans {self.rows} rows, the task's context is {task.context}: give from 2 to "
                f"{task.context} rows, or set the context to {max(2, self.rows)} or more"
            )
        rows = training_rows(panel, task)
        windows = filled(windows_at(panel, task, rows).values, self.means_)  # (B, N, L, V)
        errors = truth_at(panel, task, rows) - self._line(windows, task)  # (B, N, H, C)
        self.spread_ = around_point(residual_quantiles(errors, task), task)  # (H, C, Q)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return self._line(windows.values, task)[..., None] + self.spread_  # (B, N, H, C, Q)

    def _line(self, values: np.ndarray, task: Task) -> np.ndarray:
        """(B, N, H, C) along the line through the ends of the newest rows of windows (B, N, L, V) without gaps."""
        changes = (self.rows or task.context) - 1
        newest = values[:, :, -1, : len(task.targets)]  # (B, N, C)
        slope = (newest - values[:, :, -1 - changes, : len(task.targets)]) / max(1, changes)  # (B, N, C)
        return newest[:, :, None] + slope[:, :, None] * np.array(task.leads)[:, None]

    def _save(self, folder: Path) -> None:
        write_arrays(folder, spread=self.spread_)

    def _load(self, folder: Path) -> None:
        self.spread_ = read_arrays(folder)["spread"]
