"""Windows: what models learn from and forecast from, cut from a panel in one place so that no model can see ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecast.errors import SchemaError, ShortHistoryError
from forecast.panel import Panel, moment, stamp
from forecast.schema import Task


@dataclass(frozen=True, eq=False)
class Windows:
    """B contexts of L rows that end at their origins.

    Args:
        values: (B, N, L, V), V = the task's targets, then its past inputs; NaN is a gap.
        origins: (B,) datetime64[us], UTC: the time of each window's newest row.
        outlook: (B, N, K, F) as known at the origin, or None.
        series: N names.
    """

    values: np.ndarray
    origins: np.ndarray
    outlook: np.ndarray | None
    series: tuple[str, ...]

    def last_known(self, targets: int) -> np.ndarray:
        """The newest value inside each window of the first `targets` variables, (B, N, C); NaN if there is none."""
        return forward_fill(self.values[..., :targets])[:, :, -1]  # (B, N, C)


def windows_at(panel: Panel, task: Task, rows: np.ndarray) -> Windows:
    """Windows whose newest rows are the panel's `rows` (B,), each at least L - 1."""
    view = sliding_window_view(panel.values, task.context, axis=1)  # (N, T-L+1, V, L)
    values = view[:, rows - (task.context - 1)].transpose(1, 0, 3, 2)  # (B, N, L, V)
    outlook = None if panel.outlook is None else panel.outlook[:, rows].swapaxes(0, 1)  # (B, N, K, F)
    return Windows(values, panel.times[rows], outlook, panel.series)


def origin_rows(panel: Panel, origins: Sequence[datetime], context: int) -> np.ndarray:
    """(B,) the panel's rows at `origins`, each with a full context up to it.

    Raises:
        SchemaError: an origin off the grid. ShortHistoryError: too few rows before one.
    """
    wanted = np.array([stamp(o) for o in origins], "datetime64[us]")  # (B,)
    rows = np.searchsorted(panel.times, wanted)  # (B,)
    absent = (rows >= len(panel.times)) | (panel.times[np.minimum(rows, len(panel.times) - 1)] != wanted)
    if absent.any():
        raise SchemaError(f"origin {moment(wanted[absent][0])} is not on the panel's grid")
    if (rows < context - 1).any():
        raise ShortHistoryError(
            f"a forecast from {moment(wanted[rows.argmin()])} needs {context} rows up to it, "
            f"the panel has {rows.min() + 1}: give a longer panel or a shorter context"
        )
    return rows


def training_rows(panel: Panel, task: Task) -> np.ndarray:
    """(B,) rows that may be training origins: kept by the reducer, a full context before, at least one step after."""
    rows = np.arange(task.context - 1, len(panel.times) - 1)  # (B,)
    return rows[panel.keep[rows]]


def training_span(panel: Panel, task: Task, rows: np.ndarray) -> np.ndarray:
    """(T,) bool: the rows that lie inside a context or a truth of the training origins `rows` (B,)."""
    edges = np.zeros(len(panel.times) + 1, np.int64)  # (T+1,)
    np.add.at(edges, rows - (task.context - 1), 1)
    np.add.at(edges, np.minimum(rows + task.horizon + 1, len(panel.times)), -1)
    return edges.cumsum()[:-1] > 0  # (T,)


def truth_at(panel: Panel, task: Task, rows: np.ndarray) -> np.ndarray:
    """What came after each of `rows`: (B, N, H, C) of the targets; NaN for gaps and beyond the panel's end."""
    count, (n, t, _) = len(task.targets), panel.shape
    padded = np.full((n, t + task.horizon, count), np.nan)  # (N, T+H, C)
    padded[:, :t] = panel.values[:, :, :count]
    ahead = rows[:, None] + np.arange(1, task.horizon + 1)  # (B, H)
    return padded[:, ahead].transpose(1, 0, 2, 3)  # (B, N, H, C)


def forward_fill(values: np.ndarray, axis: int = -2) -> np.ndarray:
    """Gaps take the newest earlier value along the time axis; leading gaps stay NaN. Shape unchanged."""
    moved = np.moveaxis(values, axis, -1)  # (..., L)
    known = np.where(np.isnan(moved), 0, np.arange(moved.shape[-1]))  # (..., L)
    filled = np.take_along_axis(moved, np.maximum.accumulate(known, axis=-1), axis=-1)
    return np.moveaxis(filled, -1, axis)


def filled(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Windows (B, N, L, V) without gaps: newest earlier value, else next later, else the series' training mean.

    Args:
        means: (N, V), or (V,) where all series have the same.
    """
    full = forward_fill(forward_fill(values)[..., ::-1, :])[..., ::-1, :]  # (B, N, L, V)
    return np.where(np.isnan(full), means[..., None, :], full)


def calendar(origins: np.ndarray, harmonics: int = 1) -> np.ndarray:
    """(B, 2 * harmonics + 2): sines and cosines of the hour of day, then of the day of year, in UTC.

    So 23:00 is next to 00:00. A linear model needs about three harmonics to follow a day of weather.
    """
    seconds = origins.astype("datetime64[s]").astype(np.int64)  # (B,)
    days = origins.astype("datetime64[D]")  # (B,)
    yearday = (days - origins.astype("datetime64[Y]")).astype(np.int64)  # (B,)
    angles = [2 * np.pi * k * (seconds % 86_400) / 86_400 for k in range(1, harmonics + 1)]
    angles.append(2 * np.pi * yearday / 365.25)
    return np.stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=-1)  # (B, 2 * harmonics + 2)
