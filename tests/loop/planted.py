"""Models and reducers that misbehave on purpose."""

from __future__ import annotations

import builtins
import multiprocessing
import os
from pathlib import Path

import numpy as np

from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.reduce import Reducer, Reduction
from forecast.schema import Task
from forecast.windows import Windows
from models.arrays import read_arrays, write_arrays
from models.persistence import Persistence


class Fragile(Persistence):
    """Breaks in `step` ("fit" or "predict") from the time `since` on; `error` names a builtin exception."""

    def __init__(self, step: str, since: str, error: str = "KeyError") -> None:
        self.step = step
        self.since = since
        self.error = error

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self._break("fit", panel.times[-1])
        super()._fit(panel, task, warm)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        self._break("predict", windows.origins[-1])
        return super()._predict(windows, task)

    def _break(self, step: str, now: np.datetime64) -> None:
        if step == self.step and now >= np.datetime64(self.since):
            raise getattr(builtins, self.error)("planted")


class Deadly(Persistence):
    """Ends the process it is trained in, unless that is the main one."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if multiprocessing.parent_process() is not None:
            os._exit(9)
        super()._fit(panel, task, warm)


class Level(Forecaster):
    """Forecasts the mean of the newest day it was trained on, whatever the present: ages fast."""

    traits = Traits()

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self.level_ = np.nanmean(panel.values[:, -24:, : len(task.targets)], axis=(0, 1))  # (C,)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        shape = (*windows.values.shape[:2], task.horizon, len(task.targets), len(task.levels))
        return np.broadcast_to(self.level_[:, None], shape).copy()

    def _save(self, folder: Path) -> None:
        write_arrays(folder, level=self.level_)

    def _load(self, folder: Path) -> None:
        self.level_ = read_arrays(folder)["level"]


class Refusing(Reducer):
    """Never answers."""

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        raise ZeroDivisionError("planted")
