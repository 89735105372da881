"""Windows as rows of a table: the inputs of models that know no time axis.

Training and forecasting build their rows by the same function, from windows, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, calendar, forward_fill, windows_at

CHUNK = 2_000_000  # window values held at once while a table is built: 16 MB


@dataclass(frozen=True)
class Inputs:
    """Which columns a row has.

    Args:
        lags: rows before the origin to look at; 0 is always there, and those outside the task's context are left out.
        neighbours: how many other series to look at, the most alike first; 0 lets a model forecast any series.
        calendar: hour of day and day of year of the origin.
        identity: the number of the series among those trained on; NaN for any other.
        relative: differences to the last known value instead of levels, in the inputs and in what is learnt.
    """

    lags: Sequence[int] = (1, 3, 6, 12, 23)
    neighbours: int = 2
    calendar: bool = True
    identity: bool = True
    relative: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lags", tuple(self.lags))


def features(
    windows: Windows, inputs: Inputs, known: Sequence[str], neighbours: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """(B, N, F) float32 rows of B windows of N series.

    Args:
        windows: values (B, N, L, V); gaps stay gaps.
        known: the series trained on. neighbours: (N, M) indices of the series beside each.
        out: where to write, or None for a new array.

    Columns, in order: last value of each variable, their lags, last values of each neighbour, calendar,
    identity, outlook. With `relative`, lags and neighbours are differences to the last value, and the outlook is there
    twice, also as the difference of its variable f to variable f: what predicts target c is outlook variable c.
    """
    values = windows.values  # (B, N, L, V)
    batch, count, context, _ = values.shape
    last = forward_fill(values)[:, :, -1] if inputs.relative else values[:, :, -1]  # (B, N, V)
    if not neighbours.shape[1]:
        neighbours = np.empty((count, 0), np.int64)  # of other series than those trained on there may be any number
    levels = [values[:, :, _past_rows(inputs.lags, context)], last[:, neighbours]]  # (B, N, lags, V), (B, N, M, V)
    others = _others(windows, inputs, known, last)
    width = last.shape[2] * (1 + sum(a.shape[2] for a in levels)) + sum(a.shape[-1] for a in others)
    out = np.empty((batch, count, width), np.float32) if out is None else out  # (B, N, F)
    out[..., : last.shape[2]] = last
    end = last.shape[2]
    for level in levels:
        start, end = end, end + level.shape[2] * level.shape[3]
        part = out[..., start:end].reshape(level.shape, copy=False)
        np.subtract(level, last[:, :, None] if inputs.relative else np.float64(0), out=part, casting="same_kind")
    for other in others:
        start, end = end, end + other.shape[-1]
        out[..., start:end] = other
    return out


def _others(windows: Windows, inputs: Inputs, known: Sequence[str], last: np.ndarray) -> list[np.ndarray]:
    """Columns that are no past values; each spreads to (B, N, columns). `last` is (B, N, V)."""
    others = []
    if inputs.calendar:
        others.append(calendar(windows.origins)[:, None])  # (B, 1, 4)
    if inputs.identity:
        place = {name: float(i) for i, name in enumerate(known)}
        others.append(np.array([place.get(s, np.nan) for s in windows.series])[:, None])  # (N, 1)
    if windows.outlook is not None:
        others.append(windows.outlook.reshape(*last.shape[:2], -1))  # (B, N, K*F)
        if inputs.relative:
            paired = min(windows.outlook.shape[3], last.shape[2])
            ahead = windows.outlook[..., :paired] - last[:, :, None, :paired]  # (B, N, K, paired)
            others.append(ahead.reshape(*last.shape[:2], -1))
    return others


def _past_rows(lags: Sequence[int], context: int) -> slice | list[int]:
    """Where the lags are in a window, as a slice where they follow one another: that copies nothing."""
    rows = [context - 1 - lag for lag in lags if 0 < lag < context]
    consecutive = all(a - b == 1 for a, b in pairwise(rows))
    return slice(rows[0], rows[-1] - 1 if rows[-1] else None, -1) if rows and consecutive else rows


def table(panel: Panel, task: Task, rows: np.ndarray, inputs: Inputs, neighbours: np.ndarray) -> np.ndarray:
    """(B, N, F) float32: the features at the panel's `rows` (B,), built a bounded number of windows at a time.

    In memory a series' rows follow one another: rows alike side by side make XGBoost faster.
    """
    step = max(1, CHUNK // (panel.shape[0] * panel.shape[2] * task.context))
    first = features(windows_at(panel, task, rows[:step]), inputs, panel.series, neighbours)
    out = np.empty((panel.shape[0], len(rows), first.shape[2]), np.float32).swapaxes(0, 1)  # (B, N, F)
    out[:step] = first
    for start in range(step, len(rows), step):
        part = slice(start, start + step)
        features(windows_at(panel, task, rows[part]), inputs, panel.series, neighbours, out[part])
    return out


def last_known(panel: Panel, task: Task, rows: np.ndarray) -> np.ndarray:
    """(B, N, C) as `Windows.last_known` of the windows at `rows` (B,), which need not be built for it."""
    values = panel.values[..., : len(task.targets)]  # (N, T, C)
    place = np.where(np.isnan(values), -1, np.arange(values.shape[1])[:, None])  # (N, T, C)
    place = np.maximum.accumulate(place, axis=1)[:, rows]  # (N, B, C)
    found = np.take_along_axis(values, np.maximum(place, 0), axis=1)
    return np.where(place > (rows - task.context)[:, None], found, np.nan).swapaxes(0, 1)


def most_alike(values: np.ndarray, count: int) -> np.ndarray:
    """(N, M) for each series the M = min(count, N - 1) others whose one-step changes correlate best, best first.

    Args:
        values: (N, T, C) with gaps; the correlations of the C variables are added up.
    """
    size = len(values)
    if count == 0 or size == 1:
        return np.empty((size, 0), np.int64)
    change = np.diff(values, axis=1)  # (N, T-1, C)
    change = np.where(np.isnan(change), 0, change)
    length = np.sqrt((change**2).sum(1, keepdims=True))  # (N, 1, C)
    change = (change / np.where(length > 0, length, 1)).reshape(size, -1)  # (N, (T-1)*C)
    alike = change @ change.T  # (N, N)
    np.fill_diagonal(alike, -np.inf)
    return np.argsort(-alike, axis=1, kind="stable")[:, : min(count, size - 1)]
