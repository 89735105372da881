"""Persistence: tomorrow is like today. The yardstick of every nowcast, and the cheapest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from forecast.conformal import quantiles, with_all_leads
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, truth_at, windows_at
from models.arrays import read_arrays, write_arrays


class Persistence(Forecaster):
    """The last known value at every lead; intervals from the training changes of each variable and lead.

    Quantiles other than the median are the last value plus the quantile of the h-step changes, at the exact rank of a
    finite sample and pooled over series: a model that learns nothing has no training errors to be narrow by. A quantile
    never crosses the last value, so the median stays there. Needs no tuning.

    Args:
        of: target -> the variable whose last value is taken in its place, for what knows more of tomorrow than the
            target itself: the next opening is nearer to the last close. None: each target its own.

    Raises:
        SchemaError: `of` is a name alone. UnknownNameError: at fit, a key that is no target, or a variable that the
            task does not have.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> panel = synthetic_panel()
    >>> forecast = Persistence({"humidity": "wind"}).fit(panel, synthetic_task()).predict(panel)
    >>> bool((forecast.point[:, 2] == panel.values[:, -1, [0, 2]]).all())  # temperature by itself, humidity by wind
    True
    """

    traits = Traits(learns=False)
    of: Mapping[str, str] | None = None

    def __init__(self, of: Mapping[str, str] | None = None) -> None:
        if of is not None and not isinstance(of, Mapping):
            raise SchemaError(f"of is {of!r}: say which target takes which variable's value, e.g. {{open: close}}")
        self.of = of
        self.traits = replace(Persistence.traits, multivariate=bool(of))

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)
        change = truth_at(panel, task, rows) - self._last(windows_at(panel, task, rows), task)[:, :, None]
        self.spread_ = around_point(residual_quantiles(change, task), task)  # (H, C, Q)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return self._last(windows, task)[:, :, None, :, None] + self.spread_  # (B, N, H, C, Q)

    def _last(self, windows: Windows, task: Task) -> np.ndarray:
        """(B, N, C) the values that are repeated."""
        given = self.of or {}
        for kind, names, known in (("target", given, task.target_names), ("variable", given.values(), task.names)):
            for name in names:
                if name not in known:
                    raise UnknownNameError(f"{kind} of persistence", name, known)
        columns = [task.names.index(given.get(name, name)) for name in task.target_names]  # (C,)
        return windows.last_known(1 + max(columns))[..., columns]

    def _save(self, folder: Path) -> None:
        write_arrays(folder, spread=self.spread_)

    def _load(self, folder: Path) -> None:
        self.spread_ = read_arrays(folder)["spread"]


def around_point(quantiles: np.ndarray, task: Task) -> np.ndarray:
    """Error quantiles (..., Q) with zero at the median and none on its wrong side: the point stays the median.

    Else, where all errors have one sign (a trend), sorting would put another quantile into the median's place.
    """
    levels = np.array(task.levels)  # (Q,)
    return np.clip(quantiles, np.where(levels < 0.5, -np.inf, 0.0), np.where(levels > 0.5, np.inf, 0.0))


def residual_quantiles(errors: np.ndarray, task: Task) -> np.ndarray:
    """Quantiles (H, C, Q) of errors (B, N, H, C) at the exact rank of a finite sample, NaN left out.

    A lead without an error (the history ends before it) takes the quantiles of the widest lead that has some: it
    is no surer than that. Zero for a variable without any error. See `forecast.conformal.split`.
    """
    found = with_all_leads(quantiles(errors.reshape(-1, *errors.shape[2:]), task.levels))  # (H, C, Q)
    return np.where(np.isnan(found), 0.0, found)
