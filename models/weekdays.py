"""Weekdays: any model on the days of a market, Monday to Friday, inside a calendar of all days.

For daily tables of what is traded five days a week: on the calendar a model would learn two gaps a week, and a week of
rows would not be the five sessions that it stands for.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment, stamp
from forecast.portrait import Matrix
from forecast.schema import Task
from forecast.together import Fit, fit_together
from forecast.windows import Windows, training_rows, training_span
from models.inside import read_inside, said, write_inside
from models.persistence import Persistence

DAY, STEP = timedelta(days=1), timedelta(days=7) / 5
NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
POINT = Persistence()


class Weekdays(Forecaster):
    """A model that is shown Monday to Friday of a daily panel only, as evenly spaced rows, and asked for weekdays.

    A weekday without a value (a holiday) takes the newest earlier weekday's, if that is within the task's patience;
    what stands on Saturdays and Sundays is not seen. Training origins on a weekend are dropped: they repeat Friday's.
    The context inside is the fewest weekdays that so many consecutive days hold (10 of 14), the horizon the most (5 of
    7). A weekend day is answered with the weekday before it, or where the horizon begins with it, with the first
    weekday. With another step than one day the model is asked as it is.

    Rows inside are 7/5 days apart, Mondays at their own time: the day of the year stays right within two days, and what
    a model takes for the hour of day tells the weekday.

    Args:
        model: any Forecaster; it is copied, never fitted itself.

    Raises:
        SchemaError: at fit, a context of fewer than three days, which may hold no weekday; a panel with twice as many
            values on a Saturday or Sunday as on some weekday: its days are others than Monday to Friday.

    >>> import numpy as np
    >>> from forecast.schema import Variable
    >>> days = np.arange("2024-01-01", "2024-02-03", dtype="datetime64[D]").astype("datetime64[us]")
    >>> level = np.where(weekday(days) < 5, np.arange(33.0), np.nan)
    >>> panel = Panel(level[None, :, None], days, ("a",), ("open",), DAY)
    >>> task = Task([Variable("open")], step="1d", context=14, horizon=7)
    >>> Weekdays().fit(panel, task).predict(panel).point[0, :, 0].tolist()  # Friday's, for the week to come
    [32.0, 32.0, 32.0, 32.0, 32.0, 32.0, 32.0]
    """

    model_: Forecaster

    def __init__(self, model: Forecaster = POINT) -> None:
        self.model = model
        self.traits = replace(model.traits, missing=True, seeded=False)

    @property
    def min_origins(self) -> int:  # type: ignore[override]
        return self.model.min_origins

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self.model_ = deepcopy(self.model_ if warm else self.model).fit(*packed(panel, task), warm=warm)

    def _alike(self, panel: Panel, task: Task) -> Hashable | None:
        inner, asked = packed(panel, task)
        key = self.model._alike(self.model._checked(inner, asked), asked)
        return None if key is None else (type(self.model), key)

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        inner = []
        for fit in fits:
            assert isinstance(fit.model, Weekdays)
            model = deepcopy(fit.model.model_ if fit.warm else fit.model.model)
            inner.append(Fit(model, *packed(fit.panel, fit.task), fit.warm))
        for failure in fit_together(inner):
            if failure is not None:  # then each is fitted alone
                raise failure
        for fit, one in zip(fits, inner, strict=True):
            fit.model.model_ = one.model  # type: ignore[attr-defined]

    def _update(self, panel: Panel, task: Task) -> None:
        self.model_ = deepcopy(self.model_).update(packed(panel, task)[0])

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        if task.step != DAY:
            return said(self.model_, windows, task)
        inner, at = inside(task), weekday(windows.origins)  # (B,)
        shown = Windows(
            _newest(_carried(windows.values, windows.origins, task.patience), at, inner.context),
            evened(windows.origins),
            None if windows.outlook is None else _ahead(windows.outlook, at),
            windows.series,
        )
        leads = np.maximum(np.cumsum(coming(at, task.horizon) < 5, axis=1), 1) - 1  # (B, H)
        return np.take_along_axis(said(self.model_, shown, inner), leads[:, None, :, None, None], axis=2)

    def _portrait(self) -> dict[str, Matrix]:
        return self.model_.portrait()

    def _save(self, folder: Path) -> None:
        write_inside(self.model_, folder)

    def _load(self, folder: Path) -> None:
        assert self.task_ is not None
        assert self.data_end_ is not None
        self.model_ = deepcopy(self.model)
        read_inside(self.model_, inside(self.task_), self, folder)
        if self.task_.step == DAY:
            self.model_.data_end_ = _evened(self.data_end_)


def inside(task: Task) -> Task:
    """What the inner model is asked.

    >>> from forecast.schema import Variable
    >>> task = inside(Task([Variable("open")], step="1d", context=14, horizon=7))
    >>> task.context, task.horizon
    (10, 5)
    """
    if task.step != DAY:
        return task
    context = fewest(task.context)
    if not context:
        raise SchemaError(f"a context of {task.context} days may hold no weekday: set task.context to 3 or more")
    return replace(task, step=STEP, context=context, horizon=most(task.horizon), patience=most(task.patience))


def packed(panel: Panel, task: Task) -> tuple[Panel, Task]:
    """What a fit shows the inner model, and what it is asked.

    Rows outside the contexts and truths of the training origins are left empty, as a horizon inside may reach further
    than the one outside; so are those after the newest target, which are not known yet.
    """
    asked = inside(task)
    if task.step != DAY:
        return panel, asked
    rows, values = training_rows(panel, task), panel.values.copy()  # (B,), (N, T, V)
    known = ~np.isnan(values[..., : len(task.targets)]).all((0, 2))  # (T,)
    seen = training_span(panel, task, rows) & (np.arange(len(known)) < len(known) - known[::-1].argmax())  # (T,)
    values[:, ~seen] = np.nan
    days = weekday(panel.times)  # (T,)
    _check_days(days[known])
    values = _filled(values, days, task.patience)  # (N, T, V)
    values[:, ~seen] = np.nan
    keep = np.zeros(len(days), bool)
    keep[rows] = True
    outlook = None
    if panel.outlook is not None:
        outlook = _ahead(panel.outlook[:, days < 5].swapaxes(0, 1), days[days < 5]).swapaxes(0, 1)  # (N, T', K', F)
    shown = replace(
        panel, values=values[:, days < 5], times=evened(panel.times[days < 5]), step=STEP, keep=keep[days < 5],
        outlook=outlook,
    )  # fmt: skip
    return shown, asked


def weekday(times: np.ndarray) -> np.ndarray:
    """Of datetime64 times, in UTC: 0 for Monday to 6 for Sunday.

    >>> weekday(np.array(["2024-01-01", "2024-01-07"], "datetime64[us]")).tolist()
    [0, 6]
    """
    return (times.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970 began on a Thursday


def _check_days(days: np.ndarray) -> None:
    """Refuse weekdays (T,) of the rows with values that are no market's of Monday to Friday, whole weeks of them."""
    counts = np.bincount(days, minlength=7)  # (7,)
    rare, often = int(counts[:5].argmin()), 5 + int(counts[5:].argmax())
    if counts[often] > 4 + 2 * counts[rare]:
        raise SchemaError(
            f"{counts[often]} {NAMES[often]} have values, {counts[rare]} {NAMES[rare]} do: Weekdays is for Monday to "
            "Friday in UTC. If the dates were read in another zone, read them with zone: UTC; else take the model alone"
        )


