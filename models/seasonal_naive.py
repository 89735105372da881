"""Seasonal naive: the same hour yesterday. The yardstick where the day repeats itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, truth_at
from models.arrays import read_arrays, write_arrays
from models.persistence import around_point, residual_quantiles


class SeasonalNaive(Forecaster):
    """The value one season before each lead; intervals from the training errors of each variable and lead.

    Leads beyond one season repeat the last season. A gap there takes the newest earlier value in the window.

    Args:
        season: rows in one season, 24 for hourly data with a daily cycle.

    Raises:
        SchemaError: at fit, if the task's context is shorter than the season.

    Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 5.2.
    """

    traits = Traits(learns=False)

    def __init__(self, season: int = 24) -> None:
        self.season = season

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if task.context < self.season or self.season < 1:
            raise SchemaError(
                f"SeasonalNaive looks {self.season} rows back, the task's context is {task.context}: "
                f"set the context to {max(1, self.season)} or more, or give a season from 1 to {task.context}"
            )
        rows = training_rows(panel, task)  # (B,)
        then = panel.values[:, rows[:, None] + self._offsets(task), : len(task.targets)]  # (N, B, H, C)
        errors = truth_at(panel, task, rows) - then.swapaxes(0, 1)  # (B, N, H, C)
        self.spread_ = around_point(residual_quantiles(errors, task), task)  # (H, C, Q)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        rows = task.context - 1 + self._offsets(task)  # (H,)
        return windows.values[:, :, rows, : len(task.targets), None] + self.spread_  # (B, N, H, C, Q)

    def _offsets(self, task: Task) -> np.ndarray:
        """(H,) rows from the origin to the value each lead repeats: none above 0."""
        return np.arange(task.horizon) % self.season + 1 - self.season

    def _save(self, folder: Path) -> None:
        write_arrays(folder, spread=self.spread_)

    def _load(self, folder: Path) -> None:
        self.spread_ = read_arrays(folder)["spread"]
