"""Pooled ridge: what all series have in common as one set of equations, what each has of its own as a correction.

For panels of many series with cycles (a day, a week) and a horizon of one or more of them: the strongest forecast of
its cost on the hourly series of the M4 competition.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, training_span
from models.arrays import read_arrays, write_arrays
from models.lines import bridged
from models.residuals import Residuals
from models.ridges.pooling import Own, Pool

PENALTIES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
FAR = 30.0  # labels further than so many deviations of their window are pulled to there
FLAT = 1e-9  # a deviation below this part of the level is arithmetic, not data
FEW = 4  # rows below which a series has no equations of its own
NOTED = 256  # at most so many errors of a series, evenly spaced, give the intervals


class PooledRidge(Forecaster):
    """Direct linear forecasts of every lead, pooled over series and corrected per series.

    Each window is centred by its mean over the last season and divided by its own deviation. One ridge over all
    series, each counting the same, gives the pooled equations; a second one per series, on what they leave over, is
    pulled to zero by a penalty chosen by the mean absolute error on contiguous folds. So a short or noisy series
    follows the others, a long and peculiar one goes its own way, and a series never seen has the pooled equations.
    Intervals: quantiles of the errors on the folds left out, by lead, times each series' own width.

    A series' inner gaps are bridged by straight lines; windows less than half known teach nothing, and those whose
    truths reach beyond the end neither. With fewer rows than a horizon after the context, the forecast is the mean of
    the last season. Other targets and past inputs are not used.

    Args:
        season: rows of the shortest cycle: 24 for hourly data.
        recent: newest rows of the window that are inputs.
        cycles: longer cycles in rows (168, a week): the rows one cycle before each lead are inputs, where the context
            reaches back so far.
        log: forecast the logarithm, where all training values of a target are positive.
        penalties: to choose from, relative to the mean variance of the inputs. folds: contiguous parts of a series.

    Source: Gelman and Hill 2007, "Data Analysis Using Regression and Multilevel Models", ch. 12 (partial pooling);
    Montero-Manso and Hyndman 2021, "Principles and algorithms for forecasting groups of time series" (pooled, scaled
    window by window); Hoerl and Kennard 1970 (ridge).
    """

    traits = Traits(named=True)

    def __init__(
        self,
        season: int = 24,
        recent: int = 48,
        cycles: Sequence[int] = (168,),
        log: bool = False,
        penalties: Sequence[float] = PENALTIES,
        folds: int = 5,
    ) -> None:
        self.season = season
        self.recent = recent
        self.cycles = cycles
        self.log = log
        self.penalties = penalties
        self.folds = folds

    def lags(self, task: Task) -> np.ndarray:
        """(F,) rows before the origin that are inputs, increasing; 0 is the newest."""
        ahead = [cycle - np.array(task.leads) for cycle in self.cycles]
        lags = np.unique(np.concatenate([np.arange(self.recent), *ahead]))  # (F,)
        return lags[(lags >= 0) & (lags < task.context)]

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)  # (B,)
        span, count = training_span(panel, task, rows), len(task.targets)  # (T,)
        values = np.where(span[:, None], panel.values[..., :count], np.nan)  # (N, T, C)
        self.logs_ = np.array([self.log and bool(np.nanmin(values[..., c]) > 0) for c in range(count)])  # (C,)
        rows = rows[rows + task.horizon < len(panel.times)]
        lags, lines = self.lags(task), [(n, c) for n in range(len(values)) for c in range(count)]
        pools = [Pool(len(lags), task.horizon) for _ in range(count)]
        for n, c in lines:
            pools[c].add(*self._table(values[n, :, c], rows, task, c))
        self.pooled_ = np.stack([pool.solve() for pool in pools])  # (C, F, H)
        self.weights_ = np.repeat(self.pooled_[None], len(values), 0)  # (N, C, F, H)
        self.bias_ = np.zeros((*self.weights_.shape[:2], task.horizon))  # (N, C, H)
        errors = np.full((NOTED, len(values), task.horizon, count), np.nan)  # (B, N, H, C)
        for n, c in lines:
            self._learn_own(n, c, *self._table(values[n, :, c], rows, task, c), errors)
        self.residuals_ = Residuals.of(errors, task)

    def _learn_own(self, n: int, c: int, x: np.ndarray, y: np.ndarray, errors: np.ndarray) -> None:
        """The equations of one series and target, from its rows (R, F) and labels (R, H)."""
        if len(x) < FEW:
            return
        own = Own.of(x, y - x @ self.pooled_[c], self.penalties, self.folds, y.shape[1])
        self.weights_[n, c] += own.weights
        self.bias_[n, c] = own.bias
        noted = own.errors[:: -(-len(x) // NOTED)]  # (r, H)
        errors[: len(noted), n, :, c] = noted

    def _table(self, line: np.ndarray, rows: np.ndarray, task: Task, c: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (R, F) and labels (R, H) of one series (T,) at those of the origins `rows` (B,) that can teach."""
        line = np.log(line) if self.logs_[c] else line
        width, whole = task.context + task.horizon, bridged(line)
        starts = rows - (task.context - 1)  # (B,)
        known = np.concatenate([[0], (~np.isnan(line)).cumsum()])  # (T+1,)
        half = 2 * (known[rows + 1] - known[starts]) >= task.context  # (B,)
        half &= 2 * (known[starts + width] - known[rows + 1]) >= task.horizon
        blocks = whole[starts[half][:, None] + np.arange(width)]  # (R, L+H)
        blocks = blocks[~np.isnan(blocks).any(1)]
        x, level, scale = self._inputs(blocks[:, : task.context], task)
        return x, np.clip((blocks[:, task.context :] - level) / scale, -FAR, FAR)

    def _inputs(self, windows: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs (..., F), levels (..., 1) and scales (..., 1) of windows (..., L) without gaps."""
        level = windows[..., -self.season :].mean(-1, keepdims=True)  # (..., 1)
        scale = windows.std(-1, keepdims=True)  # (..., 1)
        scale = np.where(scale > FLAT * np.abs(level), scale, 1.0)
        return (windows[..., task.context - 1 - self.lags(task)] - level) / scale, level, scale

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        values = windows.values[..., : len(task.targets)].swapaxes(-1, -2)  # (B, N, C, L)
        logs = self.logs_[:, None]  # (C, 1)
        values = np.where(logs, np.log(np.where(logs, np.maximum(values, np.finfo(float).tiny), 1.0)), values)
        x, level, scale = self._inputs(values, task)  # (B, N, C, F), (B, N, C, 1), (B, N, C, 1)
        weights, bias = self._equations(windows.series)
        point = np.einsum("bncf,ncfh->bnhc", x, weights, optimize=True) + bias.swapaxes(-1, -2)  # (B, N, H, C)
        spread = self.residuals_.around(point, windows.series, self.series_)  # (B, N, H, C, Q)
        level, scale = level.swapaxes(-1, -2)[..., None], scale.swapaxes(-1, -2)[..., None]  # (B, N, 1, C, 1)
        found = level + scale * spread
        return np.where(logs, np.exp(np.where(logs, np.minimum(found, 700.0), 0.0)), found)  # (B, N, H, C, Q)

    def _equations(self, series: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(N, C, F, H) weights and (N, C, H) biases of `series`; the pooled ones for those never seen."""
        if tuple(series) == self.series_:
            return self.weights_, self.bias_
        place = {name: i for i, name in enumerate(self.series_)}
        weights = np.stack([self.weights_[place[s]] if s in place else self.pooled_ for s in series])
        return weights, np.stack([self.bias_[place[s]] if s in place else np.zeros_like(self.bias_[0]) for s in series])

    def _save(self, folder: Path) -> None:
        write_arrays(
            folder,
            logs=self.logs_,
            pooled=self.pooled_,
            weights=self.weights_,
            bias=self.bias_,
            shape=self.residuals_.shape,
            widths=self.residuals_.widths,
        )

    def _load(self, folder: Path) -> None:
        arrays = read_arrays(folder)
        self.logs_, self.pooled_, self.weights_, self.bias_ = (
            arrays[name] for name in ("logs", "pooled", "weights", "bias")
        )
        self.residuals_ = Residuals(arrays["shape"], arrays["widths"])
