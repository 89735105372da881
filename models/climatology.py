"""Climatology: what is usual at this hour of this season. The yardstick far ahead, where the present is forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, training_span
from models.arrays import read_arrays, write_arrays
from models.persistence import around_point, residual_quantiles

YEAR = 366
FAR = 1e-12  # weight of the days that the kernel does not reach: a season never seen takes the nearest, then the mean
DAY_US = 86_400_000_000


class Climatology(Forecaster):
    """Mean by day of year, smoothed, plus the mean departure of each time of day; intervals by time of day.

    Both are learnt per series. Days of the year never seen take the nearest ones seen. The quantiles are those of
    the training departures at the same time of day, at the exact rank of a finite sample, pooled over series, so they
    do not depend on the lead; the means were fitted to the same rows, so a short history makes them a little narrow.

    Args:
        smooth_days: standard deviation, in days, of the Gaussian that smooths the season.
    """

    traits = Traits(missing=True, regional=True)

    def __init__(self, smooth_days: float = 15.0) -> None:
        self.smooth_days = smooth_days

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        span = training_span(panel, task, training_rows(panel, task))  # (T,)
        values, times = panel.values[:, span, : len(task.targets)], panel.times[span]  # (N, t, C), (t,)
        slots, days = _slots(times, task), _days(times)  # (t,), (t,)
        usual = self.means_[:, None, : len(task.targets)]  # (N, 1, C)
        blank = np.where(np.isnan(values).all(1, keepdims=True), usual, values)  # (N, T, C)
        self.season_ = self._kernel() @ _sums(blank, days, YEAR)  # (2, N, YEAR, C) as sum and count
        self.season_ = self.season_[0] / self.season_[1]  # (N, YEAR, C)
        departure = blank - self.season_[:, days]  # (N, T, C)
        total, count = _sums(departure, slots, _slot_count(task))  # (N, S, C)
        self.day_ = total / np.maximum(count, 1)  # (N, S, C)
        self.spread_ = _by_slot(values - self.season_[:, days] - self.day_[:, slots], slots, task)  # (S, C, Q)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        times = windows.origins[:, None] + np.timedelta64(task.step) * np.array(task.leads)  # (B, H)
        slots, days = _slots(times, task), _days(times)  # (B, H)
        point = (self.season_[:, days] + self.day_[:, slots]).swapaxes(0, 1)  # (B, N, H, C)
        return point[..., None] + self.spread_[slots][:, None]  # (B, N, H, C, Q)

    def _kernel(self) -> np.ndarray:
        """(YEAR, YEAR) weights of each day for each day, round the turn of the year."""
        apart = np.abs(np.arange(YEAR)[:, None] - np.arange(YEAR))
        apart = np.minimum(apart, YEAR - apart) / self.smooth_days
        return np.exp(-(apart**2) / 2) + FAR / (1 + apart)

    def _save(self, folder: Path) -> None:
        write_arrays(folder, season=self.season_, day=self.day_, spread=self.spread_)

    def _load(self, folder: Path) -> None:
        arrays = read_arrays(folder)
        self.season_, self.day_, self.spread_ = arrays["season"], arrays["day"], arrays["spread"]


def _slot_count(task: Task) -> int:
    return max(1, DAY_US // _width(task))


def _width(task: Task) -> int:
    return int(np.timedelta64(task.step, "us").astype(np.int64))


def _slots(times: np.ndarray, task: Task) -> np.ndarray:
    """Which step of the UTC day each time is in; shape unchanged."""
    return times.astype("datetime64[us]").astype(np.int64) % DAY_US // _width(task) % _slot_count(task)


def _days(times: np.ndarray) -> np.ndarray:
    """Day of year from 0; shape unchanged."""
    return (times.astype("datetime64[D]") - times.astype("datetime64[Y]")).astype(np.int64)


def _sums(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """(2, N, G, C) sum and number of the known values (N, T, C) of each group (T,)."""
    known = ~np.isnan(values)
    member = (groups == np.arange(count)[:, None]).astype(float)  # (G, T)
    return np.stack([member @ np.where(known, values, 0), member @ known.astype(float)])


def _by_slot(departures: np.ndarray, slots: np.ndarray, task: Task) -> np.ndarray:
    """(S, C, Q) quantiles of departures (N, T, C) at each time of day, zero at the median; unseen times take all."""
    out = []
    for slot in range(_slot_count(task)):
        here = slots == slot
        chosen = departures[:, here if here.any() else slice(None)]  # (N, t, C)
        out.append(residual_quantiles(chosen[:, :, None].swapaxes(0, 1), task)[0])
    return around_point(np.stack(out), task)  # (S, C, Q)
