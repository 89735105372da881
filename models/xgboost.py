"""XGBoost: boosted trees over lags, neighbours and calendar. The first choice where CPU seconds count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, training_span, truth_at, windows_at
from models.arrays import read_arrays, write_arrays
from models.boosting import Boosters, Trees, grow, read_boosters, scores, write_boosters
from models.residuals import Residuals, held_out
from models.tabular import CHUNK, Inputs, features, most_alike, table

STRATEGIES = ("multi", "direct", "recursive")
SMALL, LOCAL = Trees(), Inputs()


class XGBoost(Forecaster):
    """Gradient boosted trees, one table for all series.

    The table has one row per origin and series: the series' own lags, the last values of its most similar
    neighbours, the calendar. What is learnt is the change from the last known value, each lead divided by its
    standard deviation. Gaps are inputs like any other. Intervals are quantiles of the errors on days held out of
    the training. Deterministic for a given seed and number of threads.

    Args:
        trees: how trees are grown. inputs: which columns the rows have.
        strategy: `multi`, one booster per target whose leaves hold all leads (Zhang and Jung 2021, "GBDT-MO");
            `direct`, one booster per target and lead on the same bins; `recursive`, one-step boosters applied H
            times, for tasks without past inputs and outlook.
        holdout: every how many days (blocks of 4 H rows) one is kept from training, for the intervals; 0 keeps
            none and takes the narrower errors of the training itself. A task with no level but 0.5 holds out none.
        threads: threads for training and forecasting. seed: of the draws of rows and columns.

    Raises:
        UnknownNameError: a strategy that does not exist.
        SchemaError: at fit, `recursive` with past inputs or an outlook, whose future values nothing forecasts.

    Source: Chen and Guestrin 2016, "XGBoost: A Scalable Tree Boosting System", KDD.
    """

    traits = Traits(exogenous=True, missing=True, multivariate=True, regional=True, seeded=True)

    def __init__(
        self,
        trees: Trees = SMALL,
        inputs: Inputs = LOCAL,
        strategy: str = "multi",
        holdout: int = 10,
        threads: int = 1,
        seed: int = 0,
    ) -> None:
        if strategy not in STRATEGIES:
            raise UnknownNameError("strategy", strategy, STRATEGIES)
        self.trees = trees
        self.inputs = inputs
        self.strategy = strategy
        self.holdout = holdout
        self.threads = threads
        self.seed = seed
        self.traits = replace(type(self).traits, regional=inputs.neighbours > 0)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        ahead = self._step_task(panel, task)
        rows = training_rows(panel, task)  # (B,)
        span = training_span(panel, task, rows)  # (T,)
        self.neighbours_ = most_alike(panel.values[:, span, : len(task.targets)], self.inputs.neighbours)  # (N, M)
        uncertain = len(task.levels) > 1
        held = held_out(panel, rows, 4 * task.horizon, self.holdout if uncertain else 0)  # (B,)
        self.boosters_ = self._grown(panel, ahead, rows[~held])
        self.residuals_ = Residuals.none(panel.shape[0], task)
        if uncertain:
            checked = rows[held] if held.any() else rows
            self.residuals_ = Residuals.of(self._errors(panel, task, checked), task)

    def _step_task(self, panel: Panel, task: Task) -> Task:
        """The task that the boosters learn: one step where they are applied again and again."""
        if self.strategy != "recursive":
            return task
        if task.past or panel.outlook is not None:
            names = ", ".join(v.name for v in (*task.past, *task.future))
            raise SchemaError(
                f"strategy 'recursive' needs later values of {names}, which nothing forecasts: make them targets, "
                "leave them out, or take strategy 'multi' or 'direct'"
            )
        return replace(task, horizon=1)

    def _grown(self, panel: Panel, task: Task, rows: np.ndarray) -> Boosters:
        x = table(panel, task, rows, self.inputs, self.neighbours_)  # (B, N, F)
        x = x.swapaxes(0, 1).reshape(-1, x.shape[-1])  # (N*B, F)
        shape = (len(x), task.horizon, len(task.targets))
        truth = truth_at(panel, task, rows).swapaxes(0, 1).reshape(shape)  # (N*B, H, C)
        if self.inputs.relative:
            truth -= x[:, None, : shape[2]]  # the first columns are the last known values
        self.centre_, self.width_ = _moments(truth)  # (H, C), (H, C)
        labels = ((truth - self.centre_) / self.width_).astype(np.float32)  # (N*B, H, C)
        labels = labels.transpose(0, 2, 1).reshape(len(x), -1)  # (N*B, C*H)
        size = 1 if self.strategy == "direct" else task.horizon
        groups = [slice(k, k + size) for k in range(0, labels.shape[1], size)]
        return grow(x, labels, groups, self.trees, self.threads, self.seed)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return self.residuals_.around(self._points(windows, task), windows.series, self.series_)

    def _points(self, windows: Windows, task: Task) -> np.ndarray:
        """(B, N, H, C)."""
        if self.strategy != "recursive":
            return self._scored(windows)
        context = windows.values.shape[2]
        room = np.pad(windows.values, ((0, 0), (0, 0), (0, task.horizon), (0, 0)))  # (B, N, L+H, C)
        for h in range(task.horizon):
            origins = windows.origins + h * np.timedelta64(task.step)  # (B,)
            seen = Windows(room[:, :, h : h + context], origins, None, windows.series)
            room[:, :, context + h] = self._scored(seen)[:, :, 0]  # (B, N, C)
        return room[:, :, context:]  # (B, N, H, C)

    def _scored(self, windows: Windows) -> np.ndarray:
        """(B, N, H, C) of what the boosters reach in one go."""
        batch, count = windows.values.shape[:2]
        x = features(windows, self.inputs, self.series_, self.neighbours_)  # (B, N, F)
        raw = scores(self.boosters_, x.reshape(batch * count, -1))  # (B*N, C*H)
        horizon, targets = self.centre_.shape
        raw = raw.reshape(batch, count, targets, horizon).swapaxes(2, 3)  # (B, N, H, C)
        point = raw * self.width_ + self.centre_  # (B, N, H, C)
        if self.inputs.relative:
            point += windows.last_known(targets)[:, :, None]
        return point

    def _errors(self, panel: Panel, task: Task, rows: np.ndarray) -> np.ndarray:
        """(B, N, H, C) truth minus point at `rows` (B,), a bounded number of windows at a time."""
        step = max(1, CHUNK // (panel.shape[0] * panel.shape[2] * task.context))
        parts = [rows[i : i + step] for i in range(0, len(rows), step)]
        return np.concatenate(
            [truth_at(panel, task, part) - self._points(windows_at(panel, task, part), task) for part in parts]
        )

    def _save(self, folder: Path) -> None:
        write_boosters(folder, self.boosters_)
        write_arrays(
            folder,
            centre=self.centre_,
            width=self.width_,
            neighbours=self.neighbours_,
            shape=self.residuals_.shape,
            widths=self.residuals_.widths,
        )

    def _load(self, folder: Path) -> None:
        arrays = read_arrays(folder)
        self.centre_, self.width_, self.neighbours_ = arrays["centre"], arrays["width"], arrays["neighbours"]
        self.residuals_ = Residuals(arrays["shape"], arrays["widths"])
        self.boosters_ = read_boosters(folder, self.threads)


def _moments(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (H, C) of labels (R, H, C), NaN left out; 0 and 1 where nothing varies."""
    known = ~np.isnan(truth)
    count = np.maximum(known.sum(0), 1)  # (H, C)
    centre = np.where(known, truth, 0).sum(0) / count  # (H, C)
    width = np.sqrt(np.where(known, (truth - centre) ** 2, 0).sum(0) / count)  # (H, C)
    return centre, np.where(width > 0, width, 1.0)
