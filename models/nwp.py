"""NWP: the numerical weather prediction as it was issued. The yardstick from half a day ahead on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, truth_at, windows_at
from models.arrays import read_arrays, write_arrays
from models.persistence import around_point, residual_quantiles


class NWP(Forecaster):
    """The outlook itself, at every lead; intervals from its errors in training.

    Target c is forecast by the outlook variable of the same place, task.future[c]; where the task has none, or a value
    is missing, the last known value stands in.

    Args:
        unbiased: take off the mean training error of each target, common to all leads: predictions of the weather
            are for a grid box and often lie beside the thermometer by a constant.

    Raises:
        SchemaError: at fit, a panel without an outlook, where the task asks for one.
    """

    traits = Traits(exogenous=True, learns=True)

    def __init__(self, unbiased: bool = False) -> None:
        self.unbiased = unbiased

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if task.future and panel.outlook is None:
            raise SchemaError("NWP forecasts by the outlook, and the panel has none: give predictions as issued")
        rows = training_rows(panel, task)  # (B,)
        errors = truth_at(panel, task, rows) - _issued(windows_at(panel, task, rows), task)  # (B, N, H, C)
        known = ~np.isnan(errors)
        mean = np.where(known, errors, 0.0).sum((0, 1, 2)) / np.maximum(known.sum((0, 1, 2)), 1)  # (C,)
        self.bias_ = mean if self.unbiased else np.zeros_like(mean)  # (C,)
        self.spread_ = around_point(residual_quantiles(errors - self.bias_, task), task)  # (H, C, Q)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return (_issued(windows, task) + self.bias_)[..., None] + self.spread_  # (B, N, H, C, Q)

    def _save(self, folder: Path) -> None:
        write_arrays(folder, bias=self.bias_, spread=self.spread_)

    def _load(self, folder: Path) -> None:
        arrays = read_arrays(folder)
        self.bias_, self.spread_ = arrays["bias"], arrays["spread"]


def _issued(windows: Windows, task: Task) -> np.ndarray:
    """(B, N, H, C): the outlook, the last known value where there is none."""
    last = windows.last_known(len(task.targets))  # (B, N, C)
    point = np.repeat(last[:, :, None], task.horizon, axis=2)  # (B, N, H, C)
    if windows.outlook is not None:
        count, steps = min(len(task.targets), windows.outlook.shape[3]), min(task.horizon, windows.outlook.shape[2])
        said = windows.outlook[:, :, :steps, :count]  # (B, N, H', C')
        point[:, :, :steps, :count] = np.where(np.isnan(said), point[:, :, :steps, :count], said)
    return point
