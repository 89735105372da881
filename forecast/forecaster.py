"""Forecaster: the contract of every model.

Public methods are final: they validate, cut the context, order the variables, sort and clip quantiles and
set statuses, once for all models. A model writes `_fit`, `_predict`, `_save` and `_load`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Self, final

import numpy as np

from forecast.errors import NotFittedError, SchemaError, ShortHistoryError
from forecast.panel import Panel, moment, stamp
from forecast.result import Forecast, Status
from forecast.schema import Task
from forecast.windows import Windows, filled, training_rows, training_span, windows_at

STATUSES = (Status.OK, Status.STALE, Status.MISSING)
OK = STATUSES.index(Status.OK)
ROUNDING = 1e-12  # a spread below this part of the mean is arithmetic, not data
CHUNK = 4_000_000  # window values per call of `_predict`: bounds memory of long backtests


@dataclass(frozen=True)
class Traits:
    """What a model can do.

    learns: `fit` changes its forecasts. warms: `fit(warm=True)` continues from the present state.
    exogenous: uses the outlook. missing: takes NaN inputs as they are (else the base fills them).
    multivariate: past inputs and other targets are inputs. regional: the other series are inputs too, so
    it forecasts only the series it was fitted on. seeded: uses chance, and has a `seed`.
    """

    learns: bool = True
    warms: bool = False
    exogenous: bool = False
    missing: bool = False
    multivariate: bool = False
    regional: bool = False
    seeded: bool = False


class Forecaster(ABC):
    """Base of all models. Constructors only store; what is learnt ends in an underscore."""

    traits: Traits = Traits()
    min_origins: ClassVar[int] = 1

    task_: Task | None = None
    series_: tuple[str, ...] = ()
    data_end_: datetime | None = None  # newest training row with a value of any target
    scale_: np.ndarray  # (C,) standard deviation of each target over the training rows, the mean of the series' own
    means_: np.ndarray  # (N, V) mean of each series and variable over the training rows

    @final
    def fit(self, panel: Panel, task: Task, *, warm: bool = False) -> Self:
        """Learn from every row the panel's `keep` allows.

        Args:
            panel: history; its variables must include the task's.
            task: the question.
            warm: continue from the present state where `traits.warms`; else start anew.

        Raises:
            UnknownNameError: a variable of the task is not in the panel.
            SchemaError: wrong step, or a target without any value.
            ShortHistoryError: too few rows; the message names how many are needed.

        A fit that fails leaves the model as it was.
        """
        before = dict(vars(self))
        try:
            self._learn(panel, task, warm)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _learn(self, panel: Panel, task: Task, warm: bool) -> None:
        panel = self._checked(panel, task)
        rows = training_rows(panel, task)
        if len(rows) < self.min_origins:
            need = task.context + self.min_origins
            raise ShortHistoryError(
                f"{type(self).__name__} needs at least {need} rows (context {task.context} + {self.min_origins}), "
                f"the panel has {len(panel.times)} with {len(rows)} usable origins: "
                "give a longer history or a shorter context"
            )
        same = warm and self.traits.warms and self.task_ == task and self.series_ == panel.series
        self._scale(panel.values[:, training_span(panel, task, rows)], task)
        known = ~np.isnan(panel.values[..., : len(task.targets)]).all((0, 2))  # (T,)
        self.task_, self.series_, self.data_end_ = task, panel.series, moment(panel.times[known][-1])
        self._fit(panel, task, same)

    def _scale(self, values: np.ndarray, task: Task) -> None:
        """Means and scales of the values (N, T, V) that training sees, and nothing else.

        Each series has its own, so that differences of level between series are no spread. A series without a
        value of a variable has that variable's mean over the others.
        """
        known = ~np.isnan(values)  # (N, T, V)
        some = known.any(1)  # (N, V)
        for c, name in enumerate(task.target_names):
            if not some[:, c].any():
                raise SchemaError(
                    f"target '{name}' has no value in any of the {len(values)} series: nothing to learn from"
                )
        counts, live = np.maximum(known.sum(1), 1), np.maximum(some.sum(0), 1)  # (N, V), (V,)
        own = np.where(known, values, 0.0).sum(1) / counts  # (N, V)
        spread = np.sqrt((np.where(known, values - own[:, None], 0.0) ** 2).sum(1) / counts)  # (N, V)
        spread = np.where(spread > ROUNDING * np.abs(own), spread, 0.0)  # (N, V)
        self.means_ = np.where(some, own, own.sum(0) / live)
        scale = (spread.sum(0) / live)[: len(task.targets)]  # (C,)
        self.scale_ = np.where(scale > 0, scale, 1.0)

    def means_of(self, series: Sequence[str]) -> np.ndarray:
        """(N, V) training means of `series`; those that training did not know have the mean over all that it did."""
        if tuple(series) == self.series_:
            return self.means_
        place = {name: i for i, name in enumerate(self.series_)}
        usual = self.means_.mean(0)  # (V,)
        return np.stack([self.means_[place[s]] if s in place else usual for s in series])

    @final
    def predict(self, panel: Panel) -> Forecast:
        """Forecast from the panel's newest row.

        Raises:
            NotFittedError, UnknownNameError, SchemaError, ShortHistoryError: as in `fit`.
        """
        return self.predict_at(panel, [panel.end])[0]

    @final
    def predict_at(self, panel: Panel, origins: Iterable[datetime]) -> list[Forecast]:
        """Forecasts from several origins of one panel in few calls of the model (a backtest without refitting).

        Each sees the context before its origin and nothing later.
        """
        if self.task_ is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit(panel, task) or load(folder) first")
        task, asked = self.task_, panel.series
        panel = self._checked(panel, task)
        if self.traits.regional:
            panel = panel.align(self.series_)
        rows = self._rows_of(panel, list(origins), task)
        size = panel.shape[0] * task.context * panel.shape[2]
        chunk = max(1, CHUNK // max(size, 1))
        out: list[Forecast] = []
        for start in range(0, len(rows), chunk):
            out += self._forecasts(windows_at(panel, task, rows[start : start + chunk]), task, asked)
        return out

    @final
    def save(self, folder: Path | str) -> None:
        """Write manifest.json and the model's own files (safetensors, ubj, JSON; never pickle)."""
        from forecast.saving import write

        write(self, Path(folder))

    @staticmethod
    @final
    def load(folder: Path | str, allowed: Sequence[str] = ("forecast", "models")) -> Forecaster:
        """The model a folder holds; `CorruptModelError` if it is incomplete or altered."""
        from forecast.saving import read

        return read(Path(folder), allowed)

    @classmethod
    @final
    def prepare(cls) -> None:
        """Load what the first `fit` of a process would load, so that its cost is nobody's training."""
        cls._prepare()

    @classmethod  # noqa: B027  (most models load everything with their module)
    def _prepare(cls) -> None:
        """Import the libraries that only `_fit` needs."""

    @abstractmethod
    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        """Learn. `panel` holds the task's variables in order, targets first; `training_rows` gives the origins."""

    @abstractmethod
    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        """Quantiles (B, N, H, C, Q) in the units of the targets; any number for dead series.

        Quantiles that cross are put in order around the median, which stays as it was given.
        """

    @abstractmethod
    def _save(self, folder: Path) -> None:
        """Write what was learnt into `folder`."""

    @abstractmethod
    def _load(self, folder: Path) -> None:
        """Read back what `_save` wrote."""

    def _checked(self, panel: Panel, task: Task) -> Panel:
        if panel.step != task.step:
            raise SchemaError(
                f"the panel has step {panel.step}, the task {task.step}: resample the data or change the task"
            )
        if self.traits.exogenous:
            panel = panel.with_outlook([v.name for v in task.future])
        return panel.select(task.names)

    @staticmethod
    def _rows_of(panel: Panel, origins: list[datetime], task: Task) -> np.ndarray:
        wanted = np.array([stamp(o) for o in origins], "datetime64[us]")  # (B,)
        rows = np.searchsorted(panel.times, wanted)  # (B,)
        absent = (rows >= len(panel.times)) | (panel.times[np.minimum(rows, len(panel.times) - 1)] != wanted)
        if absent.any():
            raise SchemaError(f"origin {moment(wanted[absent][0])} is not on the panel's grid")
        if (rows < task.context - 1).any():
            raise ShortHistoryError(
                f"a forecast from {moment(wanted[rows.argmin()])} needs {task.context} rows up to it, "
                f"the panel has {rows.min() + 1}: give a longer panel or a shorter context"
            )
        return rows

    def _forecasts(self, windows: Windows, task: Task, asked: tuple[str, ...]) -> list[Forecast]:
        targets = len(task.targets)
        status = _statuses(windows.values[..., :targets], task)  # (B, N) indices of STATUSES
        if not self.traits.missing:
            values = filled(windows.values, self.means_of(windows.series))
            windows = Windows(values, windows.origins, windows.outlook, windows.series)
        values = np.array(self._predict(windows, task), float)  # (B, N, H, C, Q)
        expected = (*status.shape, task.horizon, targets, len(task.levels))
        if values.shape != expected:
            raise SchemaError(f"{type(self).__name__} returned quantiles of shape {values.shape}, expected {expected}")
        values = _ordered(values, task.median)
        for c, variable in enumerate(task.targets):
            np.clip(values[..., c, :], variable.lower, variable.upper, out=values[..., c, :])
        values[status != OK] = np.nan
        place = (
            [windows.series.index(s) if s in windows.series else -1 for s in asked] if asked != windows.series else None
        )
        return [self._one(o, task, asked, s, v, place) for o, s, v in zip(windows.origins, status, values, strict=True)]

    @staticmethod
    def _one(
        origin: np.datetime64,
        task: Task,
        asked: tuple[str, ...],
        status: np.ndarray,
        values: np.ndarray,
        place: list[int] | None,
    ) -> Forecast:
        if place is not None:
            known = np.array(place) >= 0
            status = np.where(known, status[place], STATUSES.index(Status.MISSING))  # (N,)
            values = np.where(known[:, None, None, None], values[place], np.nan)  # (N, H, C, Q)
        statuses = tuple(STATUSES[code] for code in status.tolist()) if status.any() else (Status.OK,) * len(status)
        return Forecast(moment(origin), task.step, asked, task.target_names, tuple(task.levels), statuses, values)


