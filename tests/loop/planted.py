"""Models and reducers that misbehave on purpose."""

from __future__ import annotations

import builtins
import multiprocessing
import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.reduce import Reducer, Reduction
from forecast.schema import Task
from forecast.together import Fit
from forecast.windows import Windows
from models.arrays import read_arrays, write_arrays
from models.persistence import Persistence


class Fragile(Persistence):
    """Breaks in `step` ("fit" or "predict") from the time `since` on; `error` names a builtin exception."""

    def __init__(self, step: str, since: str, error: str = "KeyError") -> None:
        super().__init__()
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


class Drifting(Forecaster):
    """The mean hourly change by series, from running sums: new rows one by one teach it what all at once would."""

    traits = Traits(updates=True)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self.sums_ = np.zeros((2, len(panel.series), len(task.targets)))  # (sum, count), N, C
        self._add(panel, task, 1)

    def _update(self, panel: Panel, task: Task) -> None:
        self._add(panel, task, self.first_new(panel))

    def _add(self, panel: Panel, task: Task, first: int) -> None:
        steps = np.diff(panel.values[:, first - 1 :, : len(task.targets)], axis=1)  # (N, T, C)
        self.sums_ = self.sums_ + np.stack([np.nansum(steps, 1), (~np.isnan(steps)).sum(1)])

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        place = [self.series_.index(name) if name in self.series_ else -1 for name in windows.series]
        slope = (self.sums_[0] / np.maximum(self.sums_[1], 1))[place]  # (N, C)
        last = windows.last_known(len(task.targets))[:, :, None]  # (B, N, 1, C)
        point = last + slope[:, None] * np.arange(1, task.horizon + 1)[:, None]  # (B, N, H, C)
        return np.repeat(point[..., None], len(task.levels), -1)

    def _save(self, folder: Path) -> None:
        write_arrays(folder, sums=self.sums_)

    def _load(self, folder: Path) -> None:
        self.sums_ = read_arrays(folder)["sums"]


class Sociable(Level):
    """`Level`, fitted in one pass with its like: their means side by side. `breaks` names a builtin exception.

    With `breaks` its fit fails, and the whole pass with it.
    """

    passes: ClassVar[list[int]] = []  # sizes of the passes of this process

    def __init__(self, breaks: str = "") -> None:
        self.breaks = breaks

    def _alike(self, panel: Panel, task: Task) -> Hashable | None:
        return len(task.targets), panel.shape[0]

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        cls.passes.append(len(fits))
        recent = np.stack([f.panel.values[:, -24:, : len(f.task.targets)] for f in fits])  # (M, N, 24, C)
        for fit, level in zip(fits, np.nanmean(recent, axis=(1, 2)), strict=True):
            if fit.model.breaks:  # type: ignore[attr-defined]
                raise getattr(builtins, fit.model.breaks)("planted")  # type: ignore[attr-defined]
            fit.model.level_ = level  # type: ignore[attr-defined]

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if self.breaks:
            raise getattr(builtins, self.breaks)("planted")
        super()._fit(panel, task, warm)
