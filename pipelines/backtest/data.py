"""The panel of a backtest: all rows of a source on one grid, with what was known ahead, as issued."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from forecast.errors import NoFreshDataError, SchemaError
from forecast.outlook import with_outlook_of
from forecast.panel import Panel
from forecast.schema import Task
from pipelines.protocols import Source

ALL_TIME = datetime(9999, 1, 1, tzinfo=UTC)


def panel_of(source: Source, task: Task, latency: timedelta, steps: int) -> Panel:
    """Everything the source has, with an outlook of `steps` rows where the task has future variables.

    Raises:
        NoFreshDataError: the source has no rows. UnknownNameError: or lacks a variable.
    """
    frame = source.poll({}, ALL_TIME).frame
    names = list(task.names)
    for name in (*names, *(v.name for v in task.future)):
        if name not in frame.columns:
            raise SchemaError(
                f"source '{source.name}' has no variable '{name}', it has {', '.join(frame.columns[3:])}: choose a "
                "task that fits the source, or add a reading to it"
            )
    observed = frame.filter(pl.any_horizontal(pl.col(names).is_not_null()))
    if observed.is_empty():
        raise NoFreshDataError(f"source '{source.name}' has no row with any of {', '.join(names)}")
    panel = Panel.from_frame(observed.select("series", "time", "seen", *names), task.step, names)
    if not task.future:
        return panel
    return with_outlook_of(panel, frame, [v.name for v in task.future], steps, latency)


def standardised(panel: Panel, task: Task, stop: int) -> tuple[Panel, Task]:
    """Values minus the mean, by the deviation, of each series and variable over the rows before `stop`.

    Population deviations, as the published long-horizon benchmarks take them; bounds no longer apply.

    Raises:
        SchemaError: the task has an outlook, which has units of its own.
    """
    if task.future:
        raise SchemaError("backtest.standardise leaves the outlook in its own units: turn it off for this task")
    known = panel.values[:, :stop]  # (N, t, C)
    mean, deviation = np.nanmean(known, axis=1, keepdims=True), np.nanstd(known, axis=1, keepdims=True)  # (N, 1, C)
    values = (panel.values - mean) / np.where(deviation > 0, deviation, 1.0)  # (N, T, C)
    free = {
        name: tuple(replace(v, unit="", lower=-np.inf, upper=np.inf) for v in getattr(task, name))
        for name in ("targets", "past")
    }
    return replace(panel, values=values), replace(task, **free)  # type: ignore[arg-type]
