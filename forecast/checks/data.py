"""A small made-up world for the checks: hourly weather with a daily cycle, seeded, so that every run sees the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from forecast.forecaster import Forecaster
from forecast.panel import Panel, stamp
from forecast.schema import Task, Variable

Make = Callable[[], Forecaster]

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEMPERATURE = Variable("temperature", "degC", -90, 60)
HUMIDITY = Variable("humidity", "%", 0, 100)
WIND = Variable("wind", "m/s", 0, 150)
VARIABLES = (TEMPERATURE, HUMIDITY, WIND)
NAMES = ("BOS", "JFK", "LGA")


def synthetic_task(**changes: Any) -> Task:
    """Temperature and humidity, three hours ahead, from a day of context and the wind; `changes` as in `Task`.

    >>> synthetic_task(horizon=1).leads
    (1,)
    """
    task = Task(targets=(TEMPERATURE, HUMIDITY), past=(WIND,), horizon=3, context=24, levels=(0.1, 0.5, 0.9))
    return replace(task, **changes)


def synthetic_panel(rows: int = 200, seed: int = 0, series: tuple[str, ...] = NAMES) -> Panel:
    """Panel (N, T, 3) of temperature, humidity and wind: level, daily cycle and autocorrelated noise; no gaps.

    >>> synthetic_panel().shape
    (3, 200, 3)
    """
    rng = np.random.default_rng(seed)
    times = stamp(START) + np.arange(rows) * np.timedelta64(1, "h")  # (T,)
    noise = rng.normal(size=(len(series), rows, 3))  # (N, T, C)
    for t in range(1, rows):
        noise[:, t] += 0.8 * noise[:, t - 1]
    cycle = np.sin(2 * np.pi * np.arange(rows) / 24)[None, :, None] * np.array([5.0, -15.0, 1.0])  # (1, T, C)
    level = np.array([12.0, 60.0, 6.0]) + np.arange(len(series))[:, None, None] * np.array([2.0, 3.0, 0.5])  # (N, 1, C)
    values = level + cycle + noise * np.array([1.0, 3.0, 0.6])  # (N, T, C)
    values = np.clip(values, [v.lower for v in VARIABLES], [v.upper for v in VARIABLES])
    return Panel(values, times, tuple(sorted(series)), tuple(v.name for v in VARIABLES), HOUR)


def with_values(panel: Panel, values: np.ndarray) -> Panel:
    """The same panel holding `values` (N, T, C)."""
    return replace(panel, values=values)


def as_frame(panel: Panel) -> pl.DataFrame:
    """The canonical frame of a panel: `series, time, seen` and one column per variable; NaN becomes null."""
    n, t, c = panel.shape
    flat = panel.values.reshape(n * t, c)  # (N*T, C)
    columns = {name: flat[:, i] for i, name in enumerate(panel.variables)}
    time = pl.Series("time", np.tile(panel.times, n)).dt.replace_time_zone("UTC")
    frame = pl.DataFrame({"series": np.repeat(np.array(panel.series), t), "time": time, "seen": time, **columns})
    return frame.with_columns(pl.col(panel.variables).fill_nan(None))
