"""Windows as rows of a table: the inputs of models that know no time axis.

Training and forecasting build their rows by the same function, from windows, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, calendar, forward_fill, windows_at

CHUNK = 2_000_000  # window values held at once while a table is built: 16 MB


@dataclass(frozen=True)
class Inputs:
    """Which columns a row has.

    Args:
        lags: rows before the origin to look at; those outside the task's context are left out.
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


def features(windows: Windows, inputs: Inputs, known: Sequence[str], neighbours: np.ndarray) -> np.ndarray:
    """(B, N, F) float32 rows of B windows of N series.

    Args:
        windows: values (B, N, L, V); gaps stay gaps.
        known: the series trained on. neighbours: (N, M) indices of the series beside each.

    Columns, in order: last value of each variable, their lags, last values of each neighbour, calendar,
    identity, outlook. With `relative`, all but the first are differences to it.
    """
    values = windows.values  # (B, N, L, V)
    batch, count, context, width = values.shape
    lags = [context - 1 - lag for lag in inputs.lags if 0 < lag < context]
    last = forward_fill(values)[:, :, -1] if inputs.relative else values[:, :, -1]  # (B, N, V)
    origin = last if inputs.relative else np.zeros_like(last)  # (B, N, V)
    past = values[:, :, lags] - origin[:, :, None]  # (B, N, lags, V)
    beside = last[:, neighbours] - origin[:, :, None]  # (B, N, M, V)
    parts = [last, past.reshape(batch, count, len(lags) * width)]
    parts.append(beside.reshape(batch, count, neighbours.shape[1] * width))
    if inputs.calendar:
        parts.append(np.broadcast_to(calendar(windows.origins)[:, None], (batch, count, 4)))
    if inputs.identity:
        place = {name: float(i) for i, name in enumerate(known)}
        number = np.array([place.get(s, np.nan) for s in windows.series])  # (N,)
        parts.append(np.broadcast_to(number[:, None], (batch, count, 1)))
    if windows.outlook is not None:
        parts.append(windows.outlook.reshape(batch, count, -1))
    return np.concatenate(parts, axis=-1, dtype=np.float32, casting="same_kind")  # (B, N, F)


def table(panel: Panel, task: Task, rows: np.ndarray, inputs: Inputs, neighbours: np.ndarray) -> np.ndarray:
    """(B, N, F) float32: the features at the panel's `rows` (B,), built a bounded number of windows at a time."""
    step = max(1, CHUNK // (panel.shape[0] * panel.shape[2] * task.context))
    first = features(windows_at(panel, task, rows[:step]), inputs, panel.series, neighbours)
    out = np.empty((len(rows), *first.shape[1:]), np.float32)  # (B, N, F)
    out[:step] = first
    for start in range(step, len(rows), step):
        part = slice(start, start + step)
        out[part] = features(windows_at(panel, task, rows[part]), inputs, panel.series, neighbours)
    return out


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