def _ordered(values: np.ndarray, median: int) -> np.ndarray:
    """Quantiles (..., Q) in order. The median stays the model's point: what is on its wrong side moves onto it."""
    point = values[..., median, None]  # (..., 1)
    below, above = np.minimum(values[..., :median], point), np.maximum(values[..., median + 1 :], point)
    return np.concatenate([np.sort(below, axis=-1), point, np.sort(above, axis=-1)], axis=-1)


def _statuses(values: np.ndarray, task: Task) -> np.ndarray:
    """(B, N) indices of STATUSES, from the targets' windows (B, N, L, C).

    A series is ok if every target is fresh and half of its context is known.
    """
    known = ~np.isnan(values)  # (B, N, L, C)
    if known.all():
        return np.full(values.shape[:2], OK)
    age = np.where(known.any(2), known[:, :, ::-1].argmax(2), values.shape[2])  # (B, N, C)
    few = (known.sum(2) * 2 < values.shape[2]).any(-1)  # (B, N)
    stale = (age > task.patience).any(-1)  # (B, N)
    gone = (~known.any(2)).any(-1)  # (B, N)
    missing, late = STATUSES.index(Status.MISSING), STATUSES.index(Status.STALE)
    return np.select([gone, stale, few], [missing, late, missing], OK)
