"""One picture of one forecast: newest rows, median and band, a small panel per series and variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from forecast.errors import UnknownNameError
from forecast.result import Forecast
from forecast.schema import Variable

PAST, AHEAD = "#33415c", "#d9622b"
LARGEST = 12  # panels; more cannot be read on a page


def plot_forecast(
    forecast: Forecast,
    frame: pl.DataFrame,
    variables: Sequence[Variable],
    history: int = 72,
    series: Sequence[str] | None = None,
    columns: int = 2,
) -> Any:
    """A matplotlib `Figure` (no window is opened, no global state touched).

    Args:
        forecast: what to show; a series that is not ok shows its status instead of a line.
        frame: canonical rows. history: how many of the newest steps to show.
        series: which, default the first; at most 12 panels in all.

    Raises:
        UnknownNameError: a series the forecast does not have.
    """
    from matplotlib.figure import Figure

    for name in series or ():
        if name not in forecast.series:
            raise UnknownNameError("series", name, forecast.series)
    pairs = [(s, v) for s in (series or forecast.series) for v in variables][:LARGEST]
    columns = min(columns, len(pairs))
    lines = -(-len(pairs) // columns)
    figure = Figure(figsize=(5.2 * columns, 0.5 + 2.3 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    start = forecast.origin - history * forecast.step
    recent = frame.filter(pl.col("time") > start)
    for axis, (name, variable) in zip(axes, pairs, strict=False):
        _panel(axis, forecast, recent.filter(pl.col("series") == name), name, variable)
    for axis in axes[len(pairs) :]:
        axis.set_visible(False)
    figure.supxlabel("time, UTC", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return figure


def _panel(axis: Any, forecast: Forecast, rows: pl.DataFrame, name: str, variable: Variable) -> None:
    n, c = forecast.series.index(name), forecast.variables.index(variable.name)
    known = rows.drop_nulls(variable.name)
    axis.plot(known["time"].to_numpy(), known[variable.name].to_numpy(), color=PAST, lw=1.3, label="observed")
    times = [forecast.origin + k * forecast.step for k in range(1, forecast.horizon + 1)]
    when = np.array([t.replace(tzinfo=None) for t in times], "datetime64[us]")  # (H,)
    if forecast.ok[n]:
        axis.plot(when, forecast.point[n, :, c], color=AHEAD, lw=1.8, marker="o", ms=3, label="median")
        if len(forecast.levels) > 1:
            low, high = forecast.quantiles[n, :, c, 0], forecast.quantiles[n, :, c, -1]  # (H,), (H,)
            band = f"{forecast.levels[0]:g} to {forecast.levels[-1]:g} quantile"
            axis.fill_between(when, low, high, color=AHEAD, alpha=0.22, lw=0, label=band)
    else:
        axis.text(0.98, 0.9, str(forecast.status[n]), transform=axis.transAxes, ha="right", color=AHEAD)
    _style(axis, name, variable)


def _style(axis: Any, name: str, variable: Variable) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=7)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axis.set_title(f"{name}, {variable.name}", loc="left", fontsize=10)
    axis.set_ylabel(variable.unit, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(axis="y", color="0.9", lw=0.8)
    axis.spines[["top", "right"]].set_visible(False)
