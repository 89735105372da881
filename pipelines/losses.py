"""Losses of a model on check rows: forecasts made again from a panel, in units of the model's own saved scales."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from forecast.errors import ShortHistoryError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, stamp
from forecast.result import Forecast
from forecast.schema import Task
from forecast.windows import truth_at

PAIR = ("series", "variable", "origin", "lead")


def backtest_errors(model: Forecaster, panel: Panel, after: datetime) -> pl.DataFrame:
    """Errors of every forecast whose truth lies after `after`, as `series, variable, origin, lead, error`."""
    assert model.task_ is not None
    task: Task = model.task_
    rows = int((panel.end - after) / task.step)
    first = max(task.context - 1, len(panel.times) - rows - task.horizon)
    origins = [panel.end - k * task.step for k in range(len(panel.times) - 1 - first, 0, -1)]
    forecasts = model.predict_at(panel, origins)
    if not forecasts:
        raise ShortHistoryError(
            f"no row to check on: {len(panel.times)} rows, of which {task.context} are context and {rows} are to be "
            "checked; give a longer history or a shorter check_window"
        )
    truth = truth_at(panel.select(task.names), task, np.arange(first, len(panel.times) - 1))  # (B, N, H, C)
    return _errors(forecasts, truth, after)


def _errors(forecasts: Sequence[Forecast], truth: np.ndarray, after: datetime) -> pl.DataFrame:
    """Errors of forecasts of one shape from origins one after another, where there are both, as a long frame."""
    one = forecasts[0]
    point = np.stack([f.point for f in forecasts])  # (B, N, H, C)
    origins = np.array([stamp(f.origin) for f in forecasts])  # (B,)
    time = origins[:, None] + np.arange(1, one.horizon + 1) * np.timedelta64(one.step)  # (B, H)
    late = np.greater(time, stamp(after))[:, None, :, None]  # (B, 1, H, 1)
    known = ~np.isnan(point) & ~np.isnan(truth) & late
    b, n, h, c = np.nonzero(known)
    return pl.DataFrame(
        {
            "series": np.array(one.series, object)[n],
            "variable": np.array(one.variables, object)[c],
            "origin": pl.Series(origins[b]).dt.replace_time_zone("UTC"),
            "lead": h.astype(np.int64) + 1,
            "error": (point - truth)[known],
        },
        schema_overrides={"series": pl.String, "variable": pl.String},
    )


def paired_losses(mine: pl.DataFrame, theirs: pl.DataFrame, model: Forecaster, alone: bool) -> dict[str, float]:
    """Both losses on the same (series, variable, origin, lead) pairs, in the challenger's scale; on all if alone."""
    if alone:
        return {"challenger_loss": scaled_loss(mine, model), "champion_loss": float("nan")}
    other = theirs.select(*PAIR, other="error")
    both = mine.join(other, on=list(PAIR), how="inner", maintain_order="left")  # one order: equal models tie exactly
    champion_loss = scaled_loss(both.with_columns(error="other"), model)
    return {"challenger_loss": scaled_loss(both, model), "champion_loss": champion_loss}


def scaled_loss(rows: pl.DataFrame, model: Forecaster) -> float:
    """Mean over targets of mean |error| / scale, with the model's own saved scales; NaN without rows."""
    assert model.task_ is not None
    return scaled_mean(rows, dict(zip(model.task_.target_names, model.scale_, strict=True)))


def scaled_mean(rows: pl.DataFrame, scale: dict[str, float]) -> float:
    """Mean over variables of mean |error| / scale of `rows` (`variable, error`); NaN without rows."""
    if rows.is_empty():
        return float("nan")
    means = rows.group_by("variable").agg(pl.col("error").abs().mean()).sort("variable")
    return float(np.mean([error / scale[name] for name, error in means.iter_rows()]))
