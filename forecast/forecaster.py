"""Forecaster: the contract of every model.

Public methods are final: they validate, cut the context, order the variables, sort and clip quantiles and
set statuses, once for all models. A model writes `_fit`, `_predict`, `_save` and `_load`; one that can take in new
rows without a refit writes `_update`, one that shares a training pass with its like `_alike` and `_fit_together`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, final

import numpy as np

from forecast.answers import OK, STATUSES, issued, placed, statuses
from forecast.errors import NotFittedError, SchemaError, ShortHistoryError
from forecast.panel import Panel, moment, stamp
from forecast.portrait import Matrix
from forecast.result import Forecast, Status
from forecast.scales import means_and_scale
from forecast.schema import Task
from forecast.traits import Traits
from forecast.windows import Windows, filled, origin_rows, training_rows, training_span, windows_at

if TYPE_CHECKING:
    from forecast.together import Fit

__all__ = ["Forecaster", "Traits"]

CHUNK = 4_000_000  # window values per call of `_predict`: bounds memory of long backtests


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
            panel, warm = self._begin(panel, task, warm)
            self._fit(panel, task, warm)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _begin(self, panel: Panel, task: Task, warm: bool) -> tuple[Panel, bool]:
        """Check, scale and note what a fit is about: the panel for `_fit`, and whether there is a state to continue."""
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
        self.means_, self.scale_ = means_and_scale(panel.values[:, training_span(panel, task, rows)], task)
        known = ~np.isnan(panel.values[..., : len(task.targets)]).all((0, 2))  # (T,)
        self.task_, self.series_, self.data_end_ = task, panel.series, moment(panel.times[known][-1])
        return panel, same

    def means_of(self, series: Sequence[str]) -> np.ndarray:
        """(N, V) training means of `series`; those that training did not know have the mean over all that it did."""
        if tuple(series) == self.series_:
            return self.means_
        place = {name: i for i, name in enumerate(self.series_)}
        usual = self.means_.mean(0)  # (V,)
        return np.stack([self.means_[place[s]] if s in place else usual for s in series])

    @final
    def update(self, panel: Panel) -> Self:
        """Take in the rows newer than `data_end_` without a refit; rows up to it are not learnt twice.

        Several steps equal one, and without new rows nothing happens. Means and scales stay those of the fit, series
        that the fit did not know are left out.

        Args:
            panel: reaches at least `task.context + task.horizon` rows back from the first new one; `keep` is ignored.

        Raises:
            NotFittedError: not fitted. SchemaError: the model has not `traits.updates`, or another step.
            ShortHistoryError: the panel does not reach far enough back.

        An update that fails leaves the model as it was.
        """
        if self.task_ is None or self.data_end_ is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit(panel, task) before update(panel)")
        if not self.traits.updates:
            raise SchemaError(f"{type(self).__name__} cannot take in rows one by one: fit it again")
        task, panel = self.task_, self._checked(panel, self.task_).align(self.series_)
        first, need = self.first_new(panel), task.context + task.horizon
        known = ~np.isnan(panel.values[..., : len(task.targets)]).all((0, 2))  # (T,)
        if not known[first:].any():
            return self
        if first < need:
            raise ShortHistoryError(
                f"an update of {type(self).__name__} needs at least {need} rows before the first new one (context "
                f"{task.context} + horizon {task.horizon}), the panel has {first}: give a longer panel, or fit again"
            )
        panel = panel.until(moment(panel.times[known][-1]))
        before = dict(vars(self))
        try:
            self._update(panel.with_keep(np.ones(len(panel.times), bool)), task)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        self.data_end_ = panel.end
        return self

    def first_new(self, panel: Panel) -> int:
        """The panel's first row that is newer than `data_end_`."""
        assert self.data_end_ is not None
        return int(np.searchsorted(panel.times, stamp(self.data_end_), side="right"))

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
        rows = origin_rows(panel, list(origins), task.context)
        size = panel.shape[0] * task.context * panel.shape[2]
        chunk = max(1, CHUNK // max(size, 1))
        out: list[Forecast] = []
        for start in range(0, len(rows), chunk):
            out += self._forecasts(windows_at(panel, task, rows[start : start + chunk]), task, asked)
        return out

    @final
    def portrait(self) -> dict[str, Matrix]:
        """What a fitted model shows of itself, as matrices by name; most show nothing.

        Raises:
            NotFittedError: not fitted.
        """
        if self.task_ is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit(panel, task) before portrait()")
        return self._portrait()

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

    def _update(self, panel: Panel, task: Task) -> None:
        """Learn the rows from `first_new(panel)` on, `data_end_` being still the old end; see `traits.updates`.

        The panel is as in `_fit`, ends at its newest row with a target, and has the series of the fit. New are the
        truths in those rows: pairs of origin and lead with origin + lead >= first_new. Assign new arrays, do not
        write into the old ones: what fails is undone.
        """
        raise NotImplementedError(f"{type(self).__name__} has traits.updates but no `_update`")

    def _alike(self, panel: Panel, task: Task) -> Hashable | None:
        """Models of one class with equal keys may be fitted in one pass; None: never. Called as `_fit` would be."""
        return None

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        """Fit models that are alike, each as `_fit` would; here one after another."""
        for fit in fits:
            fit.model._fit(fit.panel, fit.task, fit.warm)

    @abstractmethod
    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        """Quantiles (B, N, H, C, Q) in the units of the targets; any number for dead series.

        Quantiles that cross are put in order around the median, which stays as it was given.
        """

    def _portrait(self) -> dict[str, Matrix]:
        """See `portrait`; a model with others inside shows what they show."""
        return {}

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

    def _forecasts(self, windows: Windows, task: Task, asked: tuple[str, ...]) -> list[Forecast]:
        targets = len(task.targets)
        status = statuses(windows.values[..., :targets], task)  # (B, N) indices of STATUSES
        if not self.traits.missing:
            values = filled(windows.values, self.means_of(windows.series))
            windows = Windows(values, windows.origins, windows.outlook, windows.series)
        values = np.array(self._predict(windows, task), float)  # (B, N, H, C, Q)
        expected = (*status.shape, task.horizon, targets, len(task.levels))
        if values.shape != expected:
            raise SchemaError(f"{type(self).__name__} returned quantiles of shape {values.shape}, expected {expected}")
        values = issued(values, task)
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
            values, status = placed(values, status, place)  # (N, H, C, Q), (N,)
        words = tuple(STATUSES[code] for code in status.tolist()) if status.any() else (Status.OK,) * len(status)
        return Forecast(moment(origin), task.step, asked, task.target_names, tuple(task.levels), words, values)