def evened(times: np.ndarray) -> np.ndarray:
    """Times whose weekdays are evenly spaced by 7/5 days, Mondays as they are, weekends as their Friday."""
    days = weekday(times)  # (T,)
    move = np.minimum(days, 4) * np.timedelta64(STEP) - days * np.timedelta64(DAY)  # (T,)
    return (times + move).astype("datetime64[us]")


def _evened(time: datetime) -> datetime:
    return moment(evened(np.array([stamp(time)], "datetime64[us]"))[0])


def fewest(days: int) -> int:
    """Weekdays that any `days` consecutive days hold.

    >>> fewest(14), fewest(9), fewest(2)
    (10, 5, 0)
    """
    return days // 7 * 5 + max(0, days % 7 - 2)


def most(days: int) -> int:
    """Weekdays that `days` consecutive days can hold.

    >>> most(7), most(9), most(3)
    (5, 7, 3)
    """
    return days // 7 * 5 + min(5, days % 7)


def coming(at: np.ndarray, days: int) -> np.ndarray:
    """(B, days) weekdays of the days after those whose weekdays are `at` (B,)."""
    return (at[:, None] + np.arange(1, days + 1)) % 7


def _carried(values: np.ndarray, origins: np.ndarray, patience: int) -> np.ndarray:
    """Windows (B, N, L, V) that end at their origins, holidays filled forward, weekends empty."""
    days = weekday(origins[:, None] - np.arange(values.shape[2])[::-1] * np.timedelta64(DAY))  # (B, L)
    return _filled(values, days[:, None], patience)


def _filled(values: np.ndarray, days: np.ndarray, patience: int) -> np.ndarray:
    """(..., T, V) with gaps filled from weekdays at most `patience` rows before; `days` (..., T) their weekdays."""
    own = np.where((days < 5)[..., None], values, np.nan)  # (..., T, V)
    rows = np.arange(own.shape[-2])[:, None]  # (T, 1)
    newest = np.maximum.accumulate(np.where(np.isnan(own), 0, rows), axis=-2)  # (..., T, V)
    return np.where(rows - newest <= patience, np.take_along_axis(own, newest, axis=-2), np.nan)


def _newest(values: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    """(B, N, count, V): the newest weekdays of windows (B, N, L, V) that end on weekdays `at` (B,)."""
    back = np.arange(values.shape[2])[::-1]  # (L,)
    of = np.stack([np.flatnonzero((day - back) % 7 < 5)[-count:] for day in range(7)])  # (7, count)
    return np.take_along_axis(values, of[at][:, None, :, None], axis=2)


def _ahead(outlook: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(B, N, K', F): the weekdays of an outlook (B, N, K, F) seen on weekdays `at` (B,), NaN beyond its end."""
    count = most(outlook.shape[2])
    order = np.argsort(coming(at, outlook.shape[2]) > 4, axis=1, kind="stable")[:, :count]  # (B, K') weekdays first
    there = np.take_along_axis(coming(at, outlook.shape[2]) < 5, order, axis=1)  # (B, K')
    found = np.take_along_axis(outlook, order[:, None, :, None], axis=2)  # (B, N, K', F)
    return np.where(there[:, None, :, None], found, np.nan)
